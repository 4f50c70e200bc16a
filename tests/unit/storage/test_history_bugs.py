"""An unforeseen error in the writer of the history: it goes on, and only a row that cannot be written is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blocks import minute_block

from app.domain.health import FeedEvent, FeedEventKind
from app.storage.database import sqlite_url
from app.storage.history_writer import HistoryWriter


def event(text: str) -> FeedEvent:
    return FeedEvent(ts_ns=1, source="ibkr.tws", kind=FeedEventKind.NOTICE, symbol=None, text=text)


def stored(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM feed_events ORDER BY text")]


@pytest.fixture
def writer(tmp_path: Path) -> HistoryWriter:
    made = HistoryWriter(sqlite_url(tmp_path / "history.sqlite"), tmp_path / "spool", 1_000_000)
    made.open_spool()
    made.work(retry=True)
    return made


def test_a_row_that_cannot_be_written_takes_no_other_with_it(
    writer: HistoryWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("first", "half a character: \ud800", "third"):
        writer.take_event(event(text))
    writer.work(retry=False)
    writer.take_event(event("later"))
    writer.work(retry=False)
    writer.close()
    assert stored(tmp_path / "history.sqlite") == ["first", "later", "third"]
    assert writer.health.dropped == 1
    assert (writer.health.state, writer.health.spooled) == ("ok", 0)
    assert "left out" in caplog.text


def test_an_error_that_passes_loses_nothing(
    writer: HistoryWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writer.database.write_events
    failed: list[object] = []

    def once_broken(events: Any) -> None:
        if not failed:
            failed.append(events)
            raise RuntimeError("deque mutated during iteration")
        real(events)

    monkeypatch.setattr(writer.database, "write_events", once_broken)
    for text in ("first", "second"):
        writer.take_event(event(text))
    writer.work(retry=False)
    writer.close()
    assert failed
    assert stored(tmp_path / "history.sqlite") == ["first", "second"]
    assert writer.health.dropped == 0


def test_a_minute_begun_too_late_for_any_group_is_kept(writer: HistoryWriter, tmp_path: Path) -> None:
    block = minute_block(np.random.default_rng(1), partial=True)
    late = replace(block.groups, samples=np.zeros(len(block.groups.groups), np.int64))
    writer.take_minute(replace(block, groups=late))
    writer.take_event(event("behind it"))
    writer.work(retry=False)
    writer.close()
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        (symbols,) = connection.execute("SELECT count(*) FROM symbol_minutes").fetchone()
        (groups,) = connection.execute("SELECT count(*) FROM group_minutes").fetchone()
    assert (symbols, groups) == (len(block.symbols.symbols), 0)
    assert stored(path) == ["behind it"]
    assert (writer.health.dropped, writer.health.spooled) == (0, 0)
