"""The synchronous half of the history: what waits goes into the database, else onto the spool, else stays in memory.

Everything here runs on the history's one worker thread, except `take_*`, which only append to a queue.
"""

from __future__ import annotations

import logging
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import StorageError
from app.domain.health import FeedEvent
from app.portfolio.order_events import OrderRecords
from app.portfolio.pnl_minutes import PnlMinute
from app.storage.database import Database
from app.storage.minute_rows import pack_block, unpack_block
from app.storage.rows import MinuteBlock
from app.storage.spool import Spool
from app.storage.spooled import Waiting, events_frame, minute_frame, orders_frame, pnl_frame
from app.storage.troubles import Problem, Trouble, classify

_log = logging.getLogger("fathom.storage.history")

DATABASE_ERRORS: Final = (SQLAlchemyError, StorageError, ModuleNotFoundError, OSError)
_MAX_IN_MEMORY: Final = 240
_MAX_EVENTS: Final = 20_000
_MAX_METRICS: Final = 1_000
_MAX_PNL: Final = 20_000
_MAX_ORDERS: Final = 2_000
_BATCH: Final = 16


@dataclass(slots=True)
class HistoryHealth:
    """State of the history: `state` is opening, ok or a `Trouble`; reason is its sentence.

    written: minute blocks in the database. spooled: frames that wait on disk. in_memory: blocks that wait because
    neither takes them. dropped: blocks and frames that were lost to a limit. replaced: the name of a damaged file that
    was set aside ("" if none).
    """

    state: str = "opening"
    reason: str = ""
    written: int = 0
    spooled: int = 0
    in_memory: int = 0
    dropped: int = 0
    replaced: str = ""


class HistoryWriter:
    """Owns the database, the spool and the queues between them. Every take has an id: writing twice changes nothing."""

    def __init__(self, url: str, spool_dir: Path, spool_bytes: int) -> None:
        self.health = HistoryHealth()
        self.database = Database(url)
        self._spool_dir = spool_dir
        self._spool_bytes = spool_bytes
        self._spool: Spool | None = None
        self._suspect = False
        self._minutes: deque[bytes] = deque()
        self._events: deque[tuple[str, FeedEvent]] = deque(maxlen=_MAX_EVENTS)
        self._metrics: deque[tuple[int, dict[str, float]]] = deque(maxlen=_MAX_METRICS)
        self._pnl: deque[PnlMinute] = deque(maxlen=_MAX_PNL)
        self._orders: deque[OrderRecords] = deque(maxlen=_MAX_ORDERS)

    # -- any thread ----------------------------------------------------------------------------------------------

    def take_minute(self, block: MinuteBlock) -> None:
        """Queue a minute."""
        self._minutes.append(pack_block(block, uuid.uuid4().hex[:12]))

    def take_event(self, event: FeedEvent) -> None:
        """Queue an event."""
        self._events.append((uuid.uuid4().hex, event))

    def take_metrics(self, ts_ns: int, values: dict[str, float]) -> None:
        """Queue metrics; they are not worth spooling."""
        self._metrics.append((ts_ns, values))

    def take_pnl(self, row: PnlMinute) -> None:
        """Queue a minute of profit and loss."""
        self.health.dropped += len(self._pnl) == _MAX_PNL
        self._pnl.append(row)

    def take_orders(self, records: OrderRecords) -> None:
        """Queue orders and fills."""
        self.health.dropped += len(self._orders) == _MAX_ORDERS
        self._orders.append(records)

    # -- worker thread -------------------------------------------------------------------------------------------

    def work(self, *, retry: bool) -> None:
        """Write what waits. `retry`: also try a database that is in trouble. Never raises for the database."""
        if retry or self.health.state == "ok":
            try:
                if not self.database.is_open:
                    self.database.open(suspect=self._suspect)
                    self._suspect = False
                    self.health.replaced = self.database.replaced
                self._write_queues()
                if retry:
                    self._write_segment()
            except DATABASE_ERRORS as error:
                self.note_trouble(error)
            else:
                self._set(None)
        if self._minutes or self._events or self._pnl or self._orders:
            self._spool_queues()
        self.health.in_memory = len(self._minutes)

    def write_spooled(self) -> bool:
        """Write the oldest spool segment; tell whether there may be more to do."""
        try:
            return self.health.state == "ok" and self._write_segment()
        except DATABASE_ERRORS as error:
            self.note_trouble(error)
            return False

    def note_trouble(self, error: Exception) -> Problem:
        """Keep what an error means as the state; let go of a database that cannot even be read."""
        problem = classify(error, self.database.url)
        if self.health.state != problem.trouble.value:
            _log.warning("%s", problem.sentence)
        self._suspect = self._suspect or problem.trouble is Trouble.CORRUPT
        self._set(problem)
        if not problem.readable:
            self.database.close()
        return problem

    def close(self) -> None:
        """Write or spool what is left and let go of the database; one that is in trouble is not waited for."""
        self.work(retry=False)
        self.database.close()

    def _set(self, problem: Problem | None) -> None:
        self.health.state = "ok" if problem is None else problem.trouble.value
        self.health.reason = "" if problem is None else problem.sentence

    def open_spool(self) -> None:
        """Find what an earlier run left waiting."""
        try:
            self._spool = Spool(self._spool_dir, self._spool_bytes)
            self.health.spooled = self._spool.count
        except OSError as error:
            _log.warning("the spool folder %s cannot be used: %s", self._spool_dir, error.strerror or error)

    def _write_queues(self) -> None:
        while self._minutes:
            packed = [self._minutes[k] for k in range(min(_BATCH, len(self._minutes)))]
            self.database.write_minutes([unpack_block(raw) for raw in packed])
            for _ in packed:
                self._minutes.popleft()
            self.health.written += len(packed)
        if self._events:
            events = list(self._events)
            self.database.write_events(events)
            self._forget_events(events)
        if self._pnl:
            rows = list(self._pnl)
            self.database.write_pnl(rows)
            self._forget_pnl(rows)
        while self._orders:
            batch = self._orders[0]
            self.database.write_orders(batch)
            self._forget_orders(batch)
        while self._metrics:
            self.database.write_metrics(*self._metrics[0])
            self._metrics.popleft()

    def _forget_events(self, done: list[tuple[str, FeedEvent]]) -> None:
        """Take events off the queue; some may have fallen off its end meanwhile."""
        keys = {key for key, _ in done}
        while self._events and self._events[0][0] in keys:
            self._events.popleft()

    def _forget_pnl(self, done: list[PnlMinute]) -> None:
        """Take rows off the queue; some may have fallen off its end meanwhile."""
        while done and self._pnl:
            if self._pnl[0] is done[0]:
                self._pnl.popleft()
            done.pop(0)

    def _forget_orders(self, done: OrderRecords) -> None:
        """Take a batch off the queue, unless it has fallen off its end meanwhile."""
        if self._orders and self._orders[0] is done:
            self._orders.popleft()

    def _write_segment(self) -> bool:
        spool = self._spool
        if spool is None or not spool.segments:
            return False
        number = spool.segments[0]
        waiting = Waiting()
        for frame in spool.read(number):
            waiting.add(frame)
        for start in range(0, len(waiting.minutes), _BATCH):
            self.database.write_minutes(waiting.minutes[start : start + _BATCH])
        if waiting.events:
            self.database.write_events(waiting.events)
        if waiting.pnl:
            self.database.write_pnl(waiting.pnl)
        for batch in waiting.orders:
            self.database.write_orders(batch)
        spool.forget(number)
        self.health.written += len(waiting.minutes)
        self.health.dropped += waiting.unreadable
        self.health.spooled = spool.count
        return bool(spool.segments)

    def _spool_queues(self) -> None:
        """Put what waits onto the spool; without a disk for it keep a bounded part in memory."""
        spool = self._spool
        try:
            if spool is None:
                spool = self._spool = Spool(self._spool_dir, self._spool_bytes)
            before = spool.dropped
            while self._minutes:
                spool.append(minute_frame(self._minutes[0]))
                self._minutes.popleft()
            if self._events:
                events = list(self._events)
                spool.append(events_frame(events))
                self._forget_events(events)
            if self._pnl:
                rows = list(self._pnl)
                spool.append(pnl_frame(rows))
                self._forget_pnl(rows)
            while self._orders:
                batch = self._orders[0]
                spool.append(orders_frame(batch))
                self._forget_orders(batch)
            self.health.dropped += spool.dropped - before
            self.health.spooled = spool.count
        except OSError as error:
            _log.warning("the spool cannot take minutes: %s", error.strerror or error)
            while len(self._minutes) > _MAX_IN_MEMORY:
                self._minutes.popleft()
                self.health.dropped += 1
