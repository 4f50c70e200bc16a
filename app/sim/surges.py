"""Turns a seed into rare events of a market: prices that run away for a minute, and bursts of turnover.

They come often enough for a watcher of a simulated market to meet some within minutes, and never touch the first few
instruments, whose books shall stay calm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

STEP_S = 0.1
_CALM_INSTRUMENTS = 5
_FIRST_AFTER_S = 30.0
_PAUSE_S = (25.0, 75.0)
_LASTS_S = (30.0, 80.0)
_RUN_SHARE = 0.6  # of the events; the others are bursts of turnover at a steady price
_RUN_LOG = (0.034, 0.06)
_TURNOVER_TIMES = (12.0, 40.0)


@dataclass(slots=True)
class _Event:
    place: int
    steps_left: int
    drift: float
    turnover: float


class Surges:
    """Events of `count` instruments; `drift` is added to log prices, `turnover` multiplies what is traded."""

    def __init__(self, seed: int, count: int) -> None:
        """Draw from a generator of its own, so that events leave everything else as it would have been."""
        self._generator = np.random.default_rng([seed, 0x5C4])
        self._events: list[_Event] = []
        self._wait = int(_FIRST_AFTER_S / STEP_S)
        self._written = False
        self.drift: Floats = np.zeros(count)
        self.turnover: Floats = np.ones(count)

    def resize(self, count: int) -> None:
        """Take note of instruments that were added."""
        self.drift = np.zeros(count)
        self.turnover = np.ones(count)

    def start(self, place: int, *, log_move: float, turnover: float = 25.0, seconds: float = 45.0) -> None:
        """Let an instrument run by `log_move` within some seconds, from the next step on."""
        steps = max(1, round(seconds / STEP_S))
        self._events.append(_Event(place, steps, log_move / steps, turnover))

    def step(self) -> None:
        """Move on by 100 ms."""
        self._wait -= 1
        if self._wait <= 0:
            self._begin()
        if self._events or self._written:
            self._write()
            self._written = bool(self._events)
        for event in self._events:
            event.steps_left -= 1
        self._events = [event for event in self._events if event.steps_left > 0]

    def _begin(self) -> None:
        dice = self._generator
        self._wait = int(dice.uniform(*_PAUSE_S) / STEP_S)
        count = len(self.drift)
        if count <= _CALM_INSTRUMENTS:
            return
        runs = dice.random() < _RUN_SHARE
        self.start(
            int(dice.integers(_CALM_INSTRUMENTS, count)),
            log_move=float(dice.uniform(*_RUN_LOG) * dice.choice((-1.0, 1.0))) if runs else 0.0,
            turnover=float(dice.uniform(*_TURNOVER_TIMES)),
            seconds=float(dice.uniform(*_LASTS_S)),
        )

    def _write(self) -> None:
        self.drift[:] = 0.0
        self.turnover[:] = 1.0
        for event in self._events:
            self.drift[event.place] += event.drift
            self.turnover[event.place] = max(self.turnover[event.place], event.turnover)
