"""What the local server serves in tests: a small market that moves only when told to, and a program around it.

`python -m tests.loopback.server_stand_in --port 0` serves it, moving by itself, until standard input ends; it prints
one JSON line with the address, the link and the token. Tests of the page use that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.domain.clock import SystemClock
from app.domain.errors import StorageError
from app.domain.ids import Market, Venue
from app.domain.units import DEPTHS_PCT
from app.indicators.formulas import LINES
from app.server.ports import BookKey, IndicatorKey, Json
from app.server.service import LocalServer
from app.server.status import ServerOptions

MARKETS = (Market.BINANCE_SPOT, Market.BINANCE_USDM, Market.BYBIT_LINEAR)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")
PAGE = Path(__file__).resolve().parents[2] / "resources" / "web"
NAN = float("nan")


class StandInData:
    """`ServerData` of a few instruments. `move` changes one, `alert` raises an alert."""

    def __init__(self, symbols: Sequence[str] = SYMBOLS, markets: Sequence[Market] = MARKETS) -> None:
        self.listed = [(market, symbol) for market in markets for symbol in symbols]
        self.index = {pair: row for row, pair in enumerate(self.listed)}
        self.revision = [1] * len(self.listed)
        self.price = [100.0 / (1 + row) for row in range(len(self.listed))]
        self.stamp_ms = [time.time_ns() // 1_000_000] * len(self.listed)
        self.depth_revision = 1
        self.alerts: list[Json] = []
        self.account: Json | None = None
        self.history_away = False
        self.broken = False

    def move(self, market: Market, symbol: str, price: float) -> None:
        """Change one instrument's price, and with it its book and every indicator."""
        row = self.index[market, symbol]
        self.price[row] = price
        self.revision[row] += 1
        self.stamp_ms[row] = time.time_ns() // 1_000_000
        self.depth_revision += 1

    def alert(self, text: str) -> None:
        """Raise an alert."""
        self.alerts.append({"seq": len(self.alerts) + 1, "time": self.now_ms(), "text": text})

    # -- the program ---------------------------------------------------------------------------------------------

    def about(self) -> Json:
        return {"program": "Fathom", "version": "0", "mode": "DEMO", "mode_detail": ""}

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def status(self) -> Json:
        feeds = [
            {
                "feed": str(market.feed),
                "title": f"{market.venue.full_name} {market.kind.value}",
                "light": "green",
                "word": "live",
                "reason": "",
                "age_ms": 40,
                "latency_ms": 12.5,
                "books_primed": len(SYMBOLS),
                "books_total": len(SYMBOLS),
                "gaps": 0,
                "resyncs": 0,
                "drops": 0,
                "reconnects": 0,
            }
            for market in dict.fromkeys(market for market, _ in self.listed)
        ]
        return {"feeds": feeds, "notes": []}

    # -- rows ----------------------------------------------------------------------------------------------------

    def symbol_counts(self) -> Mapping[Venue, int]:
        counts: dict[Venue, int] = {}
        for market, _ in self.listed:
            counts[market.venue] = counts.get(market.venue, 0) + 1
        return counts

    def find_row(self, market: Market, symbol: str) -> int | None:
        return self.index.get((market, symbol))

    def top_rows(self, markets: Sequence[Market], limit: int) -> list[int]:
        return [row for row, (market, _) in enumerate(self.listed) if market in markets][:limit]

    def row_market(self, row: int) -> Market:
        return self.listed[row][0]

    def row_revisions(self, rows: Sequence[int]) -> list[int]:
        if self.broken:
            raise ValueError("broken for a test")
        return [self.revision[row] for row in rows]

    def rows(self, rows: Sequence[int]) -> list[Json]:
        return [self._row(row) for row in rows]

    def _row(self, row: int) -> Json:
        market, symbol = self.listed[row]
        price = self.price[row]
        return {
            "symbol": symbol,
            "venue": market.venue.value,
            "marketType": market.kind.value,
            "price": price,
            "volume_24h": 1e6 * (len(self.listed) - row),
            "change_24h": (price % 7) - 3,
            "high_24h": price * 1.1,
            "low_24h": price * 0.9,
            "bid": price * 0.9999,
            "ask": price * 1.0001,
            "timestamp": self.stamp_ms[row],
            "age_ms": max(0, self.now_ms() - self.stamp_ms[row]),
            "spread_bp": 2.0,
            "funding": NAN if symbol == "DOGEUSDT" else 0.0001,
            "open_interest_usd": NAN,
            "delta": 1.0 + math.sin(price),
        }

    # -- depth ---------------------------------------------------------------------------------------------------

    def find_book(self, market: Market, symbol: str) -> str | None:
        return symbol.upper() if (market, symbol.upper()) in self.index else None

    def book_revision(self, key: BookKey) -> int:
        return self.revision[self.index[key.market, key.symbol]]

    def tick(self, key: BookKey) -> Json:
        row = self.index[key.market, key.symbol]
        price = self.price[row]
        volumes = [price * 1000 * pct for pct in DEPTHS_PCT]
        words = ["exact", "exact", "exact", "exact", "floor", "partial", "missing"]
        volumes[-1] = NAN
        return {
            "symbol": key.symbol,
            "venue": key.market.venue.value,
            "marketType": key.market.kind.value,
            "time": self.stamp_ms[row],
            "age_ms": max(0, self.now_ms() - self.stamp_ms[row]),
            "state": "live",
            "bid": price * 0.9999,
            "ask": price * 1.0001,
            "depths": list(DEPTHS_PCT),
            "bid_usd": volumes,
            "ask_usd": volumes,
            "bid_coverage": words,
            "ask_coverage": words,
            "bid_unconfirmed": [0.0] * 7,
            "ask_unconfirmed": [0.0] * 7,
        }

    def ticks(self, key: BookKey, last_s: float) -> list[Json]:
        return [self.tick(key)] * min(3, max(1, round(last_s)))

    def snapshot(self, key: BookKey, levels: int) -> Json:
        price = self.price[self.index[key.market, key.symbol]]
        side = [[price * (1 - n / 1000), 1.0 + n] for n in range(levels)]
        return {**self.tick(key), "reason": "", "last_update_id": 7, "bids": side, "asks": side}

    def validation(self, key: BookKey) -> Json:
        return {**self.tick(key), "facts": {"last_update_id": 7}}

    # -- indicators ----------------------------------------------------------------------------------------------

    def indicator_revision(self, key: IndicatorKey) -> int:
        if key.market not in MARKETS or (key.subject.pair and (key.market, key.subject.pair) not in self.index):
            return -1
        return self.depth_revision

    def indicator(self, key: IndicatorKey) -> Json:
        lines = [
            line
            for line in LINES[key.indicator]
            if key.depth_pct is None or (not line.mixed and key.depth_pct in line.depths_pct)
        ]
        wave = math.sin(self.depth_revision / 10)
        return {
            "indicator": key.indicator.value,
            "heading": key.indicator.heading,
            "category": str(key.subject),
            "venue": key.market.venue.value,
            "marketType": key.market.kind.value,
            "depth": key.depth_pct,
            "time": self.now_ms(),
            "age_ms": 20,
            "included": 5,
            "total": 5,
            "lines": [
                {"key": line.key, "label": line.label, "value": 1 + wave, "coverage": "exact", "unconfirmed": 0.0}
                for line in lines
            ],
        }

    def indicator_points(self, key: IndicatorKey, last_s: float) -> Json:
        return self._points(key, round(last_s), 1000)

    async def indicator_minutes(self, key: IndicatorKey, minutes: int) -> Json:
        if self.history_away:
            raise StorageError("the database is away")
        return self._points(key, minutes, 60_000)

    def _points(self, key: IndicatorKey, count: int, step_ms: int) -> Json:
        newest = self.now_ms() // step_ms * step_ms
        times = [newest - step_ms * (count - 1 - n) for n in range(count)]
        lines = [
            {
                "key": line["key"],
                "label": line["label"],
                "values": [1 + math.sin(at / step_ms / 10) for at in times],
                "coverage": ["exact"] * count,
            }
            for line in self.indicator(key)["lines"]
        ]
        return {"times": times, "lines": lines}

    # -- alerts and account --------------------------------------------------------------------------------------

    def alerts_since(self, seq: int) -> list[Json]:
        return [alert for alert in self.alerts if alert["seq"] > seq]

    def alerts_seq(self) -> int:
        return len(self.alerts)

    def portfolio(self) -> Json | None:
        return self.account


async def _keep_moving(data: StandInData) -> None:
    step = 0
    while True:
        await asyncio.sleep(0.05)
        step += 1
        market, symbol = data.listed[step % len(data.listed)]
        row = data.index[market, symbol]
        data.move(market, symbol, data.price[row] * (1 + 0.001 * math.sin(step)))
        if step % 200 == 0:
            data.alert(f"price of {symbol} moved")


async def _serve(args: argparse.Namespace) -> None:
    data = StandInData()
    options = ServerOptions(host="127.0.0.1", port=args.port, page=PAGE, interval_s=args.interval, token=args.token)
    server = LocalServer(data, options, SystemClock())
    if not await server.start():
        raise SystemExit(server.status.error)
    moving = asyncio.create_task(_keep_moving(data))
    link = server.status.links[0]
    address = {"url": f"http://{server.address}", "link": link, "token": link.rpartition("=")[2]}
    sys.stdout.write(json.dumps(address) + "\n")
    sys.stdout.flush()
    try:
        await asyncio.to_thread(sys.stdin.read)
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
        await server.stop()


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--interval", type=float, default=0.2)
    parser.add_argument("--token", default="")
    asyncio.run(_serve(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
