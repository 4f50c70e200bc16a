"""Order book, symbols and feeds panels: what they say, what they remember, and how they treat stale data."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fakes import FakeMarket
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from shell import MarketClock, flush

from app.domain.health import FeedEventKind, LinkState
from app.domain.ids import Market
from app.domain.units import ASK, BID
from app.ui import theme, zone
from app.ui.panels.base import Panel
from app.ui.panels.feeds import FeedsPanel
from app.ui.panels.ladder import LadderPanel
from app.ui.panels.symbols import SymbolsPanel
from app.viewmodels.feeds import FeedsModel
from app.viewmodels.ladder import LadderModel
from app.viewmodels.linking import LinkBus
from app.viewmodels.symbols import Column, SymbolsModel


@pytest.fixture
def show(qtbot, market: FakeMarket) -> Iterator[Callable[..., None]]:
    panels: list[Panel] = []

    def bring_up(panel: Panel, width: int = 420, height: int = 700) -> None:
        panels.append(panel)
        panel.resize(width, height)
        panel.show()
        QApplication.processEvents()
        refresh(panel, market)

    yield bring_up
    for panel in panels:
        panel.shut()
        panel.hide()
        panel.deleteLater()
    flush()


def refresh(panel: Panel, market: FakeMarket) -> int | None:
    panel.revision()
    result = panel.refresh(market.now_ns)
    QApplication.processEvents()
    return result


@pytest.fixture
def ladder(show, market: FakeMarket, links: LinkBus) -> LadderPanel:
    panel = LadderPanel(LadderModel(market, links))
    show(panel)
    return panel


@pytest.fixture
def symbols(show, market: FakeMarket, links: LinkBus) -> SymbolsPanel:
    panel = SymbolsPanel(SymbolsModel(market, links))
    show(panel)
    for _ in range(120):
        panel.revision()
    panel.refresh(market.now_ns)
    return panel


@pytest.fixture
def feeds(show, market: FakeMarket) -> FeedsPanel:
    panel = FeedsPanel(FeedsModel(market, MarketClock(market)))
    show(panel)
    return panel


# order book


def test_the_ladder_reports_the_sample_it_shows(ladder: LadderPanel, market: FakeMarket) -> None:
    market.step()
    assert refresh(ladder, market) == market.now_ns


def test_bands_show_floors_estimates_and_exact_values(ladder: LadderPanel, market: FakeMarket, links: LinkBus) -> None:
    cell = ladder.bands.cell
    assert cell("usd", BID, 0).startswith("≈ ")
    links.publish("A", "ETHUSDT")
    refresh(ladder, market)
    assert not cell("usd", BID, 1).startswith(("≈", "≥"))
    assert cell("usd", BID, 3).startswith("≥ ")
    assert "a floor" in ladder.bands.band_tip(BID, 3)
    assert "Bid known to 4.7 %" in ladder.bands.band_tip(BID, 3)
    links.publish("A", "FLOKIUSDT")
    refresh(ladder, market)
    assert "Ask wholly known" in ladder.bands.band_tip(ASK, 6)
    assert cell("to", BID, 6) not in ("—", "…")


def test_a_book_without_a_snapshot_is_pending_with_a_sentence(
    ladder: LadderPanel, market: FakeMarket, links: LinkBus
) -> None:
    links.publish("A", "TONUSDT")
    assert refresh(ladder, market) is None
    assert ladder.bands.cell("usd", BID, 0) == "…"
    assert ladder.canvas._message == "TONUSDT SPOT waiting for snapshot: snapshot 13 of 50 in the queue."
    assert "snapshot 13 of 50" in ladder.bands.band_tip(BID, 0)


def test_a_stale_book_is_greyed_and_covered_by_a_sentence(ladder: LadderPanel, market: FakeMarket) -> None:
    before = colourfulness(ladder.canvas.grab().toImage())
    market.stale.add((Market.BINANCE_SPOT, "BTCUSDT"))
    assert refresh(ladder, market) is None
    assert ladder.canvas._message.endswith("no data since 14:02:11. The figures are 47 s old.")
    assert colourfulness(ladder.canvas.grab().toImage()) < before * 0.6
    market.stale.clear()
    market.step()
    assert refresh(ladder, market) == market.now_ns
    assert ladder.canvas._message == ""


def colourfulness(image: QImage) -> float:
    """Return the mean saturation times value of a picture, sampled."""
    colours = [image.pixelColor(x, y) for x in range(0, image.width(), 5) for y in range(0, image.height(), 3)]
    return sum(colour.saturationF() * colour.valueF() for colour in colours) / len(colours)


def test_a_pair_that_the_market_does_not_list_says_so(ladder: LadderPanel, market: FakeMarket, links: LinkBus) -> None:
    links.publish("A", "NOSUCHUSDT")
    assert refresh(ladder, market) is None
    assert ladder.canvas._message == "NOSUCHUSDT is not listed on the SPOT market."


def test_rows_explain_themselves(ladder: LadderPanel) -> None:
    canvas = ladder.canvas
    middle = canvas._middle()
    assert canvas.row_at(QPoint(50, middle + 2)) is None
    assert canvas.row_at(QPoint(50, middle - 2)) == (ASK, 0)
    hit = canvas.row_at(QPoint(50, middle + 30))
    assert hit == (BID, 0)
    far = canvas.row_tip(BID, canvas.rows() - 1)
    assert far.startswith("Bid ")
    assert "bid known to 0.34 %" in far
    assert "unconfirmed for up to 40 m 0 s" in far


def test_market_step_and_group_are_chosen_and_remembered(
    ladder: LadderPanel, market: FakeMarket, links: LinkBus, show
) -> None:
    titles: list[str] = []
    ladder.title_changed.connect(titles.append)
    ladder._market._group.buttons()[1].click()
    links.publish("A", "SHIBUSDT")
    ladder._step.setCurrentIndex(3)
    ladder._step.activated.emit(3)
    ladder._on_group("B")
    assert titles[-1] == "1000SHIBUSDT FUTURES"
    state = ladder.save_state()
    assert state == {"pair": "SHIBUSDT", "market": "usdm", "step": ladder._steps[2], "link_group": "B"}
    other = LadderPanel(LadderModel(market, LinkBus()))
    other.restore_state(dict(state))
    show(other)
    assert other.save_state() == state
    assert other._step.currentIndex() == 3


@pytest.mark.parametrize(
    "state",
    [
        {"pair": 5, "market": "moon", "step": "wide", "link_group": ["A"]},
        {"pair": "", "market": None, "step": float("nan"), "link_group": "Z"},
        {"step": True},
    ],
)
def test_a_rubbish_state_leaves_a_working_ladder(
    ladder: LadderPanel, market: FakeMarket, state: dict[str, object]
) -> None:
    ladder.restore_state(state)
    assert refresh(ladder, market) == market.now_ns


def test_columns_that_do_not_fit_are_left_out(ladder: LadderPanel) -> None:
    widths = {260: 1, 320: 2, 600: 3}
    for width, count in widths.items():
        ladder.bands.resize(width, ladder.bands.height())
        assert len(ladder.bands.columns()) == count
        for side in (BID, ASK):
            for _, left, room in ladder.bands._geometry(side):
                assert left >= 0
                assert left + room <= width


def test_the_ladder_repaints_in_the_new_colours(ladder: LadderPanel, qapp: QApplication) -> None:
    dark = ladder.canvas.grab().toImage().pixelColor(5, 3)
    theme.apply(qapp, "light")
    light = ladder.canvas.grab().toImage().pixelColor(5, 3)
    assert (dark.name(), light.name()) == (theme.DARK.panel, theme.LIGHT.panel)


# symbols


def texts(panel: SymbolsPanel, row: int) -> list[str]:
    model = panel.table.model()
    return [model.data(model.index(row, column)) for column in range(model.columnCount())]


def test_the_list_shows_both_markets_with_their_reach(symbols: SymbolsPanel) -> None:
    row = texts(symbols, 0)
    assert row[0] == "BTCUSDT"
    assert row[2].startswith("≈ ")
    assert row[4] == "0.34 %"
    assert row[7:] == ["live", "live"]
    ton = texts(symbols, 16)
    assert ton[0] == "TONUSDT"
    assert ton[1:5] == ["—", "…", "…", "—"]
    tip = symbols.table.model().data(symbols.table.model().index(0, 4), Qt.ItemDataRole.ToolTipRole)
    assert "bid known to 0.34 %" in tip


def test_a_click_drives_the_group_and_the_group_moves_the_selection(
    symbols: SymbolsPanel, links: LinkBus, market: FakeMarket
) -> None:
    view = symbols.table
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(view.model().index(2, 0)).center())
    assert links.current("A") == "XRPUSDT"
    links.publish("A", "BNBUSDT")
    refresh(symbols, market)
    assert view.currentIndex().row() == 3
    QTest.keyClick(view, Qt.Key.Key_Up)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert links.current("A") == "XRPUSDT"


def test_a_click_on_a_header_sorts_numbers_and_a_third_click_ends_it(symbols: SymbolsPanel) -> None:
    header = symbols.table.horizontalHeader()
    for expected in ((Column.SPOT_MID, False), (Column.SPOT_MID, True), (Column.RANK, False)):
        position = QPoint(header.sectionViewportPosition(1) + 20, 8)
        QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=position)
        assert symbols._model.sorting == expected
    assert texts(symbols, 0)[0] == "BTCUSDT"


def test_filter_favourites_columns_and_sorting_are_remembered(symbols: SymbolsPanel, show, market: FakeMarket) -> None:
    symbols._filter.setText("sol")
    assert (symbols.table.model().rowCount(), symbols._count.text()) == (1, "1/50")
    symbols.table.selectRow(0)
    symbols._toggle_favourite()
    symbols._filter.clear()
    assert texts(symbols, 0)[0] == "SOLUSDT"
    symbols.table.setColumnHidden(5, True)
    symbols.table.horizontalHeader().moveSection(1, 4)
    symbols.table.horizontalHeader().setSortIndicator(2, Qt.SortOrder.DescendingOrder)
    symbols._on_group("C")
    state = symbols.save_state()
    other = SymbolsPanel(SymbolsModel(market, LinkBus()))
    show(other)
    other.restore_state(state)
    assert other.save_state() == state
    assert other.link_group == "C"


@pytest.mark.parametrize(
    "state",
    [
        {"favourites": "all", "sort": [99, True], "hidden": [0, "x"], "widths": [1], "order": [3, 3], "link_group": 7},
        {"sort": "price", "hidden": None, "widths": [9999] * 9, "order": [8, 7, 6, 5, 4, 3, 2, 1, 99]},
    ],
)
def test_a_rubbish_state_leaves_a_working_list(symbols: SymbolsPanel, state: dict[str, object]) -> None:
    symbols.restore_state(state)
    assert symbols.table.model().rowCount() == 50
    assert not symbols.table.isColumnHidden(0)


def test_rows_stay_in_place_while_the_mouse_is_over_them(
    symbols: SymbolsPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols._model.set_sorting(Column.SPOT_MID, True)
    before = symbols._model.order_revision
    monkeypatch.setattr(symbols.table, "underMouse", lambda: True)
    symbols._model.row(0).cells[0].mid = 0.001
    for _ in range(60):
        symbols.revision()
    assert symbols._model.order_revision == before
    monkeypatch.setattr(symbols.table, "underMouse", lambda: False)
    symbols._model.row(0).cells[0].revision = symbols._model._books.steps
    for _ in range(60):
        symbols.revision()
    assert symbols._model.order_revision == before + 1


# feeds


def test_cards_show_every_counter_in_words(feeds: FeedsPanel, market: FakeMarket) -> None:
    for _ in range(3):
        market.step(500)
        refresh(feeds, market)
    card = feeds._cards["binance.usdm"]
    words = {value.accessibleName(): value.text() for value in card._facts._values}
    assert words["Messages"] == "2,000 /s"
    assert words["Gaps"] == "1"
    assert words["Weight"] == "1,240/2,400"
    assert words["REST"] == "available"
    assert card._state.text() == "◐ priming books"
    assert card._progress.format() == "books 37/50, 13 queued"
    assert feeds._links.rowCount() == 4
    model = feeds._link_view.model()
    assert model.data(model.index(0, 2)) == "1,000"


def test_priming_is_paused_and_resumed_by_its_button(feeds: FeedsPanel, market: FakeMarket) -> None:
    card = feeds._cards["binance.usdm"]
    assert not feeds._cards["binance.spot"]._button.isVisible()
    card._button.click()
    refresh(feeds, market)
    assert market.health[1].priming_paused
    assert card._button.text() == "Resume"
    card._button.click()
    assert not market.health[1].priming_paused


def test_the_queue_of_snapshots_can_be_cancelled_and_taken_up_again(feeds: FeedsPanel, market: FakeMarket) -> None:
    card = feeds._cards["binance.usdm"]
    market.health[1].snapshots_queued = 7
    market.step(1000)
    refresh(feeds, market)
    assert card._cancel.isVisibleTo(feeds)
    card._cancel.click()
    market.step(1000)
    refresh(feeds, market)
    assert market.health[1].priming_cancelled
    assert not card._cancel.isVisibleTo(feeds)
    card._button.click()
    assert not market.health[1].priming_cancelled


def test_a_feed_that_is_down_says_why(feeds: FeedsPanel, market: FakeMarket) -> None:
    link = market.health[0].links[0]
    link.state, link.reason = LinkState.BACKOFF, "connection refused <b>now</b>"
    market.step(1000)
    refresh(feeds, market)
    card = feeds._cards["binance.spot"]
    assert card._state.text().startswith("■ down, retrying")
    assert card._reason.text() == "connection refused <b>now</b>"
    assert card._reason.textFormat() is Qt.TextFormat.PlainText
    assert card._reason.isVisible()


def test_new_events_come_on_top_without_moving_the_selection(feeds: FeedsPanel, market: FakeMarket) -> None:
    view = feeds._log_view
    view.selectRow(3)
    chosen = feeds._log.event_at(3)
    market.add_event(FeedEventKind.GAP_DETECTED, "binance.spot", "BTCUSDT", "expected 7, was 9")
    refresh(feeds, market)
    assert feeds._log.cells(0)[2] == "BTCUSDT gap detected: expected 7, was 9"
    rows = view.selectionModel().selectedRows()
    assert [feeds._log.event_at(index.row()) for index in rows] == [chosen]


def test_events_are_filtered_and_copied_as_text(feeds: FeedsPanel, market: FakeMarket) -> None:
    feeds._kind.setCurrentIndex(feeds._kind.findData("connected"))
    feeds._kind.activated.emit(0)
    feeds._source.setCurrentIndex(feeds._source.findData("binance.spot"))
    feeds._source.activated.emit(0)
    feeds.copy_events()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert len(lines) == feeds._log.rowCount() > 0
    assert all(line.split("\t")[1:3] == ["binance.spot", "connected"] for line in lines)
    feeds._log_view.selectRow(0)
    feeds.copy_events()
    assert QGuiApplication.clipboard().text() == lines[0]


def test_event_times_follow_the_zone(feeds: FeedsPanel, market: FakeMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta, timezone

    monkeypatch.setattr(zone, "local", lambda: timezone(timedelta(hours=2), "EET"))
    utc = feeds._log.cells(0)[0]
    zone.choose("local")
    assert int(feeds._log.cells(0)[0][:2]) == (int(utc[:2]) + 2) % 24


def test_filter_and_sizes_are_remembered(feeds: FeedsPanel, show, market: FakeMarket) -> None:
    feeds._source.setCurrentIndex(1)
    feeds._kind.setCurrentIndex(2)
    feeds._on_filter()
    feeds._splitter.setSizes([200, 120, 300])
    state = feeds.save_state()
    assert (state["source"], state["kind"]) == ("binance.spot", "disconnected")
    other = FeedsPanel(FeedsModel(market, MarketClock(market)))
    other.restore_state(dict(state))
    show(other)
    assert other.save_state()["source"] == state["source"]
    assert other.save_state()["kind"] == state["kind"]
    other.restore_state({"sizes": [1, "x", None], "source": 4, "kind": "party"})
    refresh(other, market)


def test_the_ladder_shows_the_book_another_panel_asks_for(ladder: LadderPanel, links: LinkBus) -> None:
    ladder.show_book(Market.BINANCE_USDM, "1000PEPEUSDT")
    assert (ladder._model.market, ladder._model.symbol) == (Market.BINANCE_USDM, "1000PEPEUSDT")
    assert links.current("A") == "PEPEUSDT", "the panels of the colour follow"
