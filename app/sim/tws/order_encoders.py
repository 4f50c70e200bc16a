"""Turns orders and fills of the simulated world into messages of the TWS protocol at version 178.

The layouts are long because an order message carries every field an order can have, most of them unset.
"""

from __future__ import annotations

from app.sim.ibkr.instruments import SimContract
from app.sim.ibkr.records import SimFill, SimOrder
from app.sim.tws.encoders import fill_contract, order_contract, zoned
from app.sim.tws.wire import UNSET_DOUBLE, UNSET_INT, UNSET_LONG, Field, frame, price

OPEN_ORDER_END = frame(53, 1)
COMPLETED_END = frame(102)
_NOT_INSIDER = "Not an insider or substantial shareholder"


def _row(text: str) -> list[str]:
    """Return fields that never change here, written apart by spaces; a dash is an empty one."""
    return ["" if word == "-" else word for word in text.split()]


# adviser's group, method, percentage; model, good till, rule 80A, percent offset, settling firm; short sale: slot,
# location, exemption
_ROUTING = _row("- - - - - - - - 0 - -1")
_VOLATILITY = _row("- 0 None -")  # volatility and its type; order type and price of the hedge
_PEGS = _row("0 0 - -")  # continuous update, reference price type, stop price of trailing orders, its percentage
# counts of legs, of their prices, of routing parameters; scale: first size, later sizes, step; hedge type
_LEGS_AND_SCALE = ["0", "0", "0", UNSET_INT, UNSET_INT, "", ""]
_CLEARING = _row("- IB 0 0 -")  # account, intent; not held, delta-neutral contract, algorithm


def open_order(order: SimOrder, contract: SimContract) -> bytes:
    """Return an order that can still change, or just has."""
    return frame(
        5,
        order.order_id,
        *order_contract(contract),
        *_what(order),
        order.client_id,
        order.perm_id,
        order.outside_rth,
        *_row("0 0 -"),  # hidden, discretionary amount, good after
        f"{order.perm_id}.0/{order.account}/100",
        *_ROUTING,
        0,  # auction strategy
        *_row("- - - - -"),  # starting price, stock reference price, delta, lower and upper stock range
        UNSET_INT,  # display size
        *_row("0 0 0 -"),  # block order, sweep to fill, all or none, least quantity
        3,  # one cancels all: type
        *_row("0 0 - 0 0"),  # electronic only, firm quotes only, cap of the national best; parent; trigger method
        *_VOLATILITY,
        *_row("0 - - - ? 0 0 -"),  # the hedge's contract, because its order type is not empty
        *_PEGS,
        *_row("- - -"),  # basis points and their type, legs in words
        *_LEGS_AND_SCALE,
        0,  # opt out of smart routing
        *_CLEARING,
        *_row("0 0"),  # solicited, what-if
        order.status,
        *[UNSET_DOUBLE] * 9,  # margins
        *_row("- - - - -"),  # commission, least, most, currency, warning
        *_row("0 0 0"),  # randomise size, price; conditions
        "None",  # order type it is adjusted to, and its prices
        *[UNSET_DOUBLE] * 6,
        0,
        *_row("- - -"),  # soft dollars
        *_row("0 1 0 0 0"),  # cash, hedges without automatic price, container, discretion's limit, price management
        *_row("- - 0"),  # duration, post to dark pools, cancel with parent
        *_row("- - - - -"),  # pegs to best and middle
    )


def completed_order(order: SimOrder, contract: SimContract) -> bytes:
    """Return an order that is done; its fields are fewer than those of an open one."""
    text = f"Filled Size: {order.quantity:g}" if order.status == "Filled" else order.reason or "Cancelled by Trader"
    return frame(
        101,
        *order_contract(contract),
        *_what(order),
        order.perm_id,
        order.outside_rth,
        *_row("0 0 -"),
        *_ROUTING,
        *_row("- - - - -"),
        UNSET_INT,
        *_row("0 0 -"),
        *_row("3 0"),
        *_VOLATILITY,
        *_row("0 0 0 -"),
        *_PEGS,
        "",
        *_LEGS_AND_SCALE,
        *_CLEARING,
        0,
        order.status,
        *_row("0 0 0"),
        *(UNSET_DOUBLE, UNSET_DOUBLE),  # stop price of a trailing order, offset of its limit
        *_row("0 1 0 -"),  # the last: cancelled automatically on
        order.filled,
        UNSET_INT,
        0,
        _NOT_INSIDER,
        *_row("0 0"),
        UNSET_LONG,
        zoned(order.updated_s),
        text,
        *_row("- - - - -"),
    )


def order_status(order: SimOrder) -> bytes:
    """Return where an order stands."""
    return frame(
        3,
        order.order_id,
        order.status,
        order.filled,
        order.remaining,
        price(order.average_price),
        order.perm_id,
        0,
        price(order.last_fill_price),
        order.client_id,
        "",
        0,
    )


def execution(req_id: int, fill: SimFill, contract: SimContract) -> bytes:
    """Return a fill; req_id -1 when it just happened."""
    return frame(
        11,
        req_id,
        fill.order_id,
        *fill_contract(contract, fill.exchange),
        fill.exec_id,
        zoned(fill.time_s, contract.venue),
        fill.account,
        fill.exchange,
        fill.side,
        fill.quantity,
        price(fill.price),
        fill.perm_id,
        fill.client_id,
        0,  # liquidation
        fill.cumulative,
        price(fill.average_price),
        fill.reference,
        "",
        "",
        "",
        fill.liquidity,
        0,  # price may be revised
    )


def execution_end(req_id: int) -> bytes:
    """Return the end of executions."""
    return frame(55, 1, req_id)


def commission_report(fill: SimFill) -> bytes:
    """Return what a fill cost and realised; a fill that only opened has an unset figure."""
    realised = UNSET_DOUBLE if fill.realised is None else price(fill.realised)
    return frame(59, 1, fill.exec_id, price(fill.commission), fill.commission_currency, realised, UNSET_DOUBLE, "")


def _what(order: SimOrder) -> list[Field]:
    """Action to order reference, the same in both kinds of orders."""
    return [
        order.action,
        order.quantity,
        order.order_type,
        price(order.limit_price or 0.0),
        price(order.aux_price or 0.0),
        order.time_in_force,
        "",  # one-cancels-all group
        order.account,
        "",  # opens or closes
        0,  # origin: customer
        order.reference,
    ]
