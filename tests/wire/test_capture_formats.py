"""Captures of three venues side by side: told apart by what is in them, merged by time, refused in a sentence."""

from __future__ import annotations

import argparse
import gzip
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from app.books.keeper import BookState
from app.commands.replaying import build_engines, import_capture
from app.domain.errors import FathomError, RecordingError
from app.domain.ids import Market
from app.services.captures import read_captures
from app.services.pipeline import EngineOutputs
from app.services.recording import Replayer, started_ns_of, streams_noted_in, universe_of
from app.storage.recorder import Recording

BINANCE = "cryptofeed/20210914_limit5000/BINANCE.ws.1.0.gz"
BINANCE_REST = "cryptofeed/20210914_limit5000/BINANCE.http.0.0.gz"
FILES = {
    BINANCE: "binance.spot.ws",
    BINANCE_REST: "binance.spot.rest",
    "binance_hftbacktest/usdm_btcusdt_20240808.gz": "binance.usdm.ws",
    "binance_hftbacktest/spot_btcusdt_20240808.gz": "binance.spot.ws",
    "bybit/cryptofeed_20250613_linear_orderbook1.ws.gz": "bybit.linear.ws",
    "bybit/cryptofeed_v5_BTC_SOL_linear_BTC_spot.jsonl.gz": "bybit.linear.ws",
    "hyperliquid/hftbacktest_btc_20250126_part1.raw.gz": "hyperliquid.perp.ws",
    "hyperliquid/nautilus_ws_all_dexs_asset_ctxs.json.gz": "hyperliquid.perp.ws",
    "hyperliquid/sdk_cassettes/test_get_l2_snapshot.yaml": "hyperliquid.perp.rest",
}
NOT_OURS = (
    "SOURCES.md",
    "deribit/cryptofeed_DERIBIT.ws.1.0.gz",
    "history/nautilus_btc-perp-20211231-20220201_1m.csv.gz",
    "ibkr_tws/nautilus/eurusd_depth.jsonl.gz",
    "ibkr_client_portal/areed1192/news-data.json",
)


def parsed(*files: Path, output: Path) -> argparse.Namespace:
    return argparse.Namespace(files=[str(file) for file in files], output=output, market=None, json=True)


def write(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize(("file", "word"), FILES.items())
def test_a_file_is_taken_for_what_is_in_it_whatever_its_name(
    file: str, word: str, captures: Path, tmp_path: Path
) -> None:
    copy = tmp_path / f"unnamed{Path(file).suffix}"
    shutil.copyfile(captures / file, copy)
    entries = list(read_captures([copy]))
    words = Counter(entry.source.partition(" ")[0] for entry in entries)
    assert words.most_common(1)[0][0] == word
    venue = word.partition(".")[0]
    assert {name.partition(".")[0] for name in words} == {venue}
    if copy.suffix == ".gz":
        plain = tmp_path / "plain.txt"
        plain.write_bytes(gzip.decompress(copy.read_bytes()))
        assert list(read_captures([plain])) == entries, "compressed or not"


def test_files_of_three_venues_become_one_recording_in_order_of_time(captures: Path, tmp_path: Path) -> None:
    chosen = [
        captures / name
        for name, word in FILES.items()
        if name in (BINANCE, BINANCE_REST) or word.startswith("bybit") or "part1" in name
    ]
    single = {file: list(read_captures([file])) for file in chosen}
    merged = list(read_captures(reversed(chosen)))
    assert len(merged) == sum(map(len, single.values()))
    stamps = [entry.recv_ns for entry in merged]
    assert stamps == sorted(stamps)
    for file, entries in single.items():
        feeds = {entry.source.partition(" ")[0] for entry in entries}
        shared = sum(bool(feeds & {entry.source.partition(" ")[0] for entry in other}) for other in single.values())
        if shared == 1:
            assert [entry for entry in merged if entry.source.partition(" ")[0] in feeds] == entries, file
    output = tmp_path / "all.rec"
    assert import_capture(parsed(*chosen, output=output)) == 0
    recording = Recording(output)
    assert list(recording) == merged
    assert started_ns_of(recording) == stamps[0]
    assert not streams_noted_in(recording)
    universe = {market.value: [each.symbol for each in listed] for market, listed in universe_of(recording).items()}
    assert set(universe["spot"]) == {"XMRBTC", "FTMUSDT", "SXPBTC", "BADGERBTC"}
    assert universe["hyperliquid.perp"] == ["BTC"]
    assert universe["bybit.spot"] == ["BTCUSDT"]
    assert {"BTCUSDT", "SOLUSDT"} <= set(universe["bybit.linear"])


def test_venues_that_interleave_are_merged_line_by_line(tmp_path: Path) -> None:
    second = 1_737_918_843
    bybit = ["wss://stream.bybit.com/v5/public/linear <-> 1737918843.0"]
    bybit += [f'{second}.{n}5: {{"topic":"tickers.BTCUSDT","n":{n}}}' for n in range(10)]
    coin = '{"channel":"trades","data":[]}'
    hyperliquid = [f"{second}{n}00000000 {coin}" for n in range(10)]
    diff = '{"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":1,"pu":0,"b":[],"a":[]}}'
    binance = [f"{second}{n}7{'0' * 4} {diff}" for n in range(10)]
    files = [
        write(tmp_path / "b", bybit),
        write(tmp_path / "h", hyperliquid),
        write(tmp_path / "x", binance),
    ]
    found = [entry.source for entry in read_captures(files)]
    assert found == ["hyperliquid.perp.ws", "bybit.linear.ws", "binance.usdm.ws"] * 10


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_file_of_another_kind_gets_a_sentence_that_names_it(name: str, captures: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.rec"
    with pytest.raises(RecordingError) as caught:
        import_capture(parsed(captures / name, output=output))
    text = str(caught.value)
    assert "deribit" in text if "deribit" in name else Path(name).name in text
    assert any(words in text for words in ("neither an hftbacktest nor a cryptofeed line", "not a known Binance host"))
    assert not output.exists(), "nothing is written when the first file cannot be read"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x00\xff\xfe binary", "cannot read the capture"),
        (gzip.compress(b"1: {}\n", mtime=0), "compressed, but its name does not end in .gz"),
        (b'{"jsonrpc":"2.0","params":{"channel":"book.BTC","data":{}}}\n', "neither an hftbacktest nor a cryptofeed"),
        (b"interactions:\n- request:\n    uri: https://api.example.org/\n", "neither an hftbacktest nor a cryptofeed"),
        (b'wss://stream.bybit.com/v5/public/inverse <-> 1.5\n1.6: {"topic":"x"}\n', "linear or spot address"),
        (b'1.5: {"topic":"x"}\n', "before any line that names the venue's host"),
    ],
)
def test_what_cannot_be_read_is_said(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=words):
        list(read_captures([path]))


def test_one_bad_file_among_good_ones_is_said_before_anything_is_written(captures: Path, tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.txt", ["nothing of the kind"])
    output = tmp_path / "x.rec"
    with pytest.raises(RecordingError, match=r"bad\.txt"):
        import_capture(parsed(captures / BINANCE, bad, output=output))
    assert not output.exists()


def test_a_recording_of_the_program_itself_needs_no_import(captures: Path, tmp_path: Path) -> None:
    recording = tmp_path / "run.rec"
    assert import_capture(parsed(captures / BINANCE, output=recording)) == 0
    with pytest.raises(RecordingError, match="nothing to import"):
        import_capture(parsed(recording, output=tmp_path / "again.rec"))


def test_nothing_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(FathomError, match="hold nothing"):
        import_capture(parsed(write(tmp_path / "empty", []), output=tmp_path / "x.rec"))
    with pytest.raises(RecordingError, match=r"gone\.gz"):
        list(read_captures([tmp_path / "gone.gz"]))


def test_an_import_of_three_venues_replays_without_a_gap(captures: Path, tmp_path: Path) -> None:
    chosen = [captures / name for name in FILES if "hftbacktest_btc" in name or "v5_BTC" in name]
    output = tmp_path / "three.rec"
    import_capture(parsed(*chosen, captures / BINANCE, captures / BINANCE_REST, output=output))
    recording = Recording(output)
    engines = build_engines(recording, 1000, lambda _market: EngineOutputs())
    replayer = Replayer(engines, started_ns_of(recording), streams_noted=streams_noted_in(recording))
    for entry in recording:
        replayer.feed(entry)
    replayer.finish()
    assert set(engines) == {
        Market.BINANCE_SPOT,
        Market.BYBIT_SPOT,
        Market.BYBIT_LINEAR,
        Market.HYPERLIQUID_PERP,
    }
    for engine in engines.values():
        health = engine.health
        assert (health.gaps, health.crossed, health.bad_frames, replayer.skipped) == (0, 0, 0, 0), engine.market
        assert health.applied > 10, engine.market
        assert all(row.sync.state is BookState.LIVE for row in engine.rows), engine.market
