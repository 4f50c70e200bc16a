"""The spool keeps order and bounds, survives cuts at any byte, and says what it dropped."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.storage.spool import Spool

HEAD = 8


def contents(spool: Spool) -> list[bytes]:
    return [payload for number in spool.segments for payload in spool.read(number)]


def test_frames_come_back_in_order_also_from_a_new_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 4_000)
    payloads = [bytes([i]) * (i + 1) for i in range(50)]
    for payload in payloads:
        spool.append(payload)
    again = Spool(tmp_path, 4_000)
    assert contents(again) == payloads
    assert again.count == 50
    assert again.size == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert len(again.segments) > 1
    for number in again.segments:
        again.forget(number)
    assert again.count == 0
    assert contents(Spool(tmp_path, 4_000)) == []


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 380), more=st.integers(0, 3))
def test_a_cut_file_gives_whole_frames_and_takes_further_ones(
    tmp_path_factory: pytest.TempPathFactory, cut: int, more: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, 1_000_000)
    payloads = [bytes([65 + i]) * 30 for i in range(10)]
    for payload in payloads:
        spool.append(payload)
    (file,) = folder.iterdir()
    os.truncate(file, cut)
    expected = payloads[: cut // (30 + HEAD)]
    again = Spool(folder, 1_000_000)
    assert contents(again) == expected
    for i in range(more):
        again.append(bytes([i]) * 9)
        expected.append(bytes([i]) * 9)
    assert contents(Spool(folder, 1_000_000)) == expected


def test_damage_in_the_middle_ends_the_file_there(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000)
    for i in range(5):
        spool.append(bytes([i]) * 30)
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[(30 + HEAD) * 2 + 20] ^= 0xFF
    file.write_bytes(data)
    assert len(contents(Spool(tmp_path, 1_000_000))) == 2


def test_the_oldest_go_first_when_the_bound_is_reached_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 8_000)
    for i in range(500):
        spool.append(i.to_bytes(2, "big") * 50)
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 8_000
    held = [int.from_bytes(payload[:2], "big") for payload in contents(spool)]
    assert held == list(range(held[0], 500)), "what is left is the newest, without a hole"
    assert spool.dropped == held[0]
    assert spool.count == len(held)
    assert len(held) * 108 > 8_000 * 3 // 4, "only a small part goes at a time"


def test_a_frame_larger_than_the_bound_is_still_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100)
    spool.append(b"a" * 50)
    spool.append(b"b" * 500)
    assert contents(spool) == [b"b" * 500]
    assert spool.dropped == 1


def test_a_full_disk_raises_and_keeps_what_is_there(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000)
    spool.append(b"kept" * 20)
    (tmp_path / "spool-00000002.seg").symlink_to("/dev/full")  # the next segment
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        spool.append(b"x" * 100)
    assert spool.count == 1
    (tmp_path / "spool-00000002.seg").unlink()
    spool.append(b"y" * 100)
    assert contents(Spool(tmp_path, 1_000)) == [b"kept" * 20, b"y" * 100]


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "spool-notes.seg").write_text("mine")
    (tmp_path / "minutes.txt").write_text("mine")
    spool = Spool(tmp_path, 1_000)
    spool.append(b"a")
    assert contents(spool) == [b"a"]
    assert (tmp_path / "spool-notes.seg").read_text() == "mine"
