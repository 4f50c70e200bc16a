"""A market for the scanner's tests: plausible instruments of all three venues on a real board, moved by hand."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.domain.coverage import Known
from app.domain.ids import BOOK_MARKETS, Market
from app.domain.market import Field, TickerUpdate
from app.domain.units import NS_PER_MS, NS_PER_S
from app.scanner.events import EventKind, ScanEvent
from app.services.scanning import Scanning

START_NS: Final = 1_700_000_000 * NS_PER_S
_NAMES: Final = (
    "BTC ETH SOL XRP BNB DOGE ADA TRX LINK AVAX SUI TON DOT LTC BCH UNI APT NEAR ICP ETC FIL ATOM ARB OP INJ SEI TIA "
    "RUNE AAVE MKR LDO CRV SNX DYDX GMX PENDLE JUP PYTH WIF BONK PEPE SHIB FLOKI ORDI STX IMX GRT SAND MANA AXS GALA "
    "ENJ CHZ FTM ALGO VET HBAR XLM EOS XTZ KAVA ZEC DASH IOTA NEO QTUM ONT ZIL BAT ZRX KNC REN STORJ ANKR CELO ROSE "
    "SKL OCEAN FET AGIX RNDR WLD ARKM CYBER MAV ID EDU HOOK HFT MAGIC GMT APE BLUR ENS MASK LRC DENT HOT ONE IOST"
)
COINS: Final = tuple(_NAMES.split())
LISTED: Final = {
    Market.BINANCE_SPOT: "{}USDT",
    Market.BINANCE_USDM: "{}USDT",
    Market.BYBIT_SPOT: "{}USDT",
    Market.BYBIT_LINEAR: "{}USDT",
    Market.HYPERLIQUID_SPOT: "{}/USDC",
    Market.HYPERLIQUID_PERP: "{}",
}
PRICES: Final = {"BTC": 67_123.4, "ETH": 3_512.88, "SOL": 171.42, "BNB": 589.3, "PEPE": 0.00001184, "SHIB": 0.00002431}


class FakeBooks:
    """Stands for the books: BTC's is exact, ETH's only in part, others have none; ticks of the majors are known."""

    def __init__(self) -> None:
        self.depth_pct = 5.0

    def set_depth_pct(self, depth_pct: float) -> None:
        self.depth_pct = depth_pct

    def known(self, market: Market, symbol: str) -> Known:
        if symbol.startswith("ETH"):
            return Known.PARTIAL
        return Known.EXACT if symbol.startswith("BTC") else Known.MISSING

    def tick_size(self, market: Market, symbol: str) -> str | None:
        return "0.10" if symbol == "BTCUSDT" else None


class ScannerMarket:
    """Owns a `Scanning` and tells it tickers. step() moves prices of some rows and time by 200 ms."""

    def __init__(self, coins: int = len(COINS), *, seed: int = 7) -> None:
        self.scanning = Scanning()
        self.books = FakeBooks()
        self.now_ns = START_NS
        self._random = np.random.default_rng(seed)
        self._prices: dict[tuple[Market, str], float] = {}
        self.coins = COINS[:coins]

    @property
    def board(self):
        return self.scanning.board

    def row(self, market: Market, coin: str) -> int:
        found = self.board.find(market, LISTED[market].format(coin))
        assert found is not None
        return found

    def open(self, *markets: Market) -> None:
        """Tell the first tickers of these markets (default: all)."""
        for market in markets or BOOK_MARKETS:
            self.tell(market, self.coins)
        self.scanning.advance(self.now_ns)

    def tell(self, market: Market, coins, **figures: float) -> None:
        """Tell whole tickers of coins; figures replace single ones (by the names of `Field`, lower case)."""
        updates = []
        for coin in coins:
            symbol = LISTED[market].format(coin)
            price = self._prices.get((market, symbol), PRICES.get(coin, 900.0 / (COINS.index(coin) + 1) ** 1.7))
            values = self._ticker(market, coin, price)
            values.update({Field[name.upper()]: value for name, value in figures.items()})
            self._prices[market, symbol] = values[Field.LAST]
            updates.append(TickerUpdate(symbol, self.now_ns, values))
        self.scanning.on_news(market, self.now_ns, updates)

    def _ticker(self, market: Market, coin: str, price: float) -> dict[int, float]:
        random = self._random
        start = PRICES.get(coin, 900.0 / (COINS.index(coin) + 1) ** 1.7)
        decimals = max(0, 5 - int(np.floor(np.log10(price))))
        last = round(price * (1 + random.normal(0, 1e-4)), decimals)
        tick = 10.0**-decimals
        rank = COINS.index(coin)
        change = float(np.random.default_rng([rank, 3]).normal(0, 4.5))
        values = {
            Field.LAST: last,
            Field.CHANGE_PCT: change + float(random.normal(0, 0.02)),
            Field.VOLUME: 4e9 / (rank + 1) ** 1.6 * (1 + list(LISTED).index(market)) / 3,
            Field.HIGH: round(start * 1.041, decimals),
            Field.LOW: round(start * 0.958, decimals),
        }
        if market is not Market.BINANCE_SPOT:
            half = tick * float(random.integers(1, 4))
            values |= {Field.BID: round(last - half, decimals), Field.ASK: round(last + half, decimals)}
        if market.kind.value == "FUTURES":
            values |= {
                Field.MARK: last * 1.00002,
                Field.FUNDING: float(np.random.default_rng([rank, 5]).normal(1e-4, 2e-4)),
                Field.FUNDING_HOURS: 1.0 if market is Market.HYPERLIQUID_PERP else 8.0,
                Field.OPEN_INTEREST: 6e8 / (rank + 1) / last,
            }
        return values

    def step(self, share: float = 0.3) -> None:
        """Move time by 200 ms and tell news of a share of all instruments."""
        self.now_ns += 200 * NS_PER_MS
        for market in BOOK_MARKETS:
            listed = [coin for coin in self.coins if self.board.find(market, LISTED[market].format(coin)) is not None]
            if listed:
                chosen = self._random.choice(len(listed), max(1, int(len(listed) * share)), replace=False)
                self.tell(market, [listed[i] for i in chosen.tolist()])
        self.scanning.advance(self.now_ns)

    def tell_books(self) -> None:
        """Tell Delta of the majors' books."""
        for market in (Market.BINANCE_SPOT, Market.BINANCE_USDM, Market.BYBIT_LINEAR):
            symbols = [LISTED[market].format(coin) for coin in self.coins[:30]]
            self.scanning.set_depth(market, symbols, np.exp(self._random.normal(0, 0.3, len(symbols))))
        self.scanning.advance(self.now_ns)

    def happen(
        self, market: Market, coin: str, kind: EventKind, text: str, ago_s: float = 0.0, **numbers: float
    ) -> None:
        """Let an event happen."""
        event = ScanEvent(
            ts_ns=self.now_ns - round(ago_s * NS_PER_S),
            market=market,
            symbol=LISTED[market].format(coin),
            kind=kind,
            text=text,
            numbers=numbers,
        )
        self.scanning.events.append(event)
        self.scanning.events_revision += 1
