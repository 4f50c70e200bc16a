"""The status bar's words, and the link groups."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes import FakeMarket

from app.domain.health import LinkState
from app.domain.units import NS_PER_MS
from app.viewmodels.linking import LinkBus
from app.viewmodels.status import Mode, StatusModel


@dataclass
class TickingClock:
    market: FakeMarket

    def wall_ns(self) -> int:
        return self.market.now_ns

    def monotonic_ns(self) -> int:
        return self.market.now_ns


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket()


@pytest.fixture
def status(market: FakeMarket) -> StatusModel:
    return StatusModel(TickingClock(market), Mode.REPLAY, "20×")


def test_there_are_no_lights_before_the_feeds_exist(status: StatusModel, market: FakeMarket) -> None:
    status.poll()
    assert (status.lights, status.revision) == ((), 0)
    status.attach(market)
    assert [light.title for light in status.lights] == ["Binance SPOT", "Binance FUTURES"]
    assert status.revision == 1


def test_the_revision_moves_only_with_what_is_shown(status: StatusModel, market: FakeMarket) -> None:
    status.attach(market)
    status.poll()
    assert status.revision == 1
    market.health[0].gaps += 1
    status.poll()
    assert status.revision == 2
    assert status.lights[0].gaps == 1


@pytest.mark.parametrize(
    ("state", "light", "word"),
    [
        (LinkState.IDLE, "grey", "off"),
        (LinkState.CONNECTING, "amber", "connecting"),
        (LinkState.POLLING, "amber", "polling slowly"),
        (LinkState.STALE, "red", "no data"),
        (LinkState.BACKOFF, "red", "down, retrying"),
        (LinkState.LIVE, "green", "live"),
    ],
)
def test_lights_and_words(status: StatusModel, market: FakeMarket, state: LinkState, light: str, word: str) -> None:
    for link in market.health[0].links:
        link.state = state
    status.attach(market)
    assert (status.lights[0].light, status.lights[0].word) == (light, word)


def test_a_ban_shows_its_reason(status: StatusModel, market: FakeMarket) -> None:
    market.health[1].rest_state = LinkState.BANNED
    market.health[1].rest_reason = "HTTP 418 until 14:20"
    status.attach(market)
    assert (status.lights[1].light, status.lights[1].word) == ("red", "banned by venue")
    assert status.lights[1].reason == "HTTP 418 until 14:20"


def test_ages_never_run_backwards_and_never_is_none(status: StatusModel, market: FakeMarket) -> None:
    for link in market.health[0].links:
        link.last_frame_ns = market.now_ns + NS_PER_MS
    for link in market.health[1].links:
        link.last_frame_ns = None
    status.attach(market)
    assert [light.last_frame_age_ns for light in status.lights] == [0, None]


def test_own_notes_come_before_those_of_the_services(status: StatusModel, market: FakeMarket) -> None:
    status.attach(market)
    market.note_texts.append("disk full")
    status.set_note("layout", "the layout was damaged")
    assert status.notes == ("the layout was damaged", "disk full")
    status.set_note("layout", None)
    assert status.notes == ("disk full",)


def test_a_link_group_tells_only_its_members_and_only_news() -> None:
    links = LinkBus()
    heard: list[tuple[str, str]] = []
    stop = links.subscribe("A", lambda pair: heard.append(("A", pair)))
    links.subscribe("B", lambda pair: heard.append(("B", pair)))
    for group, pair in (("A", "BTCUSDT"), ("A", "BTCUSDT"), ("B", "ETHUSDT"), ("C", "SOLUSDT")):
        links.publish(group, pair)
    assert heard == [("A", "BTCUSDT"), ("B", "ETHUSDT")]
    assert links.groups() == {"A": "BTCUSDT", "B": "ETHUSDT", "C": "SOLUSDT"}
    stop()
    stop()
    links.publish("A", "XRPUSDT")
    assert heard[-1] == ("B", "ETHUSDT")
    assert links.current("A") == "XRPUSDT"


def test_a_member_may_leave_while_being_told() -> None:
    links = LinkBus()
    heard: list[str] = []
    stops = []

    def leave(pair: str) -> None:
        heard.append(pair)
        stops[0]()

    stops.append(links.subscribe("A", leave))
    links.subscribe("A", heard.append)
    links.publish("A", "BTCUSDT")
    links.publish("A", "ETHUSDT")
    assert heard == ["BTCUSDT", "BTCUSDT", "ETHUSDT"]


def test_view_models_work_where_qt_is_not_installed() -> None:
    code = (
        "import sys\n"
        "sys.modules['PySide6'] = None\n"
        "import app.viewmodels.feeds, app.viewmodels.ladder, app.viewmodels.symbols, app.viewmodels.status\n"
        "import app.viewmodels.layouts, app.viewmodels.linking\n"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
