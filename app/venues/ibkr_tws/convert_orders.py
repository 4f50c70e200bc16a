"""From ib_async's orders and fills to the words of app.domain.

An order is named by its permanent number, which it has in every session and client; the rare one without it by client
and order number.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo
from typing import Final

import ib_async

from app.domain.orders import Execution, OrderState, OrderStatus, Side
from app.venues.ibkr_tws.convert import to_contract
from app.venues.ibkr_tws.numbers import above_zero, epoch_ns, number, time_ns

_STATUS: Final = {
    "PendingSubmit": OrderStatus.PENDING_SUBMIT,
    "ApiPending": OrderStatus.PENDING_SUBMIT,
    "PendingCancel": OrderStatus.PENDING_CANCEL,
    "PreSubmitted": OrderStatus.PRE_SUBMITTED,
    "Submitted": OrderStatus.SUBMITTED,
    "ApiUpdate": OrderStatus.SUBMITTED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "ApiCancelled": OrderStatus.CANCELLED,
    "Inactive": OrderStatus.INACTIVE,
}
_SELLING: Final = frozenset(("SELL", "SSHORT", "SLONG", "SLD"))
_PRICED: Final = ("LMT", "LIT", "LOC", "LOB", "REL", "PEG", "LIMIT")
_STOPPED: Final = ("STP", "TRAIL", "MIT", "LIT")
_LIQUIDITY: Final = {1: "added", 2: "removed", 3: "routed out"}


def order_id(client_id: int, number_there: int, perm_id: int) -> str:
    """Return the name of an order."""
    return str(perm_id) if perm_id > 0 else f"{client_id}:{number_there}"


def to_status(word: str) -> OrderStatus:
    """Return where an order stands."""
    return _STATUS.get(word, OrderStatus.UNKNOWN)


def to_order(trade: ib_async.Trade, reason: str, updated_ns: int) -> OrderState:
    """Return the state of an order as the list of open orders and the news of it have it. updated_ns: of receipt."""
    order, status = trade.order, trade.orderStatus
    quantity = above_zero(order.totalQuantity) or 0.0
    said = bool(status.filled or status.remaining)  # the list has orders whose status comes a moment later
    return replace(
        _named(trade.contract, order),
        quantity=quantity,
        status=to_status(status.status),
        status_text=status.status,
        filled=above_zero(status.filled) or 0.0,
        remaining=number(status.remaining) if said else quantity if to_status(status.status).is_working else None,
        average_price=(number(status.avgFillPrice) or None) if status.filled else None,
        reason="; ".join(filter(None, (status.whyHeld, reason))),
        updated_ns=updated_ns,
    )


def to_completed(
    contract: ib_async.Contract,
    order: ib_async.Order,
    state: ib_async.OrderState,
    recv_ns: int,
    fallback: tzinfo | None = None,
) -> OrderState:
    """Return the state of an order that has ended. Filled ones are sent with a quantity of 0 and what was filled."""
    filled = above_zero(order.filledQuantity) or 0.0
    status = to_status(state.status)
    quantity = above_zero(order.totalQuantity) or filled
    ended = status is OrderStatus.FILLED
    return replace(
        _named(contract, order),
        quantity=quantity,
        status=status,
        status_text=state.completedStatus or state.status,
        filled=filled,
        remaining=0.0 if ended else max(quantity - filled, 0.0),
        reason="" if ended else "; ".join(filter(None, (state.completedStatus, state.warningText))),
        updated_ns=time_ns(state.completedTime, fallback) or recv_ns,
    )


def _named(contract: ib_async.Contract, order: ib_async.Order) -> OrderState:
    """Return what does not depend on where the order stands."""
    kind = order.orderType.upper()
    limit, stop = number(order.lmtPrice), number(order.auxPrice)
    if kind.startswith("TRAIL"):
        stop = number(order.trailStopPrice) or stop
    return OrderState(
        account=order.account,
        order_id=order_id(order.clientId, order.orderId, order.permId),
        contract=to_contract(contract),
        side=Side.SELL if order.action.upper() in _SELLING else Side.BUY,
        quantity=0.0,
        order_type=order.orderType,
        status=OrderStatus.UNKNOWN,
        status_text="",
        limit_price=limit if limit or any(word in kind for word in _PRICED) else None,
        stop_price=(stop or None) if any(word in kind for word in _STOPPED) else None,
        time_in_force=order.tif,
        outside_rth=order.outsideRth,
        reference=order.orderRef,
        client=str(order.clientId),
    )


def to_execution(fill: ib_async.Fill) -> Execution | None:
    """Return a fill, None for one without a number or a size. What is not known of its commission yet is None.

    A realised 0.0 may be a real zero or one that the library put in place of "unset": `ReadingWrapper` marks the latter
    as NaN before it is lost, so that here it is None.
    """
    raw, report = fill.execution, fill.commissionReport
    quantity, price = above_zero(raw.shares), number(raw.price)
    if not raw.execId or quantity is None or price is None:
        return None
    reported = bool(report.execId)
    return Execution(
        exec_id=raw.execId,
        account=raw.acctNumber,
        order_id=order_id(raw.clientId, raw.orderId, raw.permId),
        contract=to_contract(fill.contract),
        side=Side.SELL if raw.side.upper() in _SELLING else Side.BUY,
        quantity=quantity,
        price=price,
        time_ns=epoch_ns(raw.time),
        exchange=raw.exchange,
        cumulative=above_zero(raw.cumQty),
        average_price=number(raw.avgPrice) or None,
        commission=number(report.commission) if reported else None,
        commission_currency=report.currency if reported else "",
        realised=number(report.realizedPNL) if reported else None,
        liquidity=_LIQUIDITY.get(raw.lastLiquidity, ""),
    )
