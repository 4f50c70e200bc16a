"""Names and layouts of what a client can ask: turns the fields of a request into values.

Ids and layouts: the client side of the TWS API at server version 178. A request that is too short or has a text where
a number is due raises BadRequest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ORDER_VERBS = {3: "place order", 4: "cancel order", 21: "exercise options", 58: "global cancel"}
"""Requests that trade. A simulator of a read-only account must never see one."""

NAMES = {
    **ORDER_VERBS,
    1: "market data",
    2: "cancel market data",
    5: "open orders",
    6: "account updates",
    7: "executions",
    8: "ids",
    9: "contract details",
    14: "log level",
    15: "auto open orders",
    16: "all open orders",
    17: "managed accounts",
    18: "advisor",
    20: "historical data",
    22: "scanner",
    23: "cancel scanner",
    24: "scanner parameters",
    25: "cancel historical data",
    49: "current time",
    50: "real-time bars",
    51: "cancel real-time bars",
    59: "market data type",
    61: "positions",
    62: "account summary",
    63: "cancel account summary",
    64: "cancel positions",
    71: "start api",
    76: "account updates multi",
    77: "cancel account updates multi",
    78: "option parameters",
    81: "matching symbols",
    87: "head timestamp",
    90: "cancel head timestamp",
    92: "pnl",
    93: "cancel pnl",
    94: "pnl single",
    95: "cancel pnl single",
    99: "completed orders",
}


class BadRequest(ValueError):
    """A request that cannot be read."""


class Fields:
    """Reads the fields of a request one after the other."""

    def __init__(self, fields: Sequence[str]) -> None:
        """Take the fields after the message id."""
        self._fields: Iterator[str] = iter(fields)

    def text(self) -> str:
        """Return the next field."""
        try:
            return next(self._fields)
        except StopIteration:
            raise BadRequest("expected more fields") from None

    def skip(self, count: int) -> None:
        """Leave out some fields."""
        for _ in range(count):
            self.text()

    def whole(self) -> int:
        """Return the next field as a whole number, 0 for an empty one."""
        text = self.text()
        try:
            return int(text or "0")
        except ValueError:
            raise BadRequest(f"expected a whole number, was {text!r}") from None

    def number(self) -> float | None:
        """Return the next field as a number, None for an empty one or one that is not set."""
        text = self.text()
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise BadRequest(f"expected a number, was {text!r}") from None
        return None if value > 1e300 else value

    def flag(self) -> bool:
        """Return the next field as yes or no."""
        return self.text() not in ("", "0", "false")

    def rest(self) -> list[str]:
        """Return what is left."""
        return list(self._fields)


@dataclass(frozen=True, slots=True)
class AskedContract:
    """The contract fields of a request, as sent."""

    con_id: int
    symbol: str
    sec_type: str
    expiry: str
    strike: float
    right: str
    exchange: str
    primary_exchange: str
    currency: str
    local_symbol: str
    legs: int = 0


def read_contract(fields: Fields) -> AskedContract:
    """Return the twelve contract fields."""
    con_id = fields.whole()
    symbol, sec_type, expiry = fields.text(), fields.text(), fields.text()
    strike = fields.number() or 0.0
    right = fields.text()
    fields.text()  # multiplier
    exchange, primary, currency, local_symbol = fields.text(), fields.text(), fields.text(), fields.text()
    fields.text()  # trading class
    return AskedContract(
        con_id=con_id,
        symbol=symbol.upper(),
        sec_type=sec_type,
        expiry=expiry,
        strike=strike,
        right="" if right in ("0", "?") else right.upper(),
        exchange=exchange,
        primary_exchange=primary,
        currency=currency,
        local_symbol=local_symbol,
    )


def skip_legs(contract: AskedContract, fields: Fields) -> None:
    """Leave out the legs of a combination, where there are any."""
    if contract.sec_type == "BAG":
        fields.skip(4 * fields.whole())


@dataclass(frozen=True, slots=True)
class AskedQuote:
    """A request for market data."""

    req_id: int
    contract: AskedContract
    generic_ticks: frozenset[str]
    snapshot: bool
    regulatory: bool


def read_quote(fields: Fields) -> AskedQuote:
    """Return a request for market data (id 1)."""
    fields.text()  # version
    req_id = fields.whole()
    contract = read_contract(fields)
    skip_legs(contract, fields)
    if fields.flag():  # delta-neutral contract
        fields.skip(3)
    ticks = frozenset(filter(None, (word.strip() for word in fields.text().split(","))))
    return AskedQuote(req_id, contract, ticks, fields.flag(), fields.flag())


@dataclass(frozen=True, slots=True)
class AskedHistory:
    """A request for historical bars."""

    req_id: int
    contract: AskedContract
    end: str
    bar_size: str
    duration: str
    regular_only: bool
    what: str
    date_format: int
    keep_up_to_date: bool


def read_history(fields: Fields) -> AskedHistory:
    """Return a request for historical data (id 20)."""
    req_id = fields.whole()
    contract = read_contract(fields)
    fields.text()  # expired ones too
    end, bar_size, duration = fields.text(), fields.text(), fields.text()
    regular, what, date_format = fields.flag(), fields.text(), fields.whole()
    skip_legs(contract, fields)
    return AskedHistory(req_id, contract, end, bar_size, duration, regular, what, date_format, fields.flag())


@dataclass(frozen=True, slots=True)
class AskedScan:
    """A scanner subscription."""

    req_id: int
    rows: int
    instrument: str
    location: str
    code: str
    above_price: float | None
    below_price: float | None
    above_volume: float | None


def read_scan(fields: Fields) -> AskedScan:
    """Return a scanner subscription (id 22)."""
    req_id, rows = fields.whole(), fields.whole()
    instrument, location, code = fields.text(), fields.text(), fields.text()
    return AskedScan(req_id, rows, instrument, location, code, fields.number(), fields.number(), fields.number())
