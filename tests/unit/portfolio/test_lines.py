"""Market data lines: who gets one, who gives way, and that nobody flaps."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from app.domain.contracts import Contract
from app.domain.units import NS_PER_S
from app.portfolio.lines import LineBudget, LineGroup, tier

NOW = 1_700_000_000 * NS_PER_S


def stock(number: int) -> Contract:
    return Contract(con_id=number, symbol=f"S{number}")


def stocks(*numbers: int) -> list[Contract]:
    return [stock(number) for number in numbers]


def ids(granted: tuple[Contract, ...]) -> list[int]:
    return [contract.con_id for contract in granted]


def after(seconds: float) -> int:
    return NOW + round(seconds * NS_PER_S)


def test_lines_go_to_pins_and_positions_before_orders_chains_and_the_scanner() -> None:
    lines = LineBudget(5)
    for group, number in zip(reversed(LineGroup), range(1, 6), strict=True):
        lines.want(group, stocks(number, 10 + number))
    assert ids(lines.plan(NOW)) == [5, 15, 4, 14, 3]


def test_what_is_looked_at_goes_before_what_is_not_but_positions_need_nobody_to_look() -> None:
    lines = LineBudget(3)
    lines.want(LineGroup.ORDERS, stocks(1), visible=False)
    lines.want(LineGroup.POSITIONS, stocks(2), visible=False)
    lines.want(LineGroup.SCANNER, stocks(3))
    lines.want(LineGroup.CHAIN, stocks(4), visible=False)
    assert ids(lines.plan(NOW)) == [2, 3, 1]


def test_a_contract_wanted_twice_takes_one_line_and_counts_for_the_stronger_group() -> None:
    lines = LineBudget(10)
    lines.want(LineGroup.SCANNER, stocks(1, 2))
    lines.want(LineGroup.POSITIONS, stocks(2, 3))
    assert ids(lines.plan(NOW)) == [2, 3, 1]
    usage = lines.usage()
    assert usage.by_group == ((LineGroup.POSITIONS, 2), (LineGroup.SCANNER, 1))
    assert usage.text == "lines 3/10: positions 2, scanner 1"


def test_the_largest_group_is_named_first() -> None:
    lines = LineBudget(100)
    lines.want(LineGroup.PINNED, stocks(*range(1, 14)))
    lines.want(LineGroup.CHAIN, stocks(*range(100, 140)))
    lines.want(LineGroup.SCANNER, stocks(*range(200, 230)))
    lines.plan(NOW)
    assert lines.usage().text == "lines 83/100: chain 40, scanner 30, pinned 13"


def test_several_owners_share_a_group() -> None:
    lines = LineBudget(10)
    lines.want(LineGroup.CHAIN, stocks(1, 2), owner="left")
    lines.want(LineGroup.CHAIN, stocks(2, 3), owner="right")
    assert sorted(ids(lines.plan(NOW))) == [1, 2, 3]
    lines.want(LineGroup.CHAIN, (), owner="left")
    assert sorted(ids(lines.plan(after(60)))) == [2, 3]


def test_a_stronger_group_takes_lines_at_once_and_says_why() -> None:
    lines = LineBudget(2)
    lines.want(LineGroup.SCANNER, stocks(1, 2))
    lines.plan(NOW)
    lines.want(LineGroup.POSITIONS, stocks(9))
    assert ids(lines.plan(after(0.25))) == [9, 1]
    assert [(each.contract.con_id, each.group, each.reason) for each in lines.evictions] == [
        (2, LineGroup.SCANNER, "S9 (positions) needs it")
    ]
    assert lines.usage().waiting == 1
    assert lines.evicted == 1


def test_equals_wait_until_a_line_has_stayed_for_a_while() -> None:
    lines = LineBudget(1, stay_s=10.0)
    lines.want(LineGroup.SCANNER, stocks(1))
    lines.plan(NOW)
    lines.want(LineGroup.SCANNER, stocks(2, 1))
    assert ids(lines.plan(after(9.9))) == [1]
    assert ids(lines.plan(after(10.0))) == [2]


def test_what_nobody_wants_any_more_lingers_only_while_there_is_room() -> None:
    lines = LineBudget(3, stay_s=10.0, linger_s=30.0)
    lines.want(LineGroup.SCANNER, stocks(1, 2))
    lines.plan(NOW)
    lines.want(LineGroup.SCANNER, stocks(3))
    assert ids(lines.plan(after(20))) == [3, 1, 2]
    lines.want(LineGroup.SCANNER, stocks(3, 4))
    assert ids(lines.plan(after(21))) == [3, 4, 1]
    assert ids(lines.plan(after(30))) == [3, 4]
    assert not lines.evictions, "nobody wanted them"


def test_the_broker_giving_fewer_lines_is_learned_and_tried_again_later() -> None:
    lines = LineBudget(5, probe_s=300.0)
    lines.want(LineGroup.SCANNER, stocks(1, 2, 3, 4, 5))
    lines.plan(NOW)
    for number in (4, 5):
        lines.refused(number, 101, "Max number of tickers has been reached", limit=True, now_ns=NOW)
    assert ids(lines.plan(after(1))) == [1, 2, 3]
    usage = lines.usage()
    assert (usage.capacity, usage.effective, usage.waiting) == (5, 3, 2)
    assert usage.text == "lines 3/3 of 5: scanner 3"
    assert "Max number" in usage.note
    assert "gives only 4 lines" in lines.evictions[0].reason
    assert len(lines.plan(after(299))) == 3
    assert len(lines.plan(after(300))) == 4
    lines.refused(4, 101, "Max number of tickers has been reached", limit=True, now_ns=after(301))
    assert len(lines.plan(after(302))) == 3
    lines.set_capacity(4)
    assert len(lines.plan(after(303))) == 4
    assert lines.usage().note == ""


def test_a_limit_told_of_a_contract_without_a_line_changes_nothing() -> None:
    lines = LineBudget(5)
    lines.want(LineGroup.SCANNER, stocks(1))
    lines.plan(NOW)
    lines.refused(77, 101, "late", limit=True, now_ns=NOW)
    assert lines.usage().effective == 5


def test_what_is_not_permitted_frees_its_line_and_is_asked_again_later() -> None:
    lines = LineBudget(1, retry_s=300.0)
    lines.want(LineGroup.POSITIONS, stocks(1))
    lines.want(LineGroup.SCANNER, stocks(2))
    lines.plan(NOW)
    lines.refused(1, 354, "not subscribed", limit=False, now_ns=NOW)
    assert ids(lines.plan(after(1))) == [2]
    refusal = lines.refusal(1)
    assert refusal is not None
    assert (refusal.code, refusal.reason) == (354, "not subscribed")
    assert lines.usage().refused == 1
    assert lines.usage().waiting == 0
    assert ids(lines.plan(after(300))) == [1]
    assert lines.refusal(1) is None


def test_refusals_can_be_forgotten_by_the_user() -> None:
    lines = LineBudget(2)
    lines.want(LineGroup.SCANNER, stocks(1, 2))
    lines.plan(NOW)
    lines.refused(1, 354, "no", limit=False, now_ns=NOW)
    lines.refused(2, 101, "no", limit=True, now_ns=NOW)
    lines.forget_refusals()
    assert ids(lines.plan(after(1))) == [1, 2]


def test_a_line_that_never_brings_anything_in_the_session_is_released_and_tried_again() -> None:
    lines = LineBudget(10, silent_s=120.0)
    lines.want(LineGroup.POSITIONS, stocks(1, 2))
    lines.plan(NOW)
    heard = {1: after(119)}
    assert lines.release_silent(after(119), lambda c: heard.get(c, 0), lambda _: True) == ()
    assert ids(lines.release_silent(after(120), lambda c: heard.get(c, 0), lambda _: True)) == [2]
    assert ids(lines.plan(after(121))) == [1]
    refusal = lines.refusal(2)
    assert refusal is not None
    assert refusal.reason == "nothing came for 120 s in the session"
    assert ids(lines.plan(after(240))) == [1, 2]


def test_a_silent_line_is_only_released_when_another_contract_waits() -> None:
    lines = LineBudget(2, silent_s=120.0)
    lines.want(LineGroup.SCANNER, stocks(1, 2))
    lines.plan(NOW)
    heard = {1: after(500), 2: after(5)}
    assert lines.release_silent(after(500), lambda c: heard.get(c, 0), lambda _: True) == ()
    lines.want(LineGroup.SCANNER, stocks(1, 2, 3))
    lines.plan(after(501))
    assert lines.release_silent(after(501), lambda c: heard.get(c, 0), lambda _: False) == (), "its market is closed"
    assert ids(lines.release_silent(after(501), lambda c: heard.get(c, 0), lambda _: True)) == [2]
    assert ids(lines.plan(after(502))) == [1, 3]


def test_while_nothing_is_heard_at_all_the_connection_is_to_blame() -> None:
    lines = LineBudget(1, silent_s=120.0)
    lines.want(LineGroup.SCANNER, stocks(1, 2))
    lines.plan(NOW)
    assert lines.release_silent(after(10_000), lambda _: after(1), lambda _: True) == ()


def test_evictions_are_bounded() -> None:
    lines = LineBudget(1, stay_s=0.0)
    for turn in range(1200):
        lines.want(LineGroup.SCANNER, stocks(turn + 1, turn or 5000))
        lines.plan(after(turn))
    assert lines.evicted > 1000
    assert len(lines.evictions) == 500


NUMBERS = st.lists(st.integers(1, 12), max_size=12, unique=True)
WISHES = st.dictionaries(st.sampled_from(LineGroup), st.tuples(NUMBERS, st.booleans()))


def _want(lines: LineBudget, wishes: dict[LineGroup, tuple[list[int], bool]]) -> dict[int, int]:
    """Tell the wishes and return the strongest tier of each contract."""
    strongest: dict[int, int] = {}
    for group in LineGroup:
        numbers, visible = wishes.get(group, ([], True))
        lines.want(group, stocks(*numbers), visible=visible)
        for number in numbers:
            strongest[number] = min(strongest.get(number, 99), tier(group, visible))
    return strongest


@given(WISHES, st.integers(0, 8))
def test_a_fresh_plan_is_the_most_important_wishes(
    wishes: dict[LineGroup, tuple[list[int], bool]], capacity: int
) -> None:
    lines = LineBudget(capacity)
    strongest = _want(lines, wishes)
    granted = ids(lines.plan(NOW))
    assert len(granted) == min(capacity, len(strongest))
    tiers = [strongest[number] for number in granted]
    assert tiers == sorted(tiers)
    assert tiers == sorted(strongest.values())[: len(tiers)]


@given(WISHES, WISHES, st.integers(0, 8), st.floats(0, 30))
def test_after_new_wishes_no_stronger_one_waits_for_a_weaker_one(
    before: dict[LineGroup, tuple[list[int], bool]],
    now: dict[LineGroup, tuple[list[int], bool]],
    capacity: int,
    passed_s: float,
) -> None:
    lines = LineBudget(capacity)
    _want(lines, before)
    lines.plan(NOW)
    strongest = _want(lines, now)
    granted = set(ids(lines.plan(after(passed_s))))
    assert len(granted) <= capacity
    worst = max((strongest[number] for number in granted if number in strongest), default=-1)
    assert all(strongest[number] >= worst for number in strongest if number not in granted)
    lines.plan(after(passed_s + 60))
    settled = ids(lines.plan(after(passed_s + 61)))
    assert sorted(strongest[number] for number in settled) == sorted(strongest.values())[: len(settled)]
    assert len(settled) == min(capacity, len(strongest)), "what nobody wants is gone, what fits is there"
    assert [ids(lines.plan(after(passed_s + 61 + n))) for n in range(1, 4)] == [settled] * 3


@settings(max_examples=50)
@given(st.lists(st.permutations(range(1, 9)), min_size=30, max_size=60), st.integers(1, 6))
def test_a_list_that_is_resorted_five_times_a_second_never_makes_lines_flap(
    orders: list[list[int]], capacity: int
) -> None:
    lines = LineBudget(capacity, stay_s=10.0)
    got: Counter[int] = Counter()
    held: set[int] = set()
    for turn, order in enumerate(orders):
        lines.want(LineGroup.SCANNER, stocks(*order))
        now = set(ids(lines.plan(after(turn * 0.2))))
        got.update(now - held)
        held = now
    turns_s = len(orders) * 0.2
    assert sum(got.values()) <= capacity * (1 + int(turns_s / 10.0))


class AnyDay(RuleBasedStateMachine):
    """Whatever happens in whichever order, the promises hold."""

    @initialize(capacity=st.integers(0, 6))
    def begin(self, capacity: int) -> None:
        self.now_ns = NOW
        self.capacity = capacity
        self.lines = LineBudget(capacity)
        self.wishes: dict[LineGroup, tuple[list[int], bool]] = {}
        self.granted: list[int] = []

    @rule(group=st.sampled_from(LineGroup), numbers=NUMBERS, visible=st.booleans())
    def want(self, group: LineGroup, numbers: list[int], visible: bool) -> None:
        self.wishes[group] = (numbers, visible)
        self.lines.want(group, stocks(*numbers), visible=visible)

    @rule(number=st.integers(1, 12), limit=st.booleans())
    def refuse(self, number: int, limit: bool) -> None:
        self.lines.refused(number, 101 if limit else 354, "no", limit=limit, now_ns=self.now_ns)

    @rule(number=st.integers(1, 12))
    def stale(self, number: int) -> None:
        self.lines.stale(number, self.now_ns)

    @rule(capacity=st.integers(0, 6))
    def resize(self, capacity: int) -> None:
        self.capacity = capacity
        self.lines.set_capacity(capacity)

    @rule(passed_s=st.floats(0, 400))
    def plan(self, passed_s: float) -> None:
        self.now_ns += round(passed_s * NS_PER_S)
        self.granted = ids(self.lines.plan(self.now_ns))
        usage = self.lines.usage()
        assert usage.used == len(self.granted) <= usage.effective <= usage.capacity == self.capacity
        assert sum(count for _, count in usage.by_group) == usage.used
        assert len(set(self.granted)) == len(self.granted)
        assert all(self.lines.refusal(number) is None for number in self.granted)
        wanted = {number for numbers, _ in self.wishes.values() for number in numbers}
        waiting = {n for n in wanted if n not in self.granted and self.lines.refusal(n) is None}
        assert usage.waiting == len(waiting)
        assert not waiting or usage.used == usage.effective, "nobody waits while there is room"


TestAnyDay = AnyDay.TestCase
