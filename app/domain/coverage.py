"""How well a number is known: the words behind every figure the program shows."""

from __future__ import annotations

from enum import IntEnum


class Coverage(IntEnum):
    """How far one side of a book is known within one band.

    NONE: no synced book, so no number. PARTIAL: the band reaches beyond what is proven, so its confirmed volume is a
    floor. EXACT: every price of the band is proven by a snapshot and an unbroken chain of diffs.
    """

    NONE = 0
    PARTIAL = 1
    EXACT = 2


class Known(IntEnum):
    """How well a computed value is known.

    MISSING: undefined, shown as a dash with a reason. PARTIAL: a difference, ratio or group that rests on bands which
    are not wholly known, or a volume that counts unconfirmed levels ("≈"). FLOOR: a volume of which at least this
    much exists (">="). EXACT: proven.
    """

    MISSING = 0
    PARTIAL = 1
    FLOOR = 2
    EXACT = 3
