"""Turns orders and fills of the simulated account into the gateway's rows, for REST and for `sor` and `str` alike.

Field names as in the recorded answers and in IBKR's own OpenAPI examples; numbers are texts where theirs are.
"""

from __future__ import annotations

from datetime import UTC, datetime

from app.sim.ibkr.instruments import SimContract
from app.sim.ibkr.records import SimFill, SimOrder
from app.sim.portal.fields import price_text
from app.sim.portal.session import USER

_TYPES = {"LMT": "Limit", "MKT": "Market", "STP": "Stop", "STP LMT": "Stop Limit", "TRAIL": "Trailing Stop"}
_SPELLED = {"LMT": "LIMIT", "MKT": "MARKET", "STP": "STOP", "STP LMT": "STOP_LIMIT", "TRAIL": "TRAIL"}
_TIMES = {"DAY": "Day", "GTC": "GTC", "IOC": "IOC"}
_CCP = {"Inactive": "Rejected", "PendingSubmit": "Submitted", "PreSubmitted": "Submitted"}
_COLOURS = {"Filled": ("#FFFFFF", "#000000"), "Inactive": ("#FFFFFF", "#CC0000"), "Cancelled": ("#FFFFFF", "#AA0000")}
_ENDED = frozenset({"Filled", "Cancelled", "Inactive"})


def quantity_text(quantity: float) -> str:
    """Return a quantity without needless digits."""
    return f"{quantity:.4f}".rstrip("0").rstrip(".")


def compact_time(epoch_s: float) -> str:
    """Return a time as YYMMDDhhmmss in UTC."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%y%m%d%H%M%S")


def describe(order: SimOrder, contract: SimContract) -> str:
    """Return the order in words, e.g. `Buy 100 Limit 180.00, Day`."""
    filled = order.status == "Filled"
    verb = {"BUY": "Bought" if filled else "Buy", "SELL": "Sold" if filled else "Sell"}[order.action]
    price = price_text(contract, order.limit_price)
    words = [verb, quantity_text(order.quantity), _TYPES.get(order.order_type, order.order_type), price]
    text = " ".join(word for word in words if word)
    if order.aux_price is not None:
        text += f" Stop {price_text(contract, order.aux_price)}"
    return f"{text}, {_TIMES.get(order.time_in_force, order.time_in_force)}"


def description(contract: SimContract) -> str:
    """Return a contract in the words of a row: AAPL, or AAPL NOV2026 190 C."""
    if not contract.expiry:
        return contract.symbol if contract.sec_type != "CASH" else contract.local_symbol
    month = datetime.strptime(contract.expiry, "%Y%m%d").replace(tzinfo=UTC)
    parts = [contract.symbol, f"{month:%b%Y}".upper()]
    if contract.is_option:
        parts += [
            quantity_text(contract.strike),
            contract.right,
            f"[{contract.local_symbol} {contract.multiplier:.0f}]",
        ]
    return " ".join(parts)


def listing(contract: SimContract) -> str:
    """Return the exchange the contract is listed at, as rows of orders and trades name it."""
    exchange = contract.primary_exchange or contract.exchange
    return "NASDAQ.NMS" if exchange == "NASDAQ" else exchange


def order_row(order: SimOrder, contract: SimContract) -> dict[str, object]:
    """Return an order as /iserver/account/orders and `sor` tell it."""
    background, foreground = _COLOURS.get(order.status, ("#000000", "#0000CC"))
    row: dict[str, object] = {
        "acct": order.account,
        "exchange": contract.exchange,
        "conidex": f"{contract.con_id}@{contract.exchange}" if contract.sec_type == "CASH" else str(contract.con_id),
        "conid": contract.con_id,
        "account": order.account,
        "orderId": order.perm_id,
        "cashCcy": contract.currency,
        "sizeAndFills": _size_and_fills(order),
        "orderDesc": describe(order, contract),
        "description1": description(contract),
        "ticker": contract.symbol,
        "secType": contract.sec_type,
        "listingExchange": listing(contract),
        "remainingQuantity": order.remaining,
        "filledQuantity": order.filled,
        "totalSize": order.quantity,
        "companyName": contract.name,
        "status": order.status,
        "order_ccp_status": _CCP.get(order.status, order.status),
        "origOrderType": _SPELLED.get(order.order_type, order.order_type),
        "supportsTaxOpt": "1" if contract.sec_type == "STK" else "0",
        "lastExecutionTime": compact_time(order.updated_s),
        "orderType": _TYPES.get(order.order_type, order.order_type),
        "bgColor": background,
        "fgColor": foreground,
        "isEventTrading": "0",
        "timeInForce": "CLOSE" if order.status == "Filled" else order.time_in_force,
        "lastExecutionTime_r": int(order.updated_s * 1000.0),
        "side": order.action,
    }
    if order.reference:
        row["order_ref"] = order.reference
    if order.limit_price is not None:
        row["price"] = price_text(contract, order.limit_price)
    if order.aux_price is not None:
        row["auxPrice"] = price_text(contract, order.aux_price)
    if order.filled:
        row["avgPrice"] = price_text(contract, order.average_price)
    return row


def _size_and_fills(order: SimOrder) -> str:
    if order.status == "Filled":
        return quantity_text(order.quantity)
    return f"{quantity_text(order.filled)}/{quantity_text(order.quantity)}"


def order_status(order: SimOrder, contract: SimContract) -> dict[str, object]:
    """Return an order as /iserver/account/order/status tells it."""
    background, foreground = _COLOURS.get(order.status, ("#000000", "#0000CC"))
    text = describe(order, contract)
    ended = order.status in _ENDED
    average = str(price_text(contract, order.average_price) if order.filled else "0.0")
    return {
        "sub_type": None,
        "request_id": str(order.perm_id % 100_000),
        "order_id": order.perm_id,
        "conidex": str(contract.con_id),
        "conid": contract.con_id,
        "symbol": contract.symbol,
        "side": order.action,
        "contract_description_1": description(contract),
        "listing_exchange": contract.primary_exchange or contract.exchange,
        "is_event_trading": "0",
        "order_desc": text,
        "order_status": order.status,
        "order_status_description": order.reason or f"Order {order.status}",
        "order_type": _TYPES.get(order.order_type, order.order_type),
        "size": str(order.quantity),
        "fill_price": average,
        "filled_quantity": str(order.filled),
        "remaining_quantity": str(order.remaining),
        "avg_fill_price": average,
        "last_fill_price": str(price_text(contract, order.last_fill_price) if order.filled else "0.0"),
        "total_size": str(order.quantity),
        "total_cash_size": "0.0",
        "price": str(price_text(contract, order.limit_price) or "0.0"),
        "tif": order.time_in_force,
        "bg_color": background,
        "fg_color": foreground,
        "order_not_editable": ended,
        "editable_fields": "" if ended else "\x1e",
        "cannot_cancel_order": ended,
        "outside_rth": order.outside_rth,
        "all_or_none": False,
        "deactivate_order": False,
        "use_price_mgmt_algo": False,
        "sec_type": contract.sec_type,
        "order_description": text,
        "order_description_with_contract": f"{text} {contract.symbol}",
        "clearing_id": "IB",
        "clearing_name": "IB",
        "alert_active": 0,
        "child_order_type": "0",
        "order_clearing_account": order.account,
        "size_and_fills": _size_and_fills(order),
        "exit_strategy_display_price": str(price_text(contract, order.limit_price) or "0.0"),
        "exit_strategy_chart_description": "",
        "exit_strategy_tool_availability": "0",
        "allowed_duplicate_opposite": True,
        "order_time": compact_time(order.submitted_s),
    }


def trade_row(fill: SimFill, contract: SimContract, *, with_commission: bool) -> dict[str, object]:
    """Return a fill as /iserver/account/trades and `str` tell it; the commission may come later."""
    bought = fill.side == "BOT"
    when = datetime.fromtimestamp(fill.time_s, UTC)
    price = price_text(contract, fill.price)
    row: dict[str, object] = {
        "execution_id": fill.exec_id,
        "symbol": contract.symbol,
        "supports_tax_opt": "1" if contract.sec_type == "STK" else "0",
        "side": "B" if bought else "S",
        "order_description": (
            f"{'Bot' if bought else 'Sold'} {quantity_text(fill.quantity)} @ {price} on {fill.exchange}"
        ),
        "trade_time": when.strftime("%Y%m%d-%H:%M:%S"),
        "trade_time_r": int(fill.time_s * 1000.0),
        "size": fill.quantity,
        "price": price,
        "order_ref": fill.reference,
        "submitter": USER,
        "exchange": fill.exchange,
        "net_amount": round(fill.quantity * fill.price * contract.multiplier, 2),
        "account": fill.account,
        "accountCode": fill.account,
        "account_allocation_name": fill.account,
        "company_name": contract.name,
        "contract_description_1": description(contract),
        "sec_type": contract.sec_type,
        "listing_exchange": listing(contract),
        "conid": contract.con_id,
        "conidEx": str(contract.con_id),
        "clearing_id": "IB",
        "clearing_name": "IB",
        "liquidation_trade": "0",
        "is_event_trading": "0",
        "order_id": fill.perm_id,
    }
    if with_commission:
        row["commission"] = f"{fill.commission:.2f}"
    return row
