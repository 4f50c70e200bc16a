"""The scanner's quick lists: what each one holds, and the ranked ones worked out over the whole board."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from app.scanner.board import Board
from app.scanner.columns import BY_KEY
from app.scanner.ranking import BoolArray, ordered, top

TOP: Final = 100


class ScanList(StrEnum):
    """Which instruments are looked at before chips and filter."""

    ALL = "all"
    FAVOURITES = "favourites"
    GAINERS = "gainers"
    LOSERS = "losers"
    ACTIVE = "active"
    EXTREMES = "extremes"
    EVENTS = "events"
    HOT = "hot"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKind:
    """A quick list: its name, what it means, and the column it is ordered by when it is chosen ("": as before)."""

    title: str
    help: str
    column: str = ""
    descending: bool = True


LISTS: Final[dict[ScanList, ListKind]] = {
    ScanList.ALL: ListKind(title="All instruments", help="Every instrument of every venue"),
    ScanList.FAVOURITES: ListKind(title="Favourites", help="Instruments marked with a star (Ctrl+D)"),
    ScanList.GAINERS: ListKind(
        title="Top gainers", help=f"The {TOP} that rose most within 24 h", column="change_24h", descending=True
    ),
    ScanList.LOSERS: ListKind(
        title="Top losers", help=f"The {TOP} that fell most within 24 h", column="change_24h", descending=False
    ),
    ScanList.ACTIVE: ListKind(
        title="Most active", help=f"The {TOP} with the largest turnover of 24 h", column="volume_24h"
    ),
    ScanList.EXTREMES: ListKind(
        title="New highs and lows", help="Instruments with a new high or low of the day", column="events"
    ),
    ScanList.EVENTS: ListKind(title="With events", help="Instruments with any recent event", column="events"),
    ScanList.HOT: ListKind(title="Hot", help="Instruments that get full streams", column="volume_24h"),
}


def listed(chosen: ScanList, board: Board, among: BoolArray) -> BoolArray:
    """Return the rows of a ranked list out of those in `among`, bool [count]; all of `among` for other lists.

    Rows of which the figure is unknown are in no ranked list.
    """
    if chosen is ScanList.ACTIVE:
        known = among & ~np.isnan(board.numbers(BY_KEY["volume_24h"]))
        rows = ordered(board, "volume_24h", descending=True, among=known)[:TOP]
    elif chosen in (ScanList.GAINERS, ScanList.LOSERS):
        rows = top(board, TOP, losers=chosen is ScanList.LOSERS, among=among)
    else:
        return among
    mask = np.zeros(board.count, np.bool_)
    mask[rows] = True
    return mask
