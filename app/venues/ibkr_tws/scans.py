"""Server-side scanners: subscribed once a connection, their rows told when they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import ib_async

from app.domain.account import ScanSeen
from app.domain.health import FeedEventKind
from app.venues.broker import ScanRequest
from app.venues.ibkr_tws.convert import scanned
from app.venues.ibkr_tws.errors import HISTORY, SCAN_EMPTY
from app.venues.ibkr_tws.outbox import Outbox
from app.venues.ibkr_tws.readonly import ReadOnlyTws

_MOST: Final = 10
_ROWS: Final = 50


class Scans:
    """The scanners that are wanted, and those that run."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._tws: ReadOnlyTws | None = None
        self._wanted: dict[str, ScanRequest] = {}
        self._running: dict[str, tuple[ScanRequest, ib_async.ScanDataList]] = {}

    def want(self, scans: Sequence[ScanRequest]) -> None:
        """Run exactly these; TWS allows ten."""
        if len(scans) > _MOST:
            self._outbox.log(FeedEventKind.NOTICE, f"TWS runs {_MOST} scanners at most; {len(scans)} were asked for")
        self._wanted = {scan.id: scan for scan in scans[:_MOST]}
        self._sync()

    def attach(self, tws: ReadOnlyTws) -> None:
        """Begin all on a new connection."""
        self._tws = tws
        self._sync()

    def detach(self) -> None:
        """Forget what ran: the connection is gone."""
        self._tws = None
        self._running.clear()

    def restart(self) -> None:
        """Begin all anew on the same connection: TWS has lost them."""
        self._end(list(self._running))
        self._sync()

    def _end(self, names: Sequence[str]) -> None:
        for name in names:
            _, rows = self._running.pop(name)
            if self._tws is not None:
                self._tws.end_scan(rows)

    def _sync(self) -> None:
        if self._tws is None:
            return
        self._end([name for name, (scan, _) in self._running.items() if self._wanted.get(name) != scan])
        for name, scan in self._wanted.items():
            if name not in self._running:
                subscription = ib_async.ScannerSubscription(
                    numberOfRows=min(max(scan.rows, 1), _ROWS),
                    instrument=scan.instrument,
                    locationCode=scan.location,
                    scanCode=scan.code,
                )
                if scan.price_above is not None:
                    subscription.abovePrice = scan.price_above
                self._running[name] = (scan, self._tws.start_scan(subscription))

    def on_rows(self, rows: ib_async.ScanDataList) -> None:
        """Take the rows of a scanner."""
        for name, (_, running) in self._running.items():
            if running is rows:
                self._outbox.put(ScanSeen(name, scanned(rows)))

    def on_message(self, request: int, code: int, text: str) -> bool:
        """Take a message; return whether it was about a scanner. One that finds nothing has no rows."""
        for name, (_, running) in list(self._running.items()):
            if running.reqId != request:
                continue
            if code in (SCAN_EMPTY, HISTORY):
                self._outbox.put(ScanSeen(name, ()))
            else:
                self._outbox.log(FeedEventKind.ERROR, f"scanner {name}: TWS {code}: {text}")
            return True
        return False
