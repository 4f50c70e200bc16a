"""The Live Trading panel's state: orders, fills, one order's timeline and quote, from either source or both.

Everything is read; there is nothing here that could place, change or cancel an order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, tzinfo
from typing import Final, Protocol

from app.domain.account import Source
from app.domain.contracts import Contract
from app.domain.units import NS_PER_MS, NS_PER_S
from app.portfolio.lines import LineGroup
from app.portfolio.order_events import TimelineEvent
from app.portfolio.orders import OrderBook
from app.viewmodels import formats
from app.viewmodels.line_maker import LineMaker
from app.viewmodels.order_archive import OrderArchive, StoredOrders
from app.viewmodels.order_filter import Group, OrderFilter, Period
from app.viewmodels.order_lines import (
    CommissionTotal,
    FillLine,
    OrderKey,
    OrderLine,
    commissions,
)
from app.viewmodels.order_notes import DeskView, Note, is_live, notes_of, paper_word
from app.viewmodels.order_quote import QuickQuote, quick_quote

_SAMPLES: Final = 500
_WINDOW_NS: Final = 60 * NS_PER_S


class TradingDesk(DeskView, Protocol):
    """A source that can also be asked for quotes."""

    def want_lines(self, group: LineGroup, contracts: Sequence[Contract], *, visible: bool = True) -> None:
        """Ask quotes for a group of contracts, in place of what the group asked before."""
        ...


class Desks(Protocol):
    """The sources that are switched on; `services.brokerage.Brokerage` is one."""

    @property
    def desks(self) -> Mapping[Source, TradingDesk]:
        """Return them by name."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """How long news took from arrival to the screen, over the last minute, in ms."""

    last_ms: float
    worst_ms: float
    count: int


class LiveTradingModel:
    """What the panel shows. wall_ns: UTC ns; store: orders of earlier days (None: there are none); store_trouble: a
    sentence while the store takes or gives nothing. zone: in which days begin and times are written."""

    def __init__(
        self,
        brokerage: Desks,
        wall_ns: Callable[[], int],
        *,
        store: StoredOrders | None = None,
        store_trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self.filter = OrderFilter()
        self.zone: tzinfo = UTC
        self.choice: Source | None = None
        self.picked: OrderKey | None = None
        self.orders: list[OrderLine] = []
        self.fills: list[FillLine] = []
        self.total = 0
        """Orders before the filter."""
        self._brokerage = brokerage
        self._wall_ns = wall_ns
        self._archive = OrderArchive(store, wall_ns, self._moved)
        self._store_trouble = store_trouble
        self._all: dict[OrderKey, OrderLine] = {}
        self._made = LineMaker()
        self._own = 0
        self._seen: Hashable = None
        self._asked: dict[Source, tuple[int, ...]] = {}
        self._active = False
        self._shown_ns: dict[Source, int] = {}
        self._samples: deque[tuple[int, float]] = deque(maxlen=_SAMPLES)

    @property
    def now_ns(self) -> int:
        """Return the present time, UTC ns."""
        return self._wall_ns()

    # -- sources -------------------------------------------------------------------------------------------------

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return the sources that are switched on."""
        return tuple(source for source in Source if source in self._brokerage.desks)

    @property
    def chosen(self) -> tuple[Source, ...]:
        """Return the sources that are shown: the chosen one, or all."""
        return (self.choice,) if self.choice in self.sources and self.choice is not None else self.sources

    @property
    def chosen_text(self) -> str:
        """Return the names of what is shown."""
        return " + ".join(source.full_name for source in self.chosen) or "no source"

    def choose(self, source: Source | None) -> None:
        """Show one source, or all with None."""
        self.choice = source
        self._own += 1

    @property
    def paper(self) -> str:
        """Return PAPER, LIVE, or "" while it is not known."""
        return paper_word(self._chosen_desks())

    @property
    def paper_why(self) -> str:
        """Return from what that is judged."""
        known = (desk.health for desk in self._chosen_desks() if desk.health.paper_why)
        return "\n".join(f"{health.source.full_name}: {health.paper_why}" for health in known)

    def _chosen_desks(self) -> list[TradingDesk]:
        return [self._brokerage.desks[source] for source in self.chosen]

    def notes(self) -> list[Note]:
        """Return what must be said above the tables."""
        notes = notes_of(self._brokerage.desks, self.chosen, self._wall_ns(), self.zone)
        trouble = self._store_trouble()
        if trouble:
            notes.append(Note(text=f"{trouble} Orders are shown as they come; earlier ones may be missing."))
        earlier = self._archive.sentence() if self.filter.period.is_stored else ""
        if earlier:
            notes.append(Note(text=earlier, tone="warning" if self._archive.trouble else "muted"))
        return notes

    # -- choices -------------------------------------------------------------------------------------------------

    def set_group(self, group: Group) -> None:
        """Show orders of these statuses."""
        self._set(replace(self.filter, group=group))

    def set_text(self, text: str) -> None:
        """Show what contains these words."""
        self._set(replace(self.filter, text=text.strip()))

    def set_period(self, period: Period, day: date | None = None) -> None:
        """Show what happened then."""
        self._set(replace(self.filter, period=period, day=day if period is Period.DAY else None))

    def _set(self, wanted: OrderFilter) -> None:
        if wanted != self.filter:
            self.filter = wanted
            self._moved()

    def _moved(self) -> None:
        self._own += 1

    def set_zone(self, zone: tzinfo) -> None:
        """Write times in another zone."""
        self.zone = zone
        self._own += 1

    def pick(self, key: object) -> None:
        """Choose the order whose timeline and quote are shown; a fill's key chooses its order."""
        found = key if isinstance(key, tuple) and key in self._all else None
        if found is None and isinstance(key, str):
            found = next((line.key for line in self._all.values() if key in line.roots), None)
        if found != self.picked:
            self.picked = found
            self._own += 1
            self._ask_lines()

    # -- keeping up ----------------------------------------------------------------------------------------------

    @property
    def revision(self) -> Hashable:
        """Return what moves when there is something new to show; ages move it once a second."""
        parts: list[Hashable] = [self._own, self._wall_ns() // NS_PER_S, self._store_trouble()]
        picked = self.picked_line
        for desk in self._brokerage.desks.values():
            quote = desk.ledger.quote(picked.contract.con_id) if picked is not None else None
            book = desk.ledger.orders
            parts.append(
                (book.revision, book.listed_ns, desk.health.state, desk.health.paper, quote and quote.updated_ns)
            )
        return tuple(parts)

    def refresh(self, now_ns: int) -> None:
        """Bring the lists up to now; cheap when nothing has changed."""
        seen: list[Hashable] = [self._own, now_ns // (60 * NS_PER_S)]
        for desk in self._chosen_desks():
            ledger = desk.ledger
            seen.append((ledger.orders.revision, is_live(desk), len(ledger.details)))
        if tuple(seen) == self._seen:
            return
        self._seen = tuple(seen)
        listed, filled = [], []
        for desk in self._chosen_desks():
            ledger = desk.ledger
            listed.append(self._with_stored(self._made.orders(ledger.orders, ledger, is_live=is_live(desk)), desk))
            stored = self._archive.books.get(desk.source)
            earlier = self._made.fills(stored, ledger) if stored is not None else []
            now = self._made.fills(ledger.orders, ledger)
            known = {line.key for line in now}
            filled.append(now + [line for line in earlier if line.key not in known])
        every = self._made.merged_orders(listed)
        self._all = {line.key: line for line in every}
        self.total = len(every)
        self.orders = self.filter.orders(every, now_ns, self.zone)
        self.fills = self.filter.fills(self._made.merged_fills(filled), now_ns, self.zone)
        if self.picked is not None and self.picked not in self._all:
            self.pick(None)
        self._ask_lines()

    def _with_stored(self, lines: list[OrderLine], desk: TradingDesk) -> list[OrderLine]:
        stored = self._archive.books.get(desk.source)
        if stored is None:
            return lines
        known = {line.key for line in lines}
        earlier = self._made.orders(stored, desk.ledger, is_live=False)
        return lines + [line for line in earlier if line.key not in known]

    def line_of(self, key: object) -> OrderLine | None:
        """Return an order's present line, also when the filter hides it."""
        return self._all.get(key) if isinstance(key, tuple) else None

    def fill_of(self, key: object) -> FillLine | None:
        """Return a fill's present line."""
        return next((line for line in self.fills if line.key == key), None)

    def wants_reading(self) -> bool:
        """Tell whether `read` should be run: orders of earlier days are asked for and are not here yet."""
        return self._archive.wants(self.filter, self.zone)

    async def read(self) -> None:
        """Read orders of earlier days."""
        await self._archive.read(self.filter, self.zone)

    # -- the picked order ----------------------------------------------------------------------------------------

    @property
    def picked_line(self) -> OrderLine | None:
        """Return the picked order."""
        return self._all.get(self.picked) if self.picked is not None else None

    def timeline(self) -> list[TimelineEvent]:
        """Return what happened to the picked order, the newest first."""
        line = self.picked_line
        if line is None:
            return []
        for book in (self._book(line.source), self._archive.books.get(line.source)):
            events = book.timeline(line.state.order_id) if book is not None else []
            if events:
                return events[::-1]
        return []

    def _book(self, source: Source) -> OrderBook | None:
        desk = self._brokerage.desks.get(source)
        return desk.ledger.orders if desk is not None else None

    def quote(self) -> QuickQuote | None:
        """Return the quote of the picked order's contract, from its own source if that has one."""
        line = self.picked_line
        if line is None:
            return None
        desks = sorted(self._chosen_desks(), key=lambda desk: desk.source is not line.source)
        found = [(desk.ledger.quote(line.contract.con_id), desk) for desk in desks]
        quote, desk = next((pair for pair in found if pair[0] is not None and pair[0].updated_ns), found[0])
        return quick_quote(line, quote, self._wall_ns(), is_live=is_live(desk))

    def set_active(self, active: bool) -> None:
        """Learn that the panel came on screen or left it."""
        if active != self._active:
            self._active = active
            self._asked.clear()
            self._ask_lines()

    def _ask_lines(self) -> None:
        """Ask for the quote of the picked order's contract, of the source that shows it."""
        line = self.picked_line
        for source, desk in self._brokerage.desks.items():
            wanted = (line.contract,) if line is not None and source is line.source else ()
            asked = tuple(contract.con_id for contract in wanted)
            if self._asked.get(source) != asked:
                self._asked[source] = asked
                desk.want_lines(LineGroup.ORDERS, wanted, visible=self._active)

    def shut(self) -> None:
        """Ask for no quotes any more."""
        for desk in self._brokerage.desks.values():
            desk.want_lines(LineGroup.ORDERS, (), visible=False)

    # -- sums and timing -----------------------------------------------------------------------------------------

    def commissions(self) -> tuple[list[CommissionTotal], int]:
        """Return what the shown fills cost by currency, and how many have not said yet."""
        return commissions(self.fills)

    def commission_text(self) -> str:
        """Return that in one line."""
        totals, pending = self.commissions()
        parts = [f"{total.amount:,.2f} {total.currency or '(currency not told)'}" for total in totals]
        if pending:
            parts.append(f"{pending} {formats.PENDING} not told yet")
        return f"Commissions {' + '.join(parts)}" if parts else ""

    def note_shown(self, now_ns: int) -> int | None:
        """Learn that the lists are on screen; return when the newest news in them arrived, None when none is new."""
        newest = None
        for desk in self._chosen_desks():
            news_ns = desk.ledger.orders.changed_ns
            if news_ns > self._shown_ns.setdefault(desk.source, news_ns):
                self._shown_ns[desk.source] = news_ns
                self._samples.append((now_ns, max(0, now_ns - news_ns) / NS_PER_MS))
                newest = max(newest or 0, news_ns)
        return newest

    def shown(self, now_ns: int) -> Shown | None:
        """Return how fast news reached the screen lately, None when there were none."""
        recent = [delay_ms for at_ns, delay_ms in self._samples if now_ns - at_ns <= _WINDOW_NS]
        if not self._samples:
            return None
        return Shown(self._samples[-1][1], max(recent, default=self._samples[-1][1]), len(recent))
