"""Windows of simulated Bybit books: their deltas turn each told state into the next, whatever happens to the book."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.ids import Market
from app.sim.book import Pressure
from app.sim.bybit.books import FULL, LiveBook, TracedLadder, WindowState
from app.sim.bybit.contracts import build_catalogue

BTC = build_catalogue(["BTC"]).contracts[Market.BYBIT_LINEAR][0]
EVEN = Pressure()

edits = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), min_size=1, max_size=12)


def small_book(levels: dict[int, int]) -> LiveBook:
    """Return a book of a few levels whose sides are set by hand."""
    book = LiveBook(BTC, BTC.listing.price, np.random.default_rng(3))
    book.bids = TracedLadder(1, levels)
    book.asks = TracedLadder(-1, {-price - 100: steps for price, steps in levels.items()})
    return book


def top(ladder: TracedLadder, levels: int) -> dict[int, int]:
    return dict(ladder.best_first(levels or None))


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.integers(1, 40), st.integers(1, 9), min_size=1), st.lists(edits, max_size=8), st.data())
def test_deltas_lead_from_each_state_to_the_next(
    levels: dict[int, int], moves: list[list[tuple[int, int]]], data: st.DataObject
) -> None:
    book = small_book(levels)
    windows = {count: book.window(count) for count in (1, 3, 5, FULL)}
    for window in windows.values():
        book.wake(window)
    held = {count: (top(book.bids, count), top(book.asks, count)) for count in windows}
    history: dict[int, list[tuple[int, dict[int, int], dict[int, int]]]] = {count: [] for count in windows}
    for move in moves:
        for price, steps in move:
            book.bids.set(price, steps)
            book.asks.set(-price - 100, steps)
        bids, book.bids.touched = book.bids.touched, {}
        asks, book.asks.touched = book.asks.touched, {}
        for window in windows.values():
            window.note(bids, asks)
        for count, window in windows.items():
            if data.draw(st.booleans()):  # this one is pushed later, with more in it
                continue
            mine = held[count]
            history[count].append((window.u, dict(mine[0]), dict(mine[1])))
            rows = window.take()
            for side, side_rows in zip(mine, rows or ([], []), strict=True):
                for price, steps in side_rows:
                    assert side.get(price, 0) != steps  # nothing is told that was known
                    if steps:
                        side[price] = steps
                    else:
                        del side[price]  # only what was there is removed
            assert mine == (top(book.bids, count), top(book.asks, count))
    for count, window in windows.items():
        state = window.state()
        assert (dict(state.bids), dict(state.asks)) == held[count]
        for u, past_bids, past_asks in history[count]:
            past = window.state_at(u)
            assert (dict(past.bids), dict(past.asks)) == (past_bids, past_asks)
            assert past.u == u


def test_states_are_best_first_on_both_sides() -> None:
    book = small_book({10: 1, 12: 2, 11: 3})
    window = book.window(FULL)
    book.wake(window)
    expected = WindowState(window.u, book.seq, [(12, 2), (11, 3), (10, 1)], [(110, 1), (111, 3), (112, 2)])
    assert window.state() == expected
    book.bids.set(12, 0)
    book.asks.set(-109, 5)
    window.note(book.bids.touched, book.asks.touched)
    assert window.state() == expected
    assert window.take() == ([(12, 0)], [(109, 5)])
    assert window.state_at(expected.u) == expected
    assert window.state().bids[0] == (11, 3)


def test_a_moving_book_keeps_its_windows_full_and_never_crosses() -> None:
    book = LiveBook(BTC, 96_500.0, np.random.default_rng(5))
    windows = [book.window(count) for count in (50, 200, 1000)]
    for window in windows:
        book.wake(window)
    mid = 96_500.0
    for step in range(200):
        mid *= 1.0 + (0.0004 if step < 100 else -0.0006)
        book.follow(mid, 1 + step % 3, EVEN, 12, step)
        for window in windows:
            if step % (1 + window.levels // 100) == 0:
                window.take()
                state = window.state()
                assert len(state.bids) == len(state.asks) == window.levels
                assert state.bids[0][0] < state.asks[0][0]
    assert book.best_ask - book.best_bid == 1 + 199 % 3


def test_numbers_go_on_while_a_window_sleeps() -> None:
    book = LiveBook(BTC, 96_500.0, np.random.default_rng(5))
    window = book.window(50)
    book.wake(window)
    u = window.u
    book.sleep(window)
    book.follow(97_000.0, 1, EVEN, 5, 0)
    book.wake(window)
    assert window.u > u
    assert window.state().bids[0][0] == book.best_bid
    with pytest.raises(LookupError, match="expected an update id"):
        window.state_at(u)
