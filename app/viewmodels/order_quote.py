"""The present quote of an order's contract, and how far the order's price is from it, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from app.domain.orders import Side
from app.domain.quotes import DataKind, QuoteField
from app.domain.units import NS_PER_S
from app.portfolio.ledger import Quote
from app.viewmodels import formats
from app.viewmodels.order_lines import OrderLine

OLD_NS: Final = 10 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickQuote:
    """What is shown of a contract. bid, ask, last: as text with sizes; mark: how the quote is not plain ("delayed"),
    "" when it is; is_old: it must not look live; note: why there is none, or what must be known of it."""

    title: str
    bid: str
    ask: str
    last: str
    age: str
    distance: str
    mark: str = ""
    note: str = ""
    is_old: bool = False


def quick_quote(line: OrderLine, quote: Quote | None, now_ns: int, *, is_live: bool) -> QuickQuote:
    """Return the quote of an order's contract at now_ns (UTC ns)."""
    title = f"{line.contract.label} {line.contract.name}".strip()
    if quote is None or not quote.updated_ns:
        refused = quote.refused if quote is not None else ""
        text = formats.UNKNOWN if refused else formats.PENDING
        note = refused or "the quote was asked for and has not come yet"
        return QuickQuote(title=title, bid=text, ask=text, last=text, age="", distance="", note=note, is_old=True)
    age_ns = max(0, now_ns - quote.updated_ns)
    marks = []
    kind = quote[QuoteField.KIND]
    if not math.isnan(kind) and kind != DataKind.LIVE:
        marks.append(DataKind(int(kind)).word)
    if quote[QuoteField.HALTED] > 0:
        marks.append("halted")
    bid, ask = quote[QuoteField.BID], quote[QuoteField.ASK]
    if bid > ask:
        marks.append("bid above ask")
    notes = [quote.refused] if quote.refused else []
    if not is_live:
        notes.append("the source is not connected: this is the last that was heard")
    elif age_ns > OLD_NS:
        notes.append("no news of it for a while")
    return QuickQuote(
        title=title,
        bid=_with_size(line, bid, quote[QuoteField.BID_SIZE]),
        ask=_with_size(line, ask, quote[QuoteField.ASK_SIZE]),
        last=line.price(quote[QuoteField.LAST]),
        age=formats.age(age_ns),
        distance=distance(line, bid, ask, quote[QuoteField.LAST]),
        mark=", ".join(marks),
        note="; ".join(notes),
        is_old=bool(notes),
    )


def _with_size(line: OrderLine, price: float, size: float) -> str:
    if math.isnan(price):
        return formats.UNKNOWN
    return line.price(price) if math.isnan(size) else f"{line.price(price)} × {formats.volume(size)}"


def distance(line: OrderLine, bid: float, ask: float, last: float) -> str:
    """Return how far a working order's limit is from the other side of the market, and its stop from the last price;
    "" when the order has neither or does not work."""
    state = line.state
    if not state.status.is_working:
        return ""
    parts = []
    if state.limit_price is not None:
        name, other = ("ask", ask) if state.side is Side.BUY else ("bid", bid)
        parts.append(_gap(line, "limit", state.limit_price, name, other, marketable_above=state.side is Side.BUY))
    if state.stop_price is not None:
        parts.append(_gap(line, "stop", state.stop_price, "last", last, marketable_above=None))
    return ", ".join(part for part in parts if part)


def _gap(line: OrderLine, word: str, price: float, name: str, other: float, *, marketable_above: bool | None) -> str:
    if math.isnan(other) or other <= 0:
        return f"{word} {line.price(price)}, {name} unknown"
    gap = price - other
    at_market = marketable_above is not None and (gap >= 0 if marketable_above else gap <= 0)
    if gap == 0:
        where = f"at the {name}"
    else:
        percent = abs(gap) / other * 100
        where = f"{line.price(abs(gap))} {'above' if gap > 0 else 'below'} the {name} ({percent:.2f} %)"
    return f"{word} {line.price(price)} is {where}{', it can be filled at once' if at_market else ''}"
