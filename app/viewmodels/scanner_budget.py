"""Puts the subscription budget into words: which instruments have full streams, how full each market is, and who lost
its place when and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Final

from app.domain.ids import Market
from app.domain.units import NS_PER_MINUTE
from app.scanner.budget import Turn, Usage
from app.services.scanning import Scanning
from app.viewmodels import formats

PROMOTED_MINUTES: Final = 10
_MOST_PROMOTED: Final = 20


class ScannerBudget:
    """The hot instruments as the scanner shows and changes them."""

    def __init__(self, scanning: Scanning) -> None:
        self._scanning = scanning
        self._revision: int | None = None
        self._hot: frozenset[tuple[Market, str]] = frozenset()
        self._promoted: dict[int, int] = {}
        """Until when (UTC ns), by row."""

    @property
    def revision(self) -> int:
        """Return a number that moves with the budget."""
        return self._scanning.budget.revision

    def lines(self) -> list[Usage]:
        """Return the markets that have places or pins."""
        usages = (self._scanning.budget.usage(market) for market in Market)
        return [usage for usage in usages if usage.capacity or usage.used or usage.waiting]

    def has_places(self, market: Market) -> bool:
        """Tell whether instruments of a market can be hot."""
        return self._scanning.budget.usage(market).capacity > 0

    def hot(self) -> frozenset[tuple[Market, str]]:
        """Return all hot instruments."""
        if self._revision != self.revision:
            self._revision = self.revision
            budget = self._scanning.budget
            self._hot = frozenset((market, symbol) for market in Market for symbol in budget.hot(market))
        return self._hot

    def is_pinned(self, market: Market, symbol: str) -> bool:
        """Tell whether an instrument is pinned."""
        return self._scanning.budget.is_pinned(market, symbol)

    def set_pinned(self, market: Market, symbol: str, pinned: bool) -> None:
        """Always give an instrument a place, or let it compete again."""
        if pinned:
            self._scanning.budget.pin(market, symbol)
        else:
            self._scanning.budget.unpin(market, symbol)

    def promote(self, row: int, now_ns: int) -> None:
        """Let a row count as looked at for a while, which nearly always gives it a place."""
        while len(self._promoted) >= _MOST_PROMOTED and row not in self._promoted:
            del self._promoted[min(self._promoted, key=self._promoted.__getitem__)]
        self._promoted[row] = now_ns + PROMOTED_MINUTES * NS_PER_MINUTE

    def show_rows(self, rows: Iterable[int], now_ns: int) -> None:
        """Tell the budget which rows are on screen; promoted ones are taken for such."""
        self._promoted = {row: until_ns for row, until_ns in self._promoted.items() if until_ns > now_ns}
        self._scanning.set_on_screen({*rows, *self._promoted})

    def turns(self, most: int = 12) -> Sequence[Turn]:
        """Return the last places lost, newest first."""
        lost: list[Turn] = []
        for turn in reversed(self._scanning.budget.log):
            if not turn.got:
                lost.append(turn)
                if len(lost) == most:
                    break
        return lost

    def reason_of(self, market: Market, symbol: str) -> str:
        """Return the last change of an instrument in words, "" when there was none."""
        for turn in reversed(self._scanning.budget.log):
            if turn.market is market and turn.symbol == symbol:
                return f"{'hot' if turn.got else 'lost its place'}: {turn.reason}"
        return ""


def usage_words(usage: Usage) -> str:
    """Return how full a market is in words."""
    words = f"{usage.market.full_name}: {usage.used} of {usage.capacity} places used"
    if usage.pinned:
        words += f", {usage.pinned} pinned"
    return f"{words}, {usage.waiting} pinned without a place" if usage.waiting else words


def turn_words(turn: Turn, zone: tzinfo = UTC) -> str:
    """Return a lost place in one line: when, which, why."""
    return f"{formats.clock_text(turn.ts_ns, zone)}  {turn.symbol} {turn.market.full_name}: {turn.reason}"
