"""From values that move to frames that many clients share.

What can be subscribed to is a topic. Once a tick the hub reads the revisions of all topics in use and stamps those that
moved with the tick's number. A client holds no values of its own: the number of the last tick it was given stands for
all it has seen, so a slow client's next frame carries the newest value of everything that changed meanwhile, and never
more than that. Clients with the same topics that were given the same tick get the very same bytes, built once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from app.domain.ids import Venue
from app.server import wire
from app.server.ports import BookKey, IndicatorKey, ServerData

SNAPSHOT_LEVELS: Final = 20
NO_ACCOUNT: Final = "account data leaves the program only with server.share_account switched on"
_SLOW_S: Final = 0.99
_ALERT_TICKS: Final = 100
"""Ticks with alerts that are kept for clients that are behind: more than a slow client is allowed to miss."""


class RowTopic(NamedTuple):
    """Changes of one instrument's row."""

    row: int


class TickTopic(NamedTuple):
    """Depth of one book."""

    book: BookKey


class SnapshotTopic(NamedTuple):
    """One book with its best levels, at most once a second."""

    book: BookKey
    levels: int = SNAPSHOT_LEVELS


class IndicatorTopic(NamedTuple):
    """One indicator."""

    key: IndicatorKey


class StatusTopic(NamedTuple):
    """Feeds, mode and notes, once a second: also the sign of life of a quiet market."""

    name: str = "status"


class PortfolioTopic(NamedTuple):
    """The account, once a second, where its owner has switched that on."""

    name: str = "portfolio"


class AlertTopic(NamedTuple):
    """Alerts as they happen."""

    name: str = "alerts"


Topic = RowTopic | TickTopic | SnapshotTopic | IndicatorTopic | StatusTopic | PortfolioTopic | AlertTopic


@dataclass(slots=True)
class _Stamp:
    """A topic's revision and the tick at which it last moved."""

    revision: int
    tick: int


@dataclass(slots=True)
class Bundle:
    """A set of topics and how many clients have exactly these. blobs: this tick's frames, by the tick given last."""

    topics: frozenset[Topic]
    rows: tuple[RowTopic, ...]
    others: tuple[Topic, ...]
    users: int = 0
    blobs: dict[int, tuple[bytes, int]] = field(default_factory=dict)


class Hub:
    """All topics in use and the frames of the present tick."""

    def __init__(self, data: ServerData) -> None:
        self._data = data
        self._use: Counter[Topic] = Counter()
        self._stamps: dict[Topic, _Stamp] = {}
        self._bundles: dict[frozenset[Topic], Bundle] = {}
        self._venues: dict[int, Venue] = {}
        self._rows: dict[int, bytes] = {}
        self._frames: dict[Topic, bytes] = {}
        self._alerts: list[tuple[int, bytes]] = []
        self._slow_at = float("-inf")
        self.tick = 0

    # -- who wants what ------------------------------------------------------------------------------------------

    def join(self, topics: frozenset[Topic]) -> Bundle:
        """Return the bundle of these topics for one more client; `leave` undoes it."""
        bundle = self._bundles.get(topics)
        if bundle is None:
            rows = tuple(sorted(topic for topic in topics if isinstance(topic, RowTopic)))
            others = tuple(sorted((t for t in topics if not isinstance(t, RowTopic)), key=repr))
            bundle = self._bundles[topics] = Bundle(topics, rows, others)
            for topic in topics:
                self._use[topic] += 1
                if topic not in self._stamps:
                    self._stamps[topic] = _Stamp(self._revision(topic), self.tick)
                    if isinstance(topic, RowTopic):
                        self._venues[topic.row] = self._data.row_market(topic.row).venue
        bundle.users += 1
        return bundle

    def leave(self, bundle: Bundle) -> None:
        """Take one client from a bundle; what nobody wants is no longer looked at."""
        bundle.users -= 1
        if bundle.users:
            return
        del self._bundles[bundle.topics]
        for topic in bundle.topics:
            self._use[topic] -= 1
            if not self._use[topic]:
                del self._use[topic]
                del self._stamps[topic]
                if isinstance(topic, RowTopic):
                    del self._venues[topic.row]

    def counts(self) -> tuple[int, int]:
        """Return how many topics and bundles are in use."""
        return len(self._stamps), len(self._bundles)

    # -- ticks ---------------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """Begin a tick at a monotonic time in seconds: find out what has changed since the last one."""
        self.tick += 1
        self._rows.clear()
        self._frames.clear()
        for bundle in self._bundles.values():
            bundle.blobs.clear()
        slow = now - self._slow_at >= _SLOW_S
        if slow:
            self._slow_at = now
        numbers: list[int] = []
        stamps: list[_Stamp] = []
        for topic, stamp in self._stamps.items():
            if isinstance(topic, RowTopic):
                numbers.append(topic.row)
                stamps.append(stamp)
                continue
            if isinstance(topic, SnapshotTopic | StatusTopic | PortfolioTopic) and not slow:
                continue
            self._restamp(topic, stamp)
        for stamp, revision in zip(stamps, self._data.row_revisions(numbers) if numbers else (), strict=True):
            if revision != stamp.revision:
                stamp.revision, stamp.tick = revision, self.tick

    def _restamp(self, topic: Topic, stamp: _Stamp) -> None:
        if isinstance(topic, StatusTopic | PortfolioTopic):
            stamp.tick = self.tick
            return
        revision = self._revision(topic)
        if revision == stamp.revision:
            return
        if isinstance(topic, AlertTopic):
            frames = [wire.message("alert", alert) for alert in self._data.alerts_since(stamp.revision)]
            self._alerts.append((self.tick, b"".join(frames)))
            del self._alerts[:-_ALERT_TICKS]
        stamp.revision, stamp.tick = revision, self.tick

    def _revision(self, topic: Topic) -> int:
        data = self._data
        if isinstance(topic, RowTopic):
            return data.row_revisions((topic.row,))[0]
        if isinstance(topic, TickTopic | SnapshotTopic):
            return data.book_revision(topic.book)
        if isinstance(topic, IndicatorTopic):
            return data.indicator_revision(topic.key)
        return data.alerts_seq() if isinstance(topic, AlertTopic) else 0

    # -- frames --------------------------------------------------------------------------------------------------

    def changes(self, bundle: Bundle, since: int) -> tuple[bytes, int]:
        """Return the frames of what changed after tick `since`, one behind the other, and how many they are."""
        found = bundle.blobs.get(since)
        if found is None:
            changed = [topic.row for topic in bundle.rows if self._stamps[topic].tick > since]
            self._encode_rows(changed)
            frames = self._row_frames("market_data", changed, self._rows)
            for topic in bundle.others:
                if isinstance(topic, AlertTopic):
                    frames += [blob for tick, blob in self._alerts if tick > since]
                elif self._stamps[topic].tick > since:
                    frames.append(self._frame(topic))
            found = bundle.blobs[since] = (b"".join(frames), len(frames))
        return found

    def present(self, topics: Iterable[Topic]) -> list[bytes]:
        """Return frames of the present values: `initial_data` per venue for rows, an event for each other topic."""
        wanted = list(topics)
        numbers = sorted(topic.row for topic in wanted if isinstance(topic, RowTopic))
        encoded = [wire.encode(fields) for fields in self._data.rows(numbers)] if numbers else []
        frames = self._row_frames("initial_data", numbers, dict(zip(numbers, encoded, strict=True)))
        frames += [self._build(topic) for topic in wanted if not isinstance(topic, RowTopic | AlertTopic)]
        return frames

    def _encode_rows(self, numbers: Iterable[int]) -> None:
        missing = [row for row in numbers if row not in self._rows]
        if missing:
            for row, fields in zip(missing, self._data.rows(missing), strict=True):
                self._rows[row] = wire.encode(fields)

    def _row_frames(self, kind: str, numbers: Sequence[int], encoded: Mapping[int, bytes]) -> list[bytes]:
        by_venue: dict[Venue, list[bytes]] = {}
        for row in numbers:
            by_venue.setdefault(self._venues[row], []).append(encoded[row])
        now_ms = self._data.now_ms()
        return [wire.rows_message(kind, venue, now_ms, rows) for venue, rows in by_venue.items()]

    def _frame(self, topic: Topic) -> bytes:
        found = self._frames.get(topic)
        if found is None:
            found = self._frames[topic] = self._build(topic)
        return found

    def _build(self, topic: Topic) -> bytes:
        data = self._data
        if isinstance(topic, TickTopic):
            return wire.message("tick", data.tick(topic.book))
        if isinstance(topic, SnapshotTopic):
            return wire.message("snapshot", data.snapshot(topic.book, topic.levels))
        if isinstance(topic, IndicatorTopic):
            return wire.message("indicator", data.indicator(topic.key))
        if isinstance(topic, PortfolioTopic):
            return wire.message("portfolio", portfolio_fields(data))
        return wire.message("status", status_fields(data))


def status_fields(data: ServerData) -> dict[str, Any]:
    """Return what a screen shows besides numbers: mode, time, feeds and notes."""
    return {**data.about(), "time": data.now_ms(), **data.status()}


def portfolio_fields(data: ServerData | None) -> dict[str, Any]:
    """Return the account for other programs, or that and why there is none. data None: it may not be shown."""
    account = None if data is None else data.portfolio()
    if account is not None:
        return {"available": True, **account}
    return {"available": False, "message": NO_ACCOUNT if data is None else "no account is connected"}
