"""The instruments that are followed as books, per market, and their form in files."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from app.domain.errors import FathomError, RetryableFeedError
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.paths import Paths
from app.settings.files import write_atomic
from app.venues.bans import BanStore

_log = logging.getLogger("fathom.universe")
_LIST_TIMEOUT_S: Final = 8.0

_A = TypeVar("_A", bound="Closable")
_T = TypeVar("_T")

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
        if not market.has_books:
            raise ValueError(f"expected a market with books, was {word}")
        universe[market] = tuple(
            Instrument(market=market, symbol=s, pair=p, base=b, quote=q, units=int(u), tick_size=t)
            for s, p, b, q, u, t in rows
        )
    return universe


class Closable(Protocol):
    """A venue's REST API."""

    async def close(self) -> None:
        """Let go of the connections."""
        ...


async def ask_venue(open_api: Callable[[], _A], ask: Callable[[_A], Awaitable[_T]]) -> _T:
    """Open an API, ask it once and close it. Raises FathomError, also when no answer comes in time."""
    api = open_api()
    try:
        async with asyncio.timeout(_LIST_TIMEOUT_S):
            return await ask(api)
    except TimeoutError:
        raise RetryableFeedError("no answer in time") from None
    finally:
        await api.close()


async def listed_by_venue(
    open_api: Callable[[], _A], ask: Callable[[_A], Awaitable[Sequence[Instrument]]], nothing: str
) -> tuple[tuple[Instrument, ...], str]:
    """Return what a venue lists, or none and why; `nothing` is the reason when the list is empty."""
    try:
        return tuple(await ask_venue(open_api, ask)), nothing
    except FathomError as error:
        return (), str(error).rstrip(".")


async def save_universe(path: Path, universe: Universe) -> None:
    """Keep the lists for a start without the venue; a disk that refuses is only logged."""
    document = json.dumps({"version": 1, "universe": universe_to_json(universe)})
    try:
        await asyncio.to_thread(write_atomic, path, document.encode(), backup=False)
    except OSError as error:
        _log.warning("the list of instruments could not be saved: %s", error.strerror or error)


def saved_universe(path: Path, market: Market) -> tuple[Instrument, ...]:
    """Return a market's instruments of the last run, empty when they cannot be read."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["universe"]
        return universe_from_json({market.value: document[market.value]})[market]
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def bans_of(paths: Paths) -> BanStore:
    """Return the bans that outlived the last run."""
    bans = BanStore(paths.bans)
    bans.load()
    return bans
