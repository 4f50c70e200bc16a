"""Large blocks get mappings of their own, also after larger ones were freed."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

_CAN_TELL = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallinfo2")
_PROGRAM = """
import ctypes, sys
from app import heap
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena free small mapped".split()] + [("rest", ctypes.c_size_t * 6)]
info = ctypes.CDLL(None).mallinfo2
info.restype = Info
if sys.argv[1] == "compact":
    assert heap.keep_compact()
held = bytearray(8_000_000)
del held
before = info().mapped
block = bytearray(16 * heap.LARGE_BYTES)  # more than any hole that the start has left
print(info().mapped - before)
"""


@pytest.mark.skipif(not _CAN_TELL, reason="only glibc from 2.33 on can be asked")
@pytest.mark.parametrize(("how", "mappings"), [("compact", 1), ("as it comes", 0)])
def test_a_large_block_has_a_mapping_of_its_own(how: str, mappings: int) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) == mappings
