"""Turns requests of the simulated Hyperliquid's info endpoint into answers: body, status and the weight they cost.

Request types, shapes and weights as documented (info endpoint; rate limits and user limits).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.sim.answers import Answer
from app.sim.hyperliquid import encoders
from app.sim.hyperliquid.encoders import dump
from app.sim.hyperliquid.history import INTERVALS_MS
from app.sim.hyperliquid.market import HyperMarket
from app.sim.hyperliquid.universe import BUILDER_DEX, RETIRED_SPOT_COIN, Coin, Kind
from app.sim.limits import Verdict, WeightMeter

MALFORMED = "Failed to deserialize the JSON body into the target type"
_LIGHT = frozenset({"l2Book", "allMids", "exchangeStatus"})
_LIGHT_WEIGHT, _USUAL_WEIGHT = 2, 20
_MOST_FUNDINGS = 500
_HOUR_MS = 3_600_000
_FIGURES = (None, 2, 3, 4, 5)
_MANTISSAS = (None, 1, 2, 5)

Request = dict[str, Any]


class Malformed(Exception):
    """A request the venue cannot read."""


class Unknown(Exception):
    """A request about a coin the venue does not have."""


def text_of(request: Request, key: str) -> str:
    """Return a text of a request; raise Malformed otherwise."""
    value = request.get(key)
    if not isinstance(value, str):
        raise Malformed(key)
    return value


def resolution_of(request: Request) -> tuple[int | None, int | None]:
    """Return nSigFigs and mantissa of a request; raise Malformed for values the venue does not offer."""
    figures, mantissa = request.get("nSigFigs"), request.get("mantissa")
    known = figures in _FIGURES and mantissa in _MANTISSAS and not isinstance(figures, bool)
    if not known or (mantissa is not None and figures != 5):
        raise Malformed("nSigFigs")
    return figures, mantissa


class InfoDesk:
    """Answers info requests of HTTP and of WebSocket posts."""

    def __init__(self, market: HyperMarket, meter: WeightMeter, now_ms: Callable[[], int]) -> None:
        """Take the market and its weight meter; `now_ms` is UTC ms."""
        self.meter = meter
        self._market = market
        self._now_ms = now_ms
        self._makers: dict[str, Callable[[Request], str]] = {
            "meta": lambda request: dump(self._meta(self._kind(request))),
            "metaAndAssetCtxs": self._meta_and_contexts,
            "spotMeta": lambda _request: dump(self._spot_meta()),
            "spotMetaAndAssetCtxs": self._spot_meta_and_contexts,
            "allMids": lambda request: encoders.all_mids(market, self._dex(request)),
            "l2Book": self._book,
            "candleSnapshot": self._candles,
            "fundingHistory": self._fundings,
            "predictedFundings": self._predicted,
            "recentTrades": self._trades,
            "exchangeStatus": lambda _request: dump({"time": now_ms(), "specialStatuses": None}),
            "perpDexs": lambda _request: dump(
                [None, {"name": BUILDER_DEX, "fullName": "XYZ", "deployer": "0x" + "0" * 40}]
            ),
        }

    def answer(self, request: object) -> Answer:
        """Answer one decoded request; never raises."""
        name = request.get("type") if isinstance(request, dict) else None
        ruling = self.meter.spend(_LIGHT_WEIGHT if name in _LIGHT else _USUAL_WEIGHT)
        if ruling.verdict is not Verdict.ALLOWED:
            return Answer(429, b"null", {"Retry-After": str(ruling.retry_after_s)})
        if not isinstance(request, dict) or not isinstance(name, str) or name not in self._makers:
            return Answer(422, MALFORMED.encode())
        try:
            return Answer(200, self._makers[name](request).encode())
        except Malformed:
            return Answer(422, MALFORMED.encode())
        except Unknown:
            return Answer(500, b"null")

    def _charge(self, items: int, per: int) -> None:
        self.meter.used_weight += items // per

    def _find(self, request: Request) -> Coin:
        coin = self._market.by_name.get(text_of(request, "coin"))
        if coin is None:
            raise Unknown
        return coin

    def _dex(self, request: Request) -> str:
        dex = request.get("dex") or ""
        if dex not in ("", BUILDER_DEX):
            raise Unknown
        return str(dex)

    def _kind(self, request: Request) -> Kind:
        return Kind.BUILDER if self._dex(request) else Kind.PERP

    def _meta(self, kind: Kind) -> dict[str, object]:
        coins = self._market.perps(kind)
        tiers = sorted({coin.max_leverage for coin in coins})
        tables = [
            [tier, {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": tier}]}] for tier in tiers
        ]
        return {
            "universe": [encoders.universe_row(coin) for coin in coins],
            "marginTables": tables,
            "collateralToken": 0,
        }

    def _meta_and_contexts(self, request: Request) -> str:
        kind = self._kind(request)
        contexts = encoders.contexts(self._market, self._market.perps(kind), self._now_ms())
        return f"[{dump(self._meta(kind))},{contexts}]"

    def _spot_meta(self) -> dict[str, object]:
        names: dict[str, int] = {"USDC": 0}
        for coin in self._market.spots():
            for token in (coin.base, coin.quote):
                names.setdefault(token, len(names))
        decimals = {coin.base: coin.size_decimals for coin in self._market.spots()}
        tokens = [
            {
                "name": name,
                "szDecimals": decimals.get(name, 8),
                "weiDecimals": 8,
                "index": index,
                "tokenId": f"0x{index:032x}",
                "isCanonical": name in ("USDC", "PURR"),
                "evmContract": None,
                "fullName": None,
                "deployerTradingFeeShare": "0.0",
            }
            for name, index in names.items()
        ]
        universe = [
            {
                "tokens": [names[coin.base], names[coin.quote]],
                "name": coin.name,
                "index": coin.index,
                "isCanonical": coin.index == 0,
            }
            for coin in self._market.spots()
        ]
        return {"universe": universe, "tokens": tokens}

    def _spot_meta_and_contexts(self, _request: Request) -> str:
        return f"[{dump(self._spot_meta())},{self.spot_contexts()}]"

    def spot_contexts(self) -> str:
        """Return the contexts of spot pairs, ordered by number, one retired pair among them."""
        now = self._now_ms()
        rows = {
            coin.index: encoders.context(self._market, coin, now)
            for coin in sorted(self._market.spots(), key=lambda coin: coin.index)
        }
        retired = int(RETIRED_SPOT_COIN.removeprefix("@"))
        rows[retired] = (
            f'{{"coin":"{RETIRED_SPOT_COIN}","prevDayPx":"0.0","dayNtlVlm":"0.0","dayBaseVlm":"0.0","markPx":"0.0",'
            f'"midPx":null,"circulatingSupply":"0.0","totalSupply":"0.0"}}'
        )
        return f"[{','.join(rows[index] for index in sorted(rows))}]"

    def _book(self, request: Request) -> str:
        figures, mantissa = resolution_of(request)
        name = text_of(request, "coin")
        if name not in self._market.by_name:
            return "null"
        book = self._market.book(name)
        return encoders.l2_book(book.coin, encoders.book_levels(book, figures, mantissa), self._now_ms())

    def _trades(self, request: Request) -> str:
        trades = list(self._market.recent_trades(self._find(request).name, self._now_ms()))
        self._charge(len(trades), 20)
        return encoders.trades(reversed(trades))

    def _candles(self, request: Request) -> str:
        wanted = request.get("req")
        if not isinstance(wanted, dict):
            raise Malformed("req")
        interval, now = text_of(wanted, "interval"), self._now_ms()
        if interval not in INTERVALS_MS:
            raise Malformed("interval")
        start, end = _span_of(wanted, now)
        coin = self._find(wanted)
        price = float(self._market.prices[coin.place])
        candles = self._market.history.candles(coin, interval, start, end, now, price)
        self._charge(len(candles), 60)
        decimals = coin.price_decimals
        rows = [
            f'{{"t":{each.start_ms},"T":{each.end_ms},"s":"{coin.name}","i":"{interval}",'
            f'"o":"{encoders.figure(each.open, decimals)}","c":"{encoders.figure(each.close, decimals)}",'
            f'"h":"{encoders.figure(each.high, decimals)}","l":"{encoders.figure(each.low, decimals)}",'
            f'"v":"{encoders.figure(each.volume, coin.size_decimals)}","n":{1 + int(each.volume) % 997}}}'
            for each in candles
        ]
        return f"[{','.join(rows)}]"

    def _fundings(self, request: Request) -> str:
        now = self._now_ms()
        start, end = _span_of(request, now)
        coin = self._find(request)
        last = min(now, end) // _HOUR_MS
        first = max(-(-start // _HOUR_MS), last - 24 * 365)
        hours = range(first, last + 1)[:_MOST_FUNDINGS]
        self._charge(len(hours), 20)
        rate, premium = self._market.funding(coin), self._market.premium(coin)
        rows = [
            {
                "coin": coin.name,
                "fundingRate": encoders.figure(rate if hour == last else 0.0000125 + (hour % 7 - 3) * 1e-6, 10),
                "premium": encoders.figure(premium if hour == last else (hour % 11 - 5) * 1e-4, 10),
                "time": hour * _HOUR_MS + hour % 97,
            }
            for hour in hours
        ]
        return dump(rows)

    def _predicted(self, _request: Request) -> str:
        hour = (self._now_ms() // _HOUR_MS + 1) * _HOUR_MS
        eight = (self._now_ms() // (8 * _HOUR_MS) + 1) * 8 * _HOUR_MS
        rows = []
        for coin in self._market.perps():
            if coin.delisted:
                continue
            rate = self._market.funding(coin)
            other = {
                "fundingRate": encoders.figure(rate * 8 * 0.9, 8),
                "nextFundingTime": eight,
                "fundingIntervalHours": 8,
            }
            own = {"fundingRate": encoders.figure(rate, 10), "nextFundingTime": hour, "fundingIntervalHours": 1}
            rows.append([coin.name, [["BinPerp", other], ["HlPerp", own], ["BybitPerp", other]]])
        return dump(rows)


def _span_of(request: Request, now_ms: int) -> tuple[int, int]:
    """Return start and end (UTC ms) of a request; raise Malformed for anything else."""
    start, end = request.get("startTime"), request.get("endTime", now_ms)
    end = now_ms if end is None else end
    for value in (start, end):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**15:
            raise Malformed("startTime")
    assert isinstance(start, int)
    assert isinstance(end, int)
    return start, end
