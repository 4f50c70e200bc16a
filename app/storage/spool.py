"""A bounded queue on disk for what the database cannot take now.

Frames of length, CRC-32 and payload are appended to one file; when it reaches half of the limit it becomes the older
of two, and what was older still is dropped and counted. A frame that was cut off by a power loss ends its file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_HEAD: Final = struct.Struct("<II")


class Spool:
    """Frames in order of arrival. All methods may raise OSError (a full disk) without losing what is stored."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._old = folder / "minutes.old.spool"
        self._new = folder / "minutes.spool"
        self._half = max(1, limit_bytes // 2)
        self.dropped = 0
        self.count = sum(1 for _ in self)

    def append(self, payload: bytes) -> None:
        """Add one frame; it is on disk when this returns."""
        self._new.parent.mkdir(parents=True, exist_ok=True)
        size = self._new.stat().st_size if self._new.exists() else 0
        if size and size + len(payload) > self._half:
            lost = sum(1 for _ in _frames(self._old))
            self.dropped += lost
            self.count -= lost
            os.replace(self._new, self._old)
            size = 0
        frame = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        with self._new.open("ab") as file:
            try:
                file.write(frame)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
        self.count += 1

    def __iter__(self) -> Iterator[bytes]:
        """Yield the payloads, oldest first."""
        yield from _frames(self._old)
        yield from _frames(self._new)

    def clear(self) -> None:
        """Forget everything: it has been written elsewhere."""
        self._old.unlink(missing_ok=True)
        self._new.unlink(missing_ok=True)
        self.count = 0


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
