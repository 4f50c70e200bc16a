"""Collects cyclic garbage when it is asked to, so that one thread can be the only one that does.

CPython collects on whichever thread happens to allocate. A Qt object that sits in a cycle is then destroyed on that
thread, which Qt does not allow: timers stay registered, events reach freed memory, and the process dies later in a
place that has nothing to do with it. pyqtgraph's `GarbageCollector` does the same as this module, but cannot be
stopped again and costs the import of pyqtgraph before the window is painted.
"""

from __future__ import annotations

import gc
from typing import Final

FULL_AFTER: Final = 60
"""How many collections of the middle generation pass before a full one.

CPython's own rule for it (not before a quarter of what lives is new) holds for automatic collections only.
"""


def collect_due() -> int:
    """Collect the oldest generation that is due by CPython's thresholds; return how many objects were unreachable."""
    young, middle, old = gc.get_count()
    young_due, middle_due, _ = gc.get_threshold()
    if old > FULL_AFTER:
        return gc.collect(2)
    if middle > middle_due:
        return gc.collect(1)
    if young > young_due:
        return gc.collect(0)
    return 0
