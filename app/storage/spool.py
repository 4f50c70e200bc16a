"""A bounded queue on disk for what the database cannot take now.

Frames of length, CRC-32 and payload are appended to numbered segment files; beyond the limit the oldest segment is
dropped and counted. A frame that was cut off by a power loss is dropped, together with what follows it in its segment.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_HEAD: Final = struct.Struct("<II")
_SEGMENT_MAX: Final = 4 * 1024 * 1024
_SEGMENTS: Final = 8


class Spool:
    """Frames in order of arrival. All methods may raise OSError (a full disk) without losing what is stored."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._segment_limit = max(1, min(_SEGMENT_MAX, limit_bytes // _SEGMENTS))
        self.dropped = 0
        self._segments: dict[int, tuple[int, int]] = {}
        """Frames and bytes of each segment by its number, oldest first."""
        for path in sorted(folder.glob("spool-*.seg")):
            number = path.stem.removeprefix("spool-")
            if number.isdecimal():
                frames, size = _scan(path)
                if path.stat().st_size > size:
                    os.truncate(path, size)  # or what is appended next could never be read
                self._segments[int(number)] = (frames, size)
        self._segments = dict(sorted(self._segments.items()))

    @property
    def count(self) -> int:
        """Return how many frames wait."""
        return sum(frames for frames, _ in self._segments.values())

    @property
    def size(self) -> int:
        """Return how many bytes wait."""
        return sum(size for _, size in self._segments.values())

    @property
    def segments(self) -> tuple[int, ...]:
        """Return the numbers of the segments, oldest first."""
        return tuple(self._segments)

    def append(self, payload: bytes) -> None:
        """Add one frame; it is on disk when this returns."""
        self._folder.mkdir(parents=True, exist_ok=True)
        frame = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        number = max(self._segments, default=0)
        frames, size = self._segments.get(number, (0, 0))
        if number == 0 or (size and size + len(frame) > self._segment_limit):
            number, frames, size = number + 1, 0, 0
        with self._path(number).open("ab") as file:
            try:
                file.write(frame)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    os.truncate(self._path(number), size)
                raise
        self._segments[number] = (frames + 1, size + len(frame))
        while len(self._segments) > 1 and self.size > self._limit:
            oldest = min(self._segments)
            self.dropped += self._segments[oldest][0]
            self.forget(oldest)

    def read(self, number: int) -> Iterator[bytes]:
        """Yield the payloads of one segment."""
        yield from _frames(self._path(number))

    def forget(self, number: int) -> None:
        """Remove one segment: it has been written elsewhere."""
        self._path(number).unlink(missing_ok=True)
        self._segments.pop(number, None)

    def _path(self, number: int) -> Path:
        return self._folder / f"spool-{number:08d}.seg"


def _scan(path: Path) -> tuple[int, int]:
    """Return how many whole frames a file begins with and how many bytes they take."""
    frames = size = 0
    for payload in _frames(path):
        frames += 1
        size += _HEAD.size + len(payload)
    return frames, size


def _frames(path: Path) -> Iterator[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            payload = file.read(length)
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield payload
