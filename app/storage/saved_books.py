"""Remember books between runs: levels with the time each was last confirmed, one file per feed.

A book is long-lived knowledge: levels far from the price show themselves only when they change. At exit every level is
saved with the time since when it is unconfirmed (the time of exit for a level that was confirmed); at the next start
the levels are put beneath the first snapshot, unconfirmed, those older than the limit left out.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from app.settings.files import set_aside, write_atomic

VERSION: Final = 1
_log = logging.getLogger("fathom.storage.books")


class SavedSide(msgspec.Struct, array_like=True):
    """Levels of one side: little-endian float64 prices and quantities, int64 UTC ns since when unconfirmed."""

    price: bytes
    qty: bytes
    since: bytes

    @classmethod
    def pack(
        cls, price: npt.NDArray[np.float64], qty: npt.NDArray[np.float64], since: npt.NDArray[np.int64]
    ) -> SavedSide:
        """Return the arrays as bytes."""
        return cls(price.astype("<f8").tobytes(), qty.astype("<f8").tobytes(), since.astype("<i8").tobytes())

    def unpack(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return the arrays; raise ValueError when they do not fit together or hold impossible levels."""
        price = np.frombuffer(self.price, "<f8").astype(np.float64)
        qty = np.frombuffer(self.qty, "<f8").astype(np.float64)
        since = np.frombuffer(self.since, "<i8").astype(np.int64)
        if not price.size == qty.size == since.size:
            raise ValueError("sides of different lengths")
        if not (np.isfinite(price).all() and np.isfinite(qty).all() and (price > 0).all() and (qty > 0).all()):
            raise ValueError("levels without a price or quantity above zero")
        if not (since > 0).all():
            raise ValueError("levels without a time")
        return price, qty, since


class SavedBook(msgspec.Struct, array_like=True):
    """Both sides of one symbol."""

    bids: SavedSide
    asks: SavedSide


class _Document(msgspec.Struct):
    version: int
    feed: str
    books: dict[str, SavedBook]


def save_books(path: Path, feed: str, books: Mapping[str, SavedBook]) -> None:
    """Write all books of a feed atomically; raise OSError when that fails."""
    raw = msgspec.msgpack.encode(_Document(VERSION, feed, dict(books)))
    write_atomic(path, gzip.compress(raw, 1), backup=False)


def load_books(path: Path, feed: str) -> tuple[dict[str, SavedBook], str | None]:
    """Return the saved books, and a sentence for the user when the file was damaged and set aside."""
    try:
        raw = gzip.decompress(path.read_bytes())
        document = msgspec.msgpack.decode(raw, type=_Document)
        if document.version != VERSION or document.feed != feed:
            raise ValueError(f"expected version {VERSION} of {feed}")
    except FileNotFoundError:
        return {}, None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        _log.warning("remembered books in %s are not usable: %s", path, error)
        aside = set_aside(path)
        where = f"kept as {aside.name}" if aside is not None else "left where it is"
        return {}, f"The remembered books of {feed} were damaged; the file was {where}."
    return document.books, None
