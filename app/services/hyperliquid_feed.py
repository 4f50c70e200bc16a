"""Choose Hyperliquid's instruments at the start and make its sessions, from the settings.

Books are kept of the perpetuals with the largest turnover; of spot only figures are followed. When the venue's list
cannot be had, that of the last run is used, else the largest coins, and a sentence says so: the window opens in any
case. Both sessions count against the same limits of the venue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from app.domain.clock import Clock, SystemClock
from app.domain.errors import BadFrameError, SettingsError
from app.domain.health import FeedHealth
from app.domain.ids import FeedId, Market, Venue
from app.domain.instruments import Instrument
from app.indicators.groups import TOP_TEN
from app.paths import Paths
from app.services.universe import Universe, bans_of, listed_by_venue, save_universe, saved_universe
from app.settings.store import Settings
from app.venues.feed import FeedSink
from app.venues.hyperliquid import protocol
from app.venues.hyperliquid.allowance import Allowance
from app.venues.hyperliquid.api import HyperliquidApi, rank_perps
from app.venues.hyperliquid.messages import BookData
from app.venues.hyperliquid.naming import guess_instrument
from app.venues.hyperliquid.protocol import BOOK_LINES, FULL
from app.venues.hyperliquid.session import HyperliquidSession, SessionOptions

_LARGEST: Final = ("BTC", "ETH", "SOL", "HYPE", "XRP", "DOGE", "BNB", "LINK", "ADA", "TRX", "BCH", "SUI")
_allowances: WeakValueDictionary[str, Allowance] = WeakValueDictionary()
"""By REST address; kept alive by the sessions that count on it, because the venue counts them together."""


def markets_of(settings: Settings) -> tuple[Market, ...]:
    """Return the markets that are switched on."""
    return tuple(market for market in Venue.HYPERLIQUID.markets if settings.flag(f"hyperliquid.{market.word}.enabled"))


def lines_of(settings: Settings) -> tuple[str, ...]:
    """Return the resolutions of books, finest first. Raises SettingsError for any the venue does not have."""
    text = settings.text("hyperliquid.resolutions")
    words = {word.strip().lower() for word in text.split(",") if word.strip()}
    lines = tuple(line for line in BOOK_LINES if line.removeprefix("s") in words)
    if len(lines) != len(words) or FULL not in lines:
        raise SettingsError(f"hyperliquid.resolutions: expected full and any of 4, 3 and 2, was {text!r}")
    return lines


async def load_instruments(settings: Settings, paths: Paths) -> tuple[Universe, list[str]]:
    """Return the perpetuals whose books are kept (spot has none), and sentences about what could not be had."""
    universe: Universe = dict.fromkeys(markets_of(settings), ())
    if Market.HYPERLIQUID_PERP not in universe:
        return universe, []
    lines_of(settings)  # a wrong setting is said at the start
    chosen, note = await _perps(settings, paths)
    universe[Market.HYPERLIQUID_PERP] = chosen
    if note is not None:
        return universe, [note]
    await save_universe(_cache(paths), {Market.HYPERLIQUID_PERP: chosen})
    return universe, []


async def _perps(settings: Settings, paths: Paths) -> tuple[tuple[Instrument, ...], str | None]:
    count = settings.whole("hyperliquid.symbols")
    health = FeedHealth(feed=Market.HYPERLIQUID_PERP.feed)

    async def largest(api: HyperliquidApi) -> Sequence[Instrument]:
        _, (meta, table) = await api.perp_table()
        return rank_perps(meta, table, count, TOP_TEN)

    url = settings.text("hyperliquid.rest_url")
    found, reason = await listed_by_venue(
        lambda: HyperliquidApi(url, health, SystemClock(), _allowance(settings, paths)), largest, "it lists none"
    )
    if found:
        return found, None
    sorry = f"Hyperliquid did not give its list of perpetuals ({reason})"
    known = saved_universe(_cache(paths), Market.HYPERLIQUID_PERP)[:count]
    if known:
        return known, f"{sorry}; that of the last run is used."
    guessed = tuple(guess_instrument(Market.HYPERLIQUID_PERP, coin) for coin in _LARGEST[:count])
    return guessed, f"{sorry}; the largest coins are used."


def _cache(paths: Paths) -> Path:
    return paths.instruments.with_name("instruments_hyperliquid.json")


def _allowance(settings: Settings, paths: Paths) -> Allowance:
    """Return the counters of the venue's limits, the same for all sessions of one address."""
    key = settings.text("hyperliquid.rest_url")
    allowance = _allowances.get(key)
    if allowance is None:
        allowance = _allowances[key] = Allowance(bans=bans_of(paths))
    return allowance


def make_session(
    settings: Settings,
    paths: Paths,
    clock: Clock,
    feed: FeedId,
    instruments: tuple[Instrument, ...],
    sink: FeedSink,
    health: FeedHealth,
) -> HyperliquidSession:
    """Return the session of one market, ready to run."""
    return HyperliquidSession(
        feed.market,
        instruments,
        settings.text("hyperliquid.ws_url"),
        settings.text("hyperliquid.rest_url"),
        sink,
        health,
        clock,
        _allowance(settings, paths),
        SessionOptions(lines=lines_of(settings)),
    )


def book_symbol(market: Market, kind: str, argument: str, raw: str) -> str | None:
    """Return the coin of a recorded book, None for anything else. Raises BadFrameError."""
    if kind in ("rest", "polled"):
        request = protocol.parse_info_path(argument)
        return request.coin if request.type == "l2Book" else None
    if kind != "ws" or '"l2Book"' not in raw:
        return None
    try:
        message = protocol.decode(raw.encode())
    except UnicodeEncodeError as error:
        raise BadFrameError(f"not a market data frame: {error}") from None
    return message.coin if isinstance(message, BookData) else None


def demo_settings(addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that point to a simulator."""
    return {"hyperliquid.ws_url": addresses["ws"], "hyperliquid.rest_url": addresses["rest"]}
