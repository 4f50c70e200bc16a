"""Every instrument of every venue in one table of columns: ticker news and liquidations in, float64 arrays out.

News only writes raw figures; `refresh` works out what is derived, for all rows at once. Arrays are replaced when the
table grows: read them from the board each time and never keep them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from app.domain.ids import Market
from app.domain.market import HOURS_PER_YEAR, Field, Liquidation, Phase, PositionSide, TickerUpdate
from app.domain.quotes import DataKind
from app.domain.units import NS_PER_MINUTE, NS_PER_S
from app.scanner.columns import FIGURES, Column, Derived

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TextArray = npt.NDArray[np.str_]

MARKETS: Final = tuple(Market)
MAX_ROWS: Final = 20_000
_FIRST_ROWS: Final = 1024
_MAX_SYMBOL: Final = 40
_MINUTES: Final = 60
_SHOWN: Final = FIGURES
_TOLD_CHANGE, _TOLD_INTEREST_USD = _SHOWN, _SHOWN + 1
"""Hidden rows: what venues say of figures that the board can also work out."""
_HIDDEN: Final = 2
_LONG, _SHORT = 0, 1
_SESSIONS: Final = np.array([*(phase.word for phase in Phase), ""], np.str_)
"""Words of `Phase` by number; the last is for what has no sessions."""


class Explainer(Protocol):
    """Says more about rows than figures can."""

    def notes(self, row: int) -> Sequence[str]:
        """Return what is to be said of a row, in lines."""
        ...

    def why(self, row: int, key: str) -> str:
        """Return why a column's figure of a row is not known, or what it rests on; "" when there is nothing to say."""
        ...


class Board:
    """The table. Rows are added at first sight and never removed or moved.

    values: float64 [len(Field) + len(Derived), capacity], NaN unknown; prices and amounts as in `Field`.
    updated_ns: int64 [capacity], UTC ns at which the venue last told anything about the row, 0: never.
    market_codes: int8 [capacity], the row's market as its place in `MARKETS`.
    listed: bool [capacity], whether the row is still of interest; one that is not has no figures.
    explainers: who can say more about rows of a market than their figures do.
    revision moves with every news, listing_revision with every new row. dropped: rows or figures that had no place.
    """

    def __init__(self) -> None:
        self.markets: list[Market] = []
        self.symbols: list[str] = []
        self.count = 0
        self.revision = 0
        self.listing_revision = 0
        self.dropped = 0
        self.values: FloatArray
        self.updated_ns: IntArray
        self.market_codes: npt.NDArray[np.int8]
        self.listed: npt.NDArray[np.bool_]
        self.explainers: dict[Market, Explainer] = {}
        self._cells: FloatArray
        self._liquidated: FloatArray
        self._rows: dict[Market, dict[str, int]] = {market: {} for market in Market}
        self._texts: dict[str, tuple[int, TextArray]] = {}
        self._tells_liquidations = np.zeros(len(MARKETS), np.bool_)
        self._minute = 0
        self._allocate(_FIRST_ROWS)

    def _allocate(self, capacity: int) -> None:
        held = self.count
        cells = np.full((_SHOWN + _HIDDEN, capacity), np.nan)
        updated_ns = np.zeros(capacity, np.int64)
        liquidated = np.zeros((2, _MINUTES, capacity))
        codes = np.zeros(capacity, np.int8)
        listed = np.ones(capacity, np.bool_)
        if held:
            listed[:held] = self.listed[:held]
            codes[:held] = self.market_codes[:held]
            cells[:, :held] = self._cells[:, :held]
            updated_ns[:held] = self.updated_ns[:held]
            liquidated[:, :, :held] = self._liquidated[:, :, :held]
        self.capacity = capacity
        self._cells = cells
        self.values = cells[:_SHOWN]
        self.updated_ns = updated_ns
        self.market_codes = codes
        self.listed = listed
        self._liquidated = liquidated
        self._liquidated_sum = liquidated.sum(axis=1)
        # one write into a memoryview costs half of one into an array
        self._flat: memoryview[float] = cells.reshape(-1).data.cast("B").cast("d")
        self._stamps: memoryview[int] = updated_ns.data.cast("B").cast("q")
        starts = [field * capacity for field in Field]
        starts[Field.CHANGE_PCT] = _TOLD_CHANGE * capacity
        starts[Field.OPEN_INTEREST_USD] = _TOLD_INTEREST_USD * capacity
        self._starts = starts

    # -- rows ----------------------------------------------------------------------------------------------------

    def find(self, market: Market, symbol: str) -> int | None:
        """Return the row of an instrument, None when nothing was ever told about it."""
        return self._rows[market].get(symbol)

    def has_rows(self, market: Market) -> bool:
        """Tell whether there is any instrument of a market."""
        return bool(self._rows[market])

    def row(self, market: Market, symbol: str) -> int:
        """Return the row of an instrument, adding it at first sight.

        Raises OverflowError when the table is full and ValueError when the text cannot be a symbol.
        """
        row = self._rows[market].get(symbol)
        if row is not None:
            return row
        if not symbol or len(symbol) > _MAX_SYMBOL or not symbol.isprintable():
            raise ValueError(f"expected a symbol of 1 to {_MAX_SYMBOL} printable characters, was {symbol[:60]!r}")
        if self.count >= MAX_ROWS:
            raise OverflowError(f"expected at most {MAX_ROWS:,} instruments")
        if self.count == self.capacity:
            self._allocate(min(MAX_ROWS, 2 * self.capacity))
        row = self.count
        self.markets.append(market)
        self.market_codes[row] = MARKETS.index(market)
        self.symbols.append(symbol)
        self._rows[market][symbol] = row
        self.count += 1
        self.listing_revision += 1
        self._cells[Derived.EVENTS, row] = 0.0
        return row

    def _row_or_drop(self, market: Market, symbol: str) -> int:
        try:
            return self.row(market, symbol)
        except (OverflowError, ValueError):
            self.dropped += 1
            return -1

    # -- news ----------------------------------------------------------------------------------------------------

    def apply(self, market: Market, updates: Sequence[TickerUpdate], recv_ns: int) -> None:
        """Take what is new about instruments of a market; recv_ns is UTC ns."""
        rows = self._rows[market]
        for symbol, _event_ns, values in updates:
            row = rows.get(symbol, -1)
            if row < 0:
                row = self._row_or_drop(market, symbol)
                if row < 0:
                    continue
            flat, starts = self._flat, self._starts
            for field, value in values.items():
                flat[starts[field] + row] = value
            self._stamps[row] = recv_ns
        self.revision += 1

    def annotate(self, row: int, values: Mapping[int, float]) -> None:
        """Set figures of a row that are no news from its venue: its age goes on."""
        flat, starts = self._flat, self._starts
        for field, value in values.items():
            flat[starts[field] + row] = value
        self.revision += 1

    def set_listed(self, row: int, listed: bool) -> None:
        """List a row, or take it from the list: then it has no figures any more."""
        if listed == bool(self.listed[row]):
            return
        self.listed[row] = listed
        if not listed:
            self._cells[:, row] = np.nan
            self._cells[Derived.EVENTS, row] = 0.0
            self.updated_ns[row] = 0
        self.revision += 1
        self.listing_revision += 1

    def apply_liquidations(self, market: Market, liquidations: Sequence[Liquidation], recv_ns: int) -> None:
        """Add positions closed by force to the sums of the last hour."""
        self._tells_liquidations[MARKETS.index(market)] = True
        self._turn_minute(recv_ns)
        slot = self._minute % _MINUTES
        for each in liquidations:
            amount = each.price * each.qty
            row = self._row_or_drop(market, each.symbol)
            if row < 0:
                continue
            if not 0.0 < amount < float("inf"):
                self.dropped += 1
                continue
            side = _LONG if each.side is PositionSide.LONG else _SHORT
            self._liquidated[side, slot, row] += amount
            self._liquidated_sum[side, row] += amount
        self.revision += 1

    def set_books(self, market: Market, symbols: Sequence[str], best: FloatArray, delta: FloatArray) -> None:
        """Take what books say: best float64 [k, 2] (bid, ask), delta float64 [k] (bids over asks in USD); NaN unknown.

        Prices of a book that is not known leave the quotes told by tickers alone; an unknown delta is shown as such.
        """
        rows = np.array([self._row_or_drop(market, symbol) for symbol in symbols], np.int64)
        kept = rows >= 0
        rows, best, delta = rows[kept], best[kept], delta[kept]
        known = np.isfinite(best).all(axis=1)
        self._cells[Field.BID, rows[known]] = best[known, 0]
        self._cells[Field.ASK, rows[known]] = best[known, 1]
        self._cells[Derived.DEPTH_DELTA, rows] = delta
        self.revision += 1

    def set_events(self, counts: Mapping[int, int]) -> None:
        """Take how many recent events each row has; rows that are not named have none."""
        column = self._cells[Derived.EVENTS]
        column[: self.count] = 0.0
        for row, count in counts.items():
            column[row] = count
        self.revision += 1

    def _turn_minute(self, now_ns: int) -> None:
        """Forget liquidations of more than an hour ago; time that runs backwards is ignored."""
        minute = now_ns // NS_PER_MINUTE
        if minute <= self._minute:
            return
        first, self._minute = max(self._minute + 1, minute - _MINUTES + 1), minute
        if not self._tells_liquidations.any():
            return
        self._liquidated[:, np.arange(first, minute + 1) % _MINUTES] = 0.0
        self._liquidated_sum = self._liquidated.sum(axis=1)

    # -- what follows from the news ------------------------------------------------------------------------------

    def refresh(self, now_ns: int) -> None:
        """Work out derived figures as of now (UTC ns)."""
        self._turn_minute(now_ns)
        n = self.count
        if n == 0:
            return
        cells = self._cells[:, :n]
        last = cells[Field.LAST]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self._fill(Field.CHANGE_PCT, _TOLD_CHANGE, (last / _positive(cells[Field.PREVIOUS]) - 1.0) * 100.0)
            mark = cells[Field.MARK]
            price = np.where(np.isnan(mark), last, mark)
            self._fill(Field.OPEN_INTEREST_USD, _TOLD_INTEREST_USD, cells[Field.OPEN_INTEREST] * price)
            bid, ask = cells[Field.BID], cells[Field.ASK]
            spread = (ask - bid) / (ask + bid) * 2e4
            cells[Derived.SPREAD_BP] = np.where((bid > 0.0) & (ask >= bid), spread, np.nan)
            funding = cells[Derived.FUNDING_PCT] = cells[Field.FUNDING] * 100.0
            cells[Derived.FUNDING_YEAR_PCT] = funding * HOURS_PER_YEAR / _positive(cells[Field.FUNDING_HOURS])
        kind = cells[Field.DATA_KIND]
        delayed = (kind == DataKind.DELAYED) | (kind == DataKind.DELAYED_FROZEN)
        cells[Derived.DELAYED] = np.where(np.isnan(kind), np.nan, delayed)
        stamps = self.updated_ns[:n]
        age = np.maximum(now_ns - stamps, 0) / NS_PER_S
        cells[Derived.AGE_S] = np.where(stamps > 0, age, np.nan)
        told = self._tells_liquidations[self.market_codes[:n]]
        cells[Derived.LIQUIDATED_LONG_USD] = np.where(told, self._liquidated_sum[_LONG, :n], np.nan)
        cells[Derived.LIQUIDATED_SHORT_USD] = np.where(told, self._liquidated_sum[_SHORT, :n], np.nan)

    def _fill(self, field: Field, told: int, worked_out: FloatArray) -> None:
        """Show what the venue tells, and what was worked out where it tells nothing."""
        n = self.count
        given = self._cells[told, :n]
        self._cells[field, :n] = np.where(np.isnan(given), worked_out, given)

    # -- reading -------------------------------------------------------------------------------------------------

    def numbers(self, column: Column) -> FloatArray:
        """Return a numeric column as shown: float64 [count], NaN unknown; to be read only."""
        assert column.source is not None
        return self.values[column.source, : self.count]

    def texts(self, key: str) -> TextArray:
        """Return a text column (venue, market, symbol, or "all" of them together; session) in capitals: str [count]."""
        if key == "session":
            phase = self.values[Field.PHASE, : self.count]
            return _SESSIONS[np.where(np.isnan(phase), len(Phase), phase).astype(np.intp)]
        held = self._texts.get(key)
        if held is None or held[0] != self.listing_revision:
            held = (self.listing_revision, np.array([word.upper() for word in self._words(key)], np.str_))
            self._texts[key] = held
        return held[1]

    def text(self, key: str, row: int) -> str:
        """Return the text of a cell of a text column."""
        if key == "symbol":
            return self.symbols[row]
        if key == "session":
            phase = self.values[Field.PHASE, row]
            return "" if np.isnan(phase) else Phase(int(phase)).word.lower()
        market = self.markets[row]
        if key == "all":
            return f"{self.symbols[row]} {market.full_name}"
        return market.venue.value if key == "venue" else market.kind.value.lower()

    def _words(self, key: str) -> list[str]:
        return [self.text(key, row) for row in range(self.count)]


def _positive(values: FloatArray) -> FloatArray:
    return np.where(values > 0.0, values, np.nan)
