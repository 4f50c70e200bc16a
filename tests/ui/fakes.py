"""A small market in memory that answers the three source ports with the real shapes, moved only by `step`."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from app.domain.broker_health import BrokerHealth
from app.domain.coverage import Coverage
from app.domain.health import FeedEvent, FeedEventKind, FeedHealth, LinkHealth, LinkState
from app.domain.ids import FeedId, Market, Venue
from app.domain.units import ASK, BID, DEPTHS_PCT, MS_PER_MINUTE, NS_PER_MS, NS_PER_S
from app.indicators.formulas import Convention, Line
from app.indicators.groups import EXCLUDED, SubjectMarket
from app.indicators.window import BANDS, DepthWindow
from app.viewmodels.sources import BookView, Explanation

START_NS = 1_790_000_000 * NS_PER_S
_NAMES = (
    "BTC ETH XRP BNB SOL TRX DOGE ADA LINK BCH LTC AVAX SUI XLM HBAR SHIB TON DOT UNI PEPE AAVE NEAR APT ICP ETC ONDO "
    "TAO ENA WLD ARB POL ATOM FIL ALGO RENDER VET KAS OP SEI FET INJ TIA STX IMX BONK GRT JUP LDO QNT FLOKI"
)
BASES = tuple(_NAMES.split())
PRICES = {"BTC": 64213.5, "ETH": 3184.21, "BNB": 612.4, "SOL": 148.32, "SHIB": 0.00001732, "PEPE": 0.0000098}
UNSYNCED = ("TON",)
LEVELS = 400


class FakeMarket:
    """Implements BookSource, SeriesSource and StatusSource; time stands still until `step`."""

    def __init__(self, seed: int = 7) -> None:
        self.now_ns = START_NS
        self.seed = seed
        self.steps = 1
        self.watched: Counter[tuple[Market, str]] = Counter()
        self.watched_series: Counter[SubjectMarket] = Counter()
        self.open_venues: tuple[Venue, ...] = (Venue.BINANCE,)
        self.stale: set[tuple[Market, str]] = set()
        self.note_texts: list[str] = []
        self.health = [self._feed(Market.BINANCE_SPOT), self._feed(Market.BINANCE_USDM)]
        self.broker_list: list[BrokerHealth] = []
        self.event_list: list[FeedEvent] = []
        self.event_revision = 0
        for index in range(24):
            self.add_event(
                FeedEventKind.SNAPSHOT_LOADED if index % 5 else FeedEventKind.CONNECTED,
                "binance.spot" if index % 2 else "binance.usdm",
                f"{BASES[index]}USDT" if index % 5 else None,
                "5,000 levels a side, bid known to 3.8 %, ask known to 4.4 %" if index % 5 else "stream 1 of 2 is open",
            )

    def wall_ns(self) -> int:
        return self.now_ns

    def step(self, milliseconds: int = 200) -> None:
        """Let time pass: every live book and every feed moves."""
        self.now_ns += milliseconds * NS_PER_MS
        self.steps += 1
        for feed in self.health:
            for link in feed.links:
                if link.state is LinkState.LIVE:
                    link.frames += milliseconds
                    link.last_frame_ns = self.now_ns - 20 * NS_PER_MS

    def add_event(self, kind: FeedEventKind, source: str, symbol: str | None, text: str) -> None:
        self.event_revision += 1
        stamp = self.now_ns - 600 * NS_PER_S + self.event_revision * 7 * NS_PER_S
        self.event_list.append(FeedEvent(ts_ns=stamp, source=source, kind=kind, symbol=symbol, text=text))

    def _feed(self, market: Market) -> FeedHealth:
        feed = FeedId(Venue.BINANCE, market)
        links = [
            LinkHealth(
                name=f"{market.value} {word}",
                feed=feed,
                url="ws://127.0.0.1:9443/stream",
                state=LinkState.LIVE,
                since_ns=START_NS - 3600 * NS_PER_S,
                connected_ns=START_NS - 3600 * NS_PER_S,
                last_frame_ns=START_NS - 30 * NS_PER_MS,
                frames=3_600_000,
                bytes=4_200_000_000,
                streams=100,
                latency_ms=38.0 + index * 4,
                reconnects=index,
            )
            for index, word in enumerate(("depth 1", "book ticker"))
        ]
        spot = market is Market.BINANCE_SPOT
        return FeedHealth(
            feed=feed,
            links=links,
            books_total=len(BASES),
            books_primed=len(BASES) if spot else 37,
            snapshots_queued=0 if spot else 13,
            snapshots_loaded=212,
            applied=3_511_204,
            gaps=0 if spot else 1,
            resyncs=0 if spot else 1,
            dropped=0,
            rest_state=LinkState.LIVE,
            rest_weight_used=1240,
            rest_weight_limit=6000 if spot else 2400,
            rest_requests=260,
            clock_offset_ms=-3.1,
        )

    # books

    def symbols(self, market: Market) -> Sequence[str]:
        if market.venue not in self.open_venues:
            return []
        if market.venue is Venue.HYPERLIQUID:
            return [] if market is Market.HYPERLIQUID_SPOT else list(BASES[:12])
        return [self._symbol(base, market) for base in BASES]

    def _symbol(self, base: str, market: Market) -> str:
        thousand = market is Market.BINANCE_USDM and base in ("SHIB", "PEPE", "BONK", "FLOKI")
        return f"{'1000' if thousand else ''}{base}USDT"

    def _base(self, market: Market, symbol: str) -> str | None:
        if market is Market.HYPERLIQUID_PERP:
            return symbol if symbol in BASES else None
        for base in BASES:
            if self._symbol(base, market) == symbol:
                return base
        return None

    def book_revision(self, market: Market, symbol: str) -> int:
        return 1 if (market, symbol) in self.stale else self.steps

    def book(self, market: Market, symbol: str, levels: int) -> BookView | None:
        base = self._base(market, symbol)
        if base is None:
            return None
        number = BASES.index(base)
        random = np.random.default_rng([self.seed, number, 0 if market is Market.BINANCE_SPOT else 1])
        middle = PRICES.get(base, 0.5 + 900.0 / (number + 1) ** 1.7)
        if symbol.startswith("1000"):
            middle *= 1000
        decimals = max(0, 5 - int(np.floor(np.log10(middle))))
        wave = np.sin(self.steps / 9.0 + number) * 2e-4
        best = np.array([middle * (1 + wave) * (1 - 4e-5), middle * (1 + wave) * (1 + 4e-5)])
        best = np.round(best, decimals)
        live = base not in UNSYNCED and (market, symbol) not in self.stale
        synced = base not in UNSYNCED
        spread_out = np.concatenate(([0.0], np.sort(random.beta(0.6, 3.0, (LEVELS - 1)) * 0.68)))
        wobble = 1 + 0.1 * np.sin(self.steps / 3 + np.arange(LEVELS))
        size = random.lognormal(0.0, 1.0, (2, LEVELS)) * (40_000_000 / (number + 2)) / LEVELS * wobble
        near = spread_out < 0.002
        size[:, near] *= 0.2
        price = (
            np.maximum(np.round(best[BID] * (1 - spread_out), decimals), 10.0**-decimals),
            np.round(best[ASK] * (1 + spread_out), decimals),
        )
        qty = (size[BID] / price[BID], size[ASK] / price[ASK])
        known = np.array([100.0, np.inf]) if number > 14 else np.array([3.8, 4.4]) + number * 0.9
        if number == 0:
            known = np.array([0.34, 0.41])
        reach = (spread_out * 100 > known[BID], spread_out * 100 > known[ASK])
        since = tuple(np.where(reach[side], self.now_ns - (40 + number) * 60 * NS_PER_S, 0) for side in (BID, ASK))
        usd = np.full((2, BANDS), np.nan)
        coins, threshold = usd.copy(), usd.copy()
        unconfirmed = np.zeros((2, BANDS))
        coverage = np.full((2, BANDS), Coverage.NONE, np.uint8)
        for side in (BID, ASK):
            for band, depth in enumerate(DEPTHS_PCT):
                edge = best[side] * (1 - depth / 100 if side == BID else 1 + depth / 100)
                inside = price[side] >= edge if side == BID else price[side] <= edge
                threshold[side, band] = edge
                coins[side, band] = qty[side][inside].sum()
                value = price[side] * qty[side]
                usd[side, band] = value[inside].sum()
                exact = depth <= known[side]
                coverage[side, band] = Coverage.EXACT if exact else Coverage.PARTIAL
                old = value[inside & reach[side]].sum()
                unconfirmed[side, band] = 0.0 if exact or number == 1 else old / usd[side, band]
        if not synced:
            usd[:], coins[:], threshold[:], coverage[:] = np.nan, np.nan, np.nan, Coverage.NONE
            known, best = np.array([np.nan, np.nan]), np.array([np.nan, np.nan])
            empty, none = np.empty(0), np.empty(0, np.int64)
            price, qty, since = (empty, empty), (empty, empty), (none, none)
        return BookView(
            market=market,
            symbol=symbol,
            state="live" if live else "waiting for snapshot" if not synced else "stale",
            reason="" if live else "snapshot 13 of 50 in the queue" if not synced else "no data since 14:02:11",
            live=live,
            price=(price[BID][:levels], price[ASK][:levels]),
            qty=(qty[BID][:levels], qty[ASK][:levels]),
            since=(since[BID][:levels], since[ASK][:levels]),
            best=best,
            known_to_pct=known,
            usd=usd,
            coins=coins,
            threshold=threshold,
            unconfirmed=unconfirmed,
            coverage=coverage,
            tick_size=f"{10.0**-decimals:.{decimals}f}" if decimals else "1",
            last_update_id=48_112_000_000 + self.steps,
            sampled_ns=self.now_ns,
            event_ns=self.now_ns,
            age_ns=None if not synced else 40 * NS_PER_MS if live else 47 * NS_PER_S,
            counters={"applied": 35_000 + self.steps, "gaps": 0, "resyncs": 0, "dropped": 0, "crossed": 0},
        )

    def watch_book(self, market: Market, symbol: str) -> None:
        self.watched[market, symbol] += 1

    def unwatch_book(self, market: Market, symbol: str) -> None:
        self.watched[market, symbol] -= 1
        assert self.watched[market, symbol] >= 0, "unwatched more often than watched"

    # series

    def venues(self) -> Sequence[Venue]:
        return self.open_venues

    def pairs(self) -> Sequence[str]:
        return [f"{base}USDT" for base in BASES]

    def series_revision(self, key: SubjectMarket) -> int:
        return self.steps

    def live(self, key: SubjectMarket, since_ms: int = 0) -> DepthWindow:
        now_ms = self.now_ns // NS_PER_MS
        return self._window(key, np.arange(now_ms - 120_000 + 200, now_ms + 1, 200, dtype=np.int64))

    def event_ns(self, key: SubjectMarket) -> int | None:
        return self.now_ns

    async def minutes(self, key: SubjectMarket, start_ms: int, end_ms: int) -> DepthWindow:
        first = -(-start_ms // MS_PER_MINUTE) * MS_PER_MINUTE
        last_full = self.now_ns // NS_PER_MS // MS_PER_MINUTE * MS_PER_MINUTE
        return self._window(key, np.arange(first, min(end_ms, last_full), MS_PER_MINUTE, dtype=np.int64))

    def _window(self, key: SubjectMarket, ts_ms: np.ndarray) -> DepthWindow:
        group = key.subject.group
        total = 1 if group is None else sum(base not in EXCLUDED[group] for base in BASES)
        phase = zlib.crc32(str(key).encode()) % 628 / 100
        seconds = (ts_ms - START_NS // NS_PER_MS) / 1000.0
        depth = np.asarray(DEPTHS_PCT)
        scale = 3e6 * total * np.sqrt(depth)
        usd = np.empty((ts_ms.size, 2, BANDS))
        for side in (BID, ASK):
            slow = 1 + 0.18 * np.sin(seconds[:, None] / 1700 + phase + side * 1.3 + depth / 40)
            fast = 0.02 * np.sin(seconds[:, None] / 7 + phase * 3 + side + depth)
            usd[:, side] = scale * (slow + fast) * (1.0 if side == BID else 1.08)
        coverage = np.full(usd.shape, Coverage.EXACT, np.uint8)
        coverage[:, :, 3:] = Coverage.PARTIAL
        unconfirmed = np.zeros(usd.shape)
        if group is None:
            return DepthWindow.of_coin(ts_ms, usd, coverage, unconfirmed)
        exact = np.where(coverage == Coverage.EXACT, total, total - 8).astype(np.int64)
        moments = ts_ms.size
        return DepthWindow(
            ts_ms=ts_ms,
            usd=usd,
            coverage=coverage,
            unconfirmed=unconfirmed,
            ratio_mean=usd[:, BID] / usd[:, ASK],
            included=np.full(moments, total - 1, np.int64),
            ratio_count=np.full((moments, BANDS), total - 1, np.int64),
            ratio_exact=exact.min(axis=1),
            exact=exact,
            total=total,
        )

    def watch_series(self, key: SubjectMarket) -> None:
        self.watched_series[key] += 1

    def unwatch_series(self, key: SubjectMarket) -> None:
        self.watched_series[key] -= 1
        assert self.watched_series[key] >= 0, "unwatched more often than watched"

    def explain(self, key: SubjectMarket, line: Line, ts_ms: int | None, convention: Convention) -> Explanation:
        return Explanation(
            title=f"{line.label} of {key.subject} {key.market.label}",
            formula="sum of bids / sum of asks",
            facts=(("sum of bids", "412,332,101.20 USD"), ("sum of asks", "488,120,774.91 USD"), ("exact", "42 of 50")),
            contributor_header=("Symbol", "Bid USD", "Ask USD", "Coverage"),
            contributors=(
                ("BTCUSDT", "≥ 41.2 M", "≥ 44.0 M", "known to 3.8 %"),
                ("ETHUSDT", "22.1 M", "25.9 M", "exact"),
            ),
            excluded=(("TONUSDT", "waiting for its first snapshot"),),
        )

    # status

    def feeds(self) -> Sequence[FeedHealth]:
        return self.health

    def brokers(self) -> Sequence[BrokerHealth]:
        return self.broker_list

    def events(self) -> Sequence[FeedEvent]:
        return self.event_list

    def events_revision(self) -> int:
        return self.event_revision

    def notes(self) -> Sequence[str]:
        return self.note_texts

    def pause_snapshots(self, feed: str) -> None:
        self._find(feed).priming_paused = True

    def resume_snapshots(self, feed: str) -> None:
        self._find(feed).priming_paused = self._find(feed).priming_cancelled = False

    def cancel_snapshots(self, feed: str) -> None:
        health = self._find(feed)
        health.priming_cancelled, health.snapshots_queued = True, 0

    def _find(self, feed: str) -> FeedHealth:
        return next(entry for entry in self.health if str(entry.feed) == feed)
