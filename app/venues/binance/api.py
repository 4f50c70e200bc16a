"""From Binance's slow REST answers to instruments, volumes and the offset of its clock (rest-api.md; derivatives docs).

Which instruments count: spot pairs against USDT that trade; USDT-margined perpetuals that trade (quarterly contracts,
COIN-M and tokenised stocks are left out). A perpetual may quote a thousand coins at once: 1000PEPEUSDT is the pair
PEPEUSDT in units of 1000, because PEPE is what spot trades; 1000SATS is a coin of that name and stays as it is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import msgspec

from app.domain.clock import Clock
from app.domain.health import FeedHealth
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.domain.units import NS_PER_MS
from app.venues.bans import BanStore
from app.venues.binance import protocol
from app.venues.binance.reference import DayVolume, ExchangeInfo, ListedSymbol, ServerTime
from app.venues.binance.urls import (
    DEFAULT_WEIGHT_LIMIT,
    LISTING_PATH,
    LISTING_WEIGHT,
    TIME_PATH,
    TIME_WEIGHT,
    VOLUME_PATH,
    VOLUME_WEIGHT,
    BinanceEndpoints,
    depth_weight,
)
from app.venues.naming import PEGGED
from app.venues.rest import RequestRefusedError, RestClient, RestError

QUOTE: Final = "USDT"
_UNITS = re.compile(r"^(1000000|10000|1000)(?=\D)")
_TIME_SAMPLES: Final = 3
_T = TypeVar("_T")

_time = msgspec.json.Decoder(ServerTime)
_info = msgspec.json.Decoder(ExchangeInfo)
_volumes = msgspec.json.Decoder(list[DayVolume], strict=False)


class MarketApi:
    """The REST side of one market."""

    def __init__(self, market: Market, rest: RestClient, clock: Clock, health: FeedHealth) -> None:
        self.market = market
        self.rest = rest
        self.limits_known = False
        self._clock = clock
        self._health = health

    async def close(self) -> None:
        """Close the connections to the host."""
        await self.rest.close()

    async def measure_clock(self, share: float = 1.0) -> float:
        """Measure the venue's clock minus ours in ms, by the quickest of some answers. Raises RestError."""
        readings = []
        for _ in range(_TIME_SAMPLES):
            pause_s = self.rest.wait_s(TIME_WEIGHT, share)
            if pause_s > 0.0:
                await asyncio.sleep(pause_s)
            asked_ns = self._clock.wall_ns()
            body = await self.rest.send(TIME_PATH[self.market], TIME_WEIGHT)
            answered_ns = self._clock.wall_ns()
            venue_ms = self._decode(_time, body, "its time").serverTime
            readings.append((answered_ns - asked_ns, venue_ms - (asked_ns + answered_ns) / 2 / NS_PER_MS))
        offset_ms = min(readings)[1]
        self.rest.venue_offset_ms = offset_ms
        self._health.clock_offset_ms = offset_ms
        return offset_ms

    async def listing(self, share: float = 1.0) -> tuple[ListedSymbol, ...]:
        """Return every row of exchangeInfo that could matter and take over its weight limit. Raises RestError."""
        path, weight = LISTING_PATH[self.market], LISTING_WEIGHT[self.market]
        try:
            body = await self.rest.get(path, weight, share)
        except RequestRefusedError:  # a stand-in that does not know the parameters which shorten the answer
            body = await self.rest.get(path.partition("?")[0], weight, share)
        info = self._decode(_info, body, "its list of instruments")
        for limit in info.rateLimits:
            if (limit.rateLimitType, limit.interval, limit.intervalNum) == (
                "REQUEST_WEIGHT",
                "MINUTE",
                1,
            ) and limit.limit:
                self.rest.budget.limit = limit.limit
                self.limits_known = True
        self.rest.refresh()
        return tuple(row for row in info.symbols if _is_ours(self.market, row))

    async def instruments(self, spot_bases: Collection[str] | None = None) -> list[Instrument]:
        """Return what trades. `spot_bases`: coins by their spot names, to recognise units of a thousand."""
        return to_instruments(self.market, await self.listing(), spot_bases or ())

    async def quote_volumes(self) -> dict[str, float]:
        """Return the turnover of the last 24 h in the quote currency per symbol. Raises RestError."""
        body = await self.rest.get(VOLUME_PATH[self.market], VOLUME_WEIGHT[self.market], 1.0)
        return {row.symbol: row.quoteVolume for row in self._decode(_volumes, body, "its volumes")}

    def depth_wait_s(self, limit: int, share: float) -> float:
        """Return 0 when a snapshot of that limit may be asked for now, else the time to wait."""
        return self.rest.wait_s(depth_weight(self.market, limit), share)

    async def depth(self, path: str, limit: int) -> bytes:
        """Ask for a snapshot at once and return the raw body. Raises RestError."""
        return await self.rest.send(path, depth_weight(self.market, limit))

    def depth_path(self, symbol: str, limit: int) -> str:
        """Return the path of a snapshot request."""
        return protocol.depth_path(self.market, symbol, limit)

    def _decode(self, decoder: msgspec.json.Decoder[_T], body: bytes, what: str) -> _T:
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._health.rest_errors += 1
            raise RestError(f"{self.rest.host} sent {what} in a form that is not documented: {error}") from None


def open_api(
    market: Market, endpoints: BinanceEndpoints, health: FeedHealth, clock: Clock, bans: BanStore
) -> MarketApi:
    """Return the REST side of a market; nothing is asked yet. Raises FatalFeedError for an address that is none."""
    rest = RestClient(endpoints.rest(market), health, clock, bans, weight_limit=DEFAULT_WEIGHT_LIMIT[market])
    return MarketApi(market, rest, clock, health)


async def load_universe(
    apis: Mapping[Market, MarketApi], wanted_pairs: Sequence[str]
) -> dict[Market, tuple[Instrument, ...]]:
    """Return per market the instruments of the wanted pairs (spot names), in that order. Raises RestError.

    A pair that a market does not trade is left out there.
    """
    async with asyncio.TaskGroup() as group:
        tasks = {market: group.create_task(_listing(api)) for market, api in apis.items()}
    listings: dict[Market, tuple[ListedSymbol, ...]] = {}
    for market, task in tasks.items():
        outcome = task.result()
        if isinstance(outcome, RestError):
            raise outcome
        listings[market] = outcome
    bases = {row.baseAsset for row in listings.get(Market.BINANCE_SPOT, ())}
    bases |= {pair.removesuffix(QUOTE) for pair in wanted_pairs if pair.endswith(QUOTE)}
    universe = {}
    for market, rows in listings.items():
        by_pair = {instrument.pair: instrument for instrument in to_instruments(market, rows, bases)}
        universe[market] = tuple(by_pair[pair] for pair in dict.fromkeys(wanted_pairs) if pair in by_pair)
    return universe


async def _listing(api: MarketApi) -> tuple[ListedSymbol, ...] | RestError:
    """Fetch a listing, the failure as a value: a task group would wrap it."""
    try:
        return await api.listing()
    except RestError as error:
        return error


async def rank_pairs(spot: MarketApi, count: int, always: Iterable[str] = ()) -> list[str]:
    """Return the most traded spot pairs against USDT, those named `always` in any case, without pegged coins.

    Raises RestError.
    """
    trading = {instrument.symbol for instrument in await spot.instruments() if instrument.base not in PEGGED}
    volumes = await spot.quote_volumes()
    kept = [pair for pair in dict.fromkeys(always) if pair in trading]
    others = sorted((s for s in trading if s not in kept), key=lambda s: (-volumes.get(s, 0.0), s))
    chosen = kept + others[: max(0, count - len(kept))]
    return sorted(chosen, key=lambda s: (-volumes.get(s, 0.0), s))


def to_instruments(market: Market, rows: Iterable[ListedSymbol], spot_bases: Collection[str]) -> list[Instrument]:
    """Turn rows of exchangeInfo into instruments that trade."""
    found = []
    for row in rows:
        if row.status != "TRADING" or not _is_ours(market, row):
            continue
        tick = next((f.tickSize for f in row.filters if f.filterType == "PRICE_FILTER"), None)
        instrument = Instrument(
            market=market,
            symbol=row.symbol,
            pair=row.baseAsset + row.quoteAsset,
            base=row.baseAsset,
            quote=row.quoteAsset,
            tick_size=_plain(tick),
        )
        match = _UNITS.match(row.baseAsset) if market is Market.BINANCE_USDM else None
        if match is not None and row.baseAsset not in spot_bases:
            base = row.baseAsset[match.end() :]
            if base in spot_bases:
                instrument = replace(instrument, base=base, pair=base + row.quoteAsset, units=int(match.group(1)))
        found.append(instrument)
    return found


def _is_ours(market: Market, row: ListedSymbol) -> bool:
    return row.quoteAsset == QUOTE and (market is Market.BINANCE_SPOT or row.contractType == "PERPETUAL")


def _plain(tick: str | None) -> str | None:
    """Return a price step without trailing zeros (0.01000000 -> 0.01), None when there is none."""
    if tick is None or not re.fullmatch(r"\d+(\.\d+)?", tick) or not float(tick):
        return None
    return tick.rstrip("0").rstrip(".") if "." in tick else tick
