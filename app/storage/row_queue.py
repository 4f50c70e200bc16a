"""A bounded queue from any thread to the one that writes; rows leave it only once they have been written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class RowQueue(Generic[T]):
    """Rows in order of arrival. Beyond `most` (None: any number) the oldest fall off."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._rows: deque[T] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, row: T) -> bool:
        """Queue a row, on any thread; tell whether another one fell off for it."""
        is_full = len(self._rows) == self._most
        self._rows.append(row)
        return is_full

    def pass_on(self, hand_over: Callable[[list[T]], object], most: int | None = None) -> None:
        """Hand over all rows, at most so many at a time; those whose handing over raises stay, and so do later ones."""
        while rows := self._first(most):
            hand_over(rows)
            for row in rows:  # some may have fallen off meanwhile
                if self._rows and self._rows[0] is row:
                    self._rows.popleft()

    def _first(self, most: int | None) -> list[T]:
        """Return the oldest rows; another thread may queue one just then, which ends the iteration: it begins anew."""
        while True:
            try:
                return list(islice(self._rows, most))
            except RuntimeError:
                continue

    def pass_each(self, hand_over: Callable[[T], object]) -> None:
        """Hand over the rows one by one."""
        self.pass_on(lambda rows: hand_over(rows[0]), 1)

    def shrink(self, most: int) -> int:
        """Let the oldest go until no more than so many are left; return how many went."""
        count = max(0, len(self._rows) - most)
        for _ in range(count):
            self._rows.popleft()
        return count
