"""The spool keeps order and bounds, survives cuts at any byte, and says what it dropped."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.storage.spool import Spool


def test_frames_come_back_in_order_also_from_a_new_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000)
    payloads = [bytes([i]) * (i + 1) for i in range(50)]
    for payload in payloads:
        spool.append(payload)
    again = Spool(tmp_path, 1_000_000)
    assert list(again) == payloads
    assert again.count == 50
    again.clear()
    assert list(Spool(tmp_path, 1_000_000)) == []


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 400))
def test_a_cut_file_gives_whole_frames_only(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, 1_000_000)
    payloads = [bytes([65 + i]) * 30 for i in range(10)]
    for payload in payloads:
        spool.append(payload)
    file = folder / "minutes.spool"
    data = file.read_bytes()
    file.write_bytes(data[: min(cut, len(data))])
    whole = min(cut, len(data)) // 38
    assert list(Spool(folder, 1_000_000)) == payloads[:whole]


def test_damage_in_the_middle_ends_the_file_there(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000)
    for i in range(5):
        spool.append(bytes([i]) * 30)
    file = tmp_path / "minutes.spool"
    data = bytearray(file.read_bytes())
    data[38 * 2 + 20] ^= 0xFF
    file.write_bytes(data)
    assert len(list(Spool(tmp_path, 1_000_000))) == 2


def test_the_oldest_go_first_when_the_bound_is_reached_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 4_000)
    for i in range(200):
        spool.append(i.to_bytes(2, "big") * 50)
    held = [int.from_bytes(payload[:2], "big") for payload in spool]
    assert held == list(range(held[0], 200)), "what is left is the newest, without a hole"
    assert spool.dropped == held[0]
    assert spool.count == len(held)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size <= 4_000 + 108


def test_a_full_disk_raises_and_keeps_what_is_there(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    spool = Spool(tmp_path, 1_000_000)
    spool.append(b"kept")
    (tmp_path / "minutes.old.spool").write_bytes((tmp_path / "minutes.spool").read_bytes())
    (tmp_path / "minutes.spool").unlink()
    (tmp_path / "minutes.spool").symlink_to(full)
    with pytest.raises(OSError, match=f"{os.strerror(errno.ENOSPC)}|{os.strerror(errno.EINVAL)}"):
        spool.append(b"x" * 100)
    (tmp_path / "minutes.spool").unlink()
    assert list(Spool(tmp_path, 1_000_000)) == [b"kept"]
