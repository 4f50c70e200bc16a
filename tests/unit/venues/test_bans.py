"""Bans survive restarts; damaged files do not stop anything."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from app.domain.units import NS_PER_S
from app.venues.bans import Ban, BanStore

NOW_NS = 1_767_225_600 * NS_PER_S


def test_a_ban_holds_until_its_end_for_its_host_only() -> None:
    bans = BanStore(None)
    bans.put("a.example", Ban(418, NOW_NS + 120 * NS_PER_S), NOW_NS)
    assert bans.active("a.example", NOW_NS) == Ban(418, NOW_NS + 120 * NS_PER_S)
    assert bans.active("a.example", NOW_NS + 120 * NS_PER_S) is None
    assert bans.active("b.example", NOW_NS) is None


def test_the_longer_of_two_bans_counts() -> None:
    bans = BanStore(None)
    bans.put("a.example", Ban(418, NOW_NS + 120 * NS_PER_S), NOW_NS)
    bans.put("a.example", Ban(429, NOW_NS + 7 * NS_PER_S), NOW_NS)
    assert bans.active("a.example", NOW_NS) == Ban(418, NOW_NS + 120 * NS_PER_S)
    bans.put("a.example", Ban(418, NOW_NS + 600 * NS_PER_S), NOW_NS)
    assert bans.active("a.example", NOW_NS + 300 * NS_PER_S) is not None


def test_a_ban_is_known_to_the_next_start_and_two_stores_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "state" / "bans.json"
    BanStore(path).put("spot.example", Ban(418, NOW_NS + 120 * NS_PER_S), NOW_NS)
    BanStore(path).put("usdm.example", Ban(429, NOW_NS + 60 * NS_PER_S), NOW_NS)
    later = BanStore(path)
    later.load()
    assert later.active("spot.example", NOW_NS + NS_PER_S) == Ban(418, NOW_NS + 120 * NS_PER_S)
    assert later.active("usdm.example", NOW_NS + NS_PER_S) == Ban(429, NOW_NS + 60 * NS_PER_S)
    assert [file.name for file in path.parent.iterdir()] == ["bans.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"version":1,"hosts":{"a.example":{"status":"x"}}}', b'{"hosts":{"a":{}}}'],
)
def test_a_damaged_file_means_no_bans_and_is_written_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "bans.json"
    path.write_bytes(content)
    bans = BanStore(path)
    with caplog.at_level(logging.WARNING):
        bans.load()
    assert "cannot be read" in caplog.text
    bans.put("a.example", Ban(418, NOW_NS + 120 * NS_PER_S), NOW_NS)
    again = BanStore(path)
    again.load()
    assert again.active("a.example", NOW_NS) is not None


def test_a_ban_far_in_the_future_is_a_wrong_clock_not_a_ban(tmp_path: Path) -> None:
    path = tmp_path / "bans.json"
    until_ns = NOW_NS + 400 * 24 * 3600 * NS_PER_S
    path.write_bytes(b'{"version":1,"hosts":{"a.example":{"status":418,"until_ns":%d}}}' % until_ns)
    bans = BanStore(path)
    bans.load()
    assert bans.active("a.example", NOW_NS) is None


def test_a_folder_that_cannot_be_written_keeps_the_ban_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    bans = BanStore(tmp_path / "file" / "bans.json")
    with caplog.at_level(logging.WARNING):
        bans.put("a.example", Ban(418, NOW_NS + 120 * NS_PER_S), NOW_NS)
    assert "cannot be" in caplog.text
    assert bans.active("a.example", NOW_NS) is not None
