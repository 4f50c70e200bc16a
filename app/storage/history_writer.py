"""The synchronous half of the history: what waits goes into the database, else onto the spool, else stays in memory.

Everything here runs on the history's one worker thread, except `take_*`, which only append to a queue.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import StorageError
from app.domain.health import FeedEvent
from app.portfolio.order_events import OrderRecords
from app.portfolio.pnl_minutes import PnlMinute
from app.storage.database import Database
from app.storage.minute_rows import pack_block, unpack_block
from app.storage.row_queue import RowQueue
from app.storage.rows import MinuteBlock
from app.storage.spool import Spool
from app.storage.spooled import KeyedEvent, Waiting, events_frame, minute_frame, orders_frame, pnl_frame
from app.storage.troubles import Problem, Trouble, classify

_log = logging.getLogger("fathom.storage.history")

_AFTER_BUG_S: Final = 60.0
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
        self._spool_again_s = 0.0
        self._suspect = False
        self._minutes: RowQueue[bytes] = RowQueue()
        self._events: RowQueue[KeyedEvent] = RowQueue(_MAX_EVENTS)
        self._metrics: RowQueue[tuple[int, dict[str, float]]] = RowQueue(_MAX_METRICS)
        self._pnl: RowQueue[PnlMinute] = RowQueue(_MAX_PNL)
        self._orders: RowQueue[OrderRecords] = RowQueue(_MAX_ORDERS)

    # -- any thread ----------------------------------------------------------------------------------------------

    def take_minute(self, block: MinuteBlock) -> None:
        """Queue a minute."""
        self._minutes.take(pack_block(block, uuid.uuid4().hex[:12]))

    def take_event(self, event: FeedEvent) -> None:
        """Queue an event."""
        self._events.take((uuid.uuid4().hex, event))

    def take_metrics(self, ts_ns: int, values: dict[str, float]) -> None:
        """Queue metrics; they are not worth spooling."""
        self._metrics.take((ts_ns, values))

    def take_pnl(self, row: PnlMinute) -> None:
        """Queue a minute of profit and loss."""
        self.health.dropped += self._pnl.take(row)

    def take_orders(self, records: OrderRecords) -> None:
        """Queue orders and fills."""
        self.health.dropped += self._orders.take(records)

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
            except Exception:  # one bad row must not take the others with it, nor end the writer
                _log.exception("the history could not write a batch; its rows are written one by one")
                self._write_singly()
            else:
                self._set(None)
        if self._minutes or self._events or self._pnl or self._orders:
            self._spool_queues()
        self.health.in_memory = len(self._minutes)

    def write_spooled(self) -> bool:
        """Write the oldest spool segment; tell whether there may be more to do."""
        try:
            may_write = self.health.state == "ok" and time.monotonic() >= self._spool_again_s
            return may_write and self._write_segment()
        except DATABASE_ERRORS as error:
            self.note_trouble(error)
        except Exception:
            self._spool_again_s = time.monotonic() + _AFTER_BUG_S
            _log.exception("the history could not write what was spooled; it stays there")
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
        self._minutes.pass_on(self._write_minutes, _BATCH)
        self._events.pass_on(self.database.write_events)
        self._pnl.pass_on(self.database.write_pnl)
        self._orders.pass_each(self.database.write_orders)
        self._metrics.pass_each(lambda values: self.database.write_metrics(*values))

    def _write_singly(self) -> None:
        """Write what waits row by row; a row that cannot be written by a bug is let go of, counted and logged."""
        database = self.database

        def each(queue: RowQueue[Any], write: Callable[[Any], None]) -> None:
            def try_row(row: Any) -> None:
                try:
                    write(row)
                except DATABASE_ERRORS:
                    raise
                except Exception:
                    self.health.dropped += 1
                    _log.exception("a row of the history cannot be written and is left out")

            queue.pass_each(try_row)

        try:
            each(self._minutes, lambda row: self._write_minutes([row]))
            each(self._events, lambda row: database.write_events([row]))
            each(self._pnl, lambda row: database.write_pnl([row]))
            each(self._orders, database.write_orders)
            each(self._metrics, lambda values: database.write_metrics(*values))
        except DATABASE_ERRORS as error:
            self.note_trouble(error)

    def _write_minutes(self, packed: list[bytes]) -> None:
        self.database.write_minutes([unpack_block(raw) for raw in packed])
        self.health.written += len(packed)

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
        try:
            spool = self._spool = self._spool or Spool(self._spool_dir, self._spool_bytes)
            before = spool.dropped
            self._minutes.pass_each(lambda packed: spool.append(minute_frame(packed)))
            self._events.pass_on(lambda events: spool.append(events_frame(events)))
            self._pnl.pass_on(lambda rows: spool.append(pnl_frame(rows)))
            self._orders.pass_each(lambda records: spool.append(orders_frame(records)))
            self.health.dropped += spool.dropped - before
            self.health.spooled = spool.count
        except OSError as error:
            _log.warning("the spool cannot take minutes: %s", error.strerror or error)
            self.health.dropped += self._minutes.shrink(_MAX_IN_MEMORY)
