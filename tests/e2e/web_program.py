"""A program around the real local server for tests of its page: a hundred moving instruments, in its own process.

It prints one JSON line (url, link, token) and obeys lines on standard input until that ends: `still` (no value moves
any more), `still spot`, `unsynced TEXT` (books wait), `red TEXT` (a feed fails and says why), `moving` (all is well
again), `alert TEXT`. Some books are known to floors only, the stored past has a gap, and some symbols have names made
by an enemy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from app.domain.clock import SystemClock  # noqa: E402 - the path comes first
from app.domain.ids import Market  # noqa: E402
from app.domain.units import DEPTHS_PCT  # noqa: E402
from app.indicators.formulas import LINE_BY_KEY, Kind  # noqa: E402
from app.server.ports import BookKey, IndicatorKey, Json  # noqa: E402
from app.server.service import LocalServer  # noqa: E402
from app.server.status import ServerOptions  # noqa: E402
from tests.loopback.server_stand_in import StandInData  # noqa: E402

PAGE = ROOT / "resources" / "web"
MARKETS = (Market.BINANCE_SPOT, Market.BINANCE_USDM, Market.BYBIT_LINEAR)
COINS = tuple(
    "BTC ETH SOL XRP BNB DOGE ADA TRX LINK AVAX SUI LTC DOT TON SHIB PEPE UNI NEAR APT ICP "  # noqa: SIM905 - a table
    "FIL ARB OP ATOM INJ SEI TIA RENDER TAO WIF".split()
)
HOSTILE = (
    '<img src=x onerror="window.hacked=1">',
    "</script><script>window.hacked=1</script>",
    "'\"><svg onload=window.hacked=1>",
    "ABC\u202eTDSU",
)
TICK_S = 0.2
MINUTES_MISSING = range(6, 9)


class Program(StandInData):
    """A market that walks at random, the same way for the same seed."""

    def __init__(self) -> None:
        super().__init__(symbols=[*(f"{coin}USDT" for coin in COINS), *HOSTILE], markets=MARKETS)
        self._random = random.Random(7)
        self.opening = [90_000.0 / (1 + n % (len(COINS) + len(HOSTILE))) ** 2 for n in range(len(self.listed))]
        self.price = [value * self._random.uniform(0.93, 1.09) for value in self.opening]
        self.is_still = False
        self.still_market: Market | None = None
        self.unsynced = ""
        self.still_ms = 0
        self.red = ""

    def step(self) -> None:
        """Let a third of the instruments trade."""
        for row in self._random.sample(range(len(self.listed)), len(self.listed) // 3):
            market, symbol = self.listed[row]
            self.move(market, symbol, self.price[row] * (1 + self._random.gauss(0, 0.0004)))

    # -- the program ---------------------------------------------------------------------------------------------

    def about(self) -> Json:
        return {"program": "Fathom", "version": "0.2.0", "mode": "DEMO", "mode_detail": "made-up market, seed 7"}

    def status(self) -> Json:
        feeds = super().status()["feeds"]
        if self.red:
            feeds[0] |= {"light": "red", "word": "down", "reason": self.red, "age_ms": 9_000}
        feeds[2] |= {"light": "amber", "word": "syncing", "books_primed": 3, "reason": "books are loaded at 8 a second"}
        return {"feeds": feeds, "notes": []}

    # -- rows and books ------------------------------------------------------------------------------------------

    def _row(self, row: int) -> Json:
        price, opening = self.price[row], self.opening[row]
        place = row % (len(COINS) + len(HOSTILE))
        is_future = self.listed[row][0] is not Market.BINANCE_SPOT
        return super()._row(row) | {
            "volume_24h": 4.2e10 / (1 + place) ** 1.4 * (2.1 if is_future else 1.0),
            "change_24h": (price / opening - 1) * 100,
            "high_24h": max(price, opening) * 1.02,
            "low_24h": min(price, opening) * 0.97,
            "spread_bp": 0.1 + place / 8,
            "funding": 0.0001 * math.cos(place) if is_future else math.nan,
            "open_interest_usd": 9e9 / (1 + place) if is_future else math.nan,
            "funding_hours": 8 if is_future else math.nan,
            "funding_year_pct": 10.95 * math.cos(place) if is_future else math.nan,
            "events": place % 3,
            "delta": 1 + 0.4 * math.sin(price / opening * 40 + place),
        }

    def tick(self, key: BookKey) -> Json:
        is_future = key.market is not Market.BINANCE_SPOT
        bid = [8.1e6 * pct**0.9 for pct in DEPTHS_PCT]
        ask = [value * 0.93 for value in bid]
        words = ["exact"] * 4 + ["floor"] * 2 + ["partial"] if is_future else ["exact"] * 7
        return super().tick(key) | {
            "state": "waiting for snapshot" if self.unsynced else "live",
            **{"bid_usd": bid, "ask_usd": ask, "bid_coverage": words, "ask_coverage": words},
            **{"bid_unconfirmed": [0.0] * 6 + [0.2 if is_future else 0.0], "ask_unconfirmed": [0.0] * 7},
        }

    def snapshot(self, key: BookKey, levels: int) -> Json:
        price = self.price[self.index[key.market, key.symbol]]
        size = self._random.uniform
        known_to = [11.4, 9.8] if key.market is not Market.BINANCE_SPOT else [None, None]
        return super().snapshot(key, levels) | {
            "reason": self.unsynced,
            "known_to_pct": known_to,
            "bid_complete": known_to[0] is None,
            "ask_complete": known_to[1] is None,
            "bids": [[price * (1 - n / 5000), size(0.1, 40)] for n in range(1, levels + 1)],
            "asks": [[price * (1 + n / 5000), size(0.1, 40)] for n in range(1, levels + 1)],
        }

    # -- indicators ----------------------------------------------------------------------------------------------

    def indicator(self, key: IndicatorKey) -> Json:
        is_still = self.is_still or key.market is self.still_market
        now = self.still_ms if is_still else self.now_ms()
        found = super().indicator(key)
        for line in found["lines"]:
            line["value"], line["coverage"] = self._value(key, line["key"], now)
        is_whole = key.market is Market.BINANCE_SPOT
        age_ms = self.now_ms() - now if is_still else 20
        return found | {"time": now, "age_ms": age_ms, "included": 100 if is_whole else 92, "total": 100}

    def _value(self, key: IndicatorKey, line_key: str, at_ms: int) -> tuple[float, str]:
        line = LINE_BY_KEY[line_key]
        is_future = key.market is not Market.BINANCE_SPOT
        depth = line.depths_pct[0]
        phase = at_ms / 1000 / (23 + depth) + depth
        wave = math.sin(phase) * 0.05 + math.sin(phase * 7.3) * 0.012 + (0.14 if is_future else -0.02)
        if line.kind is Kind.VOLUME:
            value = 3.1e7 * depth**0.9 * (1 + wave * (1 if line.bid is not None else -1)) * (2.4 if is_future else 1)
            return value, "floor" if is_future and depth >= 5 else "exact"
        if line.kind is Kind.DIFF:
            return wave * 4e7, "partial" if is_future else "exact"
        return 0.94 + wave, "partial" if is_future else "exact"

    def _points(self, key: IndicatorKey, count: int, step_ms: int) -> Json:
        newest = (self.still_ms if self.is_still else self.now_ms()) // step_ms * step_ms
        wanted = [n for n in range(count) if step_ms < 60_000 or count - n not in MINUTES_MISSING]
        times = [newest - step_ms * (count - 1 - n) for n in wanted]
        lines = []
        for line in self.indicator(key)["lines"]:
            values = [self._value(key, line["key"], at) for at in times]
            lines.append(
                {
                    **{"key": line["key"], "label": line["label"]},
                    **{"values": [value for value, _ in values], "coverage": [word for _, word in values]},
                }
            )
        return {"times": times, "lines": lines}


async def _keep_moving(data: Program) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        if not data.is_still:
            data.step()


def _obey(data: Program, line: str) -> None:
    word, _, rest = line.strip().partition(" ")
    if word == "still":
        data.is_still, data.still_ms = not rest, data.now_ms()
        data.still_market = Market.BINANCE_SPOT if rest == "spot" else None
    elif word == "moving":
        data.is_still, data.still_market, data.unsynced, data.red = False, None, "", ""
    elif word == "unsynced":
        data.unsynced = rest
    elif word == "red":
        data.red = rest
    elif word == "alert":
        data.alert(rest)


async def _serve(args: argparse.Namespace) -> None:
    data = Program()
    options = ServerOptions(port=args.port, page=PAGE, token=args.token)
    server = LocalServer(data, options, SystemClock())
    if not await server.start():
        raise SystemExit(server.status.error)
    moving = asyncio.create_task(_keep_moving(data))
    link = server.status.links[0]
    sys.stdout.write(
        json.dumps({"url": f"http://{server.address}", "link": link, "token": link.rpartition("=")[2]}) + "\n"
    )
    sys.stdout.flush()
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            _obey(data, line)
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
        await server.stop()


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default="")
    asyncio.run(_serve(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
