"""Detectors on real history: they fire exactly where a plain computation says, and not on splits and bad opens.

The plain computations go over lists with loops and share nothing with the detectors but the definitions: a condition
that has fired is armed again below three quarters of its threshold, and fires again after the cooldown.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from app.domain.market import Field
from app.scanner.events import EventKind, ScanEvent
from app.scanner.gaps import Refusal
from app.scanner.thresholds import Thresholds
from tests.wire.market_history import (
    MINUTE_NS,
    Session,
    as_news,
    btc_days,
    bybit_quotes,
    daily,
    date_of,
    minute_bars,
    scan,
    split_dates,
)

SHARES = Thresholds(slot_s=60.0, gap_hole_s=12 * 3600.0)
"""Open and close are hours apart: only a new day begins anew."""
BARS = Thresholds(slot_s=60.0, stale_s=90.0, price_surge_pct=1.0, volatility_least_pct=0.4, spread_least_bp=0.0)
"""Minute bars: one slot for each. Limits low enough to see many events of a calm month."""
COOLDOWN = 5
DAY_NS = 1440 * MINUTE_NS
Found = list[tuple[int, int]]
"""Day and minute."""


# -- gaps --------------------------------------------------------------------------------------------------------


class Shares:
    """Four US shares over 23 years, and the gaps and refused jumps of each by date."""

    NAMES = ("spy", "aapl", "bac", "iwm")

    def __init__(self, captures: Path) -> None:
        self.sessions = {name: daily(captures, name) for name in self.NAMES}
        events, refused = scan(as_news(list(self.sessions.values())), SHARES)
        self.gaps: dict[str, dict[str, ScanEvent]] = {name: {} for name in self.NAMES}
        self.refused: dict[str, dict[str, tuple[Refusal, str]]] = {name: {} for name in self.NAMES}
        for event in events:
            if event.kind is EventKind.GAP:
                self.gaps[self.NAMES[int(event.symbol)]][date_of(event.ts_ns)] = event
        for each in refused:
            self.refused[self.NAMES[int(each.symbol)]][date_of(each.ts_ns)] = (each.reason, each.text)


@pytest.fixture(scope="module")
def shares(captures: Path) -> Shares:
    return Shares(captures)


def gaps_by_hand(sessions: list[Session], but_after: set[str]) -> list[str]:
    """Return the dates of jumps of 3 % of which half is left at the close."""
    found = []
    for before, day in pairwise(sessions):
        jump = day.open / before.close - 1.0
        if abs(jump) >= 0.03 and (day.close / before.close - 1.0) / jump >= 0.5 and before.date not in but_after:
            found.append(day.date)
    return found


def test_the_gaps_of_spy_fire_where_they_are_and_the_false_open_of_2000_does_not(shares: Shares) -> None:
    sessions, found, refused = shares.sessions["spy"], shares.gaps["spy"], shares.refused["spy"]
    assert list(found) == gaps_by_hand(sessions, set())
    assert len(found) + len(refused) == 33, "as the notes of the capture count them"
    crash = found["20200316"]
    assert crash.numbers["gap_pct"] == pytest.approx(-10.6, abs=0.05)
    assert crash.numbers["kept_pct"] == pytest.approx(-10.94, abs=0.05)
    assert crash.text.startswith("opened 10.60 % below the last price 2 d 17 h before, on a new UTC day: ")
    assert "no split by its ratio 1.119" in crash.text
    assert "20001218" not in found
    reason, text = refused["20001218"]
    assert reason is Refusal.REVERTED
    assert "opened -15.6 %" in text
    assert "stood at +0.7 % 6 h 30 min later" in text
    assert {reason for reason, _ in refused.values()} == {Refusal.REVERTED}, "no gap of SPY is taken for a split"


def test_the_splits_of_apple_are_refused_and_nothing_else_is_taken_for_one(captures: Path, shares: Shares) -> None:
    sessions, found, refused = shares.sessions["aapl"], shares.gaps["aapl"], shares.refused["aapl"]
    splits = split_dates(captures, "aapl")
    assert list(found) == gaps_by_hand(sessions, splits)
    after = {day.date for before, day in pairwise(sessions) if before.date in splits}
    taken = {date: text for date, (reason, text) in refused.items() if reason is Refusal.SPLIT}
    assert set(taken) == after == {"20000621", "20050228", "20140609", "20200831"}
    assert "split 7:1" in taken["20140609"]
    assert "split 4:1" in taken["20200831"]
    assert "split 2:1" in taken["20000621"]
    assert found["20000929"].numbers["gap_pct"] == pytest.approx(-47.4, abs=0.1), "a true fall to nearly half the price"


@pytest.mark.parametrize(("symbol", "split", "gap"), [("bac", "20040830", "20080919"), ("iwm", "20050609", "20200316")])
def test_other_splits_are_refused_and_great_gaps_are_not(shares: Shares, symbol: str, split: str, gap: str) -> None:
    refused = shares.refused[symbol].items()
    assert [date for date, (reason, _) in refused if reason is Refusal.SPLIT] == [split]
    assert gap in shares.gaps[symbol]


def test_ordinary_nights_between_minute_bars_are_no_gaps(captures: Path) -> None:
    bars = [
        bar for date in ("20131004", "20131007", "20131008", "20131009") for bar in minute_bars(captures, "spy", date)
    ]
    events, refused = scan(((ts_ns, [{Field.LAST: price}]) for ts_ns, price in bars), Thresholds(slot_s=60.0))
    assert len(bars) > 2000
    assert [event.text for event in events if event.kind in (EventKind.GAP, EventKind.PRICE_SURGE)] == []
    assert refused == []


# -- a month of BTC, every day as an instrument of its own -------------------------------------------------------


class Month:
    """January 2022 and what the detectors found in it."""

    def __init__(self, captures: Path) -> None:
        self.prices, self.traded, self.rolling = btc_days(captures)
        news = (
            (
                DAY_NS + minute * MINUTE_NS,
                [
                    {Field.LAST: price, Field.VOLUME: volume}
                    for price, volume in zip(
                        self.prices[:, minute].tolist(), self.rolling[:, minute].tolist(), strict=True
                    )
                ],
            )
            for minute in range(self.prices.shape[1])
        )
        self.events, _ = scan(news, BARS)

    def found(self, kind: EventKind, word: str = "") -> Found:
        """Return where events of a kind fired whose text begins with a word."""
        return sorted(
            (int(event.symbol), (event.ts_ns - DAY_NS) // MINUTE_NS)
            for event in self.events
            if event.kind is kind and event.text.startswith(word)
        )


@pytest.fixture(scope="module")
def month(captures: Path) -> Month:
    return Month(captures)


def fired(days: int, minutes: int, judge: Callable[[int, int], tuple[bool, bool]], cooldown: int = COOLDOWN) -> Found:
    """Return where something fires, given where it holds and where it has ceased."""
    found = []
    for day in range(days):
        armed, last = True, -cooldown
        for minute in range(minutes):
            holds, ceased = judge(day, minute)
            armed = armed or ceased
            if holds and armed and minute - last >= cooldown:
                found.append((day, minute))
                armed, last = False, minute
    return found


@pytest.mark.parametrize(("word", "extreme"), [("rose", min), ("fell", max)])
def test_price_surges_of_btc_fire_exactly_where_a_plain_search_finds_them(
    month: Month, word: str, extreme: Callable[[Sequence[float]], float]
) -> None:
    prices = month.prices.tolist()

    def judge(day: int, minute: int) -> tuple[bool, bool]:
        move = abs(prices[day][minute] / extreme(prices[day][max(0, minute - 5) : minute + 1]) - 1.0)
        return move >= 0.01, move < 0.0075

    expected = fired(31, 1440, judge)
    assert month.found(EventKind.PRICE_SURGE, word) == expected
    assert len(expected) > 10


def test_the_one_surge_of_three_per_cent_in_january_2022_is_found(month: Month) -> None:
    prices = month.prices.tolist()
    news = ((DAY_NS + at * MINUTE_NS, [{Field.LAST: day[at]} for day in prices]) for at in range(1440))
    events, _ = scan(news, Thresholds(slot_s=60.0, stale_s=90.0))
    got = [
        (int(event.symbol), (event.ts_ns - DAY_NS) // MINUTE_NS, event.text.startswith("rose"))
        for event in events
        if event.kind is EventKind.PRICE_SURGE
    ]
    expected = []
    for rises, extreme in ((True, min), (False, max)):

        def judge(day: int, minute: int, extreme: Callable[[Sequence[float]], float] = extreme) -> tuple[bool, bool]:
            move = abs(prices[day][minute] / extreme(prices[day][max(0, minute - 5) : minute + 1]) - 1.0)
            return move >= 0.03, move < 0.0225

        expected += [(day, minute, rises) for day, minute in fired(31, 1440, judge)]
    assert got == expected == [(20, 21 * 60 + 52, False)], "the fall of 21 January, 21:52 UTC"


def spikes_by_hand(month: Month) -> Found:
    """Return the minutes whose turnover, as the 24 h figures tell it, is over three times the median of an hour.

    The median counts as at least three quarters of the average of 24 h.
    """
    rates: list[list[float]] = []
    for rolling in month.rolling.tolist():
        steps = pairwise(rolling)
        rates.append([float("nan"), *(max(now - before + before / 1440.0, 0.0) for before, now in steps)])

    def judge(day: int, minute: int) -> tuple[bool, bool]:
        past = [rate for rate in rates[day][max(0, minute - 60) : minute] if rate == rate]
        if len(past) < 20:
            return False, False
        least = 0.75 * month.rolling[day][minute] / 1440.0
        rate, normal = rates[day][minute], max(statistics.median(past), least)
        return rate > 3.0 * normal and rate >= 10_000.0, rate < 2.25 * normal

    return fired(31, 1440, judge)


def test_volume_spikes_of_btc_fire_exactly_where_a_plain_search_finds_them(month: Month) -> None:
    expected = spikes_by_hand(month)
    assert month.found(EventKind.VOLUME_SPIKE) == expected
    assert len(expected) > 300


def test_volume_spikes_told_from_24_h_figures_are_mostly_spikes_of_the_turnover_itself(month: Month) -> None:
    traded = month.traded.tolist()

    def times(day: int, minute: int) -> float:
        return float(traded[day][minute] / statistics.median(traded[day][max(0, minute - 60) : minute]))

    found = month.found(EventKind.VOLUME_SPIKE)
    ratios = [times(day, minute) for day, minute in found]
    assert sum(ratio > 3.0 for ratio in ratios) > 0.92 * len(ratios)
    assert sum(ratio > 1.5 for ratio in ratios) > 0.99 * len(ratios)
    great = [(day, minute) for day in range(1, 31) for minute in range(60, 1440) if times(day, minute) > 10.0]
    near = set(found)
    told = sum(any((day, minute - back) in near for back in range(COOLDOWN + 1)) for day, minute in great)
    assert told > 0.87 * len(great) > 500


def test_volatility_surges_of_btc_fire_exactly_where_a_plain_search_finds_them(month: Month) -> None:
    prices = month.prices.tolist()
    wide = []
    for day in prices:
        windows = [day[max(0, minute - 5) : minute + 1] for minute in range(1440)]
        wide.append([(max(window) - min(window)) / (max(window) + min(window)) * 200.0 for window in windows])

    def judge(day: int, minute: int) -> tuple[bool, bool]:
        past = [wide[day][at] for at in range(5, minute, 5)][-24:]
        if len(past) < 6:
            return False, wide[day][minute] < 0.3
        now, normal = wide[day][minute], statistics.median(past)
        return now >= 2.0 * normal and now >= 0.4, now < 1.5 * normal or now < 0.3

    expected = fired(31, 1440, judge)
    assert month.found(EventKind.VOLATILITY_SURGE) == expected
    assert len(expected) > 50


@pytest.mark.parametrize(("kind", "sign"), [(EventKind.NEW_HIGH, 1.0), (EventKind.NEW_LOW, -1.0)])
def test_highs_and_lows_of_days_fire_exactly_where_a_plain_search_finds_them(
    month: Month, kind: EventKind, sign: float
) -> None:
    prices = (month.prices * sign).tolist()

    def judge(day: int, minute: int) -> tuple[bool, bool]:
        if minute == 0:
            return False, False
        price, best = prices[day][minute], max(prices[day][:minute])
        return minute >= 30 and price > best, price < best - 0.005 * abs(best)

    expected = fired(31, 1440, judge)
    assert month.found(kind) == expected
    assert len(expected) > 60
    text = next(event.text for event in month.events if event.kind is kind)
    assert "of the UTC day" in text


def test_spreads_of_bybit_fire_exactly_where_a_plain_search_finds_them(captures: Path) -> None:
    quotes = bybit_quotes(captures)
    thresholds = Thresholds(slot_s=60.0, stale_s=90.0, spread_least_bp=0.0, spread_hold_s=60.0)
    news = (
        (DAY_NS + minute * MINUTE_NS, [{Field.LAST: bid, Field.BID: bid, Field.ASK: ask}])
        for minute, (bid, ask) in enumerate(quotes)
    )
    events, _ = scan(news, thresholds)
    spreads = [(ask - bid) / (ask + bid) * 2e4 if 0.0 < bid < ask else float("nan") for bid, ask in quotes]

    def is_tight(minute: int) -> tuple[bool, float]:
        past = [spread for spread in spreads[max(0, minute - 31) : max(0, minute - 1)] if spread == spread]
        normal = statistics.median(past) if len(past) >= 10 else float("nan")
        return spreads[minute] < 0.5 * normal, normal

    def judge(_day: int, minute: int) -> tuple[bool, bool]:
        tight, normal = is_tight(minute)
        return tight and minute > 0 and is_tight(minute - 1)[0], spreads[minute] > 0.75 * normal

    expected = fired(1, len(quotes), judge)
    assert [
        (0, (event.ts_ns - DAY_NS) // MINUTE_NS) for event in events if event.kind is EventKind.SPREAD_TIGHTENING
    ] == expected
    assert len(expected) > 3
