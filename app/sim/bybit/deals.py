"""Turns what the tape traded and liquidated into rows of publicTrade and allLiquidation."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.sim.bybit.encoders import price_writer, quantity_writer
from app.sim.bybit.tape import Figures, SimLiquidation

LiquidationRow = tuple[int, bool, str, str]  # UTC ms, long?, quantity, price

_FIRST_TRADE = 2_290_000_000_000_000_000
_LIQUIDATED_BEFORE_MS = 15


class Deals:
    """Trades and liquidations of one market; liquidations wait until they are told."""

    def __init__(self, figures: Figures, next_sequence: Callable[[], int]) -> None:
        """Take the market's figures and its cross sequence."""
        self._figures = figures
        self._next_sequence = next_sequence
        self._number = _FIRST_TRADE
        self._owed: dict[int, list[LiquidationRow]] = {}

    def trade(self, row: int, now_ms: int) -> dict[str, object]:
        """Return an instrument's trade of this step."""
        figures, contract = self._figures, self._figures.contracts[row]
        steps = max(1, round(float(figures.traded[row]) * 10.0**contract.listing.quantity_decimals))
        price = price_writer(contract)(round(float(figures.last[row] / figures.tick[row])))
        self._number += 1
        whole: dict[str, object] = {
            "T": now_ms - 1,
            "s": contract.symbol,
            "S": "Buy" if figures.bought[row] else "Sell",
            "v": quantity_writer(contract)(steps),
            "p": price,
        }
        if contract.linear:
            whole["L"] = "PlusTick" if figures.tick_up[row] else "MinusTick"
        return {**whole, "i": str(self._number), "BT": False, "RPI": False, "seq": self._next_sequence()}

    def note_liquidations(self, liquidations: Iterable[SimLiquidation], now_ms: int) -> None:
        """Let liquidations wait for the next message of their instruments."""
        for each in liquidations:
            contract = self._figures.contracts[each.row]
            steps = max(1, round(each.quantity * 10.0**contract.listing.quantity_decimals))
            ticks = max(1, round(each.price / float(self._figures.tick[each.row])))
            quantity, price = quantity_writer(contract)(steps), price_writer(contract)(ticks)
            self._owed.setdefault(each.row, []).append((now_ms - _LIQUIDATED_BEFORE_MS, each.long, quantity, price))

    def take_liquidations(self) -> dict[int, list[LiquidationRow]]:
        """Return what waits, by row, and forget it."""
        owed, self._owed = self._owed, {}
        return owed
