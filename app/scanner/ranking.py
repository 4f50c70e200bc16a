"""Which rows of the board are shown, and in which order: free text, favourites and a column into row numbers."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from app.scanner.board import Board
from app.scanner.columns import BY_KEY

BoolArray = npt.NDArray[np.bool_]
RowArray = npt.NDArray[np.int64]


def matching(board: Board, text: str) -> BoolArray:
    """Return the rows, bool [count], whose symbol, venue and market together contain every word of a text."""
    found = np.ones(board.count, np.bool_)
    for word in text.upper().split():
        found &= np.strings.find(board.texts("all"), word) >= 0
    return found


def ordered(
    board: Board,
    key: str,
    *,
    descending: bool = False,
    among: BoolArray | None = None,
    favourites: Collection[int] = (),
) -> RowArray:
    """Return row numbers sorted by a column; what is unknown goes last either way, what is equal stays in row order.

    among: bool [count], the rows to sort (None: all). favourites: rows that go before all others, sorted likewise.
    """
    rows: RowArray = np.arange(board.count) if among is None else np.flatnonzero(among)
    column = BY_KEY[key]
    if column.is_text:
        values = np.unique(board.texts(key)[rows], return_inverse=True)[1].astype(np.float64)
    else:
        values = board.numbers(column)[rows]
    rows = rows[np.argsort(-values if descending else values, kind="stable")]  # NaN is sorted last
    if favourites:
        others = np.ones(board.count, np.bool_)
        others[[row for row in favourites if row < board.count]] = False
        rows = rows[np.argsort(others[rows], kind="stable")]
    return rows


def top(board: Board, count: int, *, losers: bool = False, among: BoolArray | None = None) -> RowArray:
    """Return the rows that gained (or lost) most in 24 h, best first; those whose change is not known never count."""
    known = ~np.isnan(board.numbers(BY_KEY["change_24h"]))
    return ordered(board, "change_24h", descending=not losers, among=known if among is None else known & among)[:count]
