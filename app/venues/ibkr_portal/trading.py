"""From rows of orders and trades to `OrderState` and `Execution`. Pure; nothing here can make an order."""

from __future__ import annotations

import re
from typing import Any, Final

from app.domain.contracts import Contract
from app.domain.orders import Execution, OrderState, OrderStatus, Side
from app.venues.ibkr_portal.messages import OrderRow, TradeRow
from app.venues.ibkr_portal.values import amount, millis_ns, whole, words, written_ns

_STATUSES: Final = {status.value.lower(): status for status in OrderStatus} | {
    "apipending": OrderStatus.PENDING_SUBMIT,
    "apicancelled": OrderStatus.CANCELLED,
    "canceled": OrderStatus.CANCELLED,
    "rejected": OrderStatus.INACTIVE,
    "expired": OrderStatus.CANCELLED,
}
_FORCES: Final = {"CLOSE": "DAY"}
"""The gateway calls a day order one that lives until the close."""
_SIDES: Final = {"B": Side.BUY, "BUY": Side.BUY, "BOT": Side.BUY, "S": Side.SELL, "SELL": Side.SELL, "SLD": Side.SELL}
_FILLS: Final = re.compile(r"(?P<filled>[\d.,]+[KM]?)\s*/\s*(?P<total>[\d.,]+[KM]?)")
_ACCOUNT: Final = re.compile(r"[A-Za-z]{1,4}[0-9]{3,14}[A-Za-z]?")


def account_of(*raws: Any) -> str:
    """Return the first of the values that is an account's id, "" when none is (such as "All")."""
    for raw in raws:
        text = words(raw, 24)
        if _ACCOUNT.fullmatch(text):
            return text
    return ""


def status_of(*raws: Any) -> OrderStatus:
    """Return the first status that is known ("PreSubmitted", "pre_submitted")."""
    for raw in raws:
        status = _STATUSES.get(words(raw, 40).replace("_", "").replace(" ", "").lower())
        if status is not None:
            return status
    return OrderStatus.UNKNOWN


def side_of(raw: Any) -> Side | None:
    """Return the direction, None for a word that is not known."""
    text = words(raw, 12).upper()
    return _SIDES.get(text) or (Side.SELL if text.startswith("SSHORT") else None)


def order_id_of(raw: Any) -> str:
    """Return an order's number as text, "" when it is none."""
    number = whole(raw)
    return str(number) if number else ""


def order_state(row: OrderRow, contract: Contract, updated_ns: int) -> OrderState | None:
    """Return an order, None while its id, account or direction is not known. updated_ns: UTC ns."""
    order_id, account = order_id_of(row.orderId), account_of(row.acct, row.account)
    side = side_of(row.side)
    if not order_id or not account or side is None:
        return None
    filled, remaining, quantity = _quantities(row)
    force = words(row.timeInForce, 20)
    kind = words(row.orderType, 40) or words(row.origOrderType, 40)
    price, stop = _positive(row.price), _positive(row.auxPrice)
    if stop is None and kind.replace(" ", "").upper() in ("STOP", "STP"):
        price, stop = None, price
    return OrderState(
        account=account,
        order_id=order_id,
        contract=contract,
        side=side,
        quantity=quantity,
        order_type=kind,
        status=status_of(row.status, row.order_ccp_status),
        status_text=words(row.status, 60) or words(row.order_ccp_status, 60),
        filled=filled,
        remaining=remaining,
        limit_price=price,
        stop_price=stop,
        average_price=_positive(row.avgPrice),
        time_in_force=_FORCES.get(force, force),
        outside_rth=row.outsideRTH if isinstance(row.outsideRTH, bool) else None,
        reason=words(row.order_cancellation_by_system_reason),
        reference=words(row.order_ref, 80),
        updated_ns=updated_ns,
    )


def order_time_ns(raw_ms: Any, raw_text: Any) -> int:
    """Return UTC ns of the last change of an order, 0 when the row does not say."""
    return millis_ns(raw_ms) or written_ns(raw_text)


def _quantities(row: OrderRow) -> tuple[float, float | None, float]:
    """Return filled, remaining and whole quantity; `sizeAndFills` stands in for what is left out."""
    filled, remaining = amount(row.filledQuantity), amount(row.remainingQuantity)
    total = amount(row.totalSize)
    said = _FILLS.match(words(row.sizeAndFills, 60))
    if filled is None and said is not None:
        filled = amount(said["filled"])
    filled = max(0.0, filled or 0.0)
    if total is None and remaining is not None:
        total = filled + remaining
    if total is None and said is not None:
        total = amount(said["total"])
    return filled, remaining, total if total is not None else filled


def _positive(raw: Any) -> float | None:
    """Return a price; 0 stands for "has none"."""
    number = amount(raw)
    return number if number else None


def execution(row: TradeRow, contract: Contract) -> Execution | None:
    """Return a fill, None when what makes it one is missing."""
    exec_id, account, side = words(row.execution_id, 80), account_of(row.account, row.accountCode), side_of(row.side)
    quantity, price = amount(row.size), amount(row.price)
    time_ns = millis_ns(row.trade_time_r) or written_ns(row.trade_time)
    if not exec_id or not account or side is None or not quantity or price is None or not time_ns:
        return None
    return Execution(
        exec_id=exec_id,
        account=account,
        order_id=order_id_of(row.order_id),
        contract=contract,
        side=side,
        quantity=abs(quantity),
        price=price,
        time_ns=time_ns,
        exchange=words(row.exchange, 40),
        commission=amount(row.commission),
    )
