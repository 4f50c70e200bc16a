"""The panels of the window: which kinds there are, and how each gets its view model from the sources of a run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app import __version__
from app.domain.clock import Clock
from app.domain.ids import Market
from app.settings.store import Settings
from app.ui.registry import PanelKind, PanelRegistry
from app.viewmodels.linking import LinkBus

if TYPE_CHECKING:
    from app.server.service import LocalServer
    from app.services.brokerage import Brokerage
    from app.services.doctor import Doctor
    from app.services.pipeline import MarketEngine
    from app.services.watching import Watch
    from app.storage.history import History
    from app.ui.panels.base import Panel
    from app.viewmodels.broker_care import BrokerCare
    from app.viewmodels.live_books import LiveBooks
    from app.viewmodels.live_series import LiveSeries
    from app.viewmodels.live_status import LiveStatus
    from app.viewmodels.time_link import TimeLinks


@dataclass(slots=True, kw_only=True)
class Sources:
    """What screens read, once it exists."""

    books: LiveBooks
    series: LiveSeries
    status: LiveStatus
    engines: Mapping[Market, MarketEngine]
    watch: Watch
    brokerage: Brokerage
    care: BrokerCare
    history: History
    doctor: Doctor
    server: LocalServer
    time_links: TimeLinks


class Screens:
    """Makes panels. `spawn` runs a coroutine that ends with the window; `reach_panel` brings one of a kind to
    the front, opening it when there is none."""

    def __init__(
        self,
        links: LinkBus,
        clock: Callable[[], Clock],
        settings: Settings,
        spawn: Callable[[Coroutine[Any, Any, Any], str], None],
        reach_panel: Callable[[str], Panel | None],
    ) -> None:
        self.sources: Sources | None = None
        self._links = links
        self._clock = clock
        self._settings = settings
        self._spawn = spawn
        self._reach_panel = reach_panel

    def registry(self) -> PanelRegistry:
        """Return the kinds of panels."""
        return PanelRegistry(
            (
                PanelKind(id="symbols", title="Symbols", factory=self._symbols, icon="symbols"),
                PanelKind(id="chart", title="Depth chart", factory=self._chart, icon="chart", multiple=True),
                PanelKind(id="ladder", title="Order book", factory=self._ladder, icon="ladder", multiple=True),
                PanelKind(id="scanner", title="Market Scanner", factory=self._scanner, icon="scanner"),
                PanelKind(id="alerts", title="Alerts", factory=self._alerts, icon="bell"),
                PanelKind(id="portfolio", title="Portfolio", factory=self._portfolio, icon="portfolio", multiple=True),
                PanelKind(id="orders", title="Live Trading", factory=self._orders, icon="orders"),
                PanelKind(id="doctor", title="Connection doctor", factory=self._doctor, icon="doctor"),
                PanelKind(id="feeds", title="Feeds", factory=self._feeds, icon="feeds"),
                PanelKind(id="server", title="Server", factory=self._server, icon="server"),
            )
        )

    @property
    def _ready(self) -> Sources:
        if self.sources is None:
            raise RuntimeError("expected the sources before a panel is opened")
        return self.sources

    def _symbols(self) -> Panel:
        from app.ui.panels.symbols import SymbolsPanel
        from app.viewmodels.symbols import SymbolsModel

        return SymbolsPanel(SymbolsModel(self._ready.books, self._links))

    def _ladder(self) -> Panel:
        from app.ui.panels.ladder import LadderPanel
        from app.viewmodels.ladder import LadderModel

        return LadderPanel(LadderModel(self._ready.books, self._links))

    def _feeds(self) -> Panel:
        from app.ui.panels.feeds import FeedsPanel
        from app.viewmodels.feeds import FeedsModel

        return FeedsPanel(FeedsModel(self._ready.status, self._clock(), self._ready.care))

    def _chart(self) -> Panel:
        from app.ui.panels.depth_chart import DepthChartPanel
        from app.viewmodels.depth_chart import DepthChartModel

        ready = self._ready
        return DepthChartPanel(DepthChartModel(ready.series, links=ready.time_links, bus=self._links))

    def _scanner(self) -> Panel:
        from app.ui.panels.scanner import ScannerPanel
        from app.viewmodels.broker_lines import BrokerLines
        from app.viewmodels.scanner import ScannerModel
        from app.viewmodels.scanner_books import ScannerBooks

        ready = self._ready
        books = ScannerBooks(ready.watch, ready.engines)
        lines = BrokerLines(ready.brokerage)
        panel = ScannerPanel(ScannerModel(ready.watch.scanning, books, self._links, lines=lines))
        panel.alert_wanted.connect(self._new_alert)
        panel.book_wanted.connect(self._show_book)
        return panel

    def _alerts(self) -> Panel:
        from app.ui.panels.alerts import AlertsPanel
        from app.viewmodels.alerts import AlertsModel

        ready = self._ready
        model = AlertsModel(
            ready.watch.alerting,
            ready.watch.scanning.board,
            markets=lambda: tuple(feed.feed.market for feed in ready.status.feeds() if feed.books_total),
            pairs=ready.series.pairs,
            feeds=lambda: tuple(str(feed.feed) for feed in ready.status.feeds()),
        )
        return AlertsPanel(model)

    def _portfolio(self) -> Panel:
        from app.ui.panels.portfolio import PortfolioPanel
        from app.viewmodels.portfolio import PortfolioModel

        ready = self._ready
        model = PortfolioModel(ready.brokerage, self._links, clock=self._clock(), history=ready.history)
        return PortfolioPanel(model, care=ready.care)

    def _orders(self) -> Panel:
        from app.ui.panels.live_trading import LiveTradingPanel
        from app.viewmodels.live_trading import LiveTradingModel

        ready = self._ready

        def store_trouble() -> str:
            kept = ready.brokerage.orders
            return ready.history.health.reason or ("" if kept is None else kept.trouble)

        model = LiveTradingModel(
            ready.brokerage, self._clock().wall_ns, store=ready.history, store_trouble=store_trouble
        )
        return LiveTradingPanel(model, care=ready.care)

    def _doctor(self) -> Panel:
        from app.ui.panels.doctor import DoctorPanel
        from app.viewmodels.doctor import DoctorModel

        doctor = self._ready.doctor
        return DoctorPanel(DoctorModel(doctor, self._clock(), __version__, doctor.links), self._spawn)

    def _show_book(self, market: Market, symbol: str) -> None:
        """Show a book in a ladder."""
        from app.ui.panels.ladder import LadderPanel

        panel = self._reach_panel("ladder")
        if isinstance(panel, LadderPanel):
            panel.show_book(market, symbol)

    def _new_alert(self, condition: str) -> None:
        """Open the alerts with the editor on a rule of that condition."""
        from app.ui.panels.alerts import AlertsPanel

        panel = self._reach_panel("alerts")
        if isinstance(panel, AlertsPanel):
            panel.add(condition)

    def _server(self) -> Panel:
        from app.ui.panels.server import ServerPanel
        from app.viewmodels.server import ServerModel

        clock = self._clock()
        return ServerPanel(ServerModel(self._ready.server, self._settings, clock.monotonic_ns), self._spawn)
