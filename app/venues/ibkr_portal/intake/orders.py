"""From rows of orders and trades to events; keeps what changes are merged into and what was told. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from app.domain.orders import Execution, ExecutionSeen, OrderSeen, OrdersListed, OrderState
from app.venues.ibkr_portal import contracts, trading
from app.venues.ibkr_portal.decoding import Rows, Topic, parse, rows_of
from app.venues.ibkr_portal.intake.taken import Asked, Common, Taken, part
from app.venues.ibkr_portal.messages import OrderList, OrderRow, Row, TradeRow
from app.venues.ibkr_portal.protocol import OrdersIncomplete

_MOST_ORDERS: Final = 5_000
_MOST_EXECUTIONS: Final = 50_000
_ORDER_NAMES: Final = frozenset(OrderRow.__struct_fields__)


class OrderIntake:
    """Orders and fills of all accounts."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._orders: dict[str, Row] = {}
        self._told_orders: dict[str, OrderState] = {}
        self._executions: dict[str, Execution] = {}

    # -- orders --------------------------------------------------------------------------------------------------

    def on_sor(self, recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take changes of orders."""
        self._take_orders(recv_ns, self._common.counted(rows_of(part(topic.frame.args), Row, "rows of orders")), taken)

    def on_orders(self, asked: Asked, taken: Taken) -> None:
        """Take the list of orders, which also says which ones work."""
        told = parse(asked.body, OrderList, "orders")
        rows = Rows(told.orders or [], Row)
        self._take_orders(asked.recv_ns, self._common.counted(rows), taken)
        if told.snapshot and "force" not in asked.query:
            listed = {trading.order_id_of(row.get("orderId")) for row in rows} - {""}
            working = {name for name in listed if (state := self._told_orders.get(name)) and state.status.is_working}
            taken.events.append(OrdersListed(known=True, reason="", order_ids=frozenset(working)))

    def _take_orders(self, recv_ns: int, rows: Rows[Row], taken: Taken) -> None:
        incomplete = False
        for row in rows:
            order_id = trading.order_id_of(row.get("orderId"))
            if not order_id:
                self._common.bad_rows += 1
                continue
            known = self._orders.pop(order_id, {})
            merged = known | {name: value for name, value in row.items() if name in _ORDER_NAMES}
            self._orders[order_id] = merged  # the ones heard of last stand last
            told_ns = trading.order_time_ns(row.get("lastExecutionTime_r"), row.get("lastExecutionTime"))
            incomplete |= not self._tell_order(order_id, told_ns or recv_ns, taken)
        self._let_orders_go()
        if incomplete:
            taken.news.append(OrdersIncomplete())

    def _tell_order(self, order_id: str, updated_ns: int, taken: Taken) -> bool:
        """Tell an order if it differs from what was told of it; return whether enough is known of it."""
        row = OrderRow(**self._orders[order_id])
        told = contracts.of_order(row)
        if told is None:
            return False
        state = trading.order_state(row, self._common.contracts.learn(told), updated_ns)
        if state is None:
            return False
        known = self._told_orders.get(order_id)
        if known is not None and replace(known, updated_ns=updated_ns) == state:
            return True
        if self._common.is_ours(state.account):
            self._told_orders[order_id] = state
            taken.events.append(OrderSeen(state))
        return True

    def _let_orders_go(self) -> None:
        """Forget the orders that have been silent for longest, those that work last."""
        excess = len(self._orders) - _MOST_ORDERS
        if excess <= 0:
            return
        told = self._told_orders
        ended = [name for name in self._orders if name not in told or not told[name].status.is_working]
        for name in (ended + [name for name in self._orders if name not in ended])[:excess]:
            del self._orders[name]
            told.pop(name, None)
            self._common.dropped += 1

    # -- fills ---------------------------------------------------------------------------------------------------

    def on_str(self, _recv_ns: int, topic: Topic, taken: Taken) -> None:
        """Take fills, streamed."""
        self._take_trades(rows_of(part(topic.frame.args), TradeRow, "rows of trades"), taken)

    def on_trades(self, asked: Asked, taken: Taken) -> None:
        """Take the list of fills."""
        self._take_trades(rows_of(asked.body, TradeRow, "rows of trades"), taken)

    def _take_trades(self, rows: Rows[TradeRow], taken: Taken) -> None:
        for row in self._common.counted(rows):
            told = contracts.of_trade(row)
            fill = None if told is None else trading.execution(row, self._common.contracts.learn(told))
            if fill is None:
                self._common.bad_rows += 1
            elif self._common.is_ours(fill.account):
                self._tell_execution(fill, taken)

    def _tell_execution(self, fill: Execution, taken: Taken) -> None:
        """Tell a fill unless it was told in the same words: the list and the stream repeat each other."""
        known = self._executions.get(fill.exec_id)
        if fill == known or (known is not None and fill.commission is None):
            return
        if known is None and len(self._executions) >= _MOST_EXECUTIONS:
            del self._executions[next(iter(self._executions))]
            self._common.dropped += 1
        self._executions[fill.exec_id] = fill
        taken.events.append(ExecutionSeen(fill))

    # -- both ----------------------------------------------------------------------------------------------------

    def tell_again(self, fresh: set[int], taken: Taken) -> None:
        """Tell orders and fills again whose contract has become clearer."""
        for name, state in list(self._told_orders.items()):
            if state.contract.con_id in fresh and name in self._orders:
                self._tell_order(name, state.updated_ns, taken)
        for exec_id, fill in self._executions.items():
            contract = self._common.contracts.get(fill.contract.con_id) if fill.contract.con_id in fresh else None
            if contract is not None:
                self._executions[exec_id] = clearer = replace(fill, contract=contract)
                taken.events.append(ExecutionSeen(clearer))
