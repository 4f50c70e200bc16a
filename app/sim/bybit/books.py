"""Order books of the simulated Bybit: follow a price, and tell each stream's window what changed in it since its push.

A window holds exactly `levels` levels of a side while the book has as many: what is pushed out of it is deleted, what
moves into it is inserted (websocket/public/orderbook of the venue's v5 documents).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from random import Random
from typing import NamedTuple

import numpy as np

from app.sim.book import Pressure, SimBook
from app.sim.bybit.contracts import Contract
from app.sim.ladder import Ladder

Levels = list[tuple[int, int]]  # (ticks, steps)

_EVERYTHING = -(1 << 62)  # a boundary no key is below
_JOURNAL = 400  # pushes that can be taken back for `state_at`
FULL = 0  # the window without a boundary


class WindowState(NamedTuple):
    """What a stream has told until `u`; best first."""

    u: int
    seq: int
    bids: Levels
    asks: Levels


class TracedLadder(Ladder):
    """One side that remembers what every level was before it was touched."""

    __slots__ = ("touched",)

    def __init__(self, sign: int, levels: dict[int, int]) -> None:
        """Take the levels as `Ladder` does; nothing is touched yet."""
        super().__init__(sign, levels)
        self.touched: dict[int, int] = {}

    def set(self, key: int, quantity: int) -> None:
        """Give a level a quantity; 0 removes it."""
        self.touched.setdefault(key, self.quantities.get(key, 0))
        super().set(key, quantity)

    def pop_above(self, key: int) -> list[int]:
        """Remove and return the keys of levels better than `key`."""
        keys = self.keys
        for each in keys[bisect_left(keys, key + 1) :]:
            self.touched.setdefault(each, self.quantities[each])
        return super().pop_above(key)


class _Side:
    """One side of a window: touched levels with what they were at the last push, and the worst key inside."""

    def __init__(self, ladder: TracedLadder, levels: int) -> None:
        self.ladder = ladder
        self.levels = levels
        self.before: dict[int, int] = {}
        self.boundary = self._boundary_now()

    def _boundary_now(self) -> int:
        keys = self.ladder.keys
        return keys[-self.levels] if 0 < self.levels <= len(keys) else _EVERYTHING

    def renew(self) -> None:
        """Hold what the book holds now."""
        self.before = {}
        self.boundary = self._boundary_now()

    def take(self) -> list[tuple[int, int, int]]:
        """Return (key, old, new) of what changed inside since the last call, best first, and hold the new state."""
        keys, quantities = self.ladder.keys, self.ladder.quantities
        before, self.before = self.before, {}
        old_boundary, new_boundary = self.boundary, self._boundary_now()
        self.boundary = new_boundary
        candidates = set(before)
        if old_boundary != new_boundary:
            low, high = min(old_boundary, new_boundary), max(old_boundary, new_boundary)
            candidates.update(keys[bisect_left(keys, low) : bisect_left(keys, high)])
        rows = []
        for key in sorted(candidates, reverse=True):
            present = quantities.get(key, 0)
            old = before.get(key, present) if key >= old_boundary else 0
            new = present if key >= new_boundary else 0
            if old != new:
                rows.append((key, old, new))
        return rows

    def told(self) -> dict[int, int]:
        """Return key -> quantity as of the last push."""
        ladder = self.ladder
        if not self.before:
            keys = ladder.keys[-self.levels :] if self.levels else ladder.keys
            return {key: ladder.quantities[key] for key in reversed(keys)}
        quantities = dict(ladder.quantities)
        for key, old in self.before.items():
            if old:
                quantities[key] = old
            else:
                quantities.pop(key, None)
        best = sorted(quantities, reverse=True)
        return {key: quantities[key] for key in (best[: self.levels] if self.levels else best)}


class Window:
    """What one depth stream has told of a book. `levels` FULL has no boundary; `u` counts its pushes."""

    def __init__(self, book: LiveBook, levels: int, u: int) -> None:
        """Begin with the book as it is now."""
        self.book = book
        self.levels = levels
        self.u = u
        self.seq = book.seq
        self.awake = False
        self.pushed_at_ms = 0
        self.changed_at_ms = 0
        self._sides = (_Side(book.bids, levels), _Side(book.asks, levels))
        self._journal: deque[tuple[int, int, list[tuple[int, int, int]], list[tuple[int, int, int]]]] = deque(
            maxlen=_JOURNAL
        )

    def note(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        """Remember what levels were before a move."""
        for side, touched in zip(self._sides, (bids, asks), strict=True):
            if side.before:
                for key, old in touched.items():
                    side.before.setdefault(key, old)
            else:
                side.before = dict(touched)

    def renew(self, u: int) -> None:
        """Hold what the book holds now, under a new number; nothing before it can be asked for."""
        for side in self._sides:
            side.renew()
        self.u, self.seq = u, self.book.seq
        self._journal.clear()

    def take(self) -> tuple[Levels, Levels] | None:
        """Return the rows (ticks, steps) of the next delta, best first, 0 for deletions; None when there are none."""
        bids, asks = (side.take() for side in self._sides)
        if not bids and not asks:
            return None
        self._journal.append((self.u, self.seq, bids, asks))
        self.u += 1
        self.seq = self.book.seq
        return [(key, new) for key, _, new in bids], [(-key, new) for key, _, new in asks]

    def state(self) -> WindowState:
        """Return what the stream has told until now."""
        bids, asks = (side.told() for side in self._sides)
        return WindowState(self.u, self.seq, list(bids.items()), [(-key, steps) for key, steps in asks.items()])

    def state_at(self, u: int) -> WindowState:
        """Return what the stream had told until `u`; LookupError when that is too long ago or still to come."""
        if u == self.u:
            return self.state()
        bids, asks = (side.told() for side in self._sides)
        for past_u, seq, bid_rows, ask_rows in reversed(self._journal):
            for told, rows in ((bids, bid_rows), (asks, ask_rows)):
                for key, old, _ in rows:
                    if old:
                        told[key] = old
                    else:
                        told.pop(key, None)
            if past_u == u:
                return WindowState(
                    u,
                    seq,
                    sorted(bids.items(), reverse=True),
                    sorted((-key, steps) for key, steps in asks.items()),
                )
        raise LookupError(f"expected an update id known of this stream (now {self.u}), was {u}")


class LiveBook(SimBook):
    """A book with its windows. It moves only while a window is awake, and catches up when one wakes."""

    bids: TracedLadder
    asks: TracedLadder

    def __init__(self, contract: Contract, mid: float, generator: np.random.Generator) -> None:
        """Fill both sides around `mid` in quoted units."""
        super().__init__(contract.listing, mid, generator, 1)
        self.contract = contract
        self.bids = TracedLadder(1, self.bids.quantities)
        self.asks = TracedLadder(-1, self.asks.quantities)
        self.seq = int(generator.integers(10**10, 10**12))
        self.windows: dict[int, Window] = {}
        self.awake: list[Window] = []
        self._dice = Random(int(generator.integers(2**63)))

    def window(self, levels: int) -> Window:
        """Return a stream's window, made at first sight."""
        window = self.windows.get(levels)
        if window is None:
            window = self.windows[levels] = Window(self, levels, self._dice.randint(2_000_000, 90_000_000))
        return window

    def wake(self, window: Window) -> None:
        """Let a window follow the book from here on; its numbers went on while it slept."""
        if not window.awake:
            window.awake = True
            window.renew(window.u + self._dice.randint(1, 40))
            self.awake.append(window)

    def sleep(self, window: Window) -> None:
        """Let a window follow no more."""
        if window.awake:
            window.awake = False
            self.awake.remove(window)

    def follow(self, mid: float, spread_ticks: int, pressure: Pressure, edits: int, now_ms: int) -> bool:
        """Move the touch to `mid`, make about `edits` changes and tell the windows; return whether anything changed."""
        self._spread = spread_ticks
        self.move(mid, pressure, edits)
        bids, self.bids.touched = self.bids.touched, {}
        asks, self.asks.touched = self.asks.touched, {}
        if not bids and not asks:
            return False
        self.seq += self._dice.randint(1, 60)
        for window in self.awake:
            window.note(bids, asks)
            window.changed_at_ms = now_ms
        return True
