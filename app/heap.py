"""Keeps large blocks out of the heap of glibc, whose holes it does not give back.

By default glibc moves the size from which a block has a mapping of its own up to 32 MiB, as large blocks are freed.
Arrays, frames and pictures then lie between what lives long, and the holes they leave grew by 1.7 MiB a minute.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

LARGE_BYTES: Final = 64 * 1024
_M_MMAP_THRESHOLD: Final = -3


def keep_compact() -> bool:
    """Give every block from `LARGE_BYTES` a mapping of its own; return False where the allocator is not glibc's."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES))
