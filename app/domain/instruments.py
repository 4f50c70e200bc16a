"""What trades: one instrument of one market, as the venue lists it."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.ids import Market


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A pair on one market.

    `symbol` is the venue's own name, `pair` the name shared by spot and futures (1000PEPEUSDT -> PEPEUSDT), `units`
    how many coins one quoted unit holds (1000 for 1000PEPEUSDT), `tick_size` the price step (None: unknown).
    """

    market: Market
    symbol: str
    pair: str
    base: str
    quote: str
    units: int = 1
    tick_size: str | None = None
    trading: bool = True
