"""The Binance captures and what SOURCES.md says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.domain.health import FeedHealth
from app.domain.ids import Market
from app.services.captures import read_captures
from app.services.feeds import make_intake
from app.services.pipeline import EngineOptions, EngineOutputs, MarketEngine
from app.services.recording import feed_of
from app.storage.recorder import Entry
from app.venues.binance import protocol
from app.venues.naming import guess_instrument


@dataclass(frozen=True)
class CaptureSet:
    """One run: its files, the market to read it as, and how many diffs apply and quotes match in it (None: unsaid)."""

    name: str
    files: tuple[str, ...]
    forced: Market | None = None
    symbols: int = 1
    applied: int | None = None
    matching: int | None = None

    def entries(self, captures: Path) -> list[Entry]:
        """Read the whole run."""
        return list(read_captures([captures / name for name in self.files], self.forced))


def _pair(folder: str, http: str, ws: str) -> tuple[str, str]:
    return f"cryptofeed/{folder}/{http}.gz", f"cryptofeed/{folder}/{ws}.gz"


SETS = (
    CaptureSet(
        "spot-2024",
        ("binance_hftbacktest/spot_btcusdt_20240808.gz", "binance_hftbacktest/spot_btcusdt_20240809.gz"),
        applied=6493,
        matching=1072,
    ),
    CaptureSet("usdm-2024", ("binance_hftbacktest/usdm_btcusdt_20240808.gz",), applied=6547, matching=629),
    CaptureSet("usdm-2023", ("binance_hftbacktest/usdm_btcusdt_20230404.dat.gz",), matching=310),
    CaptureSet("spot-2021", _pair("2021", "BINANCE.http.0.0", "BINANCE.ws.1.0"), symbols=4),
    CaptureSet("usdm-2021", _pair("2021", "BINANCE_FUTURES.http.0.0", "BINANCE_FUTURES.ws.1.0"), symbols=4),
    CaptureSet(
        "delivery-2021",
        _pair("2021", "BINANCE_DELIVERY.http.0.0", "BINANCE_DELIVERY.ws.1.0"),
        forced=Market.BINANCE_USDM,
        symbols=10,
    ),
    CaptureSet("spot-20210404", ("cryptofeed/20210404/BINANCE-ee25be.0.gz",), symbols=3, matching=0),
    CaptureSet("usdm-20210417", _pair("20210417", "BINANCE_FUTURES.http.4.0", "BINANCE_FUTURES.ws.5.0"), symbols=4),
    CaptureSet("spot-limit5000", _pair("20210914_limit5000", "BINANCE.http.0.0", "BINANCE.ws.1.0"), symbols=4),
)
BY_NAME = {item.name: item for item in SETS}


def engine_for(entries: Sequence[Entry], outputs: EngineOutputs | None = None) -> MarketEngine:
    """Return an engine of the one market in the entries, with every symbol that has a snapshot."""
    symbols: dict[str, None] = {}
    feeds = set()
    for entry in entries:
        if entry.kind == "rest" and "/depth" in entry.argument:
            feeds.add(entry.feed)
            market = feed_of(entry.feed).market
            symbols[protocol.parse_depth_path(market, entry.argument).symbol] = None
    (name,) = feeds
    feed = feed_of(name)
    instruments = [guess_instrument(feed.market, symbol) for symbol in symbols]
    return MarketEngine(
        feed, instruments, EngineOptions(), outputs or EngineOutputs(), FeedHealth(feed=feed), make_intake
    )
