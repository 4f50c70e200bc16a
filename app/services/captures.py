"""Captures of other recorders as one stream of entries: which format a file has is told by its first lines."""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from app.domain.errors import RecordingError
from app.domain.ids import Market
from app.services.captures_binance import read_binance_capture
from app.services.captures_bybit import is_bybit_capture, read_bybit_capture
from app.services.captures_hyperliquid import read_hyperliquid_capture
from app.storage.recorder import Entry

_LOOK: Final = 5
_HYPERLIQUID: Final = ('"channel":', "api.hyperliquid", '{"mids":')


def read_captures(paths: Iterable[Path], market: Market | None = None) -> Iterator[Entry]:
    """Yield the entries of all files in order of receive time.

    market: take Binance's files as of this market; None: tell by their contents.
    """
    yield from heapq.merge(*(_read(path, market) for path in paths), key=lambda entry: entry.recv_ns)


def _read(path: Path, market: Market | None) -> Iterator[Entry]:
    if _begins_like_hyperliquid(path):
        return read_hyperliquid_capture(path)
    if is_bybit_capture(path):
        return read_bybit_capture(path)
    return read_binance_capture(path, market)


def _begins_like_hyperliquid(path: Path) -> bool:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            head = "".join(line[:400] for line in islice(file, _LOOK))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise RecordingError(f"cannot read the capture {path}: {error}") from error
    return any(word in head.replace(" ", "") for word in _HYPERLIQUID) or head.startswith("interactions:")
