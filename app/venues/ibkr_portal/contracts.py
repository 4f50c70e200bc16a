"""From the many ways the gateway describes a contract to one `Contract`, kept by its number. Pure.

No answer tells everything: rows of positions and orders name a contract in words, /trsrv/secdef names its parts. What
is learned is merged, and what is still missing can be asked for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from app.domain.contracts import Contract, Right, SecType
from app.venues.ibkr_portal.messages import (
    ContractInfo,
    Instrument,
    OrderRow,
    PositionRow,
    ScanRow,
    SecdefRow,
    TradeRow,
)
from app.venues.ibkr_portal.values import amount, whole, words

_MOST: Final = 50_000
_HIGHEST_ID: Final = 2**40
_LOCAL: Final = re.compile(
    r"\[(?P<local>(?P<root>[A-Z0-9.]{1,6})\s+(?P<day>\d{6})(?P<right>[CP])(?P<strike>\d{8}))(?:\s+(?P<multiplier>[\d.]+))?\]"
)
_WORDED: Final = re.compile(
    r"\b(?P<month>JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)\s?"
    r"(?:(?P<year>20\d\d)|(?P<day>\d{1,2})?\s?'?(?P<short>\d\d))"
    r"(?:\s+(?P<strike>\d+(?:\.\d+)?)\s*(?P<right>C|P|CALL|PUT)\b)?",
    re.IGNORECASE | re.ASCII,
)
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_RIGHTS: Final = {"C": Right.CALL, "CALL": Right.CALL, "P": Right.PUT, "PUT": Right.PUT}
_DERIVATIVES: Final = (SecType.OPTION, SecType.FUTURE, SecType.FUTURE_OPTION, SecType.WARRANT)


def con_id_of(*raws: Any) -> int:
    """Return the first of the values that is a contract's number, 0 when none is."""
    for raw in raws:
        number = whole(raw)
        if 0 < number < _HIGHEST_ID:
            return number
    return 0


def _parts(description: str) -> dict[str, Any]:
    """Return what the words of a description say: "AAPL DEC2026 200 C [AAPL  261218C00200000 100]"."""
    local = _LOCAL.search(description)
    if local is not None:
        return {
            "expiry": f"20{local['day']}",
            "right": _RIGHTS[local["right"]],
            "strike": int(local["strike"]) / 1000.0,
            "multiplier": amount(local["multiplier"]) or 0.0,
            "local_symbol": local["local"],
            "trading_class": local["root"],
        }
    worded = _WORDED.search(description)
    if worded is None:
        return {}
    year = worded["year"] or f"20{worded['short']}"
    month = _MONTHS.index(worded["month"].upper()) + 1
    parts: dict[str, Any] = {"expiry": f"{year}{month:02d}" + (f"{int(worded['day']):02d}" if worded["day"] else "")}
    if worded["right"]:
        parts |= {"right": _RIGHTS[worded["right"].upper()], "strike": amount(worded["strike"]) or 0.0}
    return parts


def _day(*raws: Any) -> str:
    for raw in raws:
        text = words(raw, 20).replace("-", "")[:8]
        if text.isascii() and text.isdigit() and len(text) in (6, 8):
            return text
    return ""


def make(
    con_id: int,
    *,
    symbol: Any = "",
    kind: Any = "",
    currency: Any = "",
    description: Any = "",
    listing: Any = "",
    expiry: str = "",
    strike: Any = None,
    right: Any = "",
    multiplier: Any = None,
    underlying: Any = 0,
    name: Any = "",
    local_symbol: Any = "",
    trading_class: Any = "",
) -> Contract:
    """Return a contract out of what one row says of it; multiplier 0 stands for "not said" and is settled later."""
    sec_type = SecType.of(words(kind, 12)) if words(kind, 12) else SecType.OTHER
    text = words(description)
    parts = _parts(text) if sec_type in _DERIVATIVES or sec_type is SecType.OTHER else {}
    exchange = words(listing, 40)
    units = amount(multiplier) or parts.get("multiplier", 0.0)
    return Contract(
        con_id=con_id,
        symbol=words(symbol, 40) or text.partition(" ")[0][:40],
        sec_type=sec_type,
        currency=words(currency, 8).upper(),
        exchange=exchange if sec_type is SecType.FUTURE and exchange else "SMART",
        primary_exchange=exchange,
        expiry=expiry or parts.get("expiry", ""),
        strike=amount(strike) or parts.get("strike", 0.0),
        right=_RIGHTS.get(words(right, 8).upper(), parts.get("right", Right.NONE)),
        multiplier=units if units > 0.0 else 0.0,
        local_symbol=words(local_symbol, 40) or parts.get("local_symbol", ""),
        trading_class=words(trading_class, 40) or parts.get("trading_class", ""),
        underlying_con_id=con_id_of(underlying),
        name=words(name, 120),
    )


class ContractBook:
    """Contracts by number. dropped: how many were let go because there were too many."""

    def __init__(self) -> None:
        self.known: dict[int, Contract] = {}
        self.dropped = 0
        self._full: set[int] = set()
        self._vain: dict[int, int] = {}

    def get(self, con_id: int) -> Contract | None:
        """Return what is known of a contract, ready for others: with a currency and a multiplier."""
        known = self.known.get(con_id)
        return None if known is None else _settled(known)

    def learn(self, news: Contract, *, full: bool = False) -> Contract:
        """Merge what a row said into what is known; return the contract ready for others."""
        known = self.known.get(news.con_id)
        merged = news if known is None else _merged(known, news, full or news.con_id not in self._full)
        if known is None and len(self.known) >= _MOST:
            gone = next(iter(self.known))
            del self.known[gone]
            self._full.discard(gone)
            self.dropped += 1
        self.known[news.con_id] = merged
        if full:
            self._full.add(news.con_id)
        return _settled(merged)

    def missing(self, most: int = 200) -> list[int]:
        """Return numbers of contracts of which only some row has told; asked for in vain three times: not any more."""
        return [con_id for con_id in self.known if con_id not in self._full and self._vain.get(con_id, 0) < 3][:most]

    def asked(self, con_ids: list[int]) -> None:
        """Note that contracts were asked for."""
        for con_id in con_ids:
            if con_id not in self._full:
                self._vain[con_id] = self._vain.get(con_id, 0) + 1

    def wants(self, con_id: int) -> None:
        """Note a contract of which nothing but its number is known."""
        if con_id and con_id not in self.known:
            self.learn(make(con_id))

    def is_full(self, con_id: int) -> bool:
        """Tell whether the contract's own description has been read."""
        return con_id in self._full


def _merged(known: Contract, news: Contract, prefer: bool) -> Contract:
    """Return both together; where they differ the news count when `prefer`, else what is known."""
    first, second = (news, known) if prefer else (known, news)
    return replace(
        first,
        symbol=first.symbol or second.symbol,
        sec_type=second.sec_type if first.sec_type is SecType.OTHER else first.sec_type,
        currency=first.currency or second.currency,
        exchange=second.exchange if first.exchange == "SMART" else first.exchange,
        primary_exchange=first.primary_exchange or second.primary_exchange,
        expiry=max(first.expiry, second.expiry, key=len),
        strike=first.strike or second.strike,
        right=first.right or second.right,
        multiplier=first.multiplier or second.multiplier,
        local_symbol=first.local_symbol or second.local_symbol,
        trading_class=first.trading_class or second.trading_class,
        underlying_con_id=first.underlying_con_id or second.underlying_con_id,
        name=first.name or second.name,
    )


def _settled(contract: Contract) -> Contract:
    """Fill what nobody has said: dollars, and 100 for options, else 1."""
    if contract.currency and contract.multiplier and contract.symbol:
        return contract
    usual = 100.0 if contract.sec_type is SecType.OPTION else 1.0
    return replace(
        contract,
        symbol=contract.symbol or f"#{contract.con_id}",
        currency=contract.currency or "USD",
        multiplier=contract.multiplier or usual,
    )


# -- rows --------------------------------------------------------------------------------------------------------------


def of_position(row: PositionRow) -> Contract | None:
    """Return the contract of a position, None without a number; its multiplier also from the two ways of its cost."""
    con_id = con_id_of(row.conid)
    if not con_id:
        return None
    return make(
        con_id,
        symbol=row.ticker,
        kind=row.assetClass or row.secType,
        currency=row.currency,
        description=row.contractDesc or row.description,
        listing=row.listingExchange,
        expiry=_day(row.expiry),
        strike=row.strike,
        right=row.putOrCall,
        multiplier=amount(row.multiplier) or _implied_multiplier(row),
        underlying=row.undConid,
        name=row.name,
    )


def _implied_multiplier(row: PositionRow) -> float | None:
    """Return cost per contract over cost per unit where that is a plausible multiplier of a derivative."""
    if SecType.of(words(row.assetClass or row.secType, 12)) not in _DERIVATIVES:
        return None
    cost, price = amount(row.avgCost), amount(row.avgPrice)
    if not cost or not price:
        return None
    units = round(cost / price, 4)
    return units if units >= 1.0 else None


def of_secdef(row: SecdefRow) -> Contract | None:
    """Return the contract of a definition, None without a number."""
    con_id = con_id_of(row.conid)
    if not con_id:
        return None
    return make(
        con_id,
        symbol=row.ticker,
        kind=row.assetClass,
        currency=row.currency,
        description=row.fullName,
        listing=row.listingExchange,
        expiry=_day(row.lastTradingDay, row.expiry),
        strike=row.strike,
        right=row.putOrCall,
        multiplier=row.multiplier,
        underlying=row.undConid,
        name=row.name,
    )


def of_info(row: ContractInfo, con_id: int) -> Contract:
    """Return the contract of /iserver/contract/{conid}/info-and-rules."""
    return make(
        con_id,
        symbol=row.symbol,
        kind=row.instrument_type,
        currency=row.currency,
        expiry=_day(row.maturity_date),
        strike=row.strike,
        right=row.right,
        multiplier=row.multiplier,
        underlying=row.underlying_con_id,
        name=row.company_name,
        local_symbol=row.local_symbol,
        trading_class=row.trading_class,
    )


def of_order(row: OrderRow) -> Contract | None:
    """Return the contract of an order, None without a number."""
    con_id = con_id_of(row.conid, row.conidex)
    if not con_id:
        return None
    return make(
        con_id,
        symbol=row.ticker,
        kind=row.secType,
        description=f"{words(row.description1)} {words(row.description2)}".strip(),
        listing=row.listingExchange,
        name=row.companyName,
    )


def of_trade(row: TradeRow) -> Contract | None:
    """Return the contract of a fill, None without a number."""
    con_id = con_id_of(row.conid, row.conidEx)
    if not con_id:
        return None
    return make(
        con_id,
        symbol=row.symbol,
        kind=row.sec_type,
        description=f"{words(row.contract_description_1)} {words(row.contract_description_2)}".strip(),
        listing=row.listing_exchange,
        name=row.company_name,
    )


def of_scan(row: ScanRow) -> Contract | None:
    """Return the contract of a scanner's row, None without a number."""
    con_id = con_id_of(row.con_id, row.conidex)
    if not con_id:
        return None
    kind = row.sec_type or "STK"
    return make(con_id, symbol=row.symbol, kind=kind, listing=row.listing_exchange, name=row.company_name)


def of_instrument(row: Instrument) -> Contract | None:
    """Return the contract of a watchlist's row, None for a heading."""
    con_id = con_id_of(row.conid, row.C)
    if not con_id:
        return None
    return make(con_id, symbol=row.ticker or row.fullName, kind=row.assetClass or row.ST, name=row.name)
