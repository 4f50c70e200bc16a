"""The columns of the Live Trading panel's tables: orders, fills, and the timeline of one order."""

from __future__ import annotations

from typing import Final

from app.domain.orders import Side
from app.portfolio.order_events import EventKind, TimelineEvent
from app.ui.models.lines import LineColumn, LinesTable
from app.viewmodels import formats
from app.viewmodels.live_trading import LiveTradingModel
from app.viewmodels.order_lines import FillLine, OrderLine, full_time, when_text

_EVENT_TONES: Final = {
    EventKind.RECEIVED: "muted",
    EventKind.STATUS: "",
    EventKind.CHANGED: "accent",
    EventKind.FILL: "good",
    EventKind.REJECTED: "bad",
    EventKind.CANCELLED: "warning",
    EventKind.GONE: "warning",
}
_EVENT_SIGNS: Final = {
    EventKind.RECEIVED: "▸",
    EventKind.STATUS: "•",
    EventKind.CHANGED: "✎",
    EventKind.FILL: "✓",
    EventKind.REJECTED: "!",
    EventKind.CANCELLED: "✕",
    EventKind.GONE: "?",
}
_PRICE_HELP: Final = "per unit in the contract's currency"


def _side_tone(side: Side) -> str:
    return "up" if side is Side.BUY else "down"


def order_table(model: LiveTradingModel) -> LinesTable[OrderLine]:
    """Return the table of orders."""

    def when(line: OrderLine) -> str:
        return when_text(line.last_ns, model.now_ns, model.zone)

    def times(line: OrderLine) -> str:
        first, last = full_time(line.first_ns, model.zone), full_time(line.last_ns, model.zone)
        return f"first heard of {first}\nlast change {last}\norder {line.state.order_id}"

    def limit(line: OrderLine) -> str:
        return "" if line.state.limit_price is None else line.price(line.state.limit_price)

    def stop(line: OrderLine) -> str:
        return "" if line.state.stop_price is None else line.price(line.state.stop_price)

    def quantity(line: OrderLine) -> str:
        return formats.UNKNOWN if line.fills_only else f"{line.state.quantity:,.10g}"

    def remaining(line: OrderLine) -> str:
        left = line.state.remaining
        return formats.UNKNOWN if line.fills_only or left is None else f"{left:,.10g}"

    def average(line: OrderLine) -> str:
        return line.price(line.state.average_price) if line.state.filled else ""

    columns: tuple[LineColumn[OrderLine], ...] = (
        LineColumn(
            key="time",
            title="Time",
            help="When something last happened to it",
            text=when,
            sort=lambda line: line.last_ns,
            tip=times,
            width=88,
        ),
        LineColumn(
            key="contract",
            title="Contract",
            help="What is traded",
            text=lambda line: line.contract.label,
            tip=lambda line: contract_tip(line.contract.label, line.contract.name, line.contract.primary_exchange),
            tone=lambda line: "" if line.is_old else "text",
            width=152,
        ),
        LineColumn(
            key="side",
            title="Side",
            help="Direction of the order",
            text=lambda line: line.side_text,
            tone=lambda line: "muted" if line.is_old else _side_tone(line.state.side),
            width=62,
        ),
        LineColumn(
            key="status",
            title="Status",
            help="Where the order stands",
            text=lambda line: line.status_text,
            tone=lambda line: line.tone,
            tip=lambda line: line.status_tip,
            width=116,
        ),
        LineColumn(
            key="filled",
            title="Filled",
            help="Filled of ordered",
            text=lambda line: line.filled_text,
            sort=lambda line: line.state.filled,
            number=True,
            width=76,
        ),
        LineColumn(
            key="average",
            title="Average",
            help=f"Mean price of what is filled, {_PRICE_HELP}",
            text=average,
            sort=lambda line: line.state.average_price,
            number=True,
            width=76,
        ),
        LineColumn(key="type", title="Type", help="Type of order", text=lambda line: line.type_text, width=78),
        LineColumn(
            key="limit",
            title="Limit",
            help=f"Limit price, {_PRICE_HELP}",
            text=limit,
            sort=lambda line: line.state.limit_price,
            number=True,
            width=76,
        ),
        LineColumn(
            key="stop",
            title="Stop",
            help=f"Stop price, {_PRICE_HELP}",
            text=stop,
            sort=lambda line: line.state.stop_price,
            number=True,
            width=72,
        ),
        LineColumn(
            key="quantity",
            title="Quantity",
            help="Shares or contracts that were ordered",
            text=quantity,
            sort=lambda line: None if line.fills_only else line.state.quantity,
            tip=lambda line: "The source tells only fills: the order's size is not known" if line.fills_only else "",
            number=True,
            width=66,
        ),
        LineColumn(
            key="remaining",
            title="Left",
            help="What is not filled",
            text=remaining,
            sort=lambda line: None if line.fills_only else line.state.remaining,
            number=True,
            width=56,
        ),
        LineColumn(
            key="tif",
            title="TIF",
            help="How long it is in force",
            text=lambda line: line.state.time_in_force,
            tip=lambda line: _hours(line),
            width=42,
        ),
        LineColumn(
            key="reason",
            title="Reason",
            help="Why it was rejected, held or cancelled, in the source's words",
            text=lambda line: line.state.reason.replace("\n", " "),
            tip=lambda line: line.state.reason,
            width=190,
        ),
        LineColumn(
            key="account",
            title="Account",
            help="The account it belongs to",
            text=lambda line: line.state.account,
            width=88,
        ),
        LineColumn(
            key="source",
            title="Source",
            help="Who told it, and the client it came from",
            text=lambda line: line.source_text,
            tone=lambda _line: "muted",
            width=110,
        ),
        LineColumn(
            key="reference",
            title="Reference",
            help="The order's reference text",
            text=lambda line: line.state.reference,
            width=110,
            usual=False,
        ),
        LineColumn(
            key="order_id",
            title="Order id",
            help="The source's number of the order",
            text=lambda line: line.state.order_id,
            width=100,
            usual=False,
        ),
    )
    return LinesTable(columns, lambda line: line.key, tone=lambda line: "muted" if line.is_old else "")


def fill_table(model: LiveTradingModel) -> LinesTable[FillLine]:
    """Return the table of fills."""
    columns: tuple[LineColumn[FillLine], ...] = (
        LineColumn(
            key="time",
            title="Time",
            help="When it was filled, by the venue",
            text=lambda line: when_text(line.fill.time_ns, model.now_ns, model.zone),
            sort=lambda line: line.fill.time_ns,
            tip=lambda line: f"{full_time(line.fill.time_ns, model.zone)}\nexecution {line.fill.exec_id}",
            width=88,
        ),
        LineColumn(
            key="contract",
            title="Contract",
            help="What was traded",
            text=lambda line: line.contract.label,
            tip=lambda line: contract_tip(line.contract.label, line.contract.name, line.contract.primary_exchange),
            width=152,
        ),
        LineColumn(
            key="side",
            title="Side",
            help="Direction of the fill",
            text=lambda line: line.side_text,
            tone=lambda line: _side_tone(line.fill.side),
            width=62,
        ),
        LineColumn(
            key="quantity",
            title="Quantity",
            help="Shares or contracts",
            text=lambda line: f"{line.fill.quantity:,.10g}",
            sort=lambda line: line.fill.quantity,
            number=True,
            width=66,
        ),
        LineColumn(
            key="price",
            title="Price",
            help=f"Price, {_PRICE_HELP}",
            text=lambda line: line.price(line.fill.price),
            sort=lambda line: line.fill.price,
            number=True,
            width=80,
        ),
        LineColumn(
            key="commission",
            title="Commission",
            help="What it cost; … while the source has not said yet",
            text=lambda line: line.commission_text,
            sort=lambda line: line.fill.commission,
            tip=lambda line: "The commission comes after the fill" if line.fill.commission is None else "",
            number=True,
            width=92,
        ),
        LineColumn(
            key="realised",
            title="Realised",
            help="Profit or loss it realised, by the broker",
            text=lambda line: line.realised_text,
            sort=lambda line: line.fill.realised,
            tone=lambda line: "" if not line.fill.realised else "up" if line.fill.realised > 0 else "down",
            tip=lambda line: "The source has not told it" if line.fill.realised is None else "",
            number=True,
            width=100,
        ),
        LineColumn(
            key="exchange",
            title="Exchange",
            help="Where it was filled",
            text=lambda line: line.fill.exchange or formats.UNKNOWN,
            width=76,
        ),
        LineColumn(
            key="account",
            title="Account",
            help="The account it belongs to",
            text=lambda line: line.fill.account,
            width=88,
            usual=False,
        ),
        LineColumn(
            key="source",
            title="Source",
            help="Who told it",
            text=lambda line: (
                line.source.full_name if line.also is None else f"{line.source.full_name} + {line.also.full_name}"
            ),
            tone=lambda _line: "muted",
            width=90,
            usual=False,
        ),
        LineColumn(
            key="order_id",
            title="Order id",
            help="The source's number of its order",
            text=lambda line: line.fill.order_id,
            width=100,
            usual=False,
        ),
    )
    return LinesTable(columns, lambda line: line.key)


def timeline_table(model: LiveTradingModel) -> LinesTable[TimelineEvent]:
    """Return the table of what happened to an order."""

    def text(event: TimelineEvent) -> str:
        words = f"{_EVENT_SIGNS[event.kind]} {event.text}"
        return f"{words}: {event.reason}".replace("\n", " ") if event.reason else words

    columns: tuple[LineColumn[TimelineEvent], ...] = (
        LineColumn(
            key="time",
            title="Time",
            help="When, by the source's clock",
            text=lambda event: when_text(event.ts_ns, model.now_ns, model.zone),
            sort=lambda event: event.ts_ns,
            tone=lambda _event: "muted",
            tip=lambda event: full_time(event.ts_ns, model.zone),
            width=96,
        ),
        LineColumn(
            key="event",
            title="What happened",
            help="Statuses, changes and fills of the chosen order",
            text=text,
            tone=lambda event: _EVENT_TONES[event.kind],
            tip=text,
            width=160,
        ),
    )
    return LinesTable(columns, lambda event: (event.ts_ns, event.kind, event.text))


def contract_tip(label: str, name: str, exchange: str) -> str:
    """Return a contract's whole name and home exchange."""
    return ", ".join(part for part in (label, name, exchange) if part)


def _hours(line: OrderLine) -> str:
    outside = line.state.outside_rth
    if outside is None:
        return line.state.time_in_force
    return f"{line.state.time_in_force}, {'also outside' if outside else 'only in'} regular trading hours"
