"""A side of a simulated book equals a plain dict, whatever is done to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.sim.ladder import Ladder

EDITS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), max_size=60)


@given(st.sampled_from([1, -1]), st.dictionaries(st.integers(1, 40), st.integers(1, 5)), EDITS, st.integers(1, 40))
def test_a_ladder_equals_a_dict(sign: int, start: dict[int, int], edits: list[tuple[int, int]], cut: int) -> None:
    plain = dict(start)
    ladder = Ladder(sign, {price * sign: quantity for price, quantity in start.items()})
    for price, quantity in edits:
        ladder.set(price * sign, quantity)
        plain.pop(price, None)
        if quantity:
            plain[price] = quantity
        assert len(ladder) == len(plain)
    assert ladder.best_first() == sorted(plain.items(), reverse=sign > 0)
    assert ladder.best_first(3) == sorted(plain.items(), reverse=sign > 0)[:3]
    better = {price for price in plain if price * sign > cut * sign}
    assert {key * sign for key in ladder.pop_above(cut * sign)} == better
    assert {price for price, _ in ladder.best_first()} == set(plain) - better
