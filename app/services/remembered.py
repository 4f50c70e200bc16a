"""Put remembered levels beneath fresh books at the start, and take them from the books at the end.

Only books of snapshots and diffs can use levels beyond a snapshot; books of a fixed window cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from app.books.side import Side
from app.books.sync import BookSync
from app.domain.ids import Market
from app.services.pipeline import MarketEngine
from app.services.recording import saved_to_json
from app.storage.recorder import Recorder
from app.storage.saved_books import SavedBook, SavedSide, load_books, save_books

_log = logging.getLogger("fathom.books")


def _file(folder: Path, engine: MarketEngine) -> Path:
    return folder / f"{engine.feed}.books"


def recall(engines: Mapping[Market, MarketEngine], folder: Path, not_before_ns: int) -> list[str]:
    """Fill the engines' empty books with remembered levels; return sentences about damaged files."""
    notes = []
    for engine in engines.values():
        books, note = load_books(_file(folder, engine), str(engine.feed))
        if note is not None:
            notes.append(note)
        for symbol, saved in books.items():
            index = engine.index_of(symbol)
            if index is None:
                continue
            keeper = engine.rows[index].sync
            if not isinstance(keeper, BookSync):
                continue
            book = keeper.book
            try:
                sides = [
                    (side, *packed.unpack()) for side, packed in ((book.bids, saved.bids), (book.asks, saved.asks))
                ]
            except ValueError as error:
                _log.warning("remembered levels of %s are not usable: %s", symbol, error)
                continue
            for side, price, qty, since in sides:
                young = since >= not_before_ns
                if young.any():
                    side.add_unconfirmed(price[young], qty[young], since[young])
    return notes


def record(engines: Mapping[Market, MarketEngine], recorder: Recorder, now_ns: int) -> None:
    """Write down what was recalled, so that a replay starts from the same books."""
    for engine in engines.values():
        for row in engine.rows:
            if isinstance(row.sync, BookSync) and len(row.sync.book):
                raw = saved_to_json({"bids": row.sync.book.bids, "asks": row.sync.book.asks})
                recorder.write(now_ns, f"{engine.feed}.saved {row.symbol}", raw)


def remember(engine: MarketEngine, folder: Path, now_ns: int) -> None:
    """Save all books of an engine; levels confirmed until now count as confirmed at `now_ns`. Raises OSError."""
    books = {
        row.symbol: SavedBook(_pack(row.sync.book.bids, now_ns), _pack(row.sync.book.asks, now_ns))
        for row in engine.rows
        if isinstance(row.sync, BookSync)
    }
    if not books:
        return
    save_books(_file(folder, engine), str(engine.feed), books)


def _pack(side: Side, now_ns: int) -> SavedSide:
    price, qty, since = side.levels()
    return SavedSide.pack(price, qty, np.where(since == 0, now_ns, since))
