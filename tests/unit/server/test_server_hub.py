"""Whatever a client misses, the next thing it gets is the newest of all that changed, once."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.domain.ids import Market, Venue
from app.indicators.formulas import Indicator
from app.indicators.groups import Subject
from app.server import wire
from app.server.hub import (
    AlertTopic,
    Bundle,
    Hub,
    IndicatorTopic,
    PortfolioTopic,
    RowTopic,
    SnapshotTopic,
    StatusTopic,
    TickTopic,
)
from app.server.ports import BookKey, IndicatorKey
from tests.loopback.server_stand_in import SYMBOLS, StandInData

SPOT = Market.BINANCE_SPOT
BOOK = BookKey(SPOT, "BTCUSDT")


def messages(blob: bytes) -> list[Any]:
    """Take frames apart, written as they are one behind the other."""
    found, at = [], 0
    while at < len(blob):
        assert blob[at] == 0x81
        size, start = blob[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(blob[at + 2 : at + 4]), at + 4
        elif size == 127:
            size, start = int.from_bytes(blob[at + 2 : at + 10]), at + 10
        found.append(json.loads(blob[start : start + size]))
        at = start + size
    assert at == len(blob)
    return found


def test_frames_of_every_size_class_are_whole() -> None:
    for size in (0, 1, 100, 125, 126, 127, 65_535, 65_536, 200_000):
        text = json.dumps("x" * max(0, size - 2)).encode()
        assert messages(wire.frame(text) * 2) == [json.loads(text)] * 2


def test_topics_of_different_kinds_never_equal_each_other() -> None:
    key = IndicatorKey(Indicator.DELTA, Subject(pair="BTCUSDT"), SPOT)
    topics = [
        RowTopic(1),
        TickTopic(BOOK),
        SnapshotTopic(BOOK),
        IndicatorTopic(key),
        StatusTopic(),
        AlertTopic(),
        PortfolioTopic(),
    ]
    assert all(one != other for one, other in itertools.combinations(topics, 2))
    assert len(frozenset(topics)) == len(topics)


def test_rows_of_several_venues_go_into_a_frame_each() -> None:
    hub = Hub(StandInData())
    bundle = hub.join(frozenset(RowTopic(row) for row in range(15)))
    frames = [message for frame in hub.present(bundle.topics) for message in messages(frame)]
    assert {frame["venue"]: frame["count"] for frame in frames} == {"binance": 10, "bybit": 5}
    assert {frame["type"] for frame in frames} == {"initial_data"}
    assert all(frame["count"] == len(frame["data"]) for frame in frames)


def test_snapshots_and_status_come_once_a_second_only() -> None:
    data = StandInData()
    hub = Hub(data)
    bundle = hub.join(frozenset((SnapshotTopic(BOOK), StatusTopic(), TickTopic(BOOK))))
    kinds: list[str] = []
    for n in range(11):
        data.move(SPOT, "BTCUSDT", 1.0 + n)
        hub.advance(100.0 + n * 0.2)
        kinds += [message["type"] for message in messages(hub.changes(bundle, hub.tick - 1)[0])]
    assert kinds.count("tick") == 11
    assert kinds.count("snapshot") == 3
    assert kinds.count("status") == 3


def test_an_alert_of_long_ago_is_not_told_to_those_who_come_later() -> None:
    data = StandInData()
    hub = Hub(data)
    early = hub.join(frozenset((AlertTopic(),)))
    data.alert("one")
    hub.advance(1.0)
    late = hub.join(frozenset((AlertTopic(), StatusTopic())))
    data.alert("two")
    hub.advance(1.2)
    assert [m["text"] for m in messages(hub.changes(early, 0)[0])] == ["one", "two"]
    assert [m["text"] for m in messages(hub.changes(late, 1)[0]) if m["type"] == "alert"] == ["two"]


class _Reader:
    """A client as the hub sees it, and all it has been told."""

    def __init__(self, bundle: Bundle, tick: int, known: dict[int, float]) -> None:
        self.bundle, self.tick, self.known = bundle, tick, known


class Readers(RuleBasedStateMachine):
    """Clients with any wishes, that read at any time or not for long, always end up with the truth."""

    @initialize()
    def begin(self) -> None:
        self.data = StandInData()
        self.hub = Hub(self.data)
        self.now = 0.0
        self.readers: list[_Reader] = []
        self.row_of = {}
        for row, (market, symbol) in enumerate(self.data.listed):
            self.row_of[market.venue.value, market.kind.value, symbol] = row

    def rows_in(self, blob: bytes) -> list[tuple[int, float]]:
        told = []
        for message in messages(blob):
            assert len(message["data"]) == message["count"]
            for row in message["data"]:
                assert row["venue"] == message["venue"]
                assert Venue(row["venue"])
                told.append((self.row_of[row["venue"], row["marketType"], row["symbol"]], row["price"]))
        return told

    @rule(rows=st.frozensets(st.integers(0, len(SYMBOLS) * 3 - 1), min_size=1, max_size=8))
    def arrive(self, rows: frozenset[int]) -> None:
        topics = frozenset(RowTopic(row) for row in rows)
        bundle = self.hub.join(topics)
        told = dict(self.rows_in(b"".join(self.hub.present(topics))))
        assert set(told) == rows
        self.readers.append(_Reader(bundle, self.hub.tick, told))

    @rule(row=st.integers(0, len(SYMBOLS) * 3 - 1), price=st.floats(0.1, 1e6))
    def change(self, row: int, price: float) -> None:
        self.data.move(*self.data.listed[row], price)

    @rule()
    def tick(self) -> None:
        self.now += 0.2
        self.hub.advance(self.now)

    @rule(pick=st.integers(0, 100))
    def read(self, pick: int) -> None:
        if not self.readers:
            return
        reader = self.readers[pick % len(self.readers)]
        self.now += 0.2
        self.hub.advance(self.now)
        told = self.rows_in(self.hub.changes(reader.bundle, reader.tick)[0])
        assert len({row for row, _ in told}) == len(told)
        reader.known.update(told)
        reader.tick = self.hub.tick
        assert reader.known == {row: self.data.price[row] for row in reader.known}
        assert self.hub.changes(reader.bundle, reader.tick) == (b"", 0)

    @rule(pick=st.integers(0, 100))
    def go(self, pick: int) -> None:
        if self.readers:
            self.hub.leave(self.readers.pop(pick % len(self.readers)).bundle)

    @invariant()
    def nothing_is_held_for_nobody(self) -> None:
        if hasattr(self, "readers"):
            topics = {topic for reader in self.readers for topic in reader.bundle.topics}
            bundles = {reader.bundle.topics for reader in self.readers}
            assert self.hub.counts() == (len(topics), len(bundles))


Readers.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestReaders = Readers.TestCase
