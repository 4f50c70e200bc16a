"""Captures become recordings, recordings replay alike every time, and damaged ones end or fail with a sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from capture_sets import BY_NAME

from app.books.sync import BookState
from app.commands.replaying import build_engines
from app.domain.errors import RecordingError
from app.domain.health import FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.services.captures import read_captures
from app.services.feeds import make_intake
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.services.recording import RecordingSink, Replayer, feed_of, started_ns_of, universe_of
from app.storage.recorder import Entry, Recorder, Recording
from app.storage.rows import MinuteBlock
from app.venues.naming import guess_instrument

HEADER = {"format": "fathom-recording", "version": 1}


def imported(captures: Path, name: str, target: Path) -> list[Entry]:
    """Write a capture set as a recording; return its entries."""
    entries = BY_NAME[name].entries(captures)
    recorder = Recorder(target, {"started_ns": entries[0].recv_ns}, pytest.fail)
    for entry in entries:
        recorder.write(entry.recv_ns, entry.source, entry.raw)
    recorder.close()
    return entries


def replayed(path: Path) -> tuple[list[MinuteBlock], dict[Market, MarketEngine], Replayer]:
    recording = Recording(path)
    blocks: list[MinuteBlock] = []
    engines = build_engines(recording, 200, lambda _market: EngineOutputs(on_minute=blocks.append))
    replayer = Replayer(engines, started_ns_of(recording))
    for entry in recording:
        replayer.feed(entry)
    replayer.finish()
    return blocks, engines, replayer


def assert_same_minutes(first: list[MinuteBlock], second: list[MinuteBlock]) -> None:
    assert len(first) == len(second) > 0
    for one, two in zip(first, second, strict=True):
        for part in ("symbols", "groups"):
            left, right = getattr(one, part), getattr(two, part)
            for field in dataclasses.fields(left):
                a, b = getattr(left, field.name), getattr(right, field.name)
                assert np.array_equal(a, b, equal_nan=True) if isinstance(a, np.ndarray) else a == b, field.name


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return path


@pytest.mark.parametrize("name", ["usdm-2023", "spot-20210404", "usdm-2021"])
def test_an_imported_capture_replays_to_the_same_minutes_every_time(name: str, captures: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.gz"
    entries = imported(captures, name, path)
    assert list(Recording(path)) == entries
    first, engines, replayer = replayed(path)
    second, _, _ = replayed(path)
    assert_same_minutes(first, second)
    assert (replayer.skipped, replayer.bad_frames) == (0, 0)
    for engine in engines.values():
        assert all(row.sync.state is BookState.LIVE for row in engine.rows)
    assert first[0].symbols.partial, "the run began within a minute"
    assert first[-1].symbols.partial, "the run ended within a minute"


def test_what_a_session_hands_over_is_written_down_and_replays_to_the_same_minutes(
    captures: Path, tmp_path: Path
) -> None:
    entries = BY_NAME["usdm-2021"].entries(captures)
    feed = FeedId(Venue.BINANCE, Market.BINANCE_USDM)
    blocks: list[MinuteBlock] = []
    symbols = ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")
    instruments = [guess_instrument(Market.BINANCE_USDM, symbol) for symbol in symbols]
    path = tmp_path / "live.gz"
    start = entries[0].recv_ns
    header = {
        "started_ns": start,
        "universe": {"usdm": [[i.symbol, i.pair, i.base, i.quote, 1, None] for i in instruments]},
    }
    recorder = Recorder(path, header, pytest.fail)
    outputs = EngineOutputs(on_minute=blocks.append)
    engine = MarketEngine(feed, instruments, EngineOptions(), outputs, FeedHealth(feed=feed), make_intake)
    sink = RecordingSink(feed, engine, recorder)
    engine.begin(start)
    sink.on_streams(start, symbols, up=True)
    middle = entries[len(entries) // 2].recv_ns
    broken = False
    for entry in entries:
        if not broken and entry.recv_ns >= middle:
            broken = True
            sink.on_streams(entry.recv_ns, symbols[:1], up=False)
            polled = next(e for e in entries if "SUSHIUSDT" in e.argument)
            body = json.loads(polled.raw) | {"lastUpdateId": engine.rows[0].sync.last_id + 1}
            sink.on_rest(entry.recv_ns, polled.argument, json.dumps(body).encode(), polled=True)
            sink.on_rest_asked(entry.recv_ns, polled.argument)
            sink.on_rest_failed(entry.recv_ns, polled.argument, "timed out after 10 s")
        if entry.kind == "ws":
            sink.on_frame(entry.recv_ns, entry.raw.encode())
        elif "/depth" in entry.argument:
            sink.on_rest(entry.recv_ns, entry.argument, entry.raw.encode())
    last = entries[-1].recv_ns
    engine.finish(last)
    recorder.write(last, "fathom.end", "")
    recorder.close()
    again, engines, replayer = replayed(path)
    assert_same_minutes(blocks, again)
    assert replayer.skipped == 0
    live, copy = engine.rows[0].sync, engines[Market.BINANCE_USDM].rows[0].sync
    assert (copy.state, copy.last_id, copy.counters) == (live.state, live.last_id, live.counters)


def test_a_recording_cut_off_anywhere_ends_at_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "whole.gz"
    recorder = Recorder(path, {"started_ns": 1}, pytest.fail)
    for n in range(4000):
        recorder.write(n, "binance.spot.ws", f'{{"n":{n},"noise":"{(n * 2654435761) % 2**32:x}"}}')
    recorder.close()
    whole = list(Recording(path))
    assert len(whole) == recorder.lines == 4000
    raw = path.read_bytes()
    cut = tmp_path / "cut.gz"
    found = set()
    for end in (len(raw) - 1, len(raw) - 9, len(raw) // 2, len(raw) // 3, 2000):
        cut.write_bytes(raw[:end])
        entries = list(Recording(cut))
        assert entries == whole[: len(entries)]
        found.add(len(entries))
    assert len(found) >= 4, "the cuts lie at different lines"
    assert max(found) >= 3990
    cut.write_bytes(raw[: len(raw) // 2] + b"garbage" * 20 + raw[len(raw) // 2 :])
    with contextlib.suppress(RecordingError):  # what the damage decodes to may look like lines, or not
        assert 0 < len(list(Recording(cut))) < 4000


def test_line_breaks_and_tabs_in_a_frame_stay_within_its_line(tmp_path: Path) -> None:
    path = tmp_path / "odd.gz"
    recorder = Recorder(path, {}, pytest.fail)
    recorder.write(5, "binance.spot.ws", b'{"a":\n1,\r"b":\t"\xff\xe2\x80\xa8"}')
    recorder.write(6, "binance.spot.ws", "")
    recorder.close()
    recorder.write(7, "binance.spot.ws", "after the end")
    assert [(entry.recv_ns, entry.raw) for entry in Recording(path)] == [(5, '{"a": 1, "b":\t"�\u2028"}'), (6, "")]


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("", "is not a recording"),
        ("not json\n", "is not a recording"),
        ("[]\n", "is not a recording"),
        ('{"format":"other","version":1}\n', "is not a recording"),
        ('{"format":"fathom-recording","version":2}\n', "has version 2, expected 1"),
        ('{"format":"fathom-recording"}\n', "has version None, expected 1"),
    ],
)
def test_a_wrong_header_is_refused_with_a_sentence(first: str, said: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "wrong.gz", [first, "1\tbinance.spot.ws\t{}\n"])
    with pytest.raises(RecordingError, match=said):
        Recording(path)


def test_a_file_that_is_no_gzip_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.gz").write_text(json.dumps(HEADER) + "\n")
    for name in ("plain.gz", "missing.gz"):
        with pytest.raises(RecordingError, match="cannot read the recording"):
            Recording(tmp_path / name)
    with pytest.raises(RecordingError, match="cannot write the recording"):
        Recorder(tmp_path / "no" / "such" / "folder.gz", {}, pytest.fail)


@pytest.mark.parametrize(
    "line", ["no tabs at all\n", "x\tbinance.spot.ws\t{}\n", "5\tbinance.spot.ws\n", "5\tgarbage\t{}\n"]
)
def test_a_line_that_is_none_is_named_by_its_number(line: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "bad.gz", [json.dumps(HEADER) + "\n", "1\tbinance.spot.ws\t{}\n", line])
    with pytest.raises(RecordingError, match="line 3: expected time, source and text"):
        list(Recording(path))


def test_unknown_sources_and_broken_universes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="unknown source 'kraken"):
        feed_of("kraken.spot")
    for universe in ({"spot": [["BTCUSDT"]]}, {"moon": []}, {"spot": 5}):
        path = write_lines(tmp_path / "u.gz", [json.dumps(HEADER | {"universe": universe}) + "\n"])
        with pytest.raises(RecordingError, match="names a universe that cannot be read"):
            universe_of(Recording(path))


def test_a_replay_counts_bad_entries_and_goes_on(tmp_path: Path) -> None:
    lines = [
        json.dumps(HEADER) + "\n",
        "1000000000\tbinance.spot.rest /api/v3/depth?symbol=BNBBTC&limit=5\t"
        '{"lastUpdateId":156,"bids":[["2","1"]],"asks":[["3","1"]]}\n',
        "1000000001\tbinance.spot.ws\t{broken\n",
        "1000000002\tbinance.spot.asked nonsense\t\n",
        "1000000003\tbinance.usdm.ws\t{}\n",
        "1000000004\tbinance.spot.riddle\t{}\n",
        '1000000005\tbinance.spot.ws\t{"stream":"bnbbtc@depth",'
        '"data":{"s":"BNBBTC","U":157,"u":158,"b":[["2.5","7"]],"a":[]}}\n',
    ]
    path = write_lines(tmp_path / "mixed.gz", lines)
    _, engines, replayer = replayed(path)
    assert (replayer.bad_frames, replayer.skipped) == (2, 2)
    assert engines[Market.BINANCE_SPOT].rows[0].sync.best() == (2.5, 3.0)
    assert engines[Market.BINANCE_SPOT].health.bad_frames == 1


def test_remembered_levels_come_back_unconfirmed_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    universe = {"spot": [["BNBBTC", "BNBBTC", "BNB", "BTC", 1, None]]}
    saved = '{"bids":[[1.5,2.0,77],[1.0,3.0,78]],"asks":[]}'
    header = json.dumps(HEADER | {"universe": universe, "started_ns": 1_000_000_000}) + "\n"
    good = write_lines(tmp_path / "good.gz", [header, f"1000000000\tbinance.spot.saved BNBBTC\t{saved}\n"])
    _, engines, _ = replayed(good)
    price, qty, since = engines[Market.BINANCE_SPOT].rows[0].sync.book.bids.levels()
    assert (price.tolist(), qty.tolist(), since.tolist()) == ([1.5, 1.0], [2.0, 3.0], [77, 78])
    for body in ('{"bids":[]}', "[]", '{"bids":[[1]],"asks":[]}', '{"bids":[["x",1,1]],"asks":[]}', "{"):
        bad = write_lines(tmp_path / "bad.gz", [header, f"1000000000\tbinance.spot.saved BNBBTC\t{body}\n"])
        with pytest.raises(RecordingError, match="remembered levels of BNBBTC cannot be read"):
            replayed(bad)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "coin.gz",
            '1723161255000000000 {"stream":"btcusd_perp@depth@0ms","data":{"e":"depthUpdate","pu":1}}\n',
            "COIN-M",
        ),
        ("odd.gz", "hello there\n", "line 1: neither an hftbacktest nor a cryptofeed line"),
        ("early.gz", '1623161255.5: {"e":"depthUpdate"}\n', "a frame before any line that names the venue's host"),
        ("host.gz", "wss://ws.example.com/ws <-> 1623161255.5\n", "not a known Binance host"),
        ("nothing.gz", '1723161255000000000 {"stream":"btcusdt@trade","data":{}}\n', "name it with --market"),
    ],
)
def test_captures_that_cannot_be_told_are_refused_with_a_sentence(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(RecordingError, match=said):
        list(read_captures([path]))
    path.write_bytes(b"\x1f\x8b\x08\x00broken")
    with pytest.raises(RecordingError, match="cannot read the capture"):
        list(read_captures([path]))


def test_coin_margined_captures_are_refused_unless_a_market_is_named(captures: Path) -> None:
    path = captures / "binance_hftbacktest" / "cm_btcusd_perp_20240808.gz"
    with pytest.raises(RecordingError, match="COIN-M"):
        next(read_captures([path]))
    assert next(read_captures([path], Market.BINANCE_USDM)).feed == "binance.usdm"


def test_stamps_of_either_length_and_of_seconds_are_nanoseconds(captures: Path) -> None:
    for name, first in (("usdm-2023", 2023), ("usdm-2024", 2024), ("spot-2021", 2021)):
        entry = next(read_captures([captures / file for file in BY_NAME[name].files]))
        assert np.datetime64(entry.recv_ns, "ns").astype("datetime64[Y]").astype(int) + 1970 == first
