"""Market groups: which base assets each one leaves out, and the membership masks over a universe of symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from app.domain.ids import Market


class Group(StrEnum):
    """A set of symbols that is summed; COIN (one pair) is not a group but a `Subject` with a symbol."""

    TOTAL = "TOTAL"
    TOTAL1 = "TOTAL1"
    TOTAL2 = "TOTAL2"
    TOTAL3 = "TOTAL3"
    OTHERS = "OTHERS"


GROUPS: Final[tuple[Group, ...]] = tuple(Group)
LARGEST: Final = ("BTC", "ETH", "XRP", "BNB", "SOL", "TRX", "DOGE", "ADA", "LINK", "BCH")
TOP_TEN: Final[frozenset[str]] = frozenset(LARGEST)
EXCLUDED: Final[dict[Group, frozenset[str]]] = {
    Group.TOTAL: frozenset(),
    Group.TOTAL1: frozenset(("BTC",)),
    Group.TOTAL2: frozenset(("BTC", "ETH")),
    Group.TOTAL3: frozenset(("BTC", "ETH", "SOL")),
    Group.OTHERS: TOP_TEN,
}


def membership(bases: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return a mask of shape [groups, symbols]: True where the symbol's base asset belongs to the group."""
    return np.array([[base not in EXCLUDED[group] for base in bases] for group in GROUPS], dtype=np.bool_).reshape(
        len(GROUPS), len(bases)
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """What an indicator is about: a group, or COIN, one pair named as on the spot market (BTCUSDT)."""

    group: Group | None = None
    pair: str | None = None

    def __post_init__(self) -> None:
        if (self.group is None) == (self.pair is None):
            raise ValueError("expected either a group or a pair")

    @property
    def is_group(self) -> bool:
        """Tell a group from a coin."""
        return self.group is not None

    def __str__(self) -> str:
        return self.group.value if self.group is not None else str(self.pair)

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Return the group of that name, else the coin; raise ValueError on an empty text."""
        word = text.strip().upper()
        if not word:
            raise ValueError("expected a group or a pair, was nothing")
        if word in Group.__members__:
            return cls(group=Group[word])
        return cls(pair=word)


@dataclass(frozen=True, slots=True)
class SubjectMarket:
    """A subject on one market; the key of every stored series."""

    subject: Subject
    market: Market
