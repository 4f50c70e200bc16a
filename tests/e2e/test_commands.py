"""The commands as scripts use them: JSON out, sentences and exit codes on errors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from helpers import answer, run

FTM = "20210914_limit5000"


@pytest.fixture(scope="module")
def recording(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rec") / "ftm.rec"
    files = sorted((captures / "cryptofeed" / FTM).glob("*.gz"))
    report = answer(run("import-capture", *files, "-o", out, "--json"))
    assert report["sources"] == {"binance.spot.rest": 4, "binance.spot.ws": 1003}
    return out


def test_book_prints_what_a_script_needs(recording: Path) -> None:
    report = answer(run("book", "--recording", recording, "--market", "spot", "--symbol", "FTMUSDT", "--json"))
    assert report["last_update_id"] == 800362088
    assert report["best_bid"] < report["best_ask"]
    assert report["counters"]["gaps"] == report["counters"]["crossed"] == 0
    assert [band["depth_pct"] for band in report["bid"]["bands"]] == [1.5, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0]
    assert {band["coverage"] for side in ("bid", "ask") for band in report[side]["bands"]} == {"EXACT"}
    assert report["bid"]["known_to_pct"] == 100.0, "fewer levels than asked: the whole side"
    assert report["ask"]["known_to_pct"] > 60
    for side in ("bid", "ask"):
        volumes = [band["usd"] for band in report[side]["bands"]]
        assert volumes == sorted(volumes)
        assert set(report[side]["bands"][0]) >= {"depth_pct", "coins", "usd", "threshold", "coverage"}


def test_book_and_replay_print_text_for_people(recording: Path) -> None:
    done = run("book", "--recording", recording, "--market", "spot", "--symbol", "ftmusdt")
    assert done.returncode == 0
    assert "EXACT" in done.stdout
    done = run("replay", recording)
    assert done.returncode == 0
    assert "Minutes (" in done.stdout


def test_replay_gives_minutes_groups_and_indicators(recording: Path) -> None:
    report = answer(run("replay", recording, "--json"))
    assert {row["symbol"] for row in report["minutes"]} == {"XMRBTC", "FTMUSDT", "SXPBTC", "BADGERBTC"}
    assert report["counters"]["spot"]["gaps"] == 0
    groups = {row["group"] for row in report["group_minutes"]}
    assert groups == {"TOTAL", "TOTAL1", "TOTAL2", "TOTAL3", "OTHERS"}
    lines = {(row["subject"], row["line"]): row for row in report["indicators"]}
    assert lines["TOTAL", "avg:60"]["known"] == "EXACT"
    assert lines["FTMUSDT", "bid-ask:8A-3B"]["value"] == pytest.approx(
        lines["FTMUSDT", "bid-ask:ask8"]["value"] - lines["FTMUSDT", "bid-ask:bid3"]["value"]
    )
    assert ("FTMUSDT", "avg:60") not in lines, "AVG is for groups"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("book", "--recording", "/no/such.rec", "--market", "spot", "--symbol", "X"), "cannot read the recording"),
        (("replay", "/no/such.rec"), "cannot read the recording"),
        (("settings", "--set", "books.sample_ms=1"), "expected 100 to 1000 ms"),
        (("--replay", "/no/such.rec"), "there is no recording"),
    ],
)
def test_errors_are_sentences_with_a_code(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    done = run(*arguments, "--basedir", tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_are_json_too_when_asked(tmp_path: Path) -> None:
    bad = tmp_path / "bad.rec"
    bad.write_bytes(gzip.compress(b"not a recording\n"))
    done = run("book", "--recording", bad, "--market", "spot", "--symbol", "X", "--json")
    assert done.returncode == 2
    assert "not a recording" in json.loads(done.stdout)["error"]


def test_an_unknown_symbol_names_what_is_there(recording: Path) -> None:
    done = run("book", "--recording", recording, "--market", "spot", "--symbol", "NOUSDT")
    assert done.returncode == 2
    assert "FTMUSDT" in done.stderr


def test_settings_lists_every_key(tmp_path: Path) -> None:
    rows = answer(run("settings", "--json", "--basedir", tmp_path, "--set", "books.sample_ms=500"))
    by_key = {row["key"]: row for row in rows}
    assert by_key["books.sample_ms"]["value"] == 500
    assert by_key["books.sample_ms"]["default"] == 200
    assert all(row["help"] and row["type"] for row in rows)
    text = run("settings", "--basedir", tmp_path)
    assert all(key in text.stdout for key in by_key)


def test_coin_m_captures_are_refused_unless_a_market_is_named(captures: Path, tmp_path: Path) -> None:
    file = captures / "binance_hftbacktest" / "cm_btcusd_perp_20240808.gz"
    done = run("import-capture", file, "-o", tmp_path / "x.rec")
    assert done.returncode == 2
    assert "contracts" in done.stderr
    assert answer(run("import-capture", file, "-o", tmp_path / "x.rec", "--market", "usdm", "--json"))["lines"] == 48270
