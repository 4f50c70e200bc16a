"""A broker in the window: its light, its card, the banner, and the question about a gateway's certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from fakes import FakeMarket
from PySide6.QtCore import Qt, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from shell import MarketClock, flush

from app.domain.account import Notice, Severity, Source
from app.domain.broker_health import BrokerHealth
from app.domain.health import LinkState
from app.domain.units import NS_PER_S
from app.ui import theme
from app.ui.dialogs.certificate import CertificateDialog, CertificateKeeper
from app.ui.frameclock import Latency
from app.ui.panels import care_buttons
from app.ui.panels.care_buttons import BrokerBanner
from app.ui.panels.feeds import FeedsPanel
from app.ui.statusbar import StatusBar
from app.viewmodels.broker_care import BrokerCare, Care
from app.viewmodels.feeds import FeedsModel
from app.viewmodels.status import Mode, StatusModel

OLD, NEW = ":".join(["AB"] * 32), ":".join(["0F"] * 32)
QUIET = Latency(None, None, None, 0)


@dataclass
class Desk:
    health: BrokerHealth
    login_url: str = ""
    done: list[str] = field(default_factory=list)

    @property
    def trust(self) -> Callable[[str], None] | None:
        return self.done.append

    @property
    def take_over(self) -> Callable[[], None] | None:
        return lambda: self.done.append("take over")

    def wake(self) -> None:
        self.done.append("wake")


@pytest.fixture
def tws(market: FakeMarket) -> Desk:
    health = BrokerHealth(
        source=Source.TWS,
        address="127.0.0.1:7497",
        state=LinkState.LIVE,
        since_ns=market.now_ns - 60 * NS_PER_S,
        last_message_ns=market.now_ns - NS_PER_S,
        accounts=("DU1234567",),
        paper=True,
        paper_why="the id begins with D",
        client_id=417,
        read_only=True,
        farms={"usfarm": True},
        lines_open=3,
        lines_limit=100,
    )
    market.broker_list.append(health)
    return Desk(health)


@pytest.fixture
def portal(market: FakeMarket) -> Desk:
    health = BrokerHealth(
        source=Source.PORTAL,
        address="https://localhost:5000",
        state=LinkState.BANNED,
        reason="nobody is logged in",
        needs="Log in at https://localhost:5000",
    )
    market.broker_list.append(health)
    return Desk(health, "https://localhost:5000")


@pytest.fixture
def care(tws: Desk, portal: Desk) -> BrokerCare:
    return BrokerCare(lambda: {Source.TWS: tws, Source.PORTAL: portal})


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the pages that would be opened in a browser."""
    opened: list[str] = []

    def open_page(url: QUrl) -> bool:
        opened.append(url.toString())
        return True

    monkeypatch.setattr(care_buttons.QDesktopServices, "openUrl", open_page)
    return opened


# -- status bar ---------------------------------------------------------------------------------------------------


@pytest.fixture
def bar(qtbot, market: FakeMarket, tws: Desk, portal: Desk) -> Iterator[StatusBar]:
    model = StatusModel(MarketClock(market), Mode.LIVE)
    model.attach(market)
    made = StatusBar(model, lambda: QUIET)
    qtbot.addWidget(made)
    made.resize(1366, 24)
    made.show()
    QApplication.processEvents()
    yield made
    flush()


def test_brokers_have_their_lights_after_those_of_the_feeds(bar: StatusBar) -> None:
    assert list(bar._lights) == ["binance.spot", "binance.usdm", "ibkr.tws", "ibkr.portal"]
    assert "IBKR TWS PAPER" in bar._lights["ibkr.tws"].text()
    assert "needs you" in bar._lights["ibkr.portal"].text()
    tip = bar._lights["ibkr.tws"].toolTip()
    assert "DU•••67" in tip
    assert "DU1234567" not in tip
    assert "paper trading (the id begins with D)" in tip
    assert "Data farms: 1 working" in tip
    assert "Log in at" in bar._lights["ibkr.portal"].toolTip()


def test_paper_or_live_is_said_at_every_width(bar: StatusBar, tws: Desk) -> None:
    for width in (1366, 900, 500, 260):
        bar.resize(width, 24)
        QApplication.processEvents()
        assert "PAPER" in bar._lights["ibkr.tws"].text(), width
    tws.health.paper = False
    bar._model.poll()
    bar.refresh()
    assert "LIVE" in bar._lights["ibkr.tws"].text()


def test_a_click_on_a_broker_leads_to_the_feeds(bar: StatusBar) -> None:
    clicked: list[str] = []
    bar.feed_clicked.connect(clicked.append)
    bar._lights["ibkr.tws"].click()
    assert clicked == ["ibkr.tws"]


def test_a_broker_that_is_gone_takes_its_light_along(bar: StatusBar, market: FakeMarket) -> None:
    market.broker_list.clear()
    bar._model.poll()
    bar.refresh()
    assert list(bar._lights) == ["binance.spot", "binance.usdm"]


# -- Feeds panel --------------------------------------------------------------------------------------------------


@pytest.fixture
def feeds(qtbot, market: FakeMarket, care: BrokerCare) -> Iterator[FeedsPanel]:
    panel = FeedsPanel(FeedsModel(market, MarketClock(market), care))
    qtbot.addWidget(panel)
    panel.resize(420, 760)
    panel.show()
    refresh(panel, market)
    yield panel
    panel.shut()
    flush()


def refresh(panel: FeedsPanel, market: FakeMarket) -> None:
    market.step(500)
    panel.revision()
    panel.refresh(market.now_ns)
    QApplication.processEvents()


def shown(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]


def test_every_broker_has_a_card_with_its_facts(feeds: FeedsPanel, market: FakeMarket, tws: Desk) -> None:
    words = shown(feeds._brokers[Source.TWS])
    assert {"IBKR TWS", "PAPER", "DU•••67", "3/100", "417", "refuses orders", "1 working"} <= set(words)
    assert not any("DU1234567" in word for word in words)
    tws.health.note(
        market.now_ns, Notice(code=10167, severity=Severity.FAILED, text="not subscribed", advice="Delayed is shown.")
    )
    refresh(feeds, market)
    line = next(word for word in shown(feeds._brokers[Source.TWS]) if "10167" in word)
    assert line.endswith("10167  Delayed is shown.")
    assert any("1.0 s" in word or "1.5 s" in word for word in words)


def test_a_card_offers_the_login_page_and_a_try(
    feeds: FeedsPanel, market: FakeMarket, portal: Desk, pages: list[str]
) -> None:
    card = feeds._brokers[Source.PORTAL]
    assert "Log in at https://localhost:5000" in shown(card)
    buttons = card.buttons.buttons
    assert [offer for offer in Care if buttons[offer].isVisibleTo(feeds)] == [Care.LOGIN, Care.WAKE]
    buttons[Care.LOGIN].click()
    buttons[Care.WAKE].click()
    assert pages == ["https://localhost:5000"]
    assert portal.done == ["wake"]
    portal.health.needs, portal.health.reason, portal.health.state = "", "", LinkState.LIVE
    refresh(feeds, market)
    assert not card.buttons.isVisibleTo(feeds)


def test_pushing_another_login_out_needs_a_second_click(feeds: FeedsPanel, market: FakeMarket, portal: Desk) -> None:
    portal.health.competing = True
    refresh(feeds, market)
    button = feeds._brokers[Source.PORTAL].buttons.buttons[Care.TAKE_OVER]
    button.click()
    assert portal.done == []
    assert button.text() == "Really take over?"
    button.click()
    assert portal.done == ["take over"]
    assert button.text() == "Take over"
    button.click()
    feeds._brokers[Source.PORTAL].buttons._sure.timeout.emit()
    button.click()
    assert portal.done == ["take over"], "a second click that comes late is a first one again"
    feeds._brokers[Source.PORTAL].buttons._calm()


def test_cards_follow_theme_and_brokers(feeds: FeedsPanel, market: FakeMarket) -> None:
    before = feeds._brokers[Source.TWS]._state.styleSheet()
    theme.apply(QApplication.instance(), "light")
    assert feeds._brokers[Source.TWS]._state.styleSheet() != before
    theme.apply(QApplication.instance(), "dark")
    market.broker_list.pop()
    refresh(feeds, market)
    assert list(feeds._brokers) == [Source.TWS]


# -- banner -------------------------------------------------------------------------------------------------------


def test_the_banner_is_there_while_something_is_needed(
    qtbot, care: BrokerCare, tws: Desk, portal: Desk, pages: list[str]
) -> None:
    banner, for_tws = BrokerBanner(care), BrokerBanner(care)
    for widget, sources in ((banner, tuple(Source)), (for_tws, (Source.TWS,))):
        qtbot.addWidget(widget)
        widget.poll(sources)
    assert banner.text == "IBKR Client Portal: Log in at https://localhost:5000"
    assert banner.isVisibleTo(None)
    assert (for_tws.text, for_tws.isVisibleTo(None)) == ("", False)
    banner._lines[Source.PORTAL][2].buttons[Care.LOGIN].click()
    assert pages == ["https://localhost:5000"]
    portal.health.needs = ""
    banner.poll(tuple(Source))
    assert not banner.isVisibleTo(None)
    for widget in (banner, for_tws):
        widget.shut()


def test_the_banner_leaves_what_is_said_already_to_its_buttons(qtbot, care: BrokerCare, portal: Desk) -> None:
    banner = BrokerBanner(care)
    qtbot.addWidget(banner)
    said = "Client Portal is away. Log in at https://localhost:5000."
    banner.poll(tuple(Source), said)
    assert banner.text == "IBKR Client Portal needs you"
    buttons = banner._lines[Source.PORTAL][2].buttons
    assert [offer for offer in Care if buttons[offer].isVisibleTo(banner)] == [Care.LOGIN, Care.WAKE]
    portal.login_url, portal.health.state = "", LinkState.CONNECTING
    banner.poll(tuple(Source), said)
    assert (banner.text, banner.isVisibleTo(None)) == ("", False), "nothing to click, nothing to add"
    banner.poll(tuple(Source))
    assert banner.text == "IBKR Client Portal: Log in at https://localhost:5000"
    banner.shut()


# -- certificate --------------------------------------------------------------------------------------------------


@pytest.fixture
def keeper(qtbot, care: BrokerCare) -> Iterator[CertificateKeeper]:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    made = CertificateKeeper(care, window)
    yield made
    made.shut()
    flush()


def test_a_new_certificate_is_asked_about_and_trusted_only_by_the_button(
    keeper: CertificateKeeper, portal: Desk
) -> None:
    keeper.look()
    assert keeper.dialog is None
    portal.health.certificate_new = NEW
    keeper.look()
    dialog = keeper.dialog
    assert dialog is not None
    assert not dialog.isModal()
    assert any("0F 0F 0F 0F   0F 0F 0F 0F" in word for word in shown(dialog))
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in dialog.findChildren(QLabel))
    keeper.look()
    assert keeper.dialog is dialog, "one question at a time"
    QTest.mouseClick(dialog.trust_button, Qt.MouseButton.LeftButton)
    assert portal.done == [NEW]
    keeper.look()
    assert keeper.dialog is None


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Return])
def test_a_careless_key_trusts_nothing_and_is_not_asked_again(
    keeper: CertificateKeeper, care: BrokerCare, portal: Desk, key: Qt.Key
) -> None:
    portal.health.certificate_new = NEW
    keeper.look()
    assert keeper.dialog is not None
    QTest.keyClick(keeper.dialog, key)
    assert portal.done == []
    keeper.look()
    assert keeper.dialog is None
    care.ask_again(Source.PORTAL)
    keeper.look()
    assert keeper.dialog is not None


def test_a_changed_certificate_shows_both_and_warns(qtbot, keeper: CertificateKeeper, portal: Desk) -> None:
    portal.health.certificate, portal.health.certificate_new = OLD, NEW
    keeper.look()
    assert keeper.dialog is not None
    words = shown(keeper.dialog)
    assert "The certificate of the gateway has CHANGED" in words
    assert sum("AB AB AB AB" in word or "0F 0F 0F 0F" in word for word in words) == 2
    assert keeper.dialog.trust_button.text() == "Trust the new one"
    assert keeper.dialog.later_button.isDefault()


def test_a_question_that_is_settled_elsewhere_goes_by_itself(keeper: CertificateKeeper, portal: Desk) -> None:
    portal.health.certificate_new = NEW
    keeper.look()
    portal.health.certificate_new = OLD
    keeper.look()
    assert keeper.dialog is None
    keeper.look()
    assert keeper.dialog is not None
    assert keeper.dialog.question.new == OLD
    assert portal.done == []


def test_the_dialog_fits_a_small_screen(qtbot, care: BrokerCare, portal: Desk) -> None:
    portal.health.certificate, portal.health.certificate_new = OLD, NEW
    dialog = CertificateDialog(care.questions()[0])
    qtbot.addWidget(dialog)
    dialog.show()
    QApplication.processEvents()
    assert dialog.width() <= 900
    assert dialog.height() <= 620
    assert replace(dialog.question, old="").changed is False
