"""The built-in arrangements of panels: what a first start looks like."""

from __future__ import annotations

from typing import Final

from app.ui.docks import Arrangement, Place, Side

SYMBOLS: Final = "symbols"
LADDER: Final = "ladder"
FEEDS: Final = "feeds"
CHART: Final = "chart"
SCANNER: Final = "scanner"
ALERTS: Final = "alerts"
SERVER: Final = "server"
PORTFOLIO: Final = "portfolio"
ORDERS: Final = "orders"
DOCTOR: Final = "doctor"

_TOTAL: Final = "TOTAL"


def _chart(indicator: str, subject: str, link_group: str | None, side: Side, beside: int | None) -> Place:
    state: dict[str, object] = {
        "indicator": indicator,
        "subject": subject,
        "markets": ["spot", "usdm"],
        "link_group": link_group,
    }
    return Place(kind=CHART, side=side, beside=beside, state=state)


DEPTH: Final = Arrangement(
    name="Depth",
    places=(
        Place(kind=SYMBOLS, side=Side.LEFT),
        _chart("delta", _TOTAL, None, Side.RIGHT, None),
        Place(kind=FEEDS, side=Side.RIGHT),
        Place(kind=LADDER, side=Side.BOTTOM, beside=0),
        _chart("totals", _TOTAL, None, Side.RIGHT, 1),
        _chart("avg", _TOTAL, None, Side.BOTTOM, 1),
        _chart("bid-ask", "BTCUSDT", "A", Side.BOTTOM, 4),
    ),
    shares=((0, (30, 70)), (1, (50, 50)), (4, (50, 50))),
)

SINGLE_COIN: Final = Arrangement(
    name="Single coin",
    places=(
        Place(kind=LADDER, side=Side.LEFT),
        _chart("bid-ask", "BTCUSDT", "A", Side.RIGHT, None),
        Place(kind=SYMBOLS, side=Side.RIGHT),
        _chart("delta", "BTCUSDT", "A", Side.BOTTOM, 1),
        Place(kind=FEEDS, side=Side.TAB, beside=2),
    ),
    shares=((1, (50, 50)),),
)

MARKET: Final = Arrangement(
    name="Market",
    places=(
        Place(kind=SCANNER, side=Side.LEFT),
        Place(kind=LADDER, side=Side.RIGHT),
        Place(kind=FEEDS, side=Side.BOTTOM, beside=0),
        _chart("bid-ask", "BTCUSDT", "A", Side.BOTTOM, 1),
        Place(kind=SERVER, side=Side.TAB, beside=2),
        Place(kind=ALERTS, side=Side.TAB, beside=2),
    ),
    shares=((0, (68, 32)), (1, (58, 42))),
)

BROKER: Final = Arrangement(
    name="Broker",
    places=(
        Place(kind=PORTFOLIO, side=Side.LEFT),
        Place(kind=DOCTOR, side=Side.RIGHT),
        Place(kind=ORDERS, side=Side.BOTTOM, beside=0),
        Place(kind=FEEDS, side=Side.TAB, beside=1),
    ),
    shares=((0, (72, 28)), (0, (56, 44))),
)

BUILT_IN: Final[tuple[Arrangement, ...]] = (DEPTH, SINGLE_COIN, MARKET, BROKER)

COLUMN_SHARES: Final[dict[str, tuple[int, ...]]] = {
    DEPTH.name: (22, 27, 27, 24),
    SINGLE_COIN.name: (26, 50, 24),
    MARKET.name: (68, 32),
    BROKER.name: (72, 28),
}
"""Shares of the outermost columns, once the window has its size."""
