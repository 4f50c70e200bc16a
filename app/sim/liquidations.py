"""Turns price moves into orders of forced liquidations: a long that is closed sells, after a fall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.sim.day import Day

_USUAL_A_SECOND = 0.6
_SURGE_A_SECOND = 0.8
_SIZE_USD = 9_000.0
_MOST_USD = 2e6


@dataclass(frozen=True, slots=True)
class ForcedOrder:
    """One order: `place` is the instrument's in the day, quantity in steps."""

    place: int
    sells: bool
    price: float
    average: float
    quantity: int


class Liquidations:
    """Draws orders once a second, at most one of an instrument, as the venue publishes them."""

    def __init__(self, day: Day, seed: int) -> None:
        """Draw from a generator of its own."""
        self._day = day
        self._dice = np.random.default_rng([seed, 0x11C])
        weights = np.sqrt([row.volume for row in day.rows])
        self._weights = weights / weights.sum()
        self._before = day.last.copy()

    def draw(self, drift: np.typing.NDArray[np.float64]) -> list[ForcedOrder]:
        """Return this second's orders; `drift` by pair makes those of one direction frequent."""
        day, dice = self._day, self._dice
        pushed = drift[day.pairs]
        moved = day.last / self._before - 1.0
        self._before = day.last.copy()
        places = set(dice.choice(len(day.rows), dice.poisson(_USUAL_A_SECOND), p=self._weights).tolist())
        surging = np.flatnonzero(pushed)
        places |= set(surging[dice.random(len(surging)) < _SURGE_A_SECOND].tolist())
        orders = []
        for place in sorted(places):
            if not day.trading(place):
                continue
            lean = pushed[place] or moved[place]
            sells = bool(lean < 0.0 if lean else dice.random() < 0.5)
            row, last = day.rows[place], float(day.last[place])
            usd = min(_MOST_USD, _SIZE_USD * float(np.exp(dice.normal(0.0, 1.4))))
            quantity = max(1, int(usd / last * 10**row.quantity_decimals))
            slip = 1.0 - 0.002 if sells else 1.002
            orders.append(ForcedOrder(place, sells, last * slip, last * (1.0 + (slip - 1.0) / 2), quantity))
        return orders
