"""Conditions on the columns of the scanner: a text in, a mask of the rows that satisfy it out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.domain.errors import FathomError
from app.scanner.board import Board


class ConditionError(FathomError):
    """A text is no condition. position: the column (1-based) at which reading it failed; `str()` names it too."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"column {position}: {message}")
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was read. `str()` gives it in a normal form. columns: keys of the columns it looks at."""

    columns: tuple[str, ...]

    def mask(self, board: Board) -> npt.NDArray[np.bool_]:
        """Return which rows satisfy it: bool [count]."""
        return np.zeros(board.count, np.bool_)

    def figures(self, board: Board, row: int) -> dict[str, float]:
        """Return the finite numbers of a row that the condition looks at, by column key."""
        return {key: float("nan") for key in self.columns if row < board.count}


def parse(text: str) -> Condition:
    """Read a condition. Raises ConditionError."""
    raise ConditionError("conditions cannot be read yet", 1 + len(text))
