"""Three venues in one program: books, minutes, rows, indicators and alerts of all; one in trouble stops no other."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import Program, answer, run, words_of

pytestmark = pytest.mark.timeout(240)

BOOKS = {"binance.spot": 10, "binance.usdm": 10, "bybit.spot": 5, "bybit.linear": 5, "hyperliquid.perp": 5}
FEEDS = {*BOOKS, "hyperliquid.spot"}
MARKETS = {"spot": 10, "usdm": 10, "bybit.spot": 5, "bybit.linear": 5, "hyperliquid.perp": 5}
SMALL = ("binance.symbols=10", "bybit.symbols=5", "hyperliquid.symbols=5")
FIGURES = ("samples", "bid_usd", "ask_usd", "bid_coins", "ask_coins", "mid", "bid_exact", "ask_unconfirmed")
RULES: tuple[dict[str, Any], ...] = (
    {
        "id": "price",
        "name": "Bitcoin on Bybit",
        "kind": "condition",
        "condition": 'venue == "bybit" and symbol == "BTCUSDT" and market == "futures" and spread_bp < 500',
        "cooldown_s": 3600,
    },
    {
        "id": "delta",
        "name": "Depth of Hyperliquid",
        "kind": "indicator",
        "indicator": {
            "subject": "TOTAL",
            "market": "hyperliquid.perp",
            "line": "delta:3",
            "above": True,
            "level": 0.01,
            "strict": False,
        },
        "cooldown_s": 3600,
    },
    {"id": "event", "name": "Something moves", "kind": "event", "events": ["PRICE_SURGE"], "once": True},
    {"id": "never", "name": "Never", "kind": "condition", "condition": "last < 0"},
)


def write_rules(folder: Path, *rules: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alerts.json").write_text(json.dumps({"version": 1, "rules": rules, "history": []}))


# -- a whole run -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run all three venues once, recorded, with alerts; keep what the server told and what was left."""
    folder = tmp_path_factory.mktemp("venues")
    recording, state = folder / "run.rec", folder / "state"
    write_rules(state, *RULES)
    program = Program(state, "--record", recording, settings=(*SMALL, "scanner.price.surge=0.1"))
    try:
        program.until_live()
        wanted = {rule["name"] for rule in RULES} - {"Never"}
        program.until(
            lambda: wanted <= {firing["rule"] for firing in program.alerts()["history"]}, f"firings of {wanted}"
        )
        kinds = {"binance": ("SPOT", "FUTURES"), "bybit": ("SPOT", "FUTURES"), "hyperliquid": ("FUTURES",)}
        told = {
            "health": program.need("/health"),
            "counts": program.need("/api/ws/status")["symbols"],
            "rows": {
                f"{venue} {kind}": program.need(f"/api/rows?venue={venue}&marketType={kind}&limit=5")
                for venue in kinds
                for kind in ("SPOT", "FUTURES")
            },
            "deltas": {
                f"{venue} {kind}": program.need(f"/api/indicators/delta?venue={venue}&marketType={kind}&depth=3")
                for venue, listed in kinds.items()
                for kind in listed
            },
            "feeds": program.until_live(),
        }
        program.quit()
        yield {"program": program, "state": state, "recording": recording, "folder": folder, **told}
    finally:
        program.kill()


@pytest.fixture(scope="module")
def replayed(whole: dict[str, Any]) -> dict[str, Any]:
    """Replay the run's recording without a window."""
    report: dict[str, Any] = answer(run("replay", whole["recording"], "--json", timeout=120))
    return report


def test_every_book_of_five_feeds_is_primed_and_nothing_was_lost(whole: dict[str, Any]) -> None:
    feeds = whole["feeds"]
    assert set(feeds) == FEEDS
    for name, feed in feeds.items():
        assert (feed["books_primed"], feed["books_total"]) == (BOOKS.get(name, 0), BOOKS.get(name, 0)), name
        assert (feed["light"], feed["word"]) == ("green", "live"), name
        assert feed["gaps"] == 0, name
        assert (feed["resyncs"], feed["reconnects"]) == (0, 0) or whole["program"].stood_still(), name
    assert whole["health"]["mode"] == "DEMO"
    assert "run.rec" in whole["health"]["mode_detail"]


def test_the_server_answers_rows_of_every_market(whole: dict[str, Any]) -> None:
    assert set(whole["counts"]) == {"binance", "bybit", "hyperliquid"}
    for name, answered in whole["rows"].items():
        venue, kind = name.split()
        assert answered["count"] == len(answered["data"]) == 5, name
        for row in answered["data"]:
            assert (row["venue"], row["marketType"]) == (venue, kind)
            assert row["price"] > 0, row
            assert row["volume_24h"] > 0, row
        assert any(row["bid"] and row["ask"] and row["bid"] < row["ask"] for row in answered["data"]), name
        if kind == "FUTURES":
            assert any(row["funding"] is not None and row["open_interest_usd"] for row in answered["data"]), name
        if name != "hyperliquid SPOT":
            assert any(row["delta"] is not None for row in answered["data"]), name


def test_the_server_answers_indicators_of_every_venue_and_how_well_they_are_known(whole: dict[str, Any]) -> None:
    for name, indicator in whole["deltas"].items():
        venue, kind = name.split()
        assert (indicator["venue"], indicator["marketType"]) == (venue, kind)
        assert indicator["included"] == indicator["total"] == (10 if venue == "binance" else 5), name
        (line,) = indicator["lines"]
        assert line["value"] > 0, name
        assert line["coverage"] in ("exact", "partial"), name


def test_minutes_of_all_books_are_in_the_database(whole: dict[str, Any]) -> None:
    connection = sqlite3.connect(whole["state"] / "history.sqlite")
    counts = dict(connection.execute("SELECT market, count(DISTINCT symbol) FROM symbol_minutes GROUP BY market"))
    events = connection.execute("SELECT source, kind, text FROM feed_events").fetchall()
    connection.close()
    assert counts == MARKETS
    assert {(feed, "connected") for feed in FEEDS} <= {(source, kind) for source, kind, _ in events}
    kinds = {kind for _, kind, text in events if not text.endswith(": stopped")}
    assert not kinds & {"gap detected", "error"}
    if not whole["program"].stood_still():
        assert kinds <= {"connected", "snapshot loaded"}


def test_the_recording_replays_to_the_same_minutes(whole: dict[str, Any], replayed: dict[str, Any]) -> None:
    coins = stored_rows(whole["state"], "depth_minutes", "symbol")
    _compare(replayed["minutes"], "symbol", coins, FIGURES)
    assert {market for market, *_ in coins} == set(MARKETS)
    groups = stored_rows(whole["state"], "group_depth_minutes", "name")
    _compare(replayed["group_minutes"], "group", groups, ("samples", "bid_usd", "ask_usd", "vw_mid", "ratio_mean"))


def stored_rows(state: Path, view: str, name: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what a run left in its database, by market, name, depth and minute."""
    connection = sqlite3.connect(state / "history.sqlite")
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute(f"SELECT * FROM {view}")]
    connection.close()
    return {(row["market"], row[name], row["depth_pct"], row["minute"]): row for row in rows}


def _compare(
    rows: list[dict[str, Any]], name: str, stored: dict[tuple[Any, ...], dict[str, Any]], figures: tuple[str, ...]
) -> None:
    assert len(rows) == len(stored) > 0
    for row in rows:
        minute_ms = int(datetime.fromisoformat(row["minute"]).timestamp() * 1000)
        live = stored[row["market"], row[name], row["depth_pct"], minute_ms]
        for figure in figures:
            assert row[figure] == pytest.approx(live[figure], rel=1e-12), (row["market"], row[name], figure)


def test_the_replay_counts_what_the_run_counted(whole: dict[str, Any], replayed: dict[str, Any]) -> None:
    counters = replayed["counters"]
    assert set(counters) == {*MARKETS, "hyperliquid.spot"}
    for market, counter in counters.items():
        feed = whole["feeds"]["binance." + market if "." not in market else market]
        assert (counter["gaps"], counter["crossed"], counter["bad_frames"]) == (0, 0, 0), market
        assert (counter["gaps"], counter["resyncs"]) == (feed["gaps"], feed["resyncs"]), market
        assert counter["books"] == feed["books_total"], market
        if market in MARKETS:
            assert feed["drops"] <= counter["dropped"], "the run went on for a moment after it was asked"
            assert counter["applied"] > 20, market


# -- alerts ----------------------------------------------------------------------------------------------------------


def test_alerts_of_every_kind_fire_and_are_in_the_history(whole: dict[str, Any]) -> None:
    document = whole["program"].alerts()
    history = document["history"]
    subjects = {firing["rule"]: firing["subject"] for firing in reversed(history)}
    assert subjects["Bitcoin on Bybit"] == "BTCUSDT BYBIT FUTURES"
    assert subjects["Depth of Hyperliquid"] == "TOTAL HYPERLIQUID FUTURES"
    assert "PRICE_SURGE" not in subjects["Something moves"]
    assert "Never" not in subjects
    by_rule = [firing["rule"] for firing in history]
    assert {name: by_rule.count(name) for name in set(by_rule)} == dict.fromkeys(set(by_rule), 1)
    texts = {firing["rule"]: firing["text"] for firing in history}
    assert "spread_bp" in texts["Bitcoin on Bybit"]
    assert "delta:3 is" in texts["Depth of Hyperliquid"]
    enabled = {rule["id"]: rule["enabled"] for rule in document["rules"]}
    assert enabled == {"price": True, "delta": True, "event": False, "never": True}


def test_a_second_start_remembers_alerts_and_a_venue_switched_off_is_absent(whole: dict[str, Any]) -> None:
    before = whole["program"].alerts()
    off = ("binance.spot.enabled=false", "binance.usdm.enabled=false")
    off += ("hyperliquid.spot.enabled=false", "hyperliquid.perp.enabled=false")
    program = Program(whole["state"], settings=(*SMALL, *off))
    try:
        feeds = program.until_live()
        assert set(feeds) == {"bybit.spot", "bybit.linear"}
        assert set(program.need("/api/ws/status")["symbols"]) == {"bybit"}
        venues = {words_of(child)[1] for child in psutil.Process(program.process.pid).children() if words_of(child)}
        assert venues == {"bybit"}, "no simulator runs for what is off"
        program.until(lambda: program.get("/api/rows?venue=bybit&symbols=BTCUSDT"), "the row of the alert")
        program.quit()
    finally:
        program.kill()
    after = program.alerts()
    assert after["history"] == before["history"], "what fired before the restart does not fire again"
    assert [rule["id"] for rule in after["rules"]] == [rule["id"] for rule in RULES]
    assert {rule["id"] for rule in after["rules"] if not rule["enabled"]} == {"event"}


# -- trouble ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Run three venues of which two fail on command some seconds after their start."""
    state = tmp_path_factory.mktemp("trouble") / "state"
    write_rules(state, {"id": "down", "name": "Down", "kind": "feed", "feed": "hyperliquid.perp", "after_s": 0.5})
    settings = (*SMALL, "binance.spot.enabled=false")
    faults = ("--fault", "bybit/close@5", "--fault", "hyperliquid/stall@5")
    program = Program(state, "--record", state.parent / "run.rec", *faults, settings=settings)
    try:
        yield program
        program.quit()
    finally:
        program.kill()


def test_a_venue_that_closes_and_one_that_stalls_come_back_and_leave_the_others_alone(troubled: Program) -> None:
    def came_back() -> bool:
        feeds = troubled.feeds()
        return bool(feeds) and all(feeds[f"bybit.{word}"]["reconnects"] for word in ("spot", "linear"))

    troubled.until_live()
    for venue, fault in (("bybit", "close"), ("hyperliquid", "stall")):
        troubled.until(
            lambda v=venue, f=fault: (troubled.control(v) or {}).get("faults") == {f: 1}, f"{fault} of {venue}"
        )
    troubled.until_live()
    if not came_back():  # on a busy machine it happened before the feeds were there
        troubled.control("bybit", "close")
        troubled.until(came_back, "Bybit's second connections")
    feeds = troubled.until_live()
    assert set(feeds) == FEEDS - {"binance.spot"}
    for name, feed in feeds.items():
        assert feed["gaps"] == 0, name
        assert (feed["reconnects"] > 0) == name.startswith("bybit.") or troubled.stood_still(), name
    troubled.until_moved(
        ("binance", "FUTURES", "BTCUSDT"), ("bybit", "FUTURES", "BTCUSDT"), ("hyperliquid", "FUTURES", "BTC")
    )


def test_a_venue_that_dies_is_said_and_the_others_go_on(troubled: Program) -> None:
    troubled.until_live()
    fired = len(_fired(troubled))
    os.kill(troubled.simulator("hyperliquid").pid, signal.SIGKILL)
    feeds = troubled.until(
        lambda: (
            (feeds := troubled.feeds())
            and all(feeds[f"hyperliquid.{word}"]["light"] == "red" for word in ("spot", "perp"))
            and feeds
        ),
        "the red lights of Hyperliquid",
    )
    assert feeds["hyperliquid.perp"]["reason"]
    troubled.until_moved(("binance", "FUTURES", "BTCUSDT"), ("bybit", "SPOT", "BTCUSDT"))
    feeds = troubled.feeds()
    for name in ("binance.usdm", "bybit.spot", "bybit.linear"):
        assert feeds[name]["light"] == "green", name
        assert (feeds[name]["gaps"], feeds[name]["books_primed"]) == (0, BOOKS[name]), name
    book = troubled.need("/api/snapshots/BTC?venue=hyperliquid&marketType=FUTURES&levels=1")
    assert set(book["bid_coverage"]) == {"missing"}, "a book that is not fed is not shown as if it were"
    troubled.until(lambda: len(_fired(troubled)) > fired, "the alert on the feed")
    assert _fired(troubled)[-1]["subject"] == "hyperliquid.perp"


def test_a_run_in_trouble_replays_to_the_same_minutes(troubled: Program) -> None:
    troubled.quit()
    state = troubled.folder
    report = answer(run("replay", state.parent / "run.rec", "--json", timeout=120))
    coins = stored_rows(state, "depth_minutes", "symbol")
    _compare(report["minutes"], "symbol", coins, FIGURES)
    assert {market for market, *_ in coins} == set(MARKETS) - {"spot"}
    assert all(counter["gaps"] == counter["bad_frames"] == 0 for counter in report["counters"].values())


def _fired(program: Program) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = program.alerts()["history"]
    return history
