"""Turns topic names into the streams of one market: who listens, and what each of them is owed.

Every message is encoded once and fanned out; nothing is made for topics nobody listens to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from websockets.frames import Opcode

from app.domain.ids import Market
from app.sim.bybit import encoders
from app.sim.bybit.books import FULL, Levels, LiveBook, Window
from app.sim.bybit.contracts import Contract
from app.sim.bybit.faults import Fault, spoil
from app.sim.bybit.fields import Fields, changed
from app.sim.connection import SimConnection, data_frame

# level -> the least ms between two pushes
PUSH_EVERY_MS = {1: 10, 50: 20, 200: 100, 1000: 200, FULL: 200}
REPEAT_TOP_MS = 3000

_NAME = re.compile(
    r"(?P<kind>tickers|publicTrade|allLiquidation|orderbook\.(?P<level>1|50|200|1000|full))\.(?P<symbol>[0-9A-Za-z-]+)"
)


class Topic:
    """One stream of one instrument with its subscribers."""

    def __init__(self, name: str, contract: Contract) -> None:
        """Start without subscribers."""
        self.name = name
        self.contract = contract
        self.subscribers: dict[SimConnection, None] = {}

    def first(self, now_ms: int) -> str | None:
        """Return what a new subscriber is told at once."""
        return None

    def send(self, payload: str | bytes, opcode: Opcode = Opcode.TEXT) -> None:
        """Queue one message for every subscriber."""
        frame = data_frame(payload if isinstance(payload, bytes) else payload.encode(), opcode)
        for connection in self.subscribers:
            connection.queue(frame)


class TickerTopic(Topic):
    """Contracts: a snapshot, then what changed. Spot: snapshots only."""

    def __init__(
        self, name: str, contract: Contract, fields: Callable[[], Fields], sequence: Callable[[], int]
    ) -> None:
        """`fields` gives the present texts, `sequence` the cross sequence."""
        super().__init__(name, contract)
        self._fields = fields
        self._sequence = sequence
        self._told: Fields = {}

    def first(self, now_ms: int) -> str:
        """Return everything; those already here are told the changes with the next message."""
        if not self._told or not self.contract.linear:
            self._told = self._fields()
        return self._encoded("snapshot", self._told, now_ms)

    def push(self, now_ms: int) -> None:
        """Tell what is new."""
        fields = self._fields()
        if not self.contract.linear:
            if fields != self._told:
                self._told = fields
                self.send(self._encoded("snapshot", fields, now_ms))
            return
        different = changed(self._told, fields)
        if different:
            self._told = fields
            self.send(self._encoded("delta", different, now_ms))

    def _encoded(self, kind: str, fields: Fields, now_ms: int) -> str:
        return encoders.ticker(self.contract, kind, fields, cross_sequence=self._sequence(), now_ms=now_ms)


class DepthTopic(Topic):
    """A book's window on its way out, with the faults that wait for its next message."""

    def __init__(self, name: str, contract: Contract, level: int, book: Callable[[], LiveBook]) -> None:
        """`book` gives the live book, which is made at first sight."""
        super().__init__(name, contract)
        self.level = level
        self.faults: list[Fault] = []
        self.spoiled = 0
        self._book = book

    @property
    def window(self) -> Window:
        """What has been told of the book."""
        return self._book().window(self.level)

    def first(self, now_ms: int) -> str | None:
        """Return the snapshot that begins the stream; the full book has none."""
        return None if self.level == FULL else self._snapshot(now_ms)

    def push(self, now_ms: int, clock_ms: int) -> None:
        """Tell what changed, if the stream's pace allows it; `clock_ms` counts the market's own time."""
        window = self.window
        waited_ms = clock_ms - window.pushed_at_ms
        if waited_ms < PUSH_EVERY_MS[self.level]:
            return
        if self.faults and self.faults[0].name in ("restart", "resnapshot"):
            window.pushed_at_ms = clock_ms
            self.renew(now_ms, restart=self.faults.pop(0).name == "restart")
            return
        rows = window.take()
        if rows is None:
            if self.level == 1 and waited_ms >= REPEAT_TOP_MS:
                window.pushed_at_ms = clock_ms
                self.send(self._snapshot(now_ms))
            return
        window.pushed_at_ms = clock_ms
        if self.level == 1:
            self.send(self._snapshot(now_ms))
        elif self.faults and self.faults[0].name == "delete":
            self.send(self._delta(*self._without_one(*rows), now_ms))
        else:
            self._send_spoiled(self._delta(*rows, now_ms))

    def renew(self, now_ms: int, *, restart: bool) -> None:
        """Tell the whole book unasked; after a restart its number is 1.

        The full book has no snapshots: a restart shows as a delta with u = 1, which does not say everything.
        """
        window = self.window
        if self.level != FULL:
            window.renew(1 if restart else window.u + 1)
            self.send(self._snapshot(now_ms))
        elif restart:
            book = window.book
            rows = window.take() or (book.bids.best_first(1), book.asks.best_first(1))
            window.renew(1)
            self.send(self._delta(*rows, now_ms))

    def end(self, now_ms: int) -> None:
        """Tell that there is no book any more: an empty one with u = 1."""
        window = self.window
        window.u = 1
        kind = "delta" if self.level == FULL else "snapshot"
        self.send(self._encoded(kind, "[]", "[]", now_ms))

    def _send_spoiled(self, payload: str) -> None:
        fault = self.faults[0] if self.faults else None
        if fault is None:
            self.send(payload)
        elif fault.name == "gap":
            self._use_up(fault)
        else:  # a bad frame
            bad, in_place = spoil(payload, fault.kind or "malformed")
            self.send(bad, Opcode.BINARY if fault.kind == "binary" else Opcode.TEXT)
            if not in_place:
                self.send(payload)
            self._use_up(fault)

    def _without_one(self, bids: Levels, asks: Levels) -> tuple[Levels, Levels]:
        """Leave one row out, of a removed level where there is one."""
        place, row = next(
            ((side, row) for side in (0, 1) for row in (bids, asks)[side] if row[1] == 0),
            (0, bids[0]) if bids else (1, asks[0]),
        )
        sides = [list(bids), list(asks)]
        sides[place].remove(row)
        self._use_up(self.faults[0])
        return sides[0], sides[1]

    def _use_up(self, fault: Fault) -> None:
        self.spoiled += 1
        if self.spoiled >= (fault.count or 1):
            self.faults.pop(0)
            self.spoiled = 0

    def _snapshot(self, now_ms: int) -> str:
        state = self.window.state()
        bids, asks = encoders.levels(self.contract, state.bids), encoders.levels(self.contract, state.asks)
        return self._encoded("snapshot", bids, asks, now_ms)

    def _delta(self, bids: Levels, asks: Levels, now_ms: int) -> str:
        return self._encoded(
            "delta", encoders.levels(self.contract, bids), encoders.levels(self.contract, asks), now_ms
        )

    def _encoded(self, kind: str, bids: str, asks: str, now_ms: int) -> str:
        window = self.window
        return encoders.depth(
            self.contract,
            self.name,
            kind,
            bids=bids,
            asks=asks,
            u=window.u,
            seq=window.seq,
            now_ms=now_ms,
            changed_ms=window.changed_at_ms or now_ms,
        )


def read_topic(name: str, market: Market) -> tuple[str, int | None, str] | None:
    """Return (kind, level, symbol) of a topic this market has, else None; FULL is spot's, liquidations are not."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    kind = "orderbook" if found["level"] else found["kind"]
    level = None if not found["level"] else FULL if found["level"] == "full" else int(found["level"])
    spot = market is Market.BYBIT_SPOT
    if (kind == "allLiquidation" and spot) or (level == FULL and kind == "orderbook" and not spot):
        return None
    return kind, level, found["symbol"]


def batch_error(market: Market, args: Sequence[str], known_chars: int, most_chars: int) -> str | None:
    """Return why the venue refuses a batch for its size, None when it does not."""
    if market is Market.BYBIT_SPOT and len(args) > 10:
        return "args size >10"
    if known_chars + sum(map(len, args)) > most_chars:
        return f"args total length exceeds {most_chars}"
    return None
