"""Garbage is collected when asked for, the older generations less often than the young one."""

from __future__ import annotations

import gc

import pytest

from app import garbage


class _Knot:
    def __init__(self) -> None:
        self.me = self


@pytest.mark.parametrize(
    ("counts", "generation"),
    [((0, 0, 0), None), ((700, 10, 60), None), ((701, 0, 0), 0), ((701, 11, 0), 1), ((0, 11, 61), 2)],
)
def test_the_oldest_generation_that_is_due_is_collected(
    monkeypatch: pytest.MonkeyPatch, counts: tuple[int, int, int], generation: int | None
) -> None:
    collected: list[int] = []
    monkeypatch.setattr(gc, "get_count", lambda: counts)
    monkeypatch.setattr(gc, "get_threshold", lambda: (700, 10, 10))
    monkeypatch.setattr(gc, "collect", lambda number: collected.append(number) or 7)
    assert garbage.collect_due() == (0 if generation is None else 7)
    assert collected == ([] if generation is None else [generation])


def test_cycles_go_when_there_are_enough_of_them() -> None:
    gc.collect()
    assert garbage.collect_due() == 0
    for _ in range(2 * gc.get_threshold()[0]):
        _Knot()
    assert garbage.collect_due() >= gc.get_threshold()[0]
