"""Feed rows: rates, ages and words; and the filters of the event log."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from fakes import FakeMarket

from app.domain.health import FeedEventKind, LinkState
from app.domain.units import NS_PER_S
from app.viewmodels.feeds import FeedsModel


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
def model(market: FakeMarket) -> FeedsModel:
    return FeedsModel(market, TickingClock(market))


def test_counters_are_read_at_most_twice_a_second(model: FeedsModel, market: FakeMarket) -> None:
    model.poll()
    model.poll()
    assert model.revision == 1
    market.step(499)
    model.poll()
    assert model.revision == 1
    market.step(1)
    model.poll()
    assert model.revision == 2


def test_rates_are_per_second_over_three_seconds(model: FeedsModel, market: FakeMarket) -> None:
    model.poll()
    assert model.rows[0].rate is None
    for _ in range(8):
        market.step(500)
        model.poll()
    assert model.rows[0].links[0].rate == pytest.approx(1000)
    assert model.rows[0].rate == pytest.approx(2000)
    market.health[0].links[0].frames = 10
    market.step(500)
    model.poll()
    assert model.rows[0].links[0].rate is None


def test_ages_and_countdowns(model: FeedsModel, market: FakeMarket) -> None:
    link = market.health[0].links[0]
    link.state, link.last_frame_ns = LinkState.BACKOFF, market.now_ns - 7 * NS_PER_S
    link.retry_at_ns, link.reason = market.now_ns + 4 * NS_PER_S, "refused"
    market.health[0].rest_retry_at_ns = market.now_ns - 1
    market.health[1].links[0].last_frame_ns = None
    model.poll()
    row = model.rows[0]
    assert (row.links[0].age_ns, row.links[0].retry_in_ns) == (7 * NS_PER_S, 4 * NS_PER_S)
    assert (row.light, row.word, row.reason) == ("red", "down, retrying", "refused")
    assert row.rest_retry_in_ns is None
    assert model.rows[1].links[0].age_ns is None


def test_priming_can_be_paused_and_resumed(model: FeedsModel, market: FakeMarket) -> None:
    model.poll()
    assert model.rows[1].progress_text() == "books 37/50, 13 queued"
    model.toggle_priming("binance.usdm")
    assert market.health[1].priming_paused
    assert model.rows[1].progress_text() == "books 37/50, paused"
    assert model.rows[1].word == "priming paused"
    model.toggle_priming("binance.usdm")
    assert not market.health[1].priming_paused
    model.toggle_priming("no such feed")
    assert model.rows[0].progress_text() == "books 50/50"


def test_events_are_newest_first_and_filtered(model: FeedsModel, market: FakeMarket) -> None:
    events = model.events()
    assert [event.ts_ns for event in events] == sorted((event.ts_ns for event in events), reverse=True)
    assert model.sources() == ("binance.spot", "binance.usdm")
    model.set_filter("binance.spot", FeedEventKind.CONNECTED)
    assert model.events()
    assert {(event.source, event.kind) for event in model.events()} == {("binance.spot", FeedEventKind.CONNECTED)}
    model.set_filter(None, FeedEventKind.GAP_DETECTED)
    assert model.events() == []
    before = model.events_revision
    market.add_event(FeedEventKind.GAP_DETECTED, "binance.usdm", "BTCUSDT", "expected 7, was 9")
    assert model.events_revision > before
    assert [event.text for event in model.events()] == ["expected 7, was 9"]


@pytest.mark.parametrize("state", list(LinkState))
def test_every_state_has_words_and_a_light(model: FeedsModel, market: FakeMarket, state: LinkState) -> None:
    for link in market.health[0].links:
        link.state = state
    market.health[0].rest_state = state
    model.poll()
    row = model.rows[0]
    assert row.light in ("grey", "amber", "green", "red")
    assert row.word
    assert row.rest_word
    assert row.links[0].word
