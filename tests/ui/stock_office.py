"""Stocks in the scanner's tests: a small market of coins beside a desk at a broker with stocks of every condition."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "services"))

from broker_desk import LocalDesk, stock
from scanner_market import ScannerMarket

from app.domain.account import LineRefused, ScanSeen, Source
from app.domain.contracts import Contract
from app.domain.ids import Market
from app.domain.quotes import DataKind
from app.domain.units import NS_PER_S
from app.portfolio.hours import NEW_YORK, utc_ns
from app.portfolio.lines import LineGroup
from app.services.broker_scanning import BrokerScanning
from app.settings.store import Settings

NAMES = {
    "AAPL": "APPLE INC",
    "MSFT": "MICROSOFT CORP",
    "NVDA": "NVIDIA CORP",
    "TSLA": "TESLA INC",
    "SPY": "SPDR S&P 500 ETF",
    "AMZN": "AMAZON.COM INC",
    "META": "META PLATFORMS",
    "GME": "GAMESTOP CORP",
    "XYZD": "DELAYED ONLY PLC",
    "NOPE": "NO PERMISSION CORP",
    "FRZN": "FROZEN FOODS",
    "ZZZ": "SLEEPY HOLDING",
}
STOCKS = {symbol: stock(1000 + number, symbol, name=name) for number, (symbol, name) in enumerate(NAMES.items())}


class StockOffice:
    """A scanner with coins and stocks; its time is that of a New York day. Stands for a brokerage too (`desks`)."""

    def __init__(self, *, at: str = "2026-11-23 08:15", coins: int = 20, lines: int = 100) -> None:
        self.market = ScannerMarket(coins=coins)
        self.market.now_ns = utc_ns(datetime.fromisoformat(at).replace(tzinfo=NEW_YORK))
        self.desk = LocalDesk(lines=lines)
        self.desk.answers.known = {symbol: (contract,) for symbol, contract in STOCKS.items()}
        settings = Settings()
        settings.override(["ibkr.watchlist=AAPL,MSFT,NVDA,TSLA,SPY,AMZN,META", "ibkr.scans=TOP_PERC_GAIN"])
        self.stocks = BrokerScanning(settings, {Source.TWS: self.desk}, self.market.scanning)
        self.desk.listeners.append(self.stocks)

    @property
    def desks(self) -> dict[Source, LocalDesk]:
        return {Source.TWS: self.desk}

    @property
    def now_ns(self) -> int:
        return self.market.now_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass for coins, stocks and lines."""
        self.market.now_ns += round(seconds * NS_PER_S)
        self.stocks.look(self.now_ns)
        self.desk.lines.plan(self.now_ns)
        self.stocks.look(self.now_ns)
        self.market.scanning.advance(self.now_ns)

    def open(self) -> None:
        """Let watchlist and scan be known, and tell a quote of each stock."""
        self.market.open()
        self.advance()
        asyncio.run(self._resolve())
        self.desk.on_events(self.now_ns, (ScanSeen("TOP_PERC_GAIN", tuple(STOCKS[each] for each in list(STOCKS)[7:])),))
        self.advance(1)
        for number, symbol in enumerate(STOCKS):
            if symbol != "NOPE":
                self.tell(symbol, 40.0 + 37.0 * number, gap_pct=(number - 4) * 0.9)
        self.tell("GME", 25.0, halted=2.0)
        self.tell("XYZD", 12.5, kind=float(DataKind.DELAYED))
        self.tell("FRZN", 31.0, kind=float(DataKind.FROZEN))
        nope = STOCKS["NOPE"].con_id
        reason = "Requested market data is not subscribed"
        self.desk.lines.refused(nope, 354, reason, limit=False, now_ns=self.now_ns)
        self.desk.on_events(self.now_ns, (LineRefused(nope, 354, reason, limit=False),))
        self.advance(1)

    async def _resolve(self) -> None:
        for _ in range(9):
            await self.stocks.ask_once(self.desk, self.desk.answers, self)

    def tell(self, symbol: str, last: float, gap_pct: float = 1.0, **figures: float) -> None:
        """Tell a whole quote of a stock."""
        usual = {
            "last": round(last, 2),
            "bid": round(last - 0.01, 2),
            "ask": round(last + 0.02, 2),
            "bid_size": 300.0,
            "ask_size": 200.0,
            "high": round(last * 1.01, 2),
            "low": round(last * 0.985, 2),
            "volume": 120_000.0,
            "halted": 0.0,
            "close": round(last / (1 + gap_pct / 100), 2),
        }
        self.desk.quote(self.now_ns, STOCKS[symbol].con_id, **{**usual, **figures})

    def fill_lines(self) -> None:
        """Let other panels want lines too."""
        chain = [Contract(con_id=5000 + n, symbol="AAPL") for n in range(40)]
        self.desk.lines.want(LineGroup.CHAIN, chain)
        self.desk.lines.want(LineGroup.POSITIONS, [Contract(con_id=6000 + n, symbol=f"P{n}") for n in range(15)])
        self.desk.lines.want(LineGroup.PINNED, [Contract(con_id=7000 + n, symbol=f"I{n}") for n in range(13)])
        self.advance(1)

    def row(self, symbol: str) -> int:
        found: int | None = self.market.board.find(Market.IBKR_STOCK, symbol)
        assert found is not None
        return found
