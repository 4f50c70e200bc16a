"""Turn public capture formats of Binance streams into recordings.

hftbacktest lines: `<receive time> <json>`, 19 digits ns or 16 digits us; a REST depth answer stands in line where it
arrived, without its symbol and with the limit 1000 those files were made with. cryptofeed lines: WebSocket
`<seconds>: <json>`, REST `<url> -> <seconds>: <json>`, connect `<url> <-> <seconds>`, sent
`<url> <- <seconds>: <json>`.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.domain.errors import RecordingError
from app.domain.ids import Market
from app.storage.recorder import Entry
from app.venues.binance import protocol

_HFT = re.compile(r"^(\d{16}|\d{19}) (\{.*)$")
_WS = re.compile(r"^(\d+\.\d+): (.*)$")
_REST = re.compile(r"^(https?://\S+) -> (\d+\.\d+): (.*)$")
_CONNECT = re.compile(r"^(wss?://\S+) <-> (\d+\.\d+)$")
_SENT = re.compile(r"^(wss?://\S+) <- (\d+\.\d+): ")
_STREAM_SYMBOL = re.compile(r'"stream":"([^"@]+)@')
_HFT_LIMIT: Final = 1000
_COIN_M: Final = "coin-m"


def read_binance_capture(path: Path, forced: Market | None = None) -> Iterator[Entry]:
    """Yield the entries of a file in its order. Raises RecordingError for a file of another format.

    forced: take the file as of this market; None: tell by host names and fields. COIN-M captures are refused unless a
    market is given (their sizes are contracts; the futures sequence rules hold for them).
    """
    word: str | None = forced.value if forced is not None else None
    symbol: str | None = None
    held: list[tuple[int, str]] = []
    for number, line in _lines(path):
        if match := _HFT.match(line):
            stamp = int(match[1]) * (1000 if len(match[1]) == 16 else 1)
            body = match[2]
            if symbol is None and (named := _STREAM_SYMBOL.search(body[:120])):
                symbol = named[1].upper()
            if word is None and symbol is not None and '"depthUpdate"' in body[:120]:
                word = _hft_market(symbol, body)
            held.append((stamp, body))
            if word is not None and symbol is not None:
                _refuse_coin_m(path, word)
                yield from (_hft_entry(word, symbol, *item) for item in held)
                held.clear()
        elif match := _REST.match(line):
            split = urlsplit(match[1])
            host = forced.value if forced is not None else _host_market(split.hostname or "")
            _refuse_coin_m(path, host)
            query = f"?{split.query}" if split.query else ""
            yield Entry(_ns(match[2]), f"binance.{host}.rest {split.path}{query}", match[3])
        elif match := _CONNECT.match(line):
            if word is None:
                word = _host_market(urlsplit(match[1]).hostname or "")
            _refuse_coin_m(path, word)
        elif match := _WS.match(line):
            if word is None:
                raise RecordingError(f"{path}, line {number}: a frame before any line that names the venue's host")
            yield Entry(_ns(match[1]), f"binance.{word}.ws", match[2])
        elif _SENT.match(line) or line.startswith("configuration: "):
            continue
        else:
            raise RecordingError(f"{path}, line {number}: neither an hftbacktest nor a cryptofeed line: {line[:60]!r}")
    if held:
        raise RecordingError(f"{path} holds no depth update, so its market cannot be told; name it with --market")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                text = line.strip()
                if text:
                    yield number, text
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise RecordingError(f"cannot read the capture {path}: {error}") from error


def _hft_entry(word: str, symbol: str, stamp: int, body: str) -> Entry:
    if body.startswith('{"lastUpdateId"'):
        path = protocol.depth_path(Market(word), symbol, _HFT_LIMIT)
        return Entry(stamp, f"binance.{word}.rest {path}", body)
    return Entry(stamp, f"binance.{word}.ws", body)


def _hft_market(symbol: str, body: str) -> str:
    if "_" in symbol:
        return _COIN_M
    data = json.loads(body).get("data", {})
    return Market.BINANCE_USDM.value if "pu" in data else Market.BINANCE_SPOT.value


def _host_market(host: str) -> str:
    if host.startswith(("fapi.", "fstream.")):
        return Market.BINANCE_USDM.value
    if host.startswith(("dapi.", "dstream.")):
        return _COIN_M
    if host.endswith(("binance.com", "binance.vision")):
        return Market.BINANCE_SPOT.value
    raise RecordingError(f"the capture names {host!r}, which is not a known Binance host")


def _refuse_coin_m(path: Path, word: str) -> None:
    if word == _COIN_M:
        raise RecordingError(
            f"{path} is of Binance COIN-M, whose sizes are contracts and which is not a market here; "
            "with --market usdm it is replayed by the futures rules all the same"
        )


def _ns(seconds: str) -> int:
    return int(Decimal(seconds) * 1_000_000_000)
