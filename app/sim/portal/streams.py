"""One WebSocket client's subscriptions: turns what the account does into the frames this client has asked for.

Only what changed is sent again: fields of quotes, fields of orders, figures of accounts.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.sim.ibkr import Changes, SimFill, SimOrder, World
from app.sim.ibkr.instruments import SimContract
from app.sim.portal import figures, trading
from app.sim.portal.fields import FIRST_FIELDS, chosen, message
from app.sim.portal.marketdata import HistoryError, fields_of, history_answer
from app.sim.portal.options import PortalSimOptions
from app.sim.portal.session import GatewaySession
from app.sim.portal.topics import TopicError, TopicMessage

Frame = dict[str, object]
_SERVER_IDS = itertools.count(18)
_DERIVATIVES = ("OPT", "FUT")


@dataclass(slots=True)
class QuoteLine:
    """One `smd` of a client. Times are monotonic seconds."""

    contract: SimContract
    names: tuple[str, ...]
    exchange: str
    began_s: float
    until_s: float
    due_s: float
    first: bool = True
    whole: bool = False
    told: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class FigureLine:
    """One `ssd` or `sld` of a client: which rows, which fields, what was told last."""

    account: str
    keys: frozenset[str]
    names: frozenset[str]
    due_s: float
    told: dict[str, dict[str, object]] = field(default_factory=dict)


class Streams:
    """Everything one client has subscribed to."""

    def __init__(self, world: World, session: GatewaySession, options: PortalSimOptions, counts: Counter[str]) -> None:
        """Begin without subscriptions; `counts` are shared by all clients."""
        self.quotes: dict[int, QuoteLine] = {}
        self.histories: dict[str, int] = {}
        self.orders_on = False
        self.trades_on = False
        self.pnl_due_s: float | None = None
        self.summaries: dict[str, FigureLine] = {}
        self.ledgers: dict[str, FigureLine] = {}
        self._world = world
        self._session = session
        self._options = options
        self._counts = counts
        self._order_filters: frozenset[str] = frozenset()
        self._told_orders: dict[int, dict[str, object]] = {}
        self._told_pnl: object = None

    def clear(self) -> None:
        """End all subscriptions, as the end of the brokerage session does."""
        for kept in (self.quotes, self.histories, self.summaries, self.ledgers, self._told_orders):
            kept.clear()
        self.orders_on = self.trades_on = False
        self.pnl_due_s = self._told_pnl = None

    def expire_quotes(self) -> None:
        """End every quote line without a word."""
        self._counts["smd_expired"] += len(self.quotes)
        self.quotes.clear()

    # What clients send

    def take(self, sent: TopicMessage, now_s: float, *, lines_left: int) -> list[Frame]:
        """Carry out a message; return frames that answer it at once. Raises TopicError with a text for the client."""
        handler = {
            "smd": lambda: self._subscribe_quotes(sent, now_s, lines_left),
            "umd": lambda: self._unsubscribe_quotes(sent),
            "smh": lambda: self._subscribe_bars(sent),
            "umh": lambda: self._unsubscribe_bars(sent),
            "sbd": lambda: _refuse_ladder(),
            "sor": lambda: self._subscribe_orders(sent),
            "str": lambda: self._subscribe_trades(sent),
            "spl": lambda: self._subscribe_pnl(now_s),
            "ssd": lambda: self._subscribe_figures(self.summaries, sent, now_s),
            "sld": lambda: self._subscribe_figures(self.ledgers, sent, now_s),
        }.get(sent.topic)
        return self._unsubscribe(sent) if handler is None else handler()

    def _unsubscribe(self, sent: TopicMessage) -> list[Frame]:
        if sent.topic == "uor":
            self.orders_on = False
        elif sent.topic == "utr":
            self.trades_on = False
        elif sent.topic == "upl":
            self.pnl_due_s = None
        elif sent.topic == "usd":
            self.summaries.pop(sent.target, None)
            return [{"result": "unsubscribed from summary"}]
        elif sent.topic == "uld":
            self.ledgers.pop(sent.target, None)
            return [{"result": "unsubscribed from ledger"}]
        return []

    def _contract(self, sent: TopicMessage) -> tuple[SimContract, str]:
        number, _, exchange = sent.target.partition("@")
        contract = self._world.contract(int(number)) if number.isdecimal() else None
        if contract is None:
            raise TopicError(f"Invalid conid: {sent.target[:20]}")
        return contract, exchange

    def _subscribe_quotes(self, sent: TopicMessage, now_s: float, lines_left: int) -> list[Frame]:
        contract, exchange = self._contract(sent)
        names = tuple(sent.texts("fields"))
        if contract.con_id not in self.quotes and lines_left <= 0:
            self._counts["smd_over_lines"] += 1
            raise TopicError("Max number of tickers has been reached")
        if not names:
            raise TopicError("fields expected")
        self._counts["smd"] += 1
        self.quotes[contract.con_id] = QuoteLine(
            contract, names, exchange, began_s=now_s, until_s=now_s + self._options.smd_life_s, due_s=now_s
        )
        return []

    def _unsubscribe_quotes(self, sent: TopicMessage) -> list[Frame]:
        self.quotes.pop(self._contract(sent)[0].con_id, None)
        return []

    def _subscribe_bars(self, sent: TopicMessage) -> list[Frame]:
        contract, _ = self._contract(sent)
        if len(self.histories) >= self._options.limits.histories:
            raise TopicError("Too many historical data requests")
        server_id = str(next(_SERVER_IDS))
        try:
            found = history_answer(
                self._world,
                contract,
                period=str(sent.arguments.get("period", "1d")),
                bar=str(sent.arguments.get("bar", "5min")),
                outside_rth=bool(sent.arguments.get("outsideRth", sent.arguments.get("outside_rth"))),
                server_id=server_id,
            )
        except HistoryError as error:
            raise TopicError(str(error)) from None
        if found is None:
            raise TopicError("Chart data unavailable")
        self.histories[server_id] = contract.con_id
        return [{"topic": f"smh+{contract.con_id}", "conid": str(contract.con_id), **found}]

    def _unsubscribe_bars(self, sent: TopicMessage) -> list[Frame]:
        self.histories.pop(sent.target, None)
        return [{"message": f"Unsubscribed {sent.target}"}]

    def _subscribe_orders(self, sent: TopicMessage) -> list[Frame]:
        self.orders_on = True
        self._order_filters = frozenset(sent.texts("filters"))
        self._told_orders.clear()
        if not self._orders_can_be_told():
            self._counts["sor_without_force"] += 1
            return []
        return self.tell_orders(self._world.orders, whole=True)

    def _orders_can_be_told(self) -> bool:
        return self._session.orders_primed and not self._session.orders_filtered

    def _subscribe_trades(self, sent: TopicMessage) -> list[Frame]:
        self.trades_on = True
        only_new = sent.arguments.get("realtimeUpdatesOnly", sent.arguments.get("realtime_updates_only"))
        if only_new is True:
            return []
        told = [each for each in self._world.fills if self._world.commission_told(each)]
        return [self._trades_frame(told, with_commission=True)]

    def _subscribe_pnl(self, now_s: float) -> list[Frame]:
        self.pnl_due_s, self._told_pnl = now_s, None
        return []

    def _subscribe_figures(self, lines: dict[str, FigureLine], sent: TopicMessage, now_s: float) -> list[Frame]:
        if sent.target not in self._world.accounts:
            raise TopicError(f"Invalid account: {sent.target[:20]}")
        lines[sent.target] = FigureLine(
            sent.target, frozenset(sent.texts("keys")), frozenset(sent.texts("fields")), due_s=now_s
        )
        return []

    # What the world does

    def spread(self, changes: Changes) -> list[Frame]:
        """Return frames about orders and fills of a step."""
        frames: list[Frame] = []
        if changes.day:
            self._told_orders.clear()
        if self.orders_on and self._orders_can_be_told() and changes.orders:
            frames += self.tell_orders(changes.orders)
        if self.trades_on:
            if changes.fills:
                frames.append(self._trades_frame(changes.fills, with_commission=False))
            if changes.commissions:
                frames.append(self._trades_frame(changes.commissions, with_commission=True))
        return frames

    def tell_orders(self, orders: Iterable[SimOrder], *, whole: bool = False) -> list[Frame]:
        """Return a `sor` frame: whole rows of orders not told yet, else the number and what changed."""
        rows = []
        for order in orders:
            if self._order_filters and order.status not in self._order_filters:
                continue
            row = trading.order_row(order, self._world.catalogue.contracts[order.con_id])
            told = self._told_orders.get(order.perm_id)
            self._told_orders[order.perm_id] = row
            if told is None:
                rows.append(row)
                continue
            changed = {name: value for name, value in row.items() if told.get(name) != value}
            if changed:
                rows.append({"orderId": order.perm_id, **changed})
        return [{"topic": "sor", "args": rows}] if rows or whole else []

    def _trades_frame(self, fills: Iterable[SimFill], *, with_commission: bool) -> Frame:
        rows = [
            trading.trade_row(each, self._world.catalogue.contracts[each.con_id], with_commission=with_commission)
            for each in fills
        ]
        return {"topic": "str", "args": rows}

    # What is due

    def due_frames(self, now_s: float) -> list[Frame]:
        """Return frames of quotes, profit and loss and figures whose time has come."""
        frames = self._due_quotes(now_s)
        if self.pnl_due_s is not None and now_s >= self.pnl_due_s:
            self.pnl_due_s = now_s + self._options.pnl_push_s
            rows: dict[str, Mapping[str, float]] = {}
            for name in self._world.accounts:
                rows.update(figures.partitioned(self._world, name))
            if rows != self._told_pnl:
                self._told_pnl = rows
                frames.append({"topic": "spl", "args": rows})
        for topic, lines, rows_of in (
            ("ssd", self.summaries, figures.summary_stream_rows),
            ("sld", self.ledgers, figures.ledger_stream_rows),
        ):
            for line in lines.values():
                if now_s >= line.due_s and line.account in self._world.accounts:
                    line.due_s = now_s + self._options.account_push_s
                    found = _changed_rows(line, rows_of(self._world, line.account))
                    if found:
                        frames.append({"topic": f"{topic}+{line.account}", "result": found})
        return frames

    def _due_quotes(self, now_s: float) -> list[Frame]:
        frames: list[Frame] = []
        account = next(iter(self._world.accounts), None)
        now_ms = int(self._world.now_s * 1000.0)
        for con_id, line in list(self.quotes.items()):
            if now_s >= line.until_s:
                del self.quotes[con_id]
                self._counts["smd_expired"] += 1
                continue
            if now_s < line.due_s or self._is_unknown(line.contract):
                continue
            line.due_s = now_s + self._options.smd_cadence_s
            found = chosen(fields_of(self._world, line.contract, account), line.names)
            if not line.whole:
                if now_s - line.began_s < self._options.pieces_s:
                    found = {name: text for name, text in found.items() if name in FIRST_FIELDS}
                    line.due_s = line.began_s + self._options.pieces_s
                else:
                    line.whole = True
            changed = {name: text for name, text in found.items() if line.told.get(name) != text}
            if line.whole:
                changed.update((name, "") for name in line.told if name not in found and line.told[name])
            if changed or line.first:
                body = message(line.contract, now_ms, changed, first=line.first, exchange=line.exchange)
                frames.append({**body, "topic": f"smd+{con_id}"})
                line.told.update(changed)
                line.first = False
        return frames

    def _is_unknown(self, contract: SimContract) -> bool:
        if not self._options.smd_needs_lookup or contract.sec_type not in _DERIVATIVES:
            return False
        seen = self._session.looked_up
        return contract.con_id not in seen and contract.underlying_con_id not in seen


def _refuse_ladder() -> list[Frame]:
    raise TopicError("No market data permissions for the price ladder")


def _changed_rows(line: FigureLine, rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return rows with what changed; those without news have key and time only, none at all when nothing changed."""
    found, news = [], False
    for row in rows:
        key = str(row["key"])
        if line.keys and key not in line.keys:
            continue
        shown = {name: row[name] for name in ("key", "timestamp")}
        rest = {name: value for name, value in row.items() if name not in shown}
        if line.names:
            rest = {name: value for name, value in rest.items() if name in line.names}
        if line.told.get(key) != rest:
            news = True
            line.told[key] = rest
            found.append({**shown, **rest})
        elif key == "AccountCode":
            found.append({**shown, **rest})
        else:
            found.append(shown)
    return found if news else []
