"""Turn public capture formats of Bybit's v5 streams into recordings.

cryptofeed's second format has one JSON object a line: `t` = header, http, connect, send or recv, `ts` in seconds,
`conn` the connection, `data` the raw text; a `connect` line names the address, and with it the category. Its first
format has lines `<url> <-> <seconds>` (connect), `<url> <- <seconds>: <json>` (sent), `<seconds>: <json>` (received).
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from app.domain.errors import RecordingError
from app.storage.recorder import Entry

_CATEGORIES: Final = ("linear", "spot")
_CONNECT = re.compile(r"^(wss?://\S+) <-> (\d+\.\d+)$")
_SENT = re.compile(r"^(wss?://\S+) <- (\d+\.\d+): ")
_WS = re.compile(r"^(\d+\.\d+): (.*)$")


class _Line(msgspec.Struct):
    t: str
    ts: Decimal = Decimal(0)
    conn: str = ""
    addr: str = ""
    url: str = ""
    data: str = ""


_line = msgspec.json.Decoder(_Line)


def read_bybit_capture(path: Path) -> Iterator[Entry]:
    """Yield the entries of a capture, frames in order of receive time. Raises RecordingError.

    The second format lists one connection after the other, so its frames are sorted, which holds them in memory.
    """
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise RecordingError(f"{path} is empty")
    if first[1].startswith("{"):
        yield from sorted(_objects(path, first, lines), key=lambda entry: entry.recv_ns)
    else:
        yield from _texts(path, first, lines)


def is_bybit_capture(path: Path) -> bool:
    """Tell whether a file is a capture of Bybit, by its first lines. Raises RecordingError."""
    for number, line in _lines(path):
        if '"exchange":"BYBIT"' in line or "bybit.com/v5/public/" in line:
            return True
        if number >= 5:
            break
    return False


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


def _objects(path: Path, first: tuple[int, str], others: Iterator[tuple[int, str]]) -> Iterator[Entry]:
    category_of: dict[str, str] = {}
    for number, text in (first, *others):
        try:
            line = _line.decode(text)
        except (msgspec.MsgspecError, InvalidOperation) as error:
            raise RecordingError(f"{path}, line {number}: {error}; it begins {text[:60]!r}") from None
        recv_ns = int(line.ts * 1_000_000_000)
        if line.t == "connect":
            category_of[line.conn] = _category(path, number, line.addr)
        elif line.t == "http":
            split = urlsplit(line.url)
            word = (parse_qs(split.query).get("category") or [""])[0]
            if word in _CATEGORIES:
                yield Entry(recv_ns, f"bybit.{word}.rest {split.path}?{split.query.lstrip('&')}", line.data)
        elif line.t == "recv":
            if line.conn not in category_of:
                raise RecordingError(f"{path}, line {number}: a frame of a connection that was not opened before")
            yield Entry(recv_ns, f"bybit.{category_of[line.conn]}.ws", line.data)


def _texts(path: Path, first: tuple[int, str], others: Iterator[tuple[int, str]]) -> Iterator[Entry]:
    category: str | None = None
    for number, text in (first, *others):
        if match := _CONNECT.match(text):
            category = _category(path, number, match[1])
        elif _SENT.match(text) or text.startswith("configuration: "):
            continue
        elif match := _WS.match(text):
            if category is None:
                raise RecordingError(f"{path}, line {number}: a frame before any line that names the venue's address")
            yield Entry(int(Decimal(match[1]) * 1_000_000_000), f"bybit.{category}.ws", match[2])
        else:
            raise RecordingError(f"{path}, line {number}: not a line of a cryptofeed capture: {text[:60]!r}")


def _category(path: Path, number: int, address: str) -> str:
    word = urlsplit(address).path.rpartition("/")[2]
    if word not in _CATEGORIES:
        raise RecordingError(f"{path}, line {number}: expected a linear or spot address, was {address[:80]!r}")
    return word
