"""What the Live Trading panel says above its tables: what cannot be seen, since when, and what helps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.health import LinkState
from app.portfolio.ledger import Ledger
from app.viewmodels import formats


class DeskView(Protocol):
    """What is read of a source; `services.brokerage.Desk` is one."""

    @property
    def source(self) -> Source:
        """Return which source it is."""
        ...

    @property
    def health(self) -> BrokerHealth:
        """Return its live state."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Return what it told."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A sentence above the tables. tone: warning, bad or muted. offer: the source a button can show instead, None: no
    button."""

    text: str
    tone: str = "warning"
    offer: Source | None = None


HOW_TO_SWITCH_ON = "To see them, switch on the Client Portal source: set ibkr.portal.enabled and start Fathom again."


def is_live(desk: DeskView) -> bool:
    """Tell whether a source tells news now."""
    return desk.health.state in (LinkState.LIVE, LinkState.POLLING)


def paper_word(desks: Sequence[DeskView]) -> str:
    """Return PAPER, LIVE, both, or "" while it is not known."""
    kinds = {desk.health.paper for desk in desks if desk.health.paper is not None}
    return " + ".join(word for paper, word in ((False, "LIVE"), (True, "PAPER")) if paper in kinds)


def notes_of(desks: Mapping[Source, DeskView], chosen: Collection[Source], now_ns: int, zone: tzinfo) -> list[Note]:
    """Return what must be said of the chosen sources."""
    if not desks:
        text = "No source is switched on: set ibkr.tws.enabled or ibkr.portal.enabled and start Fathom again."
        return [Note(text=text, tone="muted")]
    notes = []
    for source in chosen:
        desk = desks[source]
        if not is_live(desk):
            notes.append(Note(text=_down(desk.health, now_ns, zone), tone="bad"))
        listed = desk.ledger.orders.listed
        if listed is not None and not listed.known:
            notes.append(_unseen(source, listed.reason, desks, chosen))
        elif listed is None and is_live(desk):
            notes.append(Note(text=f"{source.full_name} has not told its working orders yet.", tone="muted"))
    return notes


def _down(health: BrokerHealth, now_ns: int, zone: tzinfo) -> str:
    """Return that a source is away: since when, why, and what happens next."""
    words = {
        LinkState.IDLE: "has not been connected yet",
        LinkState.CONNECTING: "is being connected",
        LinkState.SYNCING: "is connected and being read",
        LinkState.STALE: "has lost its own link to Interactive Brokers",
        LinkState.STOPPED: "has been stopped",
    }
    text = f"{health.source.full_name} {words.get(health.state, 'is not connected')}"
    if health.since_ns is not None:
        text += f" since {formats.clock_text(health.since_ns, zone)}"
    if health.reason:
        text += f": {health.reason.rstrip('.')}"
    if health.needs:
        return f"{text}. {health.needs}"
    if health.retry_at_ns is not None and health.retry_at_ns > now_ns:
        return f"{text}. It is tried again in {formats.age(health.retry_at_ns - now_ns)}. Shown is what was last heard."
    return f"{text}. Shown is what was last heard."


def _unseen(source: Source, reason: str, desks: Mapping[Source, DeskView], chosen: Collection[Source]) -> Note:
    """Return that a source does not let orders be seen, and where they can be."""
    why = reason.rstrip(".") or f"{source.full_name} does not let orders be seen"
    if source is Source.PORTAL:
        return Note(text=f"{why}. Executions are shown.")
    portal = desks.get(Source.PORTAL)
    if portal is None:
        return Note(text=f"{why}. Executions are shown. {HOW_TO_SWITCH_ON}")
    if Source.PORTAL in chosen:
        listed = portal.ledger.orders.listed
        if listed is not None and listed.known:
            return Note(text=f"{why}. Orders are those of the Client Portal.", tone="muted")
        return Note(text=f"{why}. Executions are shown.")
    return Note(text=f"{why}. Executions are shown; the Client Portal can show the orders.", offer=Source.PORTAL)
