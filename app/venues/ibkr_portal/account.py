"""From the gateway's figures of an account (summary, ledger, profit and loss, positions) to broker events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import UNSET

from app.domain.account import BASE, AccountPnl, AccountValue, Position, Tag
from app.domain.contracts import Contract
from app.venues.ibkr_portal.messages import PnlRow, PositionRow, SummaryFigure, SummaryRow
from app.venues.ibkr_portal.values import amount, clean, words

_TAGS: Final[Mapping[str, Tag]] = {tag.value.lower(): tag for tag in Tag} | {"leverage-s": Tag.LEVERAGE}
_UNITLESS: Final = frozenset((Tag.CUSHION, Tag.LEVERAGE, Tag.DAY_TRADES_REMAINING))
_SEGMENTS: Final = ("-s", "-c", "-p")
_LEDGER: Final[Mapping[str, str]] = {
    "cashbalance": Tag.CASH_BALANCE,
    "settledcash": Tag.SETTLED_CASH,
    "stockmarketvalue": Tag.STOCK_VALUE,
    "stockoptionmarketvalue": Tag.OPTION_VALUE,
    "futuresonlypnl": Tag.FUTURES_PNL,
    "unrealizedpnl": Tag.UNREALIZED_PNL,
    "realizedpnl": Tag.REALIZED_PNL,
    "exchangerate": Tag.EXCHANGE_RATE,
    "netliquidationvalue": "NetLiquidationByCurrency",
    "interest": "AccruedCash",
    "dividends": "AccruedDividend",
}
_LIST_KEY: Final = "ledgerlist"


def summary_values(account: str, figures: Mapping[str, SummaryFigure]) -> list[AccountValue]:
    """Return the figures of /portfolio/{account}/summary; those of parts of the account are left out."""
    values = []
    for key, figure in figures.items():
        name = key.lower()
        tag = _TAGS.get(name)
        if tag is None and name.endswith(_SEGMENTS):
            continue
        money = figure.value is None
        if tag is None and not money:
            continue  # texts such as the account's type
        number = amount(figure.amount if money else figure.value)
        if figure.isNull:
            number = None
        values.append(_value(account, tag or words(key, 60), figure.currency or "", number))
    return values


def _value(account: str, tag: str, currency: str, number: float | None) -> AccountValue:
    if tag == Tag.DAY_TRADES_REMAINING and number is not None and number < 0.0:
        number = None  # -1 stands for "as many as you like"
    return AccountValue(account, tag, "" if tag in _UNITLESS else currency.upper()[:8], number)


def streamed_values(account: str, rows: Iterable[SummaryRow]) -> list[AccountValue]:
    """Return the figures of `ssd`; those of parts of the account ("NetLiquidation-S") keep the gateway's own word."""
    values = []
    for row in rows:
        raw = row.value if row.monetaryValue in (UNSET, None) else row.monetaryValue
        if not row.key or raw is UNSET:
            continue
        number = amount(raw)
        tag = _TAGS.get(row.key.lower(), row.key[:60])
        values.append(_value(account, tag, row.currency or "", number))
    return values


def ledger_values(account: str, currency: str, row: Mapping[str, Any]) -> list[AccountValue]:
    """Return the figures of one currency, of /portfolio/{account}/ledger or `sld`, whose names differ in case only.

    The exchange rate of the converted figures ("BASE") says nothing and is left out.
    """
    values = []
    for key, raw in row.items():
        tag = _LEDGER.get(key.lower())
        number = amount(raw)
        if tag is None or (tag == Tag.EXCHANGE_RATE and (currency == BASE or not number)):
            continue
        values.append(AccountValue(account, tag, currency, number))
    return values


def ledger_currency(key: str, row: Mapping[str, Any]) -> str:
    """Return the currency a row of a ledger is about: by its name ("USD", "LedgerListUSD") or its `secondKey`."""
    for raw in (row.get("secondKey"), row.get("secondkey"), key):
        text = words(raw, 20)
        text = text[len(_LIST_KEY) :] if text.lower().startswith(_LIST_KEY) else text
        if text and text.isalpha() and len(text) <= 6:
            return text.upper()
    return ""


class PnlKeeper:
    """Profit and loss of accounts: parts of an account (models) are added, changes are merged."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, PnlRow]] = {}
        self._realised: dict[str, float] = {}

    def forget(self, account: str) -> None:
        """Let an account go."""
        self._parts.pop(account, None)
        self._realised.pop(account, None)

    def realised(self, account: str, value: float | None) -> None:
        """Note the realised profit of the ledger in base currency, which these messages do not have."""
        if value is not None:
            self._realised[account] = value

    def on_row(self, account: str, part: str, row: PnlRow) -> None:
        """Take one part of an account."""
        parts = self._parts.setdefault(account, {})
        if part not in parts and len(parts) >= 100:
            return
        known = parts.get(part)
        if known is not None:
            for name in ("dpl", "upl", "nl", "el"):
                if getattr(row, name) is None:
                    setattr(row, name, getattr(known, name))
        parts[part] = row

    def pnl(self, account: str) -> AccountPnl:
        """Return the sums of all parts."""
        return AccountPnl(account, self._sum(account, "dpl"), self._sum(account, "upl"), self._realised.get(account))

    def values(self, account: str, base: str) -> list[AccountValue]:
        """Return what else these messages tell: net liquidation and excess liquidity."""
        tags = (("nl", Tag.NET_LIQUIDATION), ("el", Tag.EXCESS_LIQUIDITY))
        found = [(tag, self._sum(account, name)) for name, tag in tags]
        return [AccountValue(account, tag, base, number) for tag, number in found if number is not None]

    def _sum(self, account: str, name: str) -> float | None:
        numbers = [amount(getattr(row, name)) for row in self._parts.get(account, {}).values()]
        known = [number for number in numbers if number is not None]
        return clean(sum(known)) if known else None


def position(account: str, contract: Contract, row: PositionRow) -> Position | None:
    """Return what an account holds of a contract, None when the row does not say how much."""
    quantity = amount(row.position)
    if quantity is None:
        return None
    return Position(
        account=account,
        contract=contract,
        quantity=quantity,
        average_cost=amount(row.avgCost),
        market_price=_first(row.mktPrice, row.marketPrice),
        market_value=_first(row.mktValue, row.marketValue),
        unrealised=amount(row.unrealizedPnl),
        realised=amount(row.realizedPnl),
    )


def _first(*raws: Any) -> float | None:
    for raw in raws:
        number = amount(raw)
        if number is not None:
            return number
    return None
