"""Market data lines as a budget: wishes of panels in, the contracts that are quoted out, and who gave way to whom.

A broker quotes only so many contracts at once (100 as a rule, shared with its own windows). Panels say what they want;
the most important wishes get a line. Lines do not flap: one that was just given stays for a while against equals, and
one that nobody wants any more lingers as long as its place is not needed. Times are UTC ns.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.domain.contracts import Contract
from app.domain.units import NS_PER_S

_KEPT_EVICTIONS: Final = 500
_PROBE_SHARE: Final = 0.05
"""Share of the capacity that is tried again at once after the broker gave fewer lines than it should."""


class LineGroup(StrEnum):
    """What lines are wanted for; the order is that of importance."""

    PINNED = "pinned"
    POSITIONS = "positions"
    ORDERS = "orders"
    CHAIN = "chain"
    SCANNER = "scanner"


ALWAYS: Final = frozenset({LineGroup.PINNED, LineGroup.POSITIONS})
"""Groups that count as visible even while nobody looks."""
_ORDER: Final = {group: place for place, group in enumerate(LineGroup)}


def tier(group: LineGroup, visible: bool) -> int:
    """Return how important wishes of a group are, 0 the most: what is looked at goes before what is not."""
    return _ORDER[group] + (0 if visible or group in ALWAYS else len(LineGroup))


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """A line that was taken from a contract somebody still wants: when (UTC ns), for which group, why."""

    ts_ns: int
    contract: Contract
    group: LineGroup
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A contract the broker does not quote: its code, its reason, since when and when it is asked again (UTC ns)."""

    con_id: int
    code: int
    reason: str
    ts_ns: int
    retry_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineUsage:
    """How lines are used. effective: lines the broker really gives; by_group: the largest first; waiting: contracts
    for which there is no line; refused: contracts that would get one but are not quoted."""

    capacity: int
    effective: int
    used: int
    by_group: tuple[tuple[LineGroup, int], ...]
    waiting: int
    refused: int
    note: str

    @property
    def text(self) -> str:
        """Return it in words: `lines 83/100: chain 40, scanner 30, pinned 13`."""
        limit = f"{self.capacity}" if self.effective == self.capacity else f"{self.effective} of {self.capacity}"
        head = f"lines {self.used}/{limit}"
        parts = ", ".join(f"{group.value} {count}" for group, count in self.by_group)
        return f"{head}: {parts}" if parts else head


@dataclass(slots=True, kw_only=True)
class _Wish:
    contract: Contract
    group: LineGroup
    tier: int
    place: int

    @property
    def rank(self) -> tuple[int, int]:
        return self.tier, self.place


@dataclass(slots=True, kw_only=True)
class _Line:
    wish: _Wish
    granted_ns: int
    wanted_ns: int
    is_wanted: bool = True


class LineBudget:
    """The lines of one source. `revision` moves when lines are given, taken or refused; `evicted` counts all evictions.

    stay_s: how long a line stays against wishes of the same importance. linger_s: how long one that nobody wants stays
    while there is room. retry_s: when what was refused is asked again. silent_s: when a line without news is released.
    probe_s: when more lines are tried again after the broker gave fewer than it should.
    """

    def __init__(
        self,
        capacity: int,
        *,
        stay_s: float = 10.0,
        linger_s: float = 10.0,
        retry_s: float = 300.0,
        silent_s: float = 120.0,
        probe_s: float = 300.0,
    ) -> None:
        self.revision = 0
        self.evicted = 0
        self.evictions: deque[Eviction] = deque(maxlen=_KEPT_EVICTIONS)
        self._capacity = max(0, capacity)
        self._effective = self._capacity
        self._stay_ns = round(stay_s * NS_PER_S)
        self._linger_ns = round(linger_s * NS_PER_S)
        self._retry_ns = round(retry_s * NS_PER_S)
        self._silent_ns = round(silent_s * NS_PER_S)
        self._probe_ns = round(probe_s * NS_PER_S)
        self._limited_ns = 0
        self._limit_reason = ""
        self._wanted: dict[tuple[LineGroup, str], tuple[bool, tuple[Contract, ...]]] = {}
        self._wishes: dict[int, _Wish] = {}
        self._lines: dict[int, _Line] = {}
        self._refusals: dict[int, Refusal] = {}
        self._waiting = 0

    # -- what it is told -----------------------------------------------------------------------------------------

    def set_capacity(self, capacity: int) -> None:
        """Tell how many lines there are; what was learned about fewer is forgotten when the number changes."""
        if capacity != self._capacity:
            self._capacity = self._effective = max(0, capacity)
            self._limited_ns, self._limit_reason = 0, ""
            self.revision += 1

    def want(self, group: LineGroup, contracts: Sequence[Contract], *, visible: bool = True, owner: str = "") -> None:
        """Replace what an owner wants for a group, the most important first; several owners may share a group.

        visible: whether somebody looks at it now. An empty sequence withdraws the owner's wishes.
        """
        key = (group, owner)
        news = (visible, tuple(contracts))
        if self._wanted.get(key, (visible, ())) == news:
            return
        if contracts:
            self._wanted[key] = news
        else:
            self._wanted.pop(key, None)
        self._rank()

    def refused(self, con_id: int, code: int, reason: str, *, limit: bool, now_ns: int) -> None:
        """Take that a contract is not quoted. limit: for want of a line, so that there are fewer than was thought."""
        line = self._lines.pop(con_id, None)
        if limit:
            if line is not None:
                self._effective = min(self._effective, len(self._lines))
                self._limited_ns, self._limit_reason = now_ns, reason
                self._note_eviction(line, f"the broker gives only {self._effective} lines: {reason}", now_ns)
                self.revision += 1
            return
        self._refusals[con_id] = Refusal(
            con_id=con_id, code=code, reason=reason, ts_ns=now_ns, retry_ns=now_ns + self._retry_ns
        )
        self.revision += 1

    def forget_refusals(self) -> None:
        """Ask again for everything that was refused, and try the whole capacity: the user has mended something."""
        self._refusals.clear()
        self._effective = self._capacity
        self._limited_ns, self._limit_reason = 0, ""
        self.revision += 1

    def stale(self, con_id: int, now_ns: int, reason: str = "no news") -> None:
        """Release the line of a contract that brings nothing; it is asked again later."""
        line = self._lines.pop(con_id, None)
        if line is not None:
            self._refusals[con_id] = Refusal(
                con_id=con_id, code=0, reason=reason, ts_ns=now_ns, retry_ns=now_ns + self._silent_ns
            )
            self._note_eviction(line, reason, now_ns)
            self.revision += 1

    def release_silent(
        self, now_ns: int, heard_ns: Callable[[int], int], is_open: Callable[[Contract], bool]
    ) -> tuple[Contract, ...]:
        """Release the lines that have brought nothing for long while their market is open, and return them.

        heard_ns: UTC ns of the last news of a con_id, 0 never. A line that never brought anything is always released;
        one that is only silent when another contract waits for a line, and never that of a position or a pin. While no
        line at all brings anything the connection is to blame, and nothing is released.
        """
        if not any(now_ns - heard_ns(con_id) < self._silent_ns for con_id in self._lines):
            return ()
        released = []
        for con_id, line in tuple(self._lines.items()):
            since_ns = max(heard_ns(con_id), line.granted_ns)
            if now_ns - since_ns < self._silent_ns or not is_open(line.wish.contract):
                continue
            is_dead = heard_ns(con_id) < line.granted_ns
            if is_dead or (self._waiting and line.wish.group not in ALWAYS):
                what = "nothing came" if is_dead else "no news"
                self.stale(con_id, now_ns, f"{what} for {(now_ns - since_ns) // NS_PER_S} s in the session")
                released.append(line.wish.contract)
        return tuple(released)

    # -- what it tells -------------------------------------------------------------------------------------------

    def plan(self, now_ns: int) -> tuple[Contract, ...]:
        """Give and take lines as of now and return the contracts that have one, the most important first."""
        before = set(self._lines)
        self._probe(now_ns)
        for con_id in [con_id for con_id, refusal in self._refusals.items() if refusal.retry_ns <= now_ns]:
            del self._refusals[con_id]
        self._let_go(now_ns)
        self._fill(now_ns)
        if set(self._lines) != before:
            self.revision += 1
        lines = sorted(self._lines.values(), key=lambda line: (not line.is_wanted, line.wish.rank))
        return tuple(line.wish.contract for line in lines)

    @property
    def waiting(self) -> int:
        """Return how many contracts had no line at the last plan."""
        return self._waiting

    def has_line(self, con_id: int) -> bool:
        """Tell whether a contract has a line."""
        return con_id in self._lines

    def refusal(self, con_id: int) -> Refusal | None:
        """Return why a contract is not quoted, None when nobody refused it."""
        return self._refusals.get(con_id)

    def refusals(self) -> tuple[Refusal, ...]:
        """Return everything that is refused at present, the newest first."""
        return tuple(sorted(self._refusals.values(), key=lambda refusal: -refusal.ts_ns))

    def usage(self) -> LineUsage:
        """Return how the lines are used as of the last plan."""
        counts = Counter(line.wish.group for line in self._lines.values())
        by_group = sorted(counts.items(), key=lambda pair: (-pair[1], _ORDER[pair[0]]))
        return LineUsage(
            capacity=self._capacity,
            effective=self._effective,
            used=len(self._lines),
            by_group=tuple(by_group),
            waiting=self._waiting,
            refused=sum(con_id in self._wishes for con_id in self._refusals),
            note=self._limit_reason if self._effective < self._capacity else "",
        )

    # -- how -----------------------------------------------------------------------------------------------------

    def _rank(self) -> None:
        """Work out the strongest wish for each contract."""
        self._wishes = {}
        for (group, _owner), (visible, contracts) in self._wanted.items():
            for place, contract in enumerate(contracts):
                wish = _Wish(contract=contract, group=group, tier=tier(group, visible), place=place)
                known = self._wishes.get(contract.con_id)
                if known is None or wish.rank < known.rank:
                    self._wishes[contract.con_id] = wish

    def _probe(self, now_ns: int) -> None:
        """Some time after the broker gave fewer lines than it should, try a few more."""
        if self._effective < self._capacity and now_ns - self._limited_ns >= self._probe_ns:
            more = max(1, round(self._capacity * _PROBE_SHARE))
            self._effective = min(self._capacity, self._effective + more)
            self._limited_ns = now_ns

    def _let_go(self, now_ns: int) -> None:
        """Free what nobody wants any more, and what there is no room for."""
        for con_id, line in tuple(self._lines.items()):
            wish = self._wishes.get(con_id)
            line.is_wanted = wish is not None
            if wish is not None:
                line.wish, line.wanted_ns = wish, now_ns
            elif now_ns - line.wanted_ns >= self._linger_ns:
                del self._lines[con_id]
        while len(self._lines) > self._effective:
            self._take(max(self._lines, key=self._weakness), f"only {self._effective} lines", now_ns)

    def _fill(self, now_ns: int) -> None:
        """Give lines to wishes in the order of their importance."""
        wishes = sorted(self._wishes.items(), key=lambda pair: pair[1].rank)
        missing = [(c, wish) for c, wish in wishes if c not in self._lines and c not in self._refusals]
        for con_id, wish in missing:
            if len(self._lines) >= self._effective and not self._make_room(wish, now_ns):
                break
            self._lines[con_id] = _Line(wish=wish, granted_ns=now_ns, wanted_ns=now_ns)
        self._waiting = sum(c not in self._lines for c in self._wishes if c not in self._refusals)

    def _make_room(self, wish: _Wish, now_ns: int) -> bool:
        """Take the line of the weakest that must give way to this wish; False when nobody must."""
        weaker = [con_id for con_id, line in self._lines.items() if self._gives_way(line, wish, now_ns)]
        if not weaker:
            return False
        self._take(max(weaker, key=self._weakness), f"{wish.contract.label} ({wish.group.value}) needs it", now_ns)
        return True

    def _gives_way(self, line: _Line, wish: _Wish, now_ns: int) -> bool:
        if line.wish.tier > wish.tier:
            return True
        if now_ns - line.granted_ns < self._stay_ns:
            return False
        return not line.is_wanted or line.wish.rank > wish.rank

    def _weakness(self, con_id: int) -> tuple[bool, int, int]:
        line = self._lines[con_id]
        return not line.is_wanted, *line.wish.rank

    def _take(self, con_id: int, reason: str, now_ns: int) -> None:
        line = self._lines.pop(con_id)
        if line.is_wanted:
            self._note_eviction(line, reason, now_ns)

    def _note_eviction(self, line: _Line, reason: str, now_ns: int) -> None:
        self.evicted += 1
        self.evictions.append(Eviction(ts_ns=now_ns, contract=line.wish.contract, group=line.wish.group, reason=reason))
