"""Answers what clients ask of orders and executions, and tells them what happens to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from app.sim.ibkr.hours import NEW_YORK
from app.sim.ibkr.world import Changes, World
from app.sim.tws import encoders, order_encoders
from app.sim.tws.client import TwsClient
from app.sim.tws.requests import Fields

READ_ONLY = "Error validating request.-'bK' : cause - The API interface is currently in Read-Only mode."


class OrderDesk:
    """Everything about orders. With `push_orders` every client is told of all of them as they change."""

    def __init__(self, world: World, *, read_only: bool, push_orders: bool) -> None:
        """Take the world; read_only: orders cannot be seen."""
        self.read_only = read_only
        self._world = world
        self._push_orders = push_orders

    def open_orders(self, client: TwsClient, fields: Fields) -> None:
        """Tell the client's own orders."""
        self._tell_orders(client, own=True)

    def all_open_orders(self, client: TwsClient, fields: Fields) -> None:
        """Tell everybody's orders."""
        self._tell_orders(client, own=False)

    def completed_orders(self, client: TwsClient, fields: Fields) -> None:
        """Tell today's orders that are done."""
        if self.refuse(client):
            return
        for order in self._world.completed_orders:
            client.say(order_encoders.completed_order(order, self._world.catalogue.contracts[order.con_id]))
        client.say(order_encoders.COMPLETED_END)

    def refuse(self, client: TwsClient) -> bool:
        """Refuse what a read-only API does not show; return whether it did."""
        if self.read_only:
            client.say(encoders.error(-1, 321, READ_ONLY))
        return self.read_only

    def executions(self, client: TwsClient, fields: Fields) -> None:
        """Tell today's executions that fit a filter."""
        fields.text()
        req_id, client_id, account, since = fields.whole(), fields.whole(), fields.text(), fields.text()
        symbol, sec_type, exchange, side = fields.text(), fields.text(), fields.text(), fields.text()
        since_s = _read_time(since)
        for fill in self._world.fills:
            contract = self._world.catalogue.contracts[fill.con_id]
            if (
                (not client_id or fill.client_id == client_id)
                and (not account or fill.account == account)
                and fill.time_s >= since_s
                and (not symbol or contract.symbol == symbol)
                and (not sec_type or contract.sec_type == sec_type)
                and (not exchange or fill.exchange == exchange)
                and (not side or fill.side[:1] == side[:1])
            ):
                client.say(order_encoders.execution(req_id, fill, contract))
                if self._world.commission_told(fill):
                    client.say(order_encoders.commission_report(fill))
        client.say(order_encoders.execution_end(req_id))

    def _tell_orders(self, client: TwsClient, *, own: bool) -> None:
        if self.refuse(client):
            return
        for order in self._world.open_orders:
            if own and (order.client_id != client.client_id or not order.order_id):
                continue
            client.say(order_encoders.open_order(order, self._world.catalogue.contracts[order.con_id]))
            client.say(order_encoders.order_status(order))
        client.say(order_encoders.OPEN_ORDER_END)

    def publish(self, clients: list[TwsClient], changes: Changes) -> None:
        """Tell clients of orders, executions and commissions of a step."""
        messages = list(self._news(changes))
        for client in clients:
            client.say_all(messages)

    def _news(self, changes: Changes) -> Iterator[bytes]:
        contracts = self._world.catalogue.contracts
        if not self.read_only and self._push_orders:
            for order in changes.orders:
                yield order_encoders.open_order(order, contracts[order.con_id])
                yield order_encoders.order_status(order)
        for fill in changes.fills:
            yield order_encoders.execution(-1, fill, contracts[fill.con_id])
        for fill in changes.commissions:
            yield order_encoders.commission_report(fill)


def _read_time(text: str) -> float:
    """Return the time of an executions filter (`20261120 09:30:00`, New York) in UTC seconds, 0 for none."""
    parts = text.replace("-", " ").split()
    if len(parts) < 2:
        return 0.0
    try:
        stamp = datetime.strptime(f"{parts[0]} {parts[1]}", "%Y%m%d %H:%M:%S").replace(tzinfo=NEW_YORK)
    except ValueError:
        return 0.0
    return stamp.timestamp()
