"""The engine of one market: its sampling grid, minutes, snapshot requests, and what it refuses to publish."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from market import MINUTE, MS, START, Given, diff, engine_of, path, quote, snapshot

from app.books.sync import BookState
from app.domain.coverage import Coverage
from app.domain.units import ASK, BID
from app.services.pipeline import MarketEngine
from app.venues.feed import Urgency

SECOND = 1000 * MS
BTC, SOL = "BTCUSDT", "SOLUSDT"


def arrays(thing: object) -> list[object]:
    return [
        value.tolist() if isinstance(value, np.ndarray) else value
        for value in (getattr(thing, field.name) for field in dataclasses.fields(thing))  # type: ignore[arg-type]
    ]


def primed(*symbols: str, **options: float) -> tuple[MarketEngine, Given]:
    engine, given = engine_of(*symbols, **options)  # type: ignore[arg-type]
    for symbol in symbols:
        engine.on_rest(START + 1, path(symbol), snapshot(10, [(100.0, 1.0), (97.0, 2.0)], [(101.0, 1.0), (104.0, 2.0)]))
    return engine, given


def input_of(seed: int) -> list[tuple[int, bytes]]:
    rng = random.Random(seed)
    ids = {BTC: 10, SOL: 10}
    now, frames = START + 2, []
    for _ in range(700):
        now += rng.randint(1, 400) * MS // 2
        symbol = rng.choice((BTC, SOL))
        ids[symbol] += rng.choice((1, 1, 1, 1, 3)) if rng.random() < 0.98 else 7
        bids = [(rng.choice((100.0, 99.5, 99.0, 96.0)), rng.choice((0.0, 1.0, 2.5)))]
        asks = [(rng.choice((101.0, 101.5, 102.0, 106.0)), rng.choice((0.0, 1.0, 2.5)))]
        frames.append((now, diff(symbol, ids[symbol], ids[symbol], bids, asks)))
        if rng.random() < 0.1:
            frames.append((now, b"REST" + snapshot(ids[symbol], [(100.0, 3.0)], [(101.0, 2.0)])))
    return frames


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_samples_and_minutes_do_not_depend_on_when_time_is_moved_on(seed: int) -> None:
    outcomes = []
    frames = input_of(seed)
    for pattern in ("only by input", "each grid point", "at random"):
        engine, given = primed(BTC, SOL)
        rng = random.Random(pattern)
        before = START + 2
        for now, raw in frames:
            if pattern == "each grid point":
                for tick in range(before - before % (50 * MS) + 50 * MS, now, 50 * MS):
                    engine.advance(tick)
            elif pattern == "at random":
                for tick in sorted(rng.randint(before, now) for _ in range(3)):
                    engine.advance(tick)
            before = now
            if raw.startswith(b"REST"):
                engine.on_rest(now, path(BTC), raw[4:])
            else:
                engine.on_frame(now, raw)
        engine.finish(frames[-1][0])
        outcomes.append(
            (
                [arrays(batch) for batch in given.batches],
                [(tick.ts_ms, arrays(tick.depth)) for tick in given.groups],
                [(arrays(block.symbols), arrays(block.groups)) for block in given.minutes],
                given.asked,
                [event.text for event in given.events],
            )
        )
    assert len(outcomes[0][0]) > 100
    assert len(outcomes[0][2]) >= 2
    assert repr(outcomes[0]) == repr(outcomes[1]) == repr(outcomes[2])


def test_a_sample_shows_the_book_before_its_grid_time_and_each_symbol_has_its_phase() -> None:
    engine, given = primed(BTC, SOL)
    at = START + 200 * MS
    engine.on_frame(at - 1, diff(BTC, 11, 11, [(100.5, 1.0)], []))
    engine.on_frame(at, diff(BTC, 12, 12, [(100.7, 1.0)], []))
    engine.advance(at + 200 * MS)
    btc = [(b.ts_ms - START // MS, b.best[0, BID], int(b.last_update_id[0])) for b in given.batches if BTC in b.symbols]
    assert btc == [(200, 100.5, 11), (400, 100.7, 12)]
    assert [b.ts_ms - START // MS for b in given.batches if SOL in b.symbols] == [50, 250]
    assert [tick.ts_ms - START // MS for tick in given.groups] == [200, 400]


def test_watched_symbols_are_measured_between_without_extra_ticks() -> None:
    engine, given = primed(BTC, sample_ms=500)
    engine.watch(0)
    engine.on_frame(START + 60 * MS, diff(BTC, 11, 11, [(100.5, 1.0)], []))
    engine.advance(START + 100 * MS)
    assert engine.table.best[0, BID] == 100.5
    assert given.batches == []
    engine.unwatch(0)
    engine.on_frame(START + 110 * MS, diff(BTC, 12, 12, [(100.6, 1.0)], []))
    engine.advance(START + 450 * MS)
    assert engine.table.best[0, BID] == 100.5
    engine.advance(START + 500 * MS)
    assert engine.table.best[0, BID] == 100.6
    assert len(given.batches) == 1


def test_a_minute_is_the_mean_of_its_samples_and_says_whether_it_was_cut() -> None:
    engine, given = primed(BTC, sample_ms=1000)
    for second in range(1, 130):
        if second == 30:
            engine.on_frame(START + 30 * SECOND - 1, diff(BTC, 11, 11, [(100.0, 3.0)], []))
        engine.advance(START + second * SECOND)
    engine.finish(START + 130 * SECOND)
    first, second, third = (block.symbols for block in given.minutes)
    assert [block.minute_ms * MS for block in (first, second, third)] == [START, START + MINUTE, START + 2 * MINUTE]
    assert [int(block.samples[0]) for block in (first, second, third)] == [59, 60, 11]
    assert [block.partial for block in (first, second, third)] == [True, False, True]
    # 29 samples of 1 coin at 100 (plus 2 at 97 within 3 %), 30 samples of 3 coins
    assert first.coins[0, BID, 0] == pytest.approx((29 * 1 + 30 * 3) / 59)
    assert first.usd[0, BID, 1] == pytest.approx((29 * 100 + 30 * 300) / 59 + 194)
    assert first.best_bid[0] == 100.0
    assert first.mid[0] == 100.5
    assert first.spread[0] == 1.0
    assert first.threshold[0, BID, 2] == pytest.approx(95.0)
    assert first.exact[0].tolist() == [[1.0] * 7] * 2
    groups = given.minutes[1].groups
    assert groups.usd[0, BID, 0] == pytest.approx(300.0)
    assert groups.included.tolist() == [1, 0, 0, 0, 0]
    assert groups.total.tolist() == [1, 0, 0, 0, 0]
    assert groups.vw_mid[0] == pytest.approx(100.5)
    assert np.isnan(groups.usd[4]).all()


def test_the_exact_share_of_a_minute_counts_the_samples_that_were_exact() -> None:
    engine, given = engine_of(BTC, sample_ms=1000)
    body = snapshot(10, [(100.0, 1.0), (98.0, 1.0)], [(101.0, 1.0), (103.0, 1.0)])
    engine.on_rest(START + 1, path(BTC, 2), body)
    for second in range(1, 61):
        if second == 15:
            engine.on_frame(START + 15 * SECOND - 2, diff(BTC, 11, 11, [(100.0, 0.0)], []))
            engine.on_frame(START + 15 * SECOND - 1, diff(BTC, 12, 12, [(99.0, 1.0)], []))
        engine.advance(START + second * SECOND)
    (block,) = given.minutes
    assert block.symbols.exact[0, BID].tolist() == pytest.approx([14 / 59, 0, 0, 0, 0, 0, 0])
    assert block.symbols.exact[0, ASK].tolist() == pytest.approx([1, 0, 0, 0, 0, 0, 0])


def test_a_hole_in_time_leaves_no_samples() -> None:
    engine, given = primed(BTC)
    engine.advance(START + SECOND)
    count = len(given.batches)
    engine.skip(START + 100 * SECOND)
    engine.advance(START + 101 * SECOND)
    assert len(given.batches) == count + 5
    assert given.batches[count].ts_ms * MS >= START + 100 * SECOND
    engine.advance(START + 500 * SECOND)
    assert len(given.batches) <= count + 6, "a jump is not filled with copies of an old book"


def test_minutes_touched_by_a_hole_are_partial_and_time_never_goes_back() -> None:
    engine, given = engine_of(BTC, sample_ms=1000)
    engine.on_rest(START + 1, path(BTC), snapshot(10, [(100.0, 1.0)], [(101.0, 1.0)]))

    def run(first: int, last: int) -> None:
        for second in range(first, last + 1):
            engine.advance(START + second * SECOND)

    run(1, 90)
    engine.skip(START + 200 * SECOND)
    engine.skip(START + 10 * SECOND)
    run(200, 310)
    engine.finish(START + 310 * SECOND)
    assert [block.symbols.minute_ms * MS - START for block in given.minutes] == [
        minute * MINUTE for minute in (0, 1, 3, 4, 5)
    ]
    assert [block.symbols.partial for block in given.minutes] == [True, True, True, False, True]


def test_a_book_whose_bands_stop_being_exact_asks_for_a_fresh_snapshot() -> None:
    engine, given = engine_of(BTC)
    body = snapshot(10, [(100.0, 1.0), (96.9, 1.0)], [(101.0, 1.0), (104.5, 1.0)])
    engine.on_rest(START + 1, path(BTC, 2), body)
    for second in range(1, 60):
        engine.advance(START + second * SECOND)
    assert engine.table.coverage[0, BID].tolist() == [2, 2, 1, 1, 1, 1, 1]
    assert given.asked == []
    engine.on_frame(START + 60 * SECOND, diff(BTC, 11, 11, [(100.0, 0.0), (99.0, 1.0)], []))
    for second in range(60, 64):
        engine.advance(START + second * SECOND)
    assert given.asked == [(BTC, Urgency.REFRESH)], "asked once, not each second"
    engine.on_rest_asked(START + 64 * SECOND, path(BTC, 2))
    engine.on_frame(START + 65 * SECOND, diff(BTC, 12, 12, [(98.0, 5.0)], []))
    body = snapshot(11, [(99.0, 1.0), (95.0, 4.0)], [(101.0, 1.0), (104.0, 1.0)])
    engine.on_rest(START + 66 * SECOND, path(BTC, 2), body)
    engine.advance(START + 67 * SECOND)
    assert engine.table.coverage[0].tolist() == [[2, 2, 1, 1, 1, 1, 1]] * 2
    assert engine.table.coins[0, BID].tolist() == [6, 6, 10, 10, 10, 10, 10]
    assert engine.health.resyncs == 0


def test_a_book_whose_top_is_no_longer_proven_is_loaded_again() -> None:
    engine, given = engine_of(BTC)
    engine.on_rest(START + 1, path(BTC, 1), snapshot(10, [(100.0, 1.0)], [(101.0, 1.0)]))
    engine.on_frame(START + 40 * SECOND, diff(BTC, 11, 11, [(100.0, 0.0), (99.0, 1.0)], []))
    for second in range(40, 43):
        engine.advance(START + second * SECOND)
    assert engine.table.known_to_pct[0, BID] == 0.0
    assert given.asked == [(BTC, Urgency.RESYNC)]


@pytest.mark.parametrize("quote_first", [True, False])
def test_a_quote_that_contradicts_the_top_hides_the_book_and_loads_it_again(quote_first: bool) -> None:
    engine, given = primed(BTC, SOL)
    frames = [diff(BTC, 11, 11, [(100.5, 1.0)], []), quote(BTC, 11, 100.6, 101.0)]
    for raw in reversed(frames) if quote_first else frames:
        engine.on_frame(START + 20 * MS, raw)
    assert engine.rows[0].sync.state is BookState.WAITING
    assert engine.rows[0].sync.counters.contradicted == 1
    assert given.asked == [(BTC, Urgency.RESYNC)]
    assert "contradicts the venue's quote 100.6 / 101 at update 11" in given.events[-1].text
    engine.advance(START + 300 * MS)
    assert engine.table.coverage[0].tolist() == [[Coverage.NONE] * 7] * 2
    assert np.isnan(engine.table.usd[0]).all()
    assert engine.table.best[1].tolist() == [100.0, 101.0], "the other symbol goes on"
    engine.on_rest(START + 400 * MS, path(BTC), snapshot(12, [(100.6, 1.0)], [(101.0, 1.0)]))
    engine.advance(START + 700 * MS)
    assert engine.table.best[0].tolist() == [100.6, 101.0]
    assert engine.health.resyncs == 1


def test_quotes_of_other_updates_and_of_empty_sides_do_not_disturb() -> None:
    engine, given = primed(BTC)
    engine.on_frame(START + 10 * MS, quote(BTC, 99, 5.0, 6.0))
    engine.on_frame(START + 11 * MS, diff(BTC, 11, 11, [(100.0, 0.0), (97.0, 0.0)], []))
    engine.on_frame(START + 12 * MS, quote(BTC, 11, 0.0, 101.0))
    counters = engine.rows[0].sync.counters
    assert (counters.checked, counters.contradicted) == (1, 0)
    assert given.asked == []


def test_a_crossed_book_is_never_published_and_is_loaded_again_when_it_stays_crossed() -> None:
    engine, given = primed(BTC, SOL)
    engine.on_frame(START + 210 * MS, diff(BTC, 11, 11, [(101.5, 1.0)], []))
    engine.advance(START + 700 * MS)
    assert engine.rows[0].sync.state is BookState.LIVE
    assert engine.health.crossed == 2
    assert np.isnan(engine.table.usd[0]).all()
    engine.advance(START + 900 * MS)
    assert engine.rows[0].sync.state is BookState.WAITING
    assert given.asked == [(BTC, Urgency.RESYNC)]
    assert "best bid above best ask" in given.events[-1].text
    for batch in given.batches:
        assert (batch.best[:, BID] <= batch.best[:, ASK]).all()
    assert [b.ts_ms * MS - START for b in given.batches if BTC in b.symbols] == [200 * MS]
    assert engine.groups is not None
    assert int(engine.groups.included[0]) == 1


def test_a_book_that_uncrosses_comes_back_by_itself() -> None:
    engine, given = primed(BTC)
    engine.on_frame(START + 210 * MS, diff(BTC, 11, 11, [(101.5, 1.0)], []))
    engine.advance(START + 450 * MS)
    engine.on_frame(START + 460 * MS, diff(BTC, 12, 12, [(101.5, 0.0)], []))
    engine.advance(START + 600 * MS)
    assert engine.table.best[0].tolist() == [100.0, 101.0]
    assert given.asked == []


def test_ghosts_that_a_proven_price_refutes_are_dropped_instead_of_hiding_the_book() -> None:
    engine, given = engine_of(BTC)
    book = engine.rows[0].sync.book
    book.bids.add_unconfirmed(np.array([99.0, 98.0]), np.array([7.0, 7.0]), np.array([START, START]))
    engine.on_rest(START + 1, path(BTC, 1), snapshot(10, [(100.0, 1.0)], [(101.0, 1.0)]))
    engine.on_frame(START + 10 * MS, diff(BTC, 11, 11, [(100.0, 0.0)], [(98.5, 2.0)]))
    engine.advance(START + 200 * MS)
    assert engine.table.best[0].tolist() == [98.0, 98.5]
    assert engine.table.unconfirmed()[0, BID].tolist() == [1.0] * 7
    assert book.ghosts == 1
    assert engine.health.crossed == 0
    assert given.asked == []


def test_a_gap_gates_one_book_until_its_snapshot() -> None:
    engine, given = primed(BTC, SOL)
    engine.on_frame(START + 10 * MS, diff(BTC, 15, 16, [(100.5, 1.0)], []))
    assert engine.health.gaps == 1
    assert given.asked == [(BTC, Urgency.RESYNC)]
    assert "updates are missing before 15" in given.events[-1].text
    engine.advance(START + 400 * MS)
    assert not any(BTC in batch.symbols for batch in given.batches)
    assert any(SOL in batch.symbols for batch in given.batches)
    engine.on_rest(START + 410 * MS, path(BTC), snapshot(12, [(99.0, 1.0)], [(101.0, 1.0)]))
    assert engine.rows[0].sync.state is BookState.WAITING
    assert "older than the first update" in given.events[-1].text
    assert len(given.asked) == 2
    engine.on_rest(START + 420 * MS, path(BTC), snapshot(15, [(99.0, 1.0)], [(101.0, 1.0)]))
    engine.advance(START + 800 * MS)
    assert engine.table.best[0].tolist() == [100.5, 101.0]
    assert engine.health.applied == 1


def test_watching_a_book_that_waits_asks_for_it_first() -> None:
    engine, given = engine_of(BTC, SOL)
    engine.on_streams(START + 1, (BTC, SOL, "UNKNOWN"), up=True)
    engine.watch(1)
    assert given.asked == [(SOL, Urgency.VISIBLE)]


def test_lost_streams_hide_books_and_polls_show_them_meanwhile() -> None:
    engine, _ = primed(BTC)
    engine.advance(START + 200 * MS)
    engine.on_streams(START + 210 * MS, (BTC,), up=False)
    engine.advance(START + 400 * MS)
    assert (engine.table.coverage[0] == Coverage.NONE).all()
    engine.on_rest(START + 410 * MS, path(BTC, 1), snapshot(20, [(99.0, 1.0)], [(100.0, 1.0)]), polled=True)
    engine.advance(START + 600 * MS)
    assert engine.rows[0].sync.state is BookState.POLLED
    assert engine.table.best[0].tolist() == [99.0, 100.0]
    assert engine.table.unconfirmed()[0, BID, 2] == pytest.approx(194 / 293)
    engine.on_streams(START + 610 * MS, (BTC,), up=True)
    engine.advance(START + 800 * MS)
    assert (engine.table.coverage[0] == Coverage.NONE).all()


def test_unconfirmed_levels_are_dropped_after_their_time() -> None:
    engine, _ = engine_of(BTC, unconfirmed_hours=0.05)
    book = engine.rows[0].sync.book
    book.bids.add_unconfirmed(np.array([80.0]), np.array([7.0]), np.array([START]))
    engine.on_rest(START + 1, path(BTC, 1), snapshot(10, [(100.0, 1.0)], [(101.0, 1.0)]))
    for second in range(1, 175):
        engine.advance(START + second * SECOND)
    assert engine.table.coins[0, BID, 5] == 8.0
    for second in range(175, 245):
        engine.advance(START + second * SECOND)
    assert engine.table.coins[0, BID, 5] == 1.0


def test_groups_of_ticks_and_minutes_do_not_depend_on_what_is_on_screen() -> None:
    outcomes = []
    for watched in (False, True):
        engine, given = primed(BTC, SOL)
        engine.groups_watched = int(watched)
        if watched:
            engine.watch(1)
        for now, raw in input_of(4):
            if raw.startswith(b"REST"):
                engine.on_rest(now, path(BTC), raw[4:])
            else:
                engine.on_frame(now, raw)
        engine.finish(now)
        groups = [(tick.ts_ms, arrays(tick.depth)) for tick in given.groups]
        outcomes.append(repr((groups, [arrays(block.groups) for block in given.minutes])))
    assert outcomes[0] == outcomes[1]
