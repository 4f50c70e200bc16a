"""Turns the quote of a contract into the one price a position is valued at, and says which price that is.

Rule: an option is worth its mid (its last trade may be hours old), everything else its last trade as long as that lies
between bid and ask, else the mid. Where there is no usable quote: the mark, then the last trade, then the price the
broker sent with the position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from app.domain.contracts import Contract, SecType
from app.domain.quotes import DataKind, QuoteField
from app.portfolio.ledger import Quote


class PriceKind(StrEnum):
    """Which price it is."""

    MID = "mid"
    LAST = "last"
    MARK = "mark"
    BROKER = "broker"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """A price per unit, None when there is none. why: a sentence. bid, ask, close: NaN when unknown.

    updated_ns: UTC ns of receipt of the quote, 0 when the price is not from a quote. data: how fresh the source says
    its quotes are, None where it has not said. halted: trading is halted.
    """

    value: float | None
    kind: PriceKind
    why: str
    bid: float = math.nan
    ask: float = math.nan
    close: float | None = None
    updated_ns: int = 0
    data: DataKind | None = None
    halted: bool = False

    @property
    def spread(self) -> float:
        """Return ask less bid, 0 when one is missing."""
        width = self.ask - self.bid
        return width if math.isfinite(width) and width > 0 else 0.0

    @property
    def is_delayed(self) -> bool:
        """Return whether the source says its quotes lag behind."""
        return self.data in (DataKind.DELAYED, DataKind.DELAYED_FROZEN)


_NOTHING: Final = Pricing(value=None, kind=PriceKind.NONE, why="")


def pricing(contract: Contract, quote: Quote | None, broker_price: float | None) -> Pricing:
    """Return what one unit of a contract is worth now. broker_price: what the broker sent with the position."""
    if quote is None or quote.refused:
        reason = "no quote has come" if quote is None else f"no quotes: {quote.refused}"
        return _fallback(broker_price, reason, None)
    bid, ask, last, mark = (quote[each] for each in (QuoteField.BID, QuoteField.ASK, QuoteField.LAST, QuoteField.MARK))
    last = last if _is_price(last, contract) else math.nan
    crossed = bid > ask
    two_sided = not crossed and _is_price(ask, contract) and _is_price(bid, contract, least_is_zero=True)

    def found(value: float, kind: PriceKind, why: str) -> Pricing:
        return replace(_facts(quote), value=value, kind=kind, why=why, updated_ns=quote.updated_ns)

    if two_sided:
        if not contract.sec_type.is_option and bid <= last <= ask:
            return found(last, PriceKind.LAST, f"the last trade, between bid {bid:g} and ask {ask:g}")
        why = "options are valued at their mid" if contract.sec_type.is_option else _why_not_last(last)
        return found((bid + ask) / 2, PriceKind.MID, f"the middle of bid {bid:g} and ask {ask:g}; {why}")
    reason = f"bid {bid:g} is above ask {ask:g}" if crossed else "bid or ask is missing"
    if not crossed and not contract.sec_type.is_option and math.isfinite(last):
        return found(last, PriceKind.LAST, f"the last trade; {reason}")
    if _is_price(mark, contract):
        return found(mark, PriceKind.MARK, f"the mark price; {reason}")
    if math.isfinite(last):
        return found(last, PriceKind.LAST, f"the last trade; {reason} and there is no mark price")
    return _fallback(broker_price, f"{reason}, and there is neither mark price nor last trade", quote)


def _why_not_last(last: float) -> str:
    return f"the last trade {last:g} lies outside" if math.isfinite(last) else "no last trade is known"


def _fallback(broker_price: float | None, reason: str, quote: Quote | None) -> Pricing:
    facts = _NOTHING if quote is None else _facts(quote)
    if broker_price is None or not math.isfinite(broker_price):
        return replace(facts, why=f"{reason}, and the broker sent no price")
    why = f"the broker's price, sent with the position; {reason}"
    return replace(facts, value=broker_price, kind=PriceKind.BROKER, why=why)


def _facts(quote: Quote) -> Pricing:
    """Return what a quote says besides the price."""
    kind, close, halted = quote[QuoteField.KIND], quote[QuoteField.CLOSE], quote[QuoteField.HALTED]
    return Pricing(
        value=None,
        kind=PriceKind.NONE,
        why="",
        bid=quote[QuoteField.BID],
        ask=quote[QuoteField.ASK],
        close=close if math.isfinite(close) else None,
        data=DataKind(int(kind)) if kind in tuple(DataKind) else None,
        halted=halted > 0,
    )


def _is_price(value: float, contract: Contract, *, least_is_zero: bool = False) -> bool:
    """Tell a possible price: only futures may trade below 0, and only the bid of an option may be 0."""
    if not math.isfinite(value):
        return False
    if contract.sec_type in (SecType.FUTURE, SecType.BAG):
        return True
    return value >= 0 if least_is_zero and contract.sec_type.is_option else value > 0
