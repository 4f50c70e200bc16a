"""The whole program as a person runs it: demo, recording, replay, signals, a second start."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import BINANCE_ONLY, answer, run, start

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the demo once, recorded, and keep what it left."""
    folder = tmp_path_factory.mktemp("demo")
    recording, measure, pictures = folder / "run.rec", folder / "measure.json", folder / "pictures"
    done = run(
        "--demo", *BINANCE_ONLY, "--basedir", folder / "state", "--record", recording, "--after", "14",
        "--measure", measure,
        "--screenshot", pictures, "--quit", "--fault", "gap:BTCUSDT@6", "--set", "binance.symbols=30",
    )  # fmt: skip
    return {
        "done": done,
        "state": folder / "state",
        "recording": recording,
        "pictures": pictures,
        "measure": json.loads(measure.read_text()),
    }


def test_the_demo_lives_and_ends_cleanly(demo: dict[str, Any]) -> None:
    done, measure = demo["done"], demo["measure"]
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    for feed in measure["feeds"].values():
        assert feed["books_primed"] == feed["books_total"] == 30
        assert feed["applied"] > 500
        assert feed["crossed"] == feed["bad_frames"] == 0
    assert measure["feeds"]["binance.spot"]["gaps"] == 1, "the fault on command, found and healed"
    assert measure["feeds"]["binance.spot"]["resyncs"] == 1
    assert measure["event_to_painted_ms"]["samples"] > 50


def test_pictures_of_the_window_and_each_panel_are_saved(demo: dict[str, Any]) -> None:
    names = sorted(path.name for path in demo["pictures"].iterdir())
    assert "window.png" in names
    assert len([name for name in names if name.startswith("panel-chart")]) == 4
    assert all((demo["pictures"] / name).stat().st_size > 2_000 for name in names)


def test_minutes_and_events_are_in_the_database(demo: dict[str, Any]) -> None:
    connection = sqlite3.connect(demo["state"] / "history.sqlite")
    rows = connection.execute("SELECT count(DISTINCT symbol || market), min(samples) FROM symbol_minutes").fetchone()
    kinds = {kind for (kind,) in connection.execute("SELECT DISTINCT kind FROM feed_events")}
    connection.close()
    assert rows[0] == 60
    assert rows[1] > 0
    assert {"connected", "snapshot loaded", "gap detected"} <= kinds


def test_live_and_replayed_runs_give_the_same_minute_rows(demo: dict[str, Any]) -> None:
    report = answer(run("replay", demo["recording"], "--json"))
    assert report["counters"]["spot"]["gaps"] == 1
    connection = sqlite3.connect(demo["state"] / "history.sqlite")
    connection.row_factory = sqlite3.Row
    live = {
        (row["symbol"], row["market"], row["depth_pct"], row["minute"]): row
        for row in connection.execute("SELECT * FROM depth_minutes")
    }
    connection.close()
    replayed = report["minutes"]
    assert len(replayed) == len(live)
    for row in replayed:
        at_ms = _epoch_ms(row["minute"])
        stored = live[row["symbol"], row["market"], row["depth_pct"], at_ms]
        assert row["samples"] == stored["samples"]
        for name in ("bid_usd", "ask_usd", "bid_coins", "ask_coins", "mid", "spread", "bid_exact", "ask_unconfirmed"):
            assert row[name] == pytest.approx(stored[name], rel=1e-12), (row["symbol"], name)


def _epoch_ms(text: str) -> int:
    import datetime as dt

    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


def test_a_second_run_remembers_the_books_and_the_layout(demo: dict[str, Any], tmp_path: Path) -> None:
    assert {path.name for path in (demo["state"] / "books").iterdir()} == {"binance.spot.books", "binance.usdm.books"}
    assert (demo["state"] / "layouts.json").is_file()
    measure = tmp_path / "again.json"
    done = run(
        "--demo", *BINANCE_ONLY, "--basedir", demo["state"], "--after", "6", "--measure", measure, "--quit",
        "--set", "binance.symbols=30",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(feed["books_primed"] == 30 for feed in json.loads(measure.read_text())["feeds"].values())


def test_a_recording_plays_in_the_window(demo: dict[str, Any], tmp_path: Path) -> None:
    measure = tmp_path / "m.json"
    done = run(
        "--replay", demo["recording"], "--speed", "max", "--basedir", tmp_path / "state", "--after", "8",
        "--measure", measure, "--quit",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    feeds = json.loads(measure.read_text())["feeds"]
    assert feeds["binance.spot"]["applied"] > 500
    assert feeds["binance.spot"]["gaps"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_window_and_its_venue(number: signal.Signals, tmp_path: Path) -> None:
    process = start("--demo", *BINANCE_ONLY, "--basedir", tmp_path, "--set", "binance.symbols=10")
    log = tmp_path / "logs" / "fathom.log"
    for _ in range(300):
        if log.is_file() and "first paint" in log.read_text():
            break
        time.sleep(0.1)
    time.sleep(2.0)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "still alive" not in log.read_text()
    assert "Traceback" not in err + out


def test_a_second_start_raises_the_first_window_and_ends(tmp_path: Path) -> None:
    first = start("--demo", *BINANCE_ONLY, "--basedir", tmp_path, "--set", "binance.symbols=10")
    log = tmp_path / "logs" / "fathom.log"
    for _ in range(300):
        if log.is_file() and "first paint" in log.read_text():
            break
        time.sleep(0.1)
    time.sleep(1.5)
    second = run("--demo", *BINANCE_ONLY, "--basedir", tmp_path)
    assert second.returncode == 0
    assert "brought to the front" in second.stderr
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=20)
    assert first.returncode == 0


def test_damaged_files_cost_a_notice_not_the_start(tmp_path: Path) -> None:
    for name in ("settings.json", "layouts.json", "history.sqlite"):
        (tmp_path / name).write_bytes(b"\x00\xff damaged" * 50)
    measure = tmp_path / "m.json"
    done = run(
        "--demo", *BINANCE_ONLY, "--basedir", tmp_path, "--after", "5", "--measure", measure, "--quit",
        "--set", "binance.symbols=10",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.broken*"))) == 3
    assert json.loads(measure.read_text())["feeds"]["binance.spot"]["books_primed"] == 10
