"""One side of a simulated order book: integer price and quantity steps, kept in price order.

Keys are prices in ticks, negated for asks, so that on both sides the best level is the largest key and sits last:
edits near the top then move only a few list entries.
"""

from __future__ import annotations

from bisect import bisect_left, insort


class Ladder:
    """Levels of one side. `keys` is ascending, best last; `quantities` holds steps, always positive."""

    __slots__ = ("keys", "quantities", "sign")

    def __init__(self, sign: int, levels: dict[int, int]) -> None:
        """Take `levels` as key -> quantity; `sign` is +1 for bids and -1 for asks."""
        self.sign = sign
        self.quantities = dict(levels)
        self.keys = sorted(levels)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def best(self) -> int:
        """Key of the best level; IndexError when the side is empty."""
        return self.keys[-1]

    def set(self, key: int, quantity: int) -> None:
        """Give a level a quantity; 0 removes it."""
        quantities = self.quantities
        if quantity:
            if key not in quantities:
                insort(self.keys, key)
            quantities[key] = quantity
        elif quantities.pop(key, 0):
            del self.keys[bisect_left(self.keys, key)]

    def pop_above(self, key: int) -> list[int]:
        """Remove and return the keys of levels better than `key`."""
        keys = self.keys
        start = bisect_left(keys, key + 1)
        gone = keys[start:]
        if gone:
            del keys[start:]
            for each in gone:
                del self.quantities[each]
        return gone

    def best_first(self, limit: int | None = None) -> list[tuple[int, int]]:
        """Return (price in ticks, quantity in steps), best first, at most `limit` levels."""
        keys = self.keys if limit is None else self.keys[-limit:]
        sign, quantities = self.sign, self.quantities
        return [(key * sign, quantities[key]) for key in reversed(keys)]
