"""Carries out the faults of one market: on its connections, its REST answers, its streams and its listings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from app.domain.ids import Market
from app.sim.connection import SimConnection
from app.sim.fault_text import FaultError
from app.sim.faults import Fault, make_tamper
from app.sim.hub import Hub
from app.sim.market import SimMarket
from app.sim.rest import OldBook, RestDesk

# Faults that are nothing but a state for some seconds: how long when nothing is said.
_LASTING_S = {"stall": 5.0, "burst": 2.0, "silent_ack": 5.0, "refuse": 5.0, "rest_down": 5.0}
_NOTICE_S = 1.0
_RETRY_AFTER_S = 7.0
_HALF_OPEN_S = 300.0  # a client has to notice by itself
_LAGGED_ANSWERS = 3


class VenueFaults:
    """The faults that are on, and the way to begin each. Durations count on the running loop's clock."""

    def __init__(
        self,
        market: Market,
        source: SimMarket,
        hub: Hub,
        desk: RestDesk,
        connections: Iterable[SimConnection],
        *,
        end_connection: Callable[[SimConnection, float], None],
        later: Callable[[float, Callable[[], None]], None],
        ban_s: float,
    ) -> None:
        """Take what faults act on; `connections` is the live collection, `ban_s` the usual length of a ban."""
        self.rest_down_status: int | None = None
        self._market = market
        self._source = source
        self._hub = hub
        self._desk = desk
        self._connections = connections
        self._end_connection = end_connection
        self._later = later
        self._ban_s = ban_s
        self._until: dict[str, float] = {}
        self._begin: dict[str, Callable[[Fault], None]] = {
            "drop": self._drop,
            "close24h": self._close,
            "half_open": self._half_open,
            "http429": self._limit,
            "http418": self._ban,
            "lagged_snapshot": self._lag,
            "delist": self._delist,
        }

    def start(self, fault: Fault) -> None:
        """Begin a fault; raise FaultError when it names a symbol the market lacks."""
        if fault.name in _LASTING_S:
            seconds = _LASTING_S[fault.name] if fault.duration is None else fault.duration
            self._until[fault.name] = asyncio.get_running_loop().time() + seconds
            self.rest_down_status = fault.status if fault.name == "rest_down" else self.rest_down_status
        elif fault.name in self._begin:
            self._begin[fault.name](fault)
        else:
            for symbol in self._symbols_for(fault):
                self._hub.tampering.add(symbol, make_tamper(fault))

    def active(self, name: str) -> bool:
        """Tell whether a fault that lasts is on."""
        return asyncio.get_running_loop().time() < self._until.get(name, 0.0)

    def forget(self) -> None:
        """End every fault that lasts or waits."""
        self._until.clear()
        self._hub.tampering.clear()
        self._hub.restart()
        self._desk.lagged.clear()
        self._desk.lagged_answers_left = 0

    def _symbols_for(self, fault: Fault) -> list[str]:
        books = self._source.books[self._market]
        if fault.symbol is not None:
            if fault.symbol not in books:
                raise FaultError(f"expected a symbol of {self._market.value}, was {fault.symbol!r}")
            return [fault.symbol]
        followed = self._hub.followed() or list(books)
        return followed[: (fault.count or 1) if fault.name == "gap" else 1]

    def _drop(self, _fault: Fault) -> None:
        for client in list(self._connections):
            client.abort()

    def _close(self, fault: Fault) -> None:
        for client in list(self._connections):
            self._end_connection(client, _NOTICE_S if fault.notice is None else fault.notice)

    def _half_open(self, fault: Fault) -> None:
        for client in list(self._connections):
            client.go_half_open()
            self._later(_HALF_OPEN_S if fault.duration is None else fault.duration, client.abort)

    def _limit(self, fault: Fault) -> None:
        self._desk.meter.limit_for(_RETRY_AFTER_S if fault.retry_after is None else fault.retry_after)

    def _ban(self, fault: Fault) -> None:
        self._desk.meter.ban(self._ban_s if fault.duration is None else fault.duration)

    def _lag(self, fault: Fault) -> None:
        books = self._source.books[self._market]
        names = list(books) if fault.symbol is None else self._symbols_for(fault)
        for name in names:
            self._desk.lagged[name] = OldBook(*books[name].snapshot(None, ahead=False))
        self._desk.lagged_answers_left = fault.count or _LAGGED_ANSWERS

    def _delist(self, fault: Fault) -> None:
        for symbol in self._symbols_for(fault):
            self._source.book(self._market, symbol).trading = False
