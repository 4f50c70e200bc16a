"""Places the last-value tags of a value axis so that none covers another; Qt-free."""

from __future__ import annotations

from collections.abc import Sequence


def spread(wanted: Sequence[float], size: float, low: float, high: float) -> list[float | None]:
    """Return where tags of height `size` have their middle, as near to the wanted middles as can be.

    All lie in low..high without overlapping and keep their order. When there is room for fewer than all, the last ones
    given are left out (None).
    """
    room = max(0, int((high - low + 1e-9) // size))
    chosen = sorted(range(min(room, len(wanted))), key=lambda i: (wanted[i], i))
    placed: list[float | None] = [None] * len(wanted)
    groups: list[tuple[float, int]] = []
    for i in chosen:
        first, count = min(max(wanted[i] - size / 2, low), high - size), 1
        while groups and groups[-1][0] + groups[-1][1] * size > first:
            before, members = groups.pop()
            first = (before * members + (first - members * size) * count) / (members + count)
            count += members
            first = min(max(first, low), high - count * size)
        groups.append((first, count))
    middles = [first + (k + 0.5) * size for first, count in groups for k in range(count)]
    for i, middle in zip(chosen, middles, strict=True):
        placed[i] = middle
    return placed
