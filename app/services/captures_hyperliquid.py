"""Turn public captures of Hyperliquid streams into recordings.

hftbacktest lines: `<receive time> <json>`, 19 digits ns or 16 digits us, books at full precision. Recorded REST
sessions (VCR cassettes): pairs of a request's body and its answer's, with the time of the answer in its `date` header.
A file that is one JSON frame is a recording of that frame without a time.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.domain.errors import RecordingError
from app.domain.units import NS_PER_S
from app.storage.recorder import Entry
from app.venues.hyperliquid import protocol

_LINE = re.compile(r"^(\d{16}|\d{19}) (\{.*)$")
_QUOTED = re.compile(r"^ *(body|string): '(.*)'$")
_DATE = re.compile(r"^ *- (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d) GMT$")
_FEED: Final = "hyperliquid.perp"
_BOOK: Final = '"channel":"l2Book"'


def read_hyperliquid_capture(path: Path) -> Iterator[Entry]:
    """Yield the entries of a file in its order. Raises RecordingError for a file of another format."""
    text = _read(path)
    first = text.lstrip()[:1]
    if first == "{":
        yield _frame(0, json.dumps(_json(path, text), separators=(",", ":")))
    elif text.startswith("interactions:"):
        yield from _cassette(path, text)
    else:
        yield from _lines(path, text)


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise RecordingError(f"cannot read the capture {path}: {error}") from error


def _json(path: Path, text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise RecordingError(f"{path} begins like a JSON frame but is none: {error}") from None


def _lines(path: Path, text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            raise RecordingError(f"{path}, line {number}: expected a time and a JSON frame, was {line[:60]!r}")
        yield _frame(int(match[1]) * (1000 if len(match[1]) == 16 else 1), match[2])


def _frame(recv_ns: int, raw: str) -> Entry:
    line = f" {protocol.FULL}" if _BOOK in raw[:80] else ""
    return Entry(recv_ns, f"{_FEED}.ws{line}", raw)


def _cassette(path: Path, text: str) -> Iterator[Entry]:
    """Read the little of YAML that a cassette needs: quoted bodies, and the date after each answer."""
    request: str | None = None
    answer: str | None = None
    for line in text.splitlines():
        if match := _QUOTED.match(line):
            body = match[2].replace("''", "'")
            if match[1] == "body":
                request = body
            else:
                answer = body
        elif (match := _DATE.match(line)) and request is not None and answer is not None:
            wanted = _json(path, request)
            if not isinstance(wanted, dict) or "type" not in wanted:
                raise RecordingError(f"{path}: expected a request with a type, was {request[:60]!r}")
            rest = {str(name): value for name, value in wanted.items() if name != "type"}
            at = datetime.strptime(match[1], "%a, %d %b %Y %H:%M:%S").replace(tzinfo=UTC)
            source = f"{_FEED}.rest {protocol.info_path(str(wanted['type']), **rest)}"
            yield Entry(int(at.timestamp()) * NS_PER_S, source, answer)
            request = answer = None
