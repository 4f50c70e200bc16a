"""Recordings: every raw frame and REST answer as gzip text, written while the program runs and read back for replay.

The first line is a JSON header `{"format": "fathom-recording", "version": 1, ...}`, then one line each:
`<receive ns>\\t<source>\\t<raw text>`. Sources are `<venue>.<market>.ws` for frames and
`<venue>.<market>.rest <path with query>` for answers. Three more kinds make a replay repeat the run exactly:
`<venue>.<market>.asked <path>` (a snapshot request leaves), `.failed <path>` (it got no answer), `.polled <path>` (the
REST fallback's answer), `.streams up|down` (raw text: symbols, comma separated), `.saved <symbol>` (remembered levels
put beneath a book at the start), and `fathom.tick` (time went on without input) and `fathom.end`.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from app.domain.errors import RecordingError

FORMAT: Final = "fathom-recording"
VERSION: Final = 1
_LINE_BREAKS = str.maketrans({"\n": " ", "\r": " "})

log = logging.getLogger("fathom.recording")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: receive time (UTC ns), source word with its argument, raw text."""

    recv_ns: int
    source: str
    raw: str

    @property
    def feed(self) -> str:
        """Return e.g. `binance.spot` of `binance.spot.ws`."""
        return self.source.split(" ", 1)[0].rsplit(".", 1)[0]

    @property
    def kind(self) -> str:
        """Return e.g. `ws` of `binance.spot.ws`."""
        return self.source.split(" ", 1)[0].rsplit(".", 1)[1]

    @property
    def argument(self) -> str:
        """Return what follows the source word."""
        return self.source.partition(" ")[2]


class Recorder:
    """Writes a recording. A failing disk stops the recording and says so; it never stops the program."""

    def __init__(self, path: Path, header: dict[str, Any], on_failure: Callable[[str], None]) -> None:
        self.path = path
        self.lines = 0
        self._on_failure = on_failure
        self._file: TextIO | None = None
        try:
            # open for as long as the program runs; `close` ends it
            self._file = gzip.open(path, "wt", encoding="utf-8", compresslevel=4, newline="\n")  # noqa: SIM115
            self._file.write(json.dumps({"format": FORMAT, "version": VERSION, **header}) + "\n")
        except OSError as error:
            self._file = None
            raise RecordingError(f"cannot write the recording {path}: {error.strerror or error}") from error

    def write(self, recv_ns: int, source: str, raw: str | bytes) -> None:
        """Append one line; line breaks inside the raw text become spaces."""
        if self._file is None:
            return
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        try:
            self._file.write(f"{recv_ns}\t{source}\t{text.translate(_LINE_BREAKS)}\n")
            self.lines += 1
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Finish the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._file = None
        sentence = f"recording to {self.path.name} stopped: {error.strerror or error}"
        log.warning(sentence)
        self._on_failure(sentence)


class Recording:
    """Reads a recording; iterating gives its entries in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = self._read_header()

    def _read_header(self) -> dict[str, Any]:
        try:
            with gzip.open(self.path, "rt", encoding="utf-8") as file:
                line = file.readline()
        except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
            raise RecordingError(f"cannot read the recording {self.path}: {error}") from error
        try:
            header = json.loads(line)
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise RecordingError(f"{self.path} is not a recording: expected a {FORMAT} header, was {line[:60]!r}")
        if header.get("version") != VERSION:
            raise RecordingError(f"{self.path} has version {header.get('version')}, expected {VERSION}")
        return header

    def __iter__(self) -> Iterator[Entry]:
        """Yield entries; a recording that was cut off ends at its last whole line."""
        number = 1
        try:
            with gzip.open(self.path, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
                file.readline()
                for line in file:
                    number += 1
                    stamp, _, rest = line.rstrip("\n").partition("\t")
                    source, second, raw = rest.partition("\t")
                    if not second or not stamp.isdecimal() or "." not in source.partition(" ")[0]:
                        if not line.endswith("\n"):
                            return
                        raise RecordingError(
                            f"{self.path}, line {number}: expected time, source and text, was {line[:60]!r}"
                        )
                    yield Entry(int(stamp), source, raw)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            log.warning("%s ends in the middle; read up to line %d", self.path.name, number)
        except OSError as error:
            raise RecordingError(f"cannot read the recording {self.path}: {error}") from error
