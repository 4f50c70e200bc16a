"""Turns order states and fills into orders with a timeline each, and says which news a person should hear of."""

from __future__ import annotations

from app.domain.account import Source
from app.domain.orders import Execution, OrdersListed, OrderState


class OrderBook:
    """Orders and executions of one source: orders by order_id, executions by exec_id."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.orders: dict[str, OrderState] = {}
        self.executions: dict[str, Execution] = {}
        self.listed: OrdersListed | None = None

    def on_order(self, recv_ns: int, order: OrderState) -> None:
        """Take the newest state of an order."""
        self.orders[order.order_id] = order

    def on_execution(self, recv_ns: int, execution: Execution) -> None:
        """Take a fill, or its commission."""
        self.executions[execution.exec_id] = execution

    def on_listed(self, recv_ns: int, listed: OrdersListed) -> None:
        """Take the list of working orders."""
        self.listed = listed
