"""The queue before the database: order, what falls off, what stays when writing fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pytest

from app.storage.row_queue import RowQueue


def test_rows_are_handed_over_in_order_and_forgotten() -> None:
    queue: RowQueue[int] = RowQueue()
    for number in range(5):
        assert not queue.take(number)
    seen: list[list[int]] = []
    queue.pass_on(seen.append, 2)
    assert seen == [[0, 1], [2, 3], [4]]
    assert len(queue) == 0


def test_what_cannot_be_written_stays() -> None:
    queue: RowQueue[int] = RowQueue()
    for number in range(3):
        queue.take(number)

    def fail_at_one(number: int) -> None:
        if number == 1:
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 # no words
        queue.pass_each(fail_at_one)
    assert len(queue) == 2


def test_the_oldest_fall_off_even_while_they_are_written() -> None:
    queue: RowQueue[str] = RowQueue(2)
    assert [queue.take(word) for word in "abc"] == [False, False, True]
    seen: list[list[str]] = []

    def write(words: list[str]) -> None:
        seen.append(words)
        if len(seen) == 1:
            queue.take("d")

    queue.pass_on(write)
    assert seen == [["b", "c"], ["d"]]
    assert len(queue) == 0


def test_shrinking_lets_the_oldest_go() -> None:
    queue: RowQueue[int] = RowQueue()
    for number in range(4):
        queue.take(number)
    assert queue.shrink(3) == 1
    assert queue.shrink(3) == 0
    seen: list[int] = []
    queue.pass_each(seen.append)
    assert seen == [1, 2, 3]


class Jumpy(deque[int]):
    """Is changed by another thread when it is first looked through."""

    looks = 0

    def __iter__(self) -> Iterator[int]:
        self.looks += 1
        if self.looks == 1:
            raise RuntimeError("deque mutated during iteration")
        return super().__iter__()


def test_a_row_that_comes_while_the_queue_is_read_stops_nothing() -> None:
    queue: RowQueue[int] = RowQueue()
    queue._rows = Jumpy((1, 2))
    seen: list[list[int]] = []
    queue.pass_on(seen.append)
    assert seen == [[1, 2]]
