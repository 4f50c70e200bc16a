"""The table of all instruments: news in, columns out. Rows are added at first sight and never removed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from app.domain.ids import Market
from app.domain.market import HOURS_PER_YEAR, Field, Liquidation, PositionSide, TickerUpdate
from app.scanner.columns import FIGURES, Derived

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NS_PER_S: Final = 1_000_000_000
LIQUIDATION_SPAN_NS: Final = 3600 * NS_PER_S
MAX_ROWS: Final = 20_000
_FIRST_CAPACITY: Final = 256


class Board:
    """Columns of figures over rows of instruments.

    values: float64 [FIGURES, capacity], rows by `Field` and `Derived`, NaN unknown; only the first `count` of a row
    count. updated_ns: int64 [capacity], UTC ns of the last news (0: none). revision moves with every news,
    listing_revision with every new instrument. `full` counts news of instruments that found no room.
    """

    def __init__(self) -> None:
        self.markets: list[Market] = []
        self.symbols: list[str] = []
        self.count = 0
        self.values: FloatArray = np.full((FIGURES, _FIRST_CAPACITY), np.nan)
        self.updated_ns: IntArray = np.zeros(_FIRST_CAPACITY, np.int64)
        self.revision = 0
        self.listing_revision = 0
        self.full = 0
        self._rows: dict[Market, dict[str, int]] = {market: {} for market in Market}
        self._liquidated: dict[int, deque[tuple[int, float, float]]] = {}

    # -- rows ----------------------------------------------------------------------------------------------------

    def find(self, market: Market, symbol: str) -> int | None:
        """Return the row of an instrument, None when it was never heard of."""
        return self._rows[market].get(symbol)

    def row(self, market: Market, symbol: str) -> int:
        """Return the row of an instrument, a new one when it is heard of first. Raises OverflowError when full."""
        found = self._rows[market].get(symbol)
        if found is not None:
            return found
        row = self.count
        if row >= MAX_ROWS:
            raise OverflowError(f"the board holds {MAX_ROWS} instruments already")
        if row == self.updated_ns.size:
            self._grow()
        self._rows[market][symbol] = row
        self.markets.append(market)
        self.symbols.append(symbol)
        self.count += 1
        self.listing_revision += 1
        return row

    def _grow(self) -> None:
        held = self.updated_ns.size
        values = np.full((FIGURES, held * 2), np.nan)
        values[:, :held] = self.values
        updated = np.zeros(held * 2, np.int64)
        updated[:held] = self.updated_ns
        self.values, self.updated_ns = values, updated

    # -- news ----------------------------------------------------------------------------------------------------

    def apply(self, market: Market, updates: Sequence[TickerUpdate], recv_ns: int) -> None:
        """Take news of instruments of one market."""
        rows = self._rows[market]
        updated = self.updated_ns
        for symbol, _, figures in updates:
            row = rows.get(symbol)
            if row is None:
                try:
                    row = self.row(market, symbol)
                except OverflowError:
                    self.full += 1
                    continue
                updated = self.updated_ns
            column = self.values[:, row]
            for field, value in figures.items():
                column[field] = value
            updated[row] = recv_ns
        self.revision += 1

    def apply_liquidations(self, market: Market, liquidations: Sequence[Liquidation], recv_ns: int) -> None:
        """Take positions closed by force."""
        for each in liquidations:
            row = self.find(market, each.symbol)
            if row is None:
                continue
            usd = each.price * each.qty
            pair = (usd, 0.0) if each.side is PositionSide.LONG else (0.0, usd)
            self._liquidated.setdefault(row, deque(maxlen=2000)).append((recv_ns, *pair))
        self.revision += 1

    def set_books(self, market: Market, symbols: Sequence[str], best: FloatArray, delta: FloatArray) -> None:
        """Take what books say: best float64 [k, 2] (bid, ask), delta float64 [k]; NaN is unknown."""
        rows = np.array([self.row(market, symbol) for symbol in symbols], np.int64)
        if not rows.size:
            return
        known = np.isfinite(best).all(axis=1)
        self.values[Field.BID, rows[known]] = best[known, 0]
        self.values[Field.ASK, rows[known]] = best[known, 1]
        self.values[Derived.DEPTH_DELTA, rows] = delta
        self.revision += 1

    # -- derived -------------------------------------------------------------------------------------------------

    def refresh(self, now_ns: int) -> None:
        """Work out the derived columns as of a time."""
        count = self.count
        values = self.values[:, :count]
        last, previous = values[Field.LAST], values[Field.PREVIOUS]
        bid, ask = values[Field.BID], values[Field.ASK]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = (last / previous - 1.0) * 100.0
            unknown = np.isnan(values[Field.CHANGE_PCT]) & (previous > 0)
            values[Field.CHANGE_PCT, unknown] = change[unknown]
            fair = (bid > 0) & (ask >= bid)
            values[Derived.SPREAD_BP] = np.where(fair, (ask - bid) / (ask + bid) * 2e4, np.nan)
            hours = values[Field.FUNDING_HOURS]
            year = values[Field.FUNDING] * (HOURS_PER_YEAR * 100.0) / hours
            values[Derived.FUNDING_YEAR_PCT] = np.where(hours > 0, year, np.nan)
            mark = np.where(np.isnan(values[Field.MARK]), last, values[Field.MARK])
            interest = values[Field.OPEN_INTEREST] * mark
        missing = np.isnan(values[Field.OPEN_INTEREST_USD]) | ~np.isnan(interest)
        values[Field.OPEN_INTEREST_USD, missing] = interest[missing]
        updated = self.updated_ns[:count]
        values[Derived.AGE_S] = np.where(updated > 0, (now_ns - updated) / NS_PER_S, np.nan)
        self._sum_liquidations(now_ns)

    def _sum_liquidations(self, now_ns: int) -> None:
        for row, taken in self._liquidated.items():
            while taken and taken[0][0] < now_ns - LIQUIDATION_SPAN_NS:
                taken.popleft()
            self.values[Derived.LIQUIDATED_LONG_USD, row] = math.fsum(long for _, long, _ in taken)
            self.values[Derived.LIQUIDATED_SHORT_USD, row] = math.fsum(short for _, _, short in taken)
