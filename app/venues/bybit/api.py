"""From Bybit's REST answers to instruments, turnovers and the offset of its clock (docs/v5 market, rate-limit, error).

Which instruments count: spot pairs against USDT that trade; perpetuals against USDT that trade (dated contracts and
those against USDC are left out). A perpetual may quote many coins at once: 1000PEPEUSDT and SHIB1000USDT are the pairs
PEPEUSDT and SHIBUSDT in units of 1000.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from app.domain.clock import Clock
from app.domain.errors import BadFrameError
from app.domain.health import FeedHealth, LinkState
from app.domain.ids import Market
from app.domain.instruments import Instrument
from app.domain.units import NS_PER_MS
from app.venues.bans import BanStore
from app.venues.bybit import protocol
from app.venues.bybit.messages import ListedInstrument
from app.venues.bybit.urls import QUOTE, TIME_PATH, BybitEndpoints, full_book_path, instruments_path, tickers_path
from app.venues.limiter import RateLimit
from app.venues.rest import RestClient, RestError, Stop, Verdict

WEIGHT_LIMIT: Final = 3600
"""Requests a minute; the venue bans an address after 600 within 5 s, which the pace below keeps far away from."""
_STEADY: Final = 1.0
_STOPS: Final[Mapping[int, Stop]] = {
    403: Stop(600.0, LinkState.BANNED, "refuses this address: too many requests, or a region it does not serve"),
    429: Stop(60.0, LinkState.BACKOFF),
}
_TOO_MANY: Final = 10006
_OVERLOADED: Final = frozenset((10000, 10016, 10429))
_RESET_HEADER: Final = "x-bapi-limit-reset-timestamp"
_TOO_MANY_PAUSE_S: Final = 1.0
_TOO_MANY_CAP_S: Final = 60.0
_TIME_SAMPLES: Final = 3
_MOST_PAGES: Final = 20
_PREFIX = re.compile(r"^(1000000|100000|10000|1000)(?=\D)")
_SUFFIX = re.compile(r"(?<=\D)(1000)$")
_T = TypeVar("_T")


class BybitApi:
    """The REST side of one category. `pace_per_s`: most requests for books a second."""

    def __init__(
        self,
        market: Market,
        endpoints: BybitEndpoints,
        health: FeedHealth,
        clock: Clock,
        bans: BanStore,
        pace_per_s: int = 10,
    ) -> None:
        self.market = market
        self.rest = RestClient(
            endpoints.rest, health, clock, bans, weight_limit=WEIGHT_LIMIT, stops=_STOPS, examine=self._examine
        )
        self._clock = clock
        self._health = health
        self._pace = RateLimit(max(1, pace_per_s), 1.0)

    async def close(self) -> None:
        """Close the connections to the host."""
        await self.rest.close()

    def _examine(self, headers: Mapping[str, str], body: bytes) -> Verdict | None:
        """Read the error number that stands in a body of HTTP status 200."""
        refusal = protocol.refusal_of(body)
        if refusal is None:
            return None
        code, words = refusal
        if code == _TOO_MANY:
            return Verdict(code=code, words=words, stop_s=self._until_reset_s(headers.get(_RESET_HEADER)))
        return Verdict(code=code, words=words, fails=code in _OVERLOADED)

    def _until_reset_s(self, text: str | None) -> float:
        """Return how long the venue wants not to be asked, by its own clock."""
        if text is None or not text.isdecimal() or len(text) > 15:
            return _TOO_MANY_PAUSE_S
        venue_ms = self._clock.wall_ns() / NS_PER_MS + self.rest.venue_offset_ms
        return min(max((int(text) - venue_ms) / 1000.0, _TOO_MANY_PAUSE_S), _TOO_MANY_CAP_S)

    async def measure_clock(self) -> float:
        """Measure the venue's clock minus ours in ms, by the quickest of some answers. Raises RestError."""
        readings = []
        for _ in range(_TIME_SAMPLES):
            pause_s = self.rest.wait_s(1, _STEADY)
            if pause_s > 0.0:
                await asyncio.sleep(pause_s)
            asked_ns = self._clock.wall_ns()
            body = await self.rest.send(TIME_PATH, 1)
            answered_ns = self._clock.wall_ns()
            venue_ms = self._read(protocol.decode_time_ms, body)
            readings.append((answered_ns - asked_ns, venue_ms - (asked_ns + answered_ns) / 2 / NS_PER_MS))
        offset_ms = min(readings)[1]
        self.rest.venue_offset_ms = offset_ms
        self._health.clock_offset_ms = offset_ms
        return offset_ms

    async def listing(self) -> list[ListedInstrument]:
        """Return every row of the category that could matter. Raises RestError."""
        rows: list[ListedInstrument] = []
        cursor = ""
        for _ in range(_MOST_PAGES):
            body = await self.rest.get(instruments_path(self.market, cursor), 1, _STEADY)
            page, _bad, cursor = self._read(protocol.decode_instruments, body)
            rows += page
            if not cursor:
                break
        return [row for row in rows if is_ours(self.market, row)]

    async def tickers(self) -> bytes:
        """Return the raw figures of all instruments of the category. Raises RestError."""
        return await self.rest.get(tickers_path(self.market), 1, _STEADY)

    async def turnovers(self) -> dict[str, float]:
        """Return the turnover of the last 24 h in the quote currency per symbol. Raises RestError."""
        rows, _bad, _time = self._read(protocol.decode_tickers, await self.tickers())
        return {row.symbol: row.turnover24h for row in rows if isinstance(row.turnover24h, float)}

    async def full_book(self, symbol: str) -> bytes:
        """Ask for the deepest snapshot at once and return the raw body. Raises RestError."""
        return await self.rest.send(full_book_path(symbol), 1)

    async def window(self, path: str) -> bytes:
        """Ask for a window at once and return the raw body. Raises RestError."""
        return await self.rest.send(path, 1)

    def full_book_wait_s(self) -> float:
        """Return 0 when a snapshot may be asked for now, else the time to wait."""
        return self.rest.wait_s(1, _STEADY)

    def book_turn_s(self, now_s: float) -> float:
        """Book the next turn of requests for books; return how long it has to wait (`now_s` is monotonic)."""
        return self._pace.reserve(now_s)

    def _read(self, decode: Callable[[bytes], _T], body: bytes) -> _T:
        try:
            return decode(body)
        except BadFrameError as error:
            self._health.rest_errors += 1
            raise RestError(f"{self.rest.host} sent an answer that is not documented: {error}") from None


async def most_traded(api: BybitApi, count: int, without: Iterable[str] = ()) -> list[Instrument]:
    """Return the instruments with the largest turnover of 24 h, without those of the bases named. Raises RestError."""
    left_out = frozenset(without)
    listed = [one for one in to_instruments(api.market, await api.listing()) if one.base not in left_out]
    turnovers = await api.turnovers()
    return sorted(listed, key=lambda one: (-turnovers.get(one.symbol, 0.0), one.symbol))[:count]


def to_instruments(market: Market, rows: Iterable[ListedInstrument]) -> list[Instrument]:
    """Turn rows of the instrument list into instruments that trade."""
    return [
        to_instrument(market, row.symbol, row.baseCoin, row.priceFilter.tickSize if row.priceFilter else "")
        for row in rows
        if row.status == "Trading" and is_ours(market, row)
    ]


def to_instrument(market: Market, symbol: str, coin: str, tick: str = "") -> Instrument:
    """Name base, pair and units of an instrument against USDT; only perpetuals quote many coins at once."""
    base, units = coin, 1
    if market is Market.BYBIT_LINEAR:
        match = _PREFIX.search(coin) or _SUFFIX.search(coin)
        if match is not None:
            base, units = coin[: match.start()] + coin[match.end() :], int(match.group(1))
    return Instrument(
        market=market, symbol=symbol, pair=base + QUOTE, base=base, quote=QUOTE, units=units, tick_size=_plain(tick)
    )


def guess_instrument(market: Market, symbol: str) -> Instrument:
    """Name an instrument by its symbol alone."""
    return to_instrument(market, symbol, symbol.removesuffix(QUOTE))


def is_ours(market: Market, row: ListedInstrument) -> bool:
    """Tell whether an instrument is of a kind that is followed."""
    return row.quoteCoin == QUOTE and (market is Market.BYBIT_SPOT or row.contractType == "LinearPerpetual")


def _plain(tick: str) -> str | None:
    """Return a price step without trailing zeros (0.010 -> 0.01), None when there is none."""
    if not re.fullmatch(r"\d+(\.\d+)?", tick) or not float(tick):
        return None
    return tick.rstrip("0").rstrip(".") if "." in tick else tick
