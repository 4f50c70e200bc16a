"""Lights, cards and needs of the ways to a broker, and what the user may do about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from fakes import FakeMarket

from app.domain.account import Notice, Severity, Source
from app.domain.broker_health import BrokerHealth
from app.domain.health import LinkState
from app.domain.units import NS_PER_S
from app.viewmodels.broker_care import BrokerCare, Care, CertificateQuestion, fingerprint_lines
from app.viewmodels.broker_light import broker_light
from app.viewmodels.broker_rows import broker_row, notice_rows
from app.viewmodels.feeds import FeedsModel
from app.viewmodels.live_status import LiveStatus
from app.viewmodels.status import StatusModel

OLD, NEW = ":".join(["AB"] * 32), ":".join(["0F"] * 32)


@dataclass
class TickingClock:
    market: FakeMarket

    def wall_ns(self) -> int:
        return self.market.now_ns

    def monotonic_ns(self) -> int:
        return self.market.now_ns


@dataclass
class Desk:
    """Stands for the desk of a source and remembers what was done."""

    health: BrokerHealth
    login_url: str = "https://localhost:5000"
    done: list[str] = field(default_factory=list)
    can_trust: bool = True

    @property
    def trust(self) -> Callable[[str], None] | None:
        return self.done.append if self.can_trust else None

    @property
    def take_over(self) -> Callable[[], None] | None:
        return lambda: self.done.append("take over")

    def wake(self) -> None:
        self.done.append("wake")


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket()


@pytest.fixture
def tws(market: FakeMarket) -> BrokerHealth:
    return BrokerHealth(
        source=Source.TWS,
        state=LinkState.LIVE,
        since_ns=market.now_ns - 60 * NS_PER_S,
        last_message_ns=market.now_ns - NS_PER_S,
        accounts=("DU1234567",),
        paper=True,
        paper_why="the id begins with D",
        farms={"usfarm": True, "ushmds": None},
        lines_open=3,
        lines_limit=100,
    )


def test_a_light_says_paper_or_live_and_masks_the_account(tws: BrokerHealth, market: FakeMarket) -> None:
    light = broker_light(tws, market.now_ns)
    assert (light.title, light.money, light.light, light.word) == ("IBKR TWS", "PAPER", "green", "connected")
    assert light.accounts == ("DU•••67",)
    assert (light.since_age_ns, light.last_message_age_ns) == (60 * NS_PER_S, NS_PER_S)
    assert light.farms == "1 working, 1 idle until asked"
    assert broker_light(replace(tws, paper=False), 0).money == "LIVE"
    assert broker_light(replace(tws, paper=None), 0).money == ""
    assert broker_light(replace(tws, since_ns=None, last_message_ns=None), 0).last_message_age_ns is None


@pytest.mark.parametrize(
    ("changes", "colour", "word"),
    [
        ({"state": LinkState.IDLE}, "grey", "off"),
        ({"state": LinkState.SYNCING}, "amber", "loading account"),
        ({"state": LinkState.STALE}, "red", "no link to IBKR"),
        ({"state": LinkState.BACKOFF}, "red", "down, retrying"),
        ({"state": LinkState.BANNED}, "red", "needs you"),
        ({"farms": {"usfarm": False}}, "amber", "connected"),
        ({"competing": True}, "amber", "another login has the data"),
    ],
)
def test_every_state_has_a_colour_and_a_word(
    tws: BrokerHealth, changes: dict[str, object], colour: str, word: str
) -> None:
    light = broker_light(replace(tws, **changes), 0)  # type: ignore[arg-type]
    assert (light.light, light.word) == (colour, word)


def test_a_live_source_that_sits_out_a_pause_says_why(tws: BrokerHealth, market: FakeMarket) -> None:
    tws.state, tws.reason = LinkState.LIVE, "IBKR asks to slow down"
    assert broker_light(tws, market.now_ns).reason == ""
    tws.retry_at_ns = market.now_ns + 60 * NS_PER_S
    assert broker_light(tws, market.now_ns).reason == "IBKR asks to slow down"


def test_the_status_bar_hears_of_brokers_beside_the_feeds(tws: BrokerHealth, market: FakeMarket) -> None:
    status = StatusModel(TickingClock(market))
    status.attach(market)
    assert status.broker_lights == ()
    before = status.revision
    market.broker_list = [tws]
    status.poll()
    assert [light.feed for light in status.broker_lights] == ["ibkr.tws"]
    assert [light.feed for light in status.lights] == ["binance.spot", "binance.usdm"]
    assert status.revision == before + 1
    status.poll()
    assert status.revision == before + 1
    tws.state = LinkState.STALE
    status.poll()
    assert status.revision == before + 2


def test_a_run_without_a_broker_has_none() -> None:
    status = LiveStatus([])
    assert status.brokers() == ()
    health = BrokerHealth(source=Source.PORTAL)
    status.set_brokers([health])
    assert status.brokers() == (health,)


def test_messages_per_second_of_a_broker_are_counted(tws: BrokerHealth, market: FakeMarket) -> None:
    market.broker_list = [tws]
    model = FeedsModel(market, TickingClock(market))
    model.poll()
    assert model.brokers[0].rate is None
    tws.messages += 50
    market.step(1000)
    model.poll()
    assert model.brokers[0].rate == pytest.approx(50)


def test_notices_that_repeat_are_one_row_and_name_no_account(tws: BrokerHealth) -> None:
    farm = Notice(code=2104, severity=Severity.INFO, text="farm OK", advice="")
    for ts_ns in (1, 2, 3):
        tws.note(ts_ns, farm)
    tws.note(4, Notice(code=1100, severity=Severity.LOST, text="DU1234567 lost", advice="wait"))
    rows = notice_rows(tws)
    assert [(row.code, row.times, row.ts_ns, row.light) for row in rows] == [(1100, 1, 4, "red"), (2104, 3, 3, "grey")]
    assert rows[0].text == "DU•••67 lost"
    for code in range(20):
        tws.note(5, Notice(code=code, severity=Severity.INFO, text=str(code), advice=""))
    assert len(notice_rows(tws)) == 4


def test_a_try_that_is_due_is_not_announced(tws: BrokerHealth) -> None:
    assert broker_row(replace(tws, retry_at_ns=10), 4, None, ()).retry_in_ns == 6
    assert broker_row(replace(tws, retry_at_ns=10), 10, None, ()).retry_in_ns is None


# -- what the user can do -----------------------------------------------------------------------------------------


def portal(**changes: object) -> Desk:
    health = BrokerHealth(source=Source.PORTAL, address="https://localhost:5000", state=LinkState.BANNED)
    return Desk(replace(health, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "offers"),
    [
        ({"needs": "Log in"}, (Care.LOGIN, Care.WAKE)),
        ({"needs": "Trust it", "certificate_new": NEW}, (Care.TRUST,)),
        ({"competing": True, "state": LinkState.LIVE}, (Care.TAKE_OVER,)),
        ({"needs": "Someone else", "competing": True}, (Care.TAKE_OVER, Care.WAKE)),
        ({"state": LinkState.LIVE}, ()),
        ({"state": LinkState.BACKOFF}, (Care.WAKE,)),
    ],
)
def test_only_what_helps_is_offered(changes: dict[str, object], offers: tuple[Care, ...]) -> None:
    desk = portal(**changes)
    care = BrokerCare(lambda: {Source.PORTAL: desk})
    assert care.offers(Source.PORTAL) == offers
    assert desk.done == [], "nothing is done unasked"


def test_needs_are_sentences_and_go_when_they_are_met() -> None:
    desk = portal(needs="Log in at the page")
    care = BrokerCare(lambda: {Source.PORTAL: desk})
    assert [(need.title, need.sentence) for need in care.needs()] == [("IBKR Client Portal", "Log in at the page")]
    desk.health.needs = ""
    assert care.needs() == ()
    desk.health.competing = True
    assert "Another login" in care.needs()[0].sentence
    care.take_over(Source.PORTAL)
    care.wake(Source.PORTAL)
    assert desk.done == ["take over", "wake"]
    assert care.login_url(Source.PORTAL) == "https://localhost:5000"
    assert (care.login_url(Source.TWS), care.offers(Source.TWS)) == ("", ())


def test_a_certificate_is_asked_about_until_it_is_put_off_or_trusted() -> None:
    desk = portal(certificate=OLD, certificate_new=NEW)
    care = BrokerCare(lambda: {Source.PORTAL: desk})
    (question,) = care.questions()
    assert (question.changed, question.old, question.new) == (True, OLD, NEW)
    care.not_now(question)
    assert care.questions() == ()
    care.ask_again(Source.PORTAL)
    assert care.questions() == (question,)
    care.not_now(question)
    desk.health.certificate_new = OLD
    assert care.questions() == (CertificateQuestion(Source.PORTAL, question.title, question.address, OLD, OLD),)


def test_only_the_certificate_that_was_shown_can_be_trusted() -> None:
    desk = portal(certificate_new=NEW)
    care = BrokerCare(lambda: {Source.PORTAL: desk})
    (question,) = care.questions()
    desk.health.certificate_new = OLD
    assert care.trust(question) is False
    assert desk.done == []
    desk.health.certificate_new = NEW
    assert care.trust(question) is True
    assert desk.done == [NEW]
    desk.can_trust = False
    assert care.questions() == ()
    assert care.trust(question) is False


@pytest.mark.parametrize("text", [OLD, OLD.replace(":", "").lower()])
def test_a_fingerprint_is_grouped_for_the_eye(text: str) -> None:
    lines = fingerprint_lines(text)
    assert lines == ("AB AB AB AB   AB AB AB AB",) * 4
    assert fingerprint_lines("") == ()
