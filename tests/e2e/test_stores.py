"""The whole program on a real Redis and a real PostgreSQL, named by settings only."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest
import redis
from helpers import BINANCE_ONLY, run

from tests.loopback.servers import PostgresServer, RedisServer

pytestmark = pytest.mark.timeout(150)


def test_ticks_go_to_redis_and_minutes_to_postgresql_when_settings_name_them(tmp_path: Path) -> None:
    ticks, minutes = RedisServer(tmp_path), PostgresServer()
    try:
        ticks.start()
        minutes.start()
        done = run(
            "--demo", *BINANCE_ONLY, "--basedir", tmp_path / "state", "--after", "9", "--quit",
            "--set", "binance.symbols=12", "--set", f"redis.url={ticks.url}",
            "--set", f"database.url={minutes.url('postgres')}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with redis.Redis.from_url(ticks.url) as client:
            held = client.zrange("tick:BTCUSDT:SPOT", 0, -1, withscores=True)
            assert len(held) > 10
            newest, score = held[-1]
            tick = msgspec.json.decode(newest)
            assert tick["symbol"] == "BTCUSDT"
            assert tick["time"] == score
            assert client.exists("last:BTCUSDT:FUTURES")
        rows = minutes.query("postgres", "SELECT count(DISTINCT symbol || market), count(*) FROM depth_minutes")
        assert rows[0][0] == 24
        assert int(str(rows[0][1])) >= 24 * 7
        kinds = {row[0] for row in minutes.query("postgres", "SELECT DISTINCT kind FROM feed_events")}
        assert {"connected", "snapshot loaded"} <= kinds
        assert not (tmp_path / "state" / "history.sqlite").exists()
    finally:
        ticks.kill()
        minutes.remove()


def test_stores_that_are_away_cost_nothing_but_a_sentence(tmp_path: Path) -> None:
    done = run(
        "--demo", *BINANCE_ONLY, "--basedir", tmp_path, "--after", "6", "--quit", "--set", "binance.symbols=10",
        "--set", "redis.url=redis://me:hunter2@127.0.0.1:1/0",
        "--set", "database.url=postgresql+psycopg://me:hunter2@127.0.0.1:1/none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "logs" / "fathom.log").read_text()
    assert "cannot be reached" in log
    assert "hunter2" not in log + done.stdout + done.stderr
    assert "Traceback" not in log + done.stderr
    assert list((tmp_path / "spool").iterdir()), "the cut minute waits on disk"
    later = run("--demo", *BINANCE_ONLY, "--basedir", tmp_path, "--after", "4", "--quit", "--set", "binance.symbols=10")
    assert later.returncode == 0, later.stderr

    connection = sqlite3.connect(tmp_path / "history.sqlite")
    parts = connection.execute("SELECT max(length(parts)), count(*) FROM symbol_minutes").fetchone()
    connection.close()
    assert parts[1] >= 20
