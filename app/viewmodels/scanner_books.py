"""What the scanner needs of the order books: the depth of its Delta, how well that is known, and price steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from app.domain.coverage import Coverage, Known
from app.domain.ids import Market
from app.domain.units import DEPTHS_PCT, depth_index
from app.services.pipeline import MarketEngine


class Band(Protocol):
    """Holds the index of the depth (in `DEPTHS_PCT`) that the board's Delta is worked out for."""

    @property
    def band(self) -> int:
        """Return the index."""
        ...

    def set_band(self, band: int) -> None:
        """Choose another."""
        ...


class ScannerBooks:
    """The engines' books as the scanner sees them; one depth holds for all scanners on screen."""

    def __init__(self, band: Band, engines: Mapping[Market, MarketEngine]) -> None:
        self._band = band
        self._engines = engines
        self._rows = {
            market: {symbol: row for row, symbol in enumerate(engine.symbols)} for market, engine in engines.items()
        }

    @property
    def depth_pct(self) -> float:
        """Return the depth of the Delta column in percent."""
        return DEPTHS_PCT[self._band.band]

    def set_depth_pct(self, depth_pct: float) -> None:
        """Choose the depth of the Delta column; raise ValueError when it is none of `DEPTHS_PCT`."""
        self._band.set_band(depth_index(depth_pct))

    def known(self, market: Market, symbol: str) -> Known:
        """Return how well an instrument's Delta is known; MISSING when no book of it is kept."""
        row = self._rows.get(market, {}).get(symbol)
        if row is None:
            return Known.MISSING
        lesser = int(self._engines[market].table.coverage[row, :, self._band.band].min())
        if lesser == Coverage.NONE:
            return Known.MISSING
        return Known.EXACT if lesser == Coverage.EXACT else Known.PARTIAL

    def tick_size(self, market: Market, symbol: str) -> str | None:
        """Return the price step of an instrument with a book, None for others."""
        row = self._rows.get(market, {}).get(symbol)
        return self._engines[market].instruments[row].tick_size if row is not None else None


class BooksPort(Protocol):
    """What the scanner asks of the books; `ScannerBooks` in the running program."""

    @property
    def depth_pct(self) -> float:
        """Return the depth of the Delta column in percent."""
        ...

    def set_depth_pct(self, depth_pct: float) -> None:
        """Choose the depth of the Delta column, one of `DEPTHS_PCT`."""
        ...

    def known(self, market: Market, symbol: str) -> Known:
        """Return how well an instrument's Delta is known."""
        ...

    def tick_size(self, market: Market, symbol: str) -> str | None:
        """Return the price step of an instrument, None when it is not known."""
        ...
