"""A bug in the writer of the history: what waits is spooled, the writer goes on, and nothing is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.health import FeedEvent, FeedEventKind
from app.storage.database import sqlite_url
from app.storage.history_writer import HistoryWriter


def event(text: str) -> FeedEvent:
    return FeedEvent(ts_ns=1, source="ibkr.tws", kind=FeedEventKind.NOTICE, symbol=None, text=text)


def stored(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM feed_events ORDER BY text")]


def test_a_bug_while_writing_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "history.sqlite"
    writer = HistoryWriter(sqlite_url(path), tmp_path / "spool", 1_000_000)
    writer.open_spool()
    writer.work(retry=True)
    real = writer.database.write_events

    def broken(_events: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(writer.database, "write_events", broken)
    writer.take_event(event("first"))
    writer.work(retry=False)
    assert writer.health.spooled == 1
    assert not writer.write_spooled()
    assert stored(path) == []
    assert "spooled" in caplog.text
    monkeypatch.setattr(writer.database, "write_events", real)
    writer.take_event(event("second"))
    writer.work(retry=False)
    writer._spool_again_s = 0.0
    writer.write_spooled()
    writer.close()
    assert stored(path) == ["first", "second"]
