"""A tick gives every client its frames, whatever clients do while it is being written."""

from __future__ import annotations

import asyncio
from typing import Any

from app.domain.ids import Market
from app.server.hub import Bundle, Hub, RowTopic
from app.server.limits import Verdict
from app.server.pump import TOO_SLOW, Pump
from tests.loopback.server_stand_in import StandInData

FIRST, SECOND = RowTopic(0), RowTopic(1)


class FakeClient:
    """What the pump sees of a client."""

    def __init__(self, bundle: Bundle | None, tick: int = 0) -> None:
        self.bundle = bundle
        self.given_tick = tick
        self.verdict = Verdict.WRITE
        self.is_leaving = False
        self.known = True
        self.opened_at = 0.0
        self.leaving_s = 0.0
        self.conflated = 0
        self.end_reason = ""
        self.said: list[bytes] = []
        self.goodbyes: list[str] = []
        self.cuts: list[str] = []

    def judge(self, now: float) -> Verdict:
        return self.verdict

    def count_rate(self, now: float) -> None:
        pass

    def leaves_for(self, now: float) -> float:
        return self.leaving_s

    def write(self, frames: bytes, count: int) -> None:
        self.said.append(frames)

    def say_goodbye(self, code: int, reason: str) -> None:
        self.goodbyes.append(reason)

    def cut(self, reason: str) -> None:
        self.cuts.append(reason)


def pump_of(*clients: FakeClient, hub: Hub) -> Pump:
    pump = Pump(hub, lambda _error: None)
    added: Any = pump.clients
    added.update(dict.fromkeys(clients))
    return pump


async def test_a_client_that_asks_for_more_during_a_tick_misses_nothing_of_it() -> None:
    data = StandInData()
    hub = Hub(data)
    first, both = frozenset((FIRST,)), frozenset((FIRST, SECOND))
    clients = [FakeClient(hub.join(first)) for _ in range(150)]
    pump = pump_of(*clients, hub=hub)
    data.move(Market.BINANCE_SPOT, "BTCUSDT", 5.0)
    ticking = asyncio.create_task(pump.tick(1.0))
    await asyncio.sleep(0)
    late = clients[-1]
    assert not late.said, "the tick is under way"
    assert clients[0].said
    old, late.bundle = late.bundle, hub.join(both)
    assert old is not None
    hub.leave(old)
    await ticking
    assert late.said == []
    await pump.tick(1.2)
    assert [b'"price":5.0' in said for said in late.said] == [True]
    assert all(len(client.said) == 1 for client in clients)


async def test_each_kind_of_client_gets_what_is_due_to_it() -> None:
    data = StandInData()
    hub = Hub(data)
    names = ("keeps up", "slow", "frozen", "silent", "fresh", "leaving", "stuck", "idle")
    clients = {name: FakeClient(hub.join(frozenset((FIRST,)))) for name in names}
    clients["slow"].verdict = Verdict.WAIT
    clients["frozen"].verdict = Verdict.DROP
    clients["silent"].known = clients["fresh"].known = False
    clients["fresh"].opened_at = 9.0
    clients["leaving"].is_leaving = clients["stuck"].is_leaving = True
    clients["stuck"].leaving_s, clients["stuck"].end_reason = 2.5, "too many messages"
    clients["stuck"].verdict = Verdict.DROP
    clients["idle"].bundle = None
    data.move(Market.BINANCE_SPOT, "BTCUSDT", 5.0)
    await pump_of(*clients.values(), hub=hub).tick(10.0)
    assert [name for name, client in clients.items() if client.said] == ["keeps up"]
    assert {name: client.cuts for name, client in clients.items() if client.cuts} == {
        "frozen": [TOO_SLOW],
        "stuck": ["too many messages"],
    }
    assert {name: client.goodbyes for name, client in clients.items() if client.goodbyes} == {
        "silent": ["token required"]
    }
    assert clients["slow"].conflated == 1
    assert clients["slow"].given_tick == 0
    assert clients["keeps up"].given_tick == hub.tick
