"""Captures of other recorders as one stream of entries: which format a file has is told by its first lines."""

from __future__ import annotations

import gzip
import heapq
import re
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
from app.storage.recorder import FORMAT, Entry

_LOOK: Final = 40
_GZIP: Final = b"\x1f\x8b"
_HYPERLIQUID = re.compile(r'(\d{16}(\d{3})?)?\{"(channel|mids)":')
_CASSETTE: Final = "interactions:"
_OURS: Final = f'{{"format":"{FORMAT}"'


def read_captures(paths: Iterable[Path], market: Market | None = None) -> Iterator[Entry]:
    """Yield the entries of all files in order of receive time.

    market: take Binance's files as of this market; None: tell by their contents.
    """
    yield from heapq.merge(*(_read(path, market) for path in paths), key=lambda entry: entry.recv_ns)


def _read(path: Path, market: Market | None) -> Iterator[Entry]:
    head, is_compressed = _head(path)
    dense = "".join(head.split())
    if dense.startswith(_OURS):
        raise RecordingError(f"{path} is a recording of this program already, there is nothing to import")
    if is_compressed != (path.suffix == ".gz"):
        what = "compressed, but its name does not end" if is_compressed else "not compressed, but its name ends"
        raise RecordingError(f"cannot read the capture {path}: it is {what} in .gz")
    if _HYPERLIQUID.match(dense) or (dense.startswith(_CASSETTE) and "hyperliquid" in head):
        return read_hyperliquid_capture(path)
    if is_bybit_capture(path):
        return read_bybit_capture(path)
    return read_binance_capture(path, market)


def _head(path: Path) -> tuple[str, bool]:
    """Return the beginnings of the first lines, and whether the file is compressed."""
    try:
        with path.open("rb") as raw:
            is_compressed = raw.read(2) == _GZIP
        opener = gzip.open if is_compressed else open
        with opener(path, "rt", encoding="utf-8") as file:
            return "\n".join(line[:400] for line in islice(file, _LOOK)), is_compressed
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise RecordingError(f"cannot read the capture {path}: {error}") from error
