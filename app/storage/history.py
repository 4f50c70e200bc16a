"""The minute history as the program uses it: asynchronous, never in the way, and losing nothing while it is away.

Work is handed to one worker thread. What the database cannot take goes to the spool on disk, and when the disk is full
too, to a bounded list in memory; it is written when the database is back. Every block and event carries an id, so that
writing it twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from app.domain.clock import Clock
from app.domain.coverage import Coverage
from app.domain.errors import StorageError
from app.domain.health import FeedEvent, FeedEventKind
from app.domain.ids import Market
from app.indicators.groups import Group
from app.indicators.window import BANDS, DepthWindow
from app.storage.database import Database, Problem, Trouble, classify
from app.storage.minute_rows import pack_block, unpack_block
from app.storage.rows import MinuteBlock
from app.storage.spool import Spool

_log = logging.getLogger("fathom.storage.history")
_T = TypeVar("_T")

_RETRY_S: Final = (2.0, 5.0, 10.0, 30.0)
_MAX_IN_MEMORY: Final = 240
_BATCH: Final = 60


@dataclass(slots=True)
class HistoryHealth:
    """State of the history: `state` is ok, opening or a `Trouble`; counts of what waits and what was lost."""

    state: str = "opening"
    reason: str = ""
    written: int = 0
    spooled: int = 0
    in_memory: int = 0
    dropped: int = 0


class _Event(msgspec.Struct):
    id: str
    ts_ns: int
    source: str
    kind: str
    symbol: str | None
    text: str


class History:
    """Minutes, feed events and metrics of a profile.

    on_note gets the sentence that must stay on screen while something is wrong, and None when it is mended. on_notice
    gets sentences that are said once.
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
        self.health = HistoryHealth()
        self._database = Database(url)
        self._spool_dir = spool_dir
        self._spool_bytes = spool_bytes
        self._spool: Spool | None = None
        self._clock = clock
        self._on_note = on_note
        self._on_notice = on_notice
        self._retry_s = retry_s
        self._failures = 0
        self._pending: deque[bytes] = deque()
        self._events: deque[tuple[str, FeedEvent]] = deque(maxlen=20_000)
        self._metrics: deque[tuple[int, dict[str, float]]] = deque(maxlen=1000)
        self._wake = asyncio.Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the database (or begin to spool) and start the writer. Never raises for a database that is away."""
        await self._do(self._open_spool)
        await self._attempt(self._reopen)
        self._task = asyncio.create_task(self._write_for_ever(), name="history writer")

    async def close(self) -> None:
        """Write or spool what is left and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self.flush()
        await self._do(self._database.close)
        self._worker.shutdown(wait=True)

    def write_minute(self, block: MinuteBlock) -> None:
        """Take a minute; returns at once."""
        self._pending.append(pack_block(block, uuid.uuid4().hex[:12]))
        self._wake.set()

    def write_event(self, event: FeedEvent) -> None:
        """Take a feed event; returns at once."""
        self._events.append((uuid.uuid4().hex, event))
        self._wake.set()

    def write_metrics(self, ts_ns: int, values: dict[str, float]) -> None:
        """Take system metrics of one moment; returns at once."""
        self._metrics.append((ts_ns, values))
        self._wake.set()

    async def flush(self) -> None:
        """Bring everything taken so far into the database, else onto the spool."""
        if not self._database.is_open:
            await self._attempt(self._reopen)
        await self._drain()

    # -- writing -------------------------------------------------------------------------------------------------

    async def _write_for_ever(self) -> None:
        while True:
            pause = None
            if self.health.state != "ok":
                pause = self._retry_s[min(self._failures, len(self._retry_s)) - 1] if self._failures else 0.0
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                await self._attempt(self._reopen)
            self._wake.clear()
            await self._drain()
            if self.health.state != "ok":
                self._wake.clear()
            await asyncio.sleep(0.2)  # gather what comes together

    async def _drain(self) -> None:
        if self._database.is_open:
            await self._attempt(self._write_pending)
        if self._pending or self._events:
            await self._do(self._spool_pending)
        self._tell()

    def _open_spool(self) -> None:
        try:
            self._spool = Spool(self._spool_dir, self._spool_bytes)
            self.health.spooled = self._spool.count
        except OSError as error:
            _log.warning("the spool folder %s cannot be used: %s", self._spool_dir, error)

    def _reopen(self) -> None:
        self._database.open()
        self._replay_spool()

    def _replay_spool(self) -> None:
        spool = self._spool
        if spool is None or not spool.count:
            return
        batch: list[tuple[MinuteBlock, str]] = []
        events: list[tuple[str, FeedEvent]] = []
        for payload in spool:
            if payload[:1] == b"E":
                events += _unpack_events(payload[1:])
                continue
            try:
                batch.append(unpack_block(payload[1:]))
            except StorageError as error:
                self.health.dropped += 1
                _log.warning("%s", error)
            if len(batch) >= _BATCH:
                self._database.write_minutes(batch)
                batch.clear()
        if batch:
            self._database.write_minutes(batch)
        self._database.write_events(events)
        self.health.written += spool.count
        spool.clear()
        self.health.spooled = 0

    def _write_pending(self) -> None:
        while self._pending:
            raws = [self._pending[i] for i in range(min(_BATCH, len(self._pending)))]
            self._database.write_minutes([unpack_block(raw) for raw in raws])
            for _ in raws:
                self._pending.popleft()
            self.health.written += len(raws)
        while self._events:
            events = [self._events[i] for i in range(min(500, len(self._events)))]
            self._database.write_events(events)
            for _ in events:
                self._events.popleft()
        while self._metrics:
            ts_ns, values = self._metrics[0]
            self._database.write_metrics(ts_ns, values)
            self._metrics.popleft()
        self.health.in_memory = 0

    def _spool_pending(self) -> None:
        """Put what waits onto the spool; without a disk for it keep a bounded part in memory."""
        spool = self._spool
        self._metrics.clear()
        try:
            if spool is None:
                raise OSError("no spool")
            before = spool.dropped
            while self._pending:
                spool.append(b"M" + self._pending[0])
                self._pending.popleft()
            if self._events:
                spool.append(b"E" + _pack_events(list(self._events)))
                self._events.clear()
            self.health.dropped += spool.dropped - before
            self.health.spooled = spool.count
        except OSError as error:
            _log.warning("the spool cannot take minutes: %s", error)
            while len(self._pending) > _MAX_IN_MEMORY:
                self._pending.popleft()
                self.health.dropped += 1
        self.health.in_memory = len(self._pending)

    async def _attempt(self, work: Callable[[], None]) -> None:
        """Run database work; a failure becomes the state, a sentence and a later try."""
        try:
            await self._do(work)
        except (SQLAlchemyError, StorageError, ModuleNotFoundError, OSError) as error:
            problem = classify(error, self._database.url)
            if problem.trouble is not Trouble.AWAY or self._failures == 0:
                _log.warning("%s", problem.sentence)
            self._failures += 1
            self._set(problem)
            await self._do(self._database.close)
        else:
            self._failures = 0
            self._set(None)
        notes = self._database.notes
        while notes:
            self._on_notice(notes.pop(0))

    def _set(self, problem: Problem | None) -> None:
        self.health.state = "ok" if problem is None else problem.trouble.value
        self.health.reason = "" if problem is None else problem.sentence

    def _tell(self) -> None:
        health = self.health
        if health.state == "ok":
            self._on_note(None)
            return
        waiting = f"{health.spooled} minutes and event lists wait on disk" if health.spooled else "nothing waits yet"
        if health.in_memory:
            waiting += f", {health.in_memory} in memory because the disk takes nothing"
        if health.dropped:
            waiting += f", {health.dropped} had to be dropped"
        self._on_note(f"{health.reason} Minutes are kept and written later: {waiting}.")

    async def _do(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    # -- reading -------------------------------------------------------------------------------------------------

    async def read_coin(self, market: Market, symbol: str, start_ms: int, end_ms: int) -> DepthWindow:
        """Return the minutes of one symbol with start_ms <= ts_ms < end_ms; raise StorageError when it is away."""
        rows = await self._read(lambda: self._database.read_symbol(market, symbol, start_ms, end_ms))
        coverage = np.full(rows.usd.shape, Coverage.PARTIAL, np.uint8)
        coverage[rows.exact] = Coverage.EXACT
        coverage[np.isnan(rows.usd)] = Coverage.NONE
        return DepthWindow.of_coin(rows.minute_ms, rows.usd, coverage, np.nan_to_num(rows.unconfirmed))

    async def read_group(self, market: Market, group: Group, start_ms: int, end_ms: int, total: int) -> DepthWindow:
        """Return the minutes of one group of `total` symbols; raise StorageError when the database is away."""
        rows = await self._read(lambda: self._database.read_group(market, group, start_ms, end_ms))
        included, totals = (np.nan_to_num(rows[:, i]).astype(np.int64) for i in (2, 3))
        bands = rows[:, 4 : 4 + 6 * BANDS].reshape(-1, 3, 2, BANDS)
        usd, unconfirmed, exact = bands[:, 0], bands[:, 1], np.nan_to_num(bands[:, 2]).astype(np.int64)
        ratios = rows[:, 4 + 6 * BANDS :].reshape(-1, 3, BANDS)
        coverage = np.full(usd.shape, Coverage.PARTIAL, np.uint8)
        whole = (totals > 0) & (included == totals)
        coverage[(exact == totals[:, None, None]) & whole[:, None, None]] = Coverage.EXACT
        coverage[np.isnan(usd)] = Coverage.NONE
        return DepthWindow(
            ts_ms=rows[:, 0].astype(np.int64),
            usd=usd,
            coverage=coverage,
            unconfirmed=np.nan_to_num(unconfirmed),
            ratio_mean=ratios[:, 0],
            included=included,
            ratio_count=np.nan_to_num(ratios[:, 1]).astype(np.int64),
            ratio_exact=np.nan_to_num(ratios[:, 2]).astype(np.int64),
            exact=exact,
            total=total,
        )

    async def _read(self, work: Callable[[], _T]) -> _T:
        if not self._database.is_open:
            raise StorageError(self.health.reason or "The database is not open yet.")
        try:
            return await self._do(work)
        except SQLAlchemyError as error:
            raise StorageError(classify(error, self._database.url).sentence) from error


def _pack_events(events: list[tuple[str, FeedEvent]]) -> bytes:
    return msgspec.msgpack.encode([_Event(k, e.ts_ns, e.source, e.kind.value, e.symbol, e.text) for k, e in events])


def _unpack_events(raw: bytes) -> list[tuple[str, FeedEvent]]:
    try:
        return [
            (e.id, FeedEvent(ts_ns=e.ts_ns, source=e.source, kind=FeedEventKind(e.kind), symbol=e.symbol, text=e.text))
            for e in msgspec.msgpack.decode(raw, type=list[_Event])
        ]
    except (msgspec.MsgspecError, ValueError) as error:
        _log.warning("spooled events cannot be read: %s", error)
        return []
