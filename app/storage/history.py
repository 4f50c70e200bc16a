"""The minute history as the program uses it: asynchronous, never in the way, and losing nothing while it is away.

Work is handed to one worker thread. What the database cannot take goes to the spool on disk, and when the disk is full
too, to a bounded list in memory; it is written when the database is back. Every block and event carries an id, so that
writing it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from app.domain.clock import Clock
from app.domain.coverage import Coverage
from app.domain.errors import StorageError
from app.domain.health import FeedEvent
from app.domain.ids import Market
from app.domain.units import NS_PER_S
from app.indicators.groups import Group
from app.indicators.window import DepthWindow
from app.portfolio.order_events import OrderQuery, OrderRecords
from app.portfolio.pnl_minutes import PnlMinute
from app.storage.history_writer import DATABASE_ERRORS, HistoryHealth, HistoryWriter
from app.storage.rows import MinuteBlock

_log = logging.getLogger("fathom.storage.history")
_T = TypeVar("_T")

_RETRY_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_GATHER_S: Final = 0.1
_OPENING_S: Final = 5.0
_STALL_NS: Final = 8 * NS_PER_S
_WATCH_S: Final = 1.0
_CLOSE_S: Final = 1.5


class History:
    """Minutes, feed events and metrics of a profile.

    on_note gets the sentence that must stay on screen while something is wrong, and None when it is mended; on_notice
    gets sentences that are said once. Both are called on the loop's thread. retry_s: pauses between tries of a database
    that is away.
    """

    def __init__(
        self,
        url: str,
        spool_dir: Path,
        clock: Clock,
        *,
        spool_bytes: int = 256 * 1024 * 1024,
        on_note: Callable[[str | None], None] = lambda _text: None,
        on_notice: Callable[[str], None] = lambda _text: None,
        retry_s: tuple[float, ...] = _RETRY_S,
    ) -> None:
        self._writer = HistoryWriter(url, spool_dir, spool_bytes)
        self._clock = clock
        self._on_note = on_note
        self._on_notice = on_notice
        self._note: str | None = None
        self._retry_s = retry_s
        self._failures = 0
        self._retry_at_ns = 0
        self._began_ns: int | None = None
        """Monotonic time at which the worker began what it does now."""
        self._wake = asyncio.Event()
        self._opened = asyncio.Event()
        self._busy = asyncio.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def health(self) -> HistoryHealth:
        """Return the live state and counters."""
        return self._writer.health

    # -- life ----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the database (or begin to spool) and start the writer. Never raises for a database that is away."""
        self._tasks = [
            asyncio.create_task(self._write_for_ever(), name="history writer"),
            asyncio.create_task(self._watch_for_stalls(), name="history watch"),
        ]
        await self._do(self._writer.open_spool)
        await self._write(retry=True)
        self._opened.set()

    async def close(self) -> None:
        """Write or spool what is left and end, in about two seconds even when the database does not answer."""
        if self._closed:
            return
        self._closed = True
        self._opened.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        last = asyncio.ensure_future(self._do(self._writer.close))
        done, _ = await asyncio.wait({last}, timeout=_CLOSE_S)
        while not done:
            self._writer.database.abort()
            done, _ = await asyncio.wait({last}, timeout=_CLOSE_S)
        self._worker.shutdown(wait=True)
        self._say()
        last.result()

    def write_minute(self, block: MinuteBlock) -> None:
        """Take a minute; returns at once."""
        self._writer.take_minute(block)
        self._wake.set()

    def write_event(self, event: FeedEvent) -> None:
        """Take a feed event; returns at once."""
        self._writer.take_event(event)
        self._wake.set()

    def write_metrics(self, ts_ns: int, values: dict[str, float]) -> None:
        """Take system metrics of one moment; returns at once."""
        self._writer.take_metrics(ts_ns, values)
        self._wake.set()

    def write_pnl(self, row: PnlMinute) -> None:
        """Take a minute of an account's profit and loss; returns at once."""
        self._writer.take_pnl(row)
        self._wake.set()

    def write_orders(self, records: OrderRecords) -> None:
        """Take orders and fills; returns at once."""
        self._writer.take_orders(records)
        self._wake.set()

    async def flush(self) -> None:
        """Bring everything taken so far, and what was spooled, into the database, else onto the spool."""
        await self._write(retry=True)
        await self._write_spooled()

    # -- writing -------------------------------------------------------------------------------------------------

    async def _write_for_ever(self) -> None:
        await self._opened.wait()
        while True:
            await self._write_spooled()
            await self._something_to_do()
            await asyncio.sleep(_GATHER_S)  # what comes together is written together
            self._wake.clear()
            await self._write(retry=self._due())

    def _due(self) -> bool:
        return self.health.state != "ok" and self._clock.monotonic_ns() >= self._retry_at_ns

    async def _something_to_do(self) -> None:
        if self.health.state == "ok":
            await self._wake.wait()
            return
        pause_s = max(0.0, (self._retry_at_ns - self._clock.monotonic_ns()) / NS_PER_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), pause_s)

    async def _write(self, *, retry: bool) -> None:
        async with self._busy:
            was_ok = self.health.state == "ok"
            await self._do(lambda: self._writer.work(retry=retry))
            if self.health.state == "ok":
                self._failures = 0
            elif retry or was_ok:
                pause_s = self._retry_s[min(self._failures, len(self._retry_s) - 1)]
                self._retry_at_ns = self._clock.monotonic_ns() + int(pause_s * NS_PER_S)
                self._failures += 1
            self._say()

    async def _write_spooled(self) -> None:
        """Write the spool a segment at a time, so that reads and new minutes come in between."""
        more = self.health.spooled > 0
        while more:
            async with self._busy:
                more = await self._do(self._writer.write_spooled)
                self._say()

    async def _watch_for_stalls(self) -> None:
        """End a statement that a frozen server does not answer; the database is then away and tried again later."""
        while True:
            await asyncio.sleep(_WATCH_S)
            began_ns = self._began_ns
            if began_ns is not None and self._clock.monotonic_ns() - began_ns > _STALL_NS:
                self._writer.database.abort()

    async def _do(self, work: Callable[[], _T]) -> _T:
        def timed() -> _T:
            self._began_ns = self._clock.monotonic_ns()
            try:
                return work()
            finally:
                self._began_ns = None

        return await asyncio.get_running_loop().run_in_executor(self._worker, timed)

    def _say(self) -> None:
        """Tell the screen what holds now, when it is not what it shows already."""
        notes = self._writer.database.notes
        while notes:
            self._on_notice(notes.pop(0))
        note = None if self.health.state == "ok" else _sentence(self.health)
        if note != self._note:
            self._note = note
            self._on_note(note)

    # -- reading -------------------------------------------------------------------------------------------------

    async def read_coin(self, market: Market, symbol: str, start_ms: int, end_ms: int) -> DepthWindow:
        """Return the minutes of one symbol with start_ms <= ts_ms < end_ms; raise StorageError when it is away."""
        rows = await self._read(lambda: self._writer.database.read_symbol(market, symbol, start_ms, end_ms))
        coverage = np.where(rows.exact, np.uint8(Coverage.EXACT), np.uint8(Coverage.PARTIAL))
        coverage[np.isnan(rows.usd)] = Coverage.NONE
        return DepthWindow.of_coin(rows.minute_ms, rows.usd, coverage, rows.unconfirmed)

    async def read_group(self, market: Market, group: Group, start_ms: int, end_ms: int, total: int) -> DepthWindow:
        """Return the minutes of one group of `total` symbols; raise StorageError when the database is away."""
        rows = await self._read(lambda: self._writer.database.read_group(market, group, start_ms, end_ms))
        totals = rows.total[:, None, None]
        whole = (rows.exact == totals) & (rows.included[:, None, None] == totals) & (totals > 0)
        coverage = np.where(whole, np.uint8(Coverage.EXACT), np.uint8(Coverage.PARTIAL))
        coverage[np.isnan(rows.usd)] = Coverage.NONE
        return DepthWindow(
            ts_ms=rows.minute_ms,
            usd=rows.usd,
            coverage=coverage,
            unconfirmed=rows.unconfirmed,
            ratio_mean=rows.ratio_mean,
            included=rows.included,
            ratio_count=rows.ratio_count,
            ratio_exact=rows.ratio_exact,
            exact=rows.exact,
            total=total,
        )

    async def read_pnl(self, source: str, account: str, start_ms: int, end_ms: int) -> tuple[PnlMinute, ...]:
        """Return the minutes of one account's profit and loss with start_ms <= minute < end_ms, oldest first; raise
        StorageError when the database is away."""
        return await self._read(lambda: self._writer.database.read_pnl(source, account, start_ms, end_ms))

    async def read_orders(self, query: OrderQuery) -> OrderRecords:
        """Return stored orders and fills; raise StorageError when the database is away."""
        return await self._read(lambda: self._writer.database.read_orders(query))

    async def _read(self, work: Callable[[], _T]) -> _T:
        if not self._opened.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._opened.wait(), _OPENING_S)
        if self._closed or not self._writer.database.is_open:
            raise StorageError(self.health.reason or "The database is not open.")
        try:
            return await self._do(work)
        except StorageError:
            raise
        except DATABASE_ERRORS as error:
            problem = await self._do(lambda found=error: self._writer.note_trouble(found))  # type: ignore[misc]
            self._wake.set()
            raise StorageError(problem.sentence) from error


def _sentence(health: HistoryHealth) -> str:
    parts = []
    if health.spooled:
        parts.append(f"{health.spooled} wait on disk")
    if health.in_memory:
        parts.append(f"{health.in_memory} wait in memory because the disk takes nothing")
    if health.dropped:
        parts.append(f"{health.dropped} had to be dropped")
    waiting = f": {', '.join(parts)}" if parts else ""
    return f"{health.reason} Minutes are kept and written later{waiting}."
