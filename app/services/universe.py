"""The instruments that are followed as books, per market, and their form in files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.domain.ids import Market
from app.domain.instruments import Instrument

Universe = dict[Market, tuple[Instrument, ...]]


def universe_to_json(instruments: Mapping[Market, Iterable[Instrument]]) -> dict[str, list[list[Any]]]:
    """Return the header's form of the universe."""
    return {
        market.value: [[i.symbol, i.pair, i.base, i.quote, i.units, i.tick_size] for i in listed]
        for market, listed in instruments.items()
    }


def universe_from_json(document: Mapping[str, Iterable[Any]]) -> Universe:
    """Return the universe of such a document. Raises TypeError or ValueError when it is none."""
    universe: Universe = {}
    for word, rows in document.items():
        market = Market(word)
        universe[market] = tuple(
            Instrument(market=market, symbol=s, pair=p, base=b, quote=q, units=int(u), tick_size=t)
            for s, p, b, q, u, t in rows
        )
    return universe
