"""The last two minutes of depth ticks in memory: one ring of arrays per market, no object per tick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from app.books.depth import BANDS
from app.domain.coverage import Coverage
from app.domain.ids import Market
from app.indicators.groups import GROUPS, Group
from app.indicators.window import DepthWindow
from app.storage.rows import GroupTick, TickBatch, TickWindow

SPAN_S: Final = 120
_SPARE_TICKS: Final = 8


class _Rings:
    """Ring buffers of n series: slot = tick number modulo capacity, per series."""

    def __init__(self, series: int, capacity: int, fields: Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]) -> None:
        self.capacity = capacity
        self.count = np.zeros(series, np.int64)
        self.ts_ms = np.zeros((series, capacity), np.int64)
        self.fields: dict[str, npt.NDArray[np.generic]] = {
            name: np.zeros((series, capacity, *shape), dtype) for name, (shape, dtype) in fields.items()
        }

    def put(self, rows: npt.NDArray[np.int64] | slice, ts_ms: int, **values: npt.NDArray[np.generic]) -> None:
        """Append one tick to each of the rows."""
        slots = self.count[rows] % self.capacity
        index = np.arange(self.count.size)[rows] if isinstance(rows, slice) else rows
        self.ts_ms[index, slots] = ts_ms
        for name, value in values.items():
            self.fields[name][index, slots] = value
        self.count[index] += 1

    def clear(self) -> None:
        """Forget every tick."""
        self.count[:] = 0

    def recent(self, row: int, since_ms: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
        """Return times and slots of the row's ticks at or after `since_ms`, oldest first."""
        count = int(self.count[row])
        held = min(count, self.capacity)
        slots = (np.arange(count - held, count) % self.capacity).astype(np.intp)
        times = self.ts_ms[row, slots]
        start = int(times.searchsorted(since_ms))
        return times[start:], slots[start:]


class MemoryTickStore:
    """`TickSink` and `TickSource` in one: keeps the ticks of the last `span_s` seconds before the market's newest one.

    A market whose time steps back (a replay began anew) starts over. `subscribe` hands every batch on as it comes.
    """

    def __init__(
        self, universe: Mapping[Market, tuple[str, ...]], *, span_s: int = SPAN_S, interval_ms: int = 200
    ) -> None:
        capacity = span_s * 1000 // interval_ms + _SPARE_TICKS
        self._span_ms = span_s * 1000
        self._row_of = {
            (market, symbol): row for market, symbols in universe.items() for row, symbol in enumerate(symbols)
        }
        sides: tuple[int, ...] = (2, BANDS)
        self._symbols = {
            market: _Rings(
                len(symbols),
                capacity,
                {
                    "best": ((2,), np.float64),
                    "usd": (sides, np.float64),
                    "coins": (sides, np.float64),
                    "coverage": (sides, np.uint8),
                    "unconfirmed": (sides, np.float32),
                },
            )
            for market, symbols in universe.items()
        }
        self._groups = {
            market: _Rings(
                len(GROUPS),
                capacity,
                {
                    "usd": (sides, np.float64),
                    "coverage": (sides, np.uint8),
                    "unconfirmed": (sides, np.float64),
                    "ratio_mean": ((BANDS,), np.float64),
                    "included": ((), np.int64),
                    "ratio_count": ((BANDS,), np.int64),
                    "ratio_exact": ((BANDS,), np.int64),
                    "exact": (sides, np.int64),
                },
            )
            for market in universe
        }
        self._totals: dict[Market, npt.NDArray[np.int64]] = {}
        self._newest_ms = dict.fromkeys(universe, 0)
        self._revision = dict.fromkeys(universe, 0)
        self._subscribers: list[Callable[[TickBatch | GroupTick], None]] = []

    def subscribe(self, callback: Callable[[TickBatch | GroupTick], None]) -> Callable[[], None]:
        """Call `callback` with every batch from now on; the returned function ends it."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def put(self, batch: TickBatch) -> None:
        """Keep the samples of some symbols at one grid time."""
        self._arrived(batch.market, batch.ts_ms)
        self._symbols[batch.market].put(
            batch.rows,
            batch.ts_ms,
            best=batch.best,
            usd=batch.usd,
            coins=batch.coins,
            coverage=batch.coverage,
            unconfirmed=batch.unconfirmed,
        )
        for subscriber in tuple(self._subscribers):
            subscriber(batch)

    def put_groups(self, tick: GroupTick) -> None:
        """Keep all groups at one grid time."""
        self._arrived(tick.market, tick.ts_ms)
        depth = tick.depth
        self._totals[tick.market] = depth.total
        self._groups[tick.market].put(
            slice(None),
            tick.ts_ms,
            usd=depth.usd,
            coverage=depth.coverage,
            unconfirmed=depth.unconfirmed,
            ratio_mean=depth.ratio_mean,
            included=depth.included,
            ratio_count=depth.ratio_count,
            ratio_exact=depth.ratio_exact,
            exact=depth.exact,
        )
        for subscriber in tuple(self._subscribers):
            subscriber(tick)

    def _arrived(self, market: Market, ts_ms: int) -> None:
        if ts_ms < self._newest_ms[market]:
            self._symbols[market].clear()
            self._groups[market].clear()
        self._newest_ms[market] = ts_ms
        self._revision[market] += 1

    def revision(self, market: Market) -> int:
        """Return a number that moves with every batch of the market, -1 for a market that is not kept."""
        return self._revision.get(market, -1)

    def window(self, market: Market, symbol: str, since_ms: int = 0) -> TickWindow | None:
        """Return the ticks of one symbol, None for an unknown one."""
        row = self._row_of.get((market, symbol))
        if row is None:
            return None
        rings = self._symbols[market]
        times, slots = self._recent(market, rings, row, since_ms)
        fields = {name: values[row, slots] for name, values in rings.fields.items()}
        return TickWindow(ts_ms=times, **fields)

    def coin_window(self, market: Market, symbol: str, since_ms: int = 0) -> DepthWindow:
        """Return the ticks of one symbol as depth over time."""
        ticks = self.window(market, symbol, since_ms)
        if ticks is None:
            return DepthWindow.empty()
        return DepthWindow.of_coin(ticks.ts_ms, ticks.usd, ticks.coverage, ticks.unconfirmed)

    def group_window(self, market: Market, group: Group, since_ms: int = 0) -> DepthWindow:
        """Return the ticks of one group as depth over time; moments without any synced symbol are left out."""
        rings = self._groups.get(market)
        totals = self._totals.get(market)
        if rings is None or totals is None:
            return DepthWindow.empty()
        row = GROUPS.index(group)
        times, slots = self._recent(market, rings, row, since_ms)
        some = rings.fields["coverage"][row, slots][:, 0, 0] != Coverage.NONE
        times, slots = times[some], slots[some]
        fields = {name: values[row, slots] for name, values in rings.fields.items()}
        return DepthWindow(ts_ms=times, total=int(totals[row]), **fields)

    def _recent(
        self, market: Market, rings: _Rings, row: int, since_ms: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
        return rings.recent(row, max(since_ms, self._newest_ms[market] - self._span_ms))

    def nbytes(self) -> int:
        """Return the bytes the rings hold."""
        rings = (*self._symbols.values(), *self._groups.values())
        return sum(r.ts_ms.nbytes + sum(f.nbytes for f in r.fields.values()) for r in rings)
