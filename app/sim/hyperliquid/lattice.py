"""Turns prices into those the simulated Hyperliquid allows, and levels into buckets of a few significant figures.

Prices are integers: the price times 10^decimals of its coin ("atoms"). The rule is the venue's (tick and lot size):
five significant figures, while whole numbers are always allowed. Buckets (`nSigFigs`, `mantissa` of l2Book) are cut by
each price's own power of ten: bids are rounded down, asks up, and a bucket without orders is not listed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_LEVELS = 20
_FIGURES = 5
_POWERS: Ints = 10 ** np.arange(19, dtype=np.int64)


class Levels(NamedTuple):
    """Levels of one side, best first: prices in atoms, sizes in steps, numbers of orders."""

    prices: Ints
    sizes: Ints
    orders: Ints


def digits(atoms: Ints) -> Ints:
    """Return how many decimal digits positive integers have."""
    return np.asarray(np.searchsorted(_POWERS, atoms, side="right"), dtype=np.int64)


def steps(atoms: Ints, decimals: Ints | int) -> Ints:
    """Return the distance between allowed prices at some prices."""
    fine = np.minimum(np.maximum(digits(atoms) - _FIGURES, 0), decimals)
    return np.asarray(_POWERS[fine], dtype=np.int64)


def round_down(atoms: Ints, decimals: Ints | int) -> Ints:
    """Return the next allowed prices at or below."""
    step = steps(atoms, decimals)
    return np.asarray(atoms // step * step, dtype=np.int64)


def round_up(atoms: Ints, decimals: Ints | int) -> Ints:
    """Return the next allowed prices at or above."""
    step = steps(atoms, decimals)
    return np.asarray(-(-atoms // step) * step, dtype=np.int64)


def bucket_steps(atoms: Ints, figures: int, mantissa: int = 1) -> Ints:
    """Return the widths of the buckets that hold some prices."""
    count = digits(atoms)
    wide = _POWERS[np.maximum(count - figures, 0)] * mantissa
    return np.asarray(np.where(count < figures, 1, wide), dtype=np.int64)


def bucketed(levels: Levels, *, bids: bool, figures: int | None, mantissa: int | None) -> Levels:
    """Return at most 20 levels of one side, aggregated to significant figures (None: as they stand)."""
    if figures is None or not len(levels.prices):
        return Levels(*(each[:MOST_LEVELS] for each in levels))
    width = bucket_steps(levels.prices, figures, mantissa or 1)
    edges = levels.prices // width * width if bids else -(-levels.prices // width) * width
    first = np.flatnonzero(np.diff(edges, prepend=edges[0] + 1))
    end = first[MOST_LEVELS] if len(first) > MOST_LEVELS else len(edges)
    first = first[:MOST_LEVELS]
    return Levels(
        edges[first],
        np.add.reduceat(levels.sizes[:end], first),
        np.add.reduceat(levels.orders[:end], first),
    )
