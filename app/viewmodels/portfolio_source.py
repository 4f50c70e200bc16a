"""Turns the health of a source into what the Portfolio says of it: paper or live, and what is wrong since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.contracts import Contract
from app.domain.health import LinkState
from app.domain.units import NS_PER_S
from app.portfolio.beta import Beta
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineGroup
from app.viewmodels import formats

OLD_S: Final = 300
"""Account figures come every three minutes at least; older ones are no longer taken for present."""
NONE_ON: Final = (
    "No Interactive Brokers source is switched on. Settings: ibkr.tws.enabled for TWS or IB Gateway, "
    "ibkr.portal.enabled for the Client Portal Gateway."
)


class DeskPort(Protocol):
    """One source, as screens see it."""

    @property
    def source(self) -> Source:
        """Return which one it is."""
        ...

    @property
    def health(self) -> BrokerHealth:
        """Return its live state."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Return the state of its accounts."""
        ...

    @property
    def betas(self) -> Mapping[int, Beta]:
        """Return measured betas by con_id."""
        ...

    @property
    def beta_against(self) -> str:
        """Return the symbol of the index betas are measured against, "" for none."""
        ...

    def want_lines(self, group: LineGroup, contracts: Sequence[Contract], *, visible: bool = True) -> None:
        """Ask quotes for a group of contracts, in place of what the group asked before."""
        ...


class BrokeragePort(Protocol):
    """All sources that are switched on."""

    @property
    def desks(self) -> Mapping[Source, DeskPort]:
        """Return them by name."""
        ...


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is said of a source. mode: PAPER, LIVE or "" (not known); mode_why: by what it was judged. trouble: a
    sentence that belongs over the panel, "" while all is well; is_stale: figures are not those of now."""

    mode: str
    mode_why: str
    trouble: str
    is_stale: bool


def source_state(health: BrokerHealth, ledger: Ledger, now_ns: int) -> SourceState:
    """Return what is to be said of a source at a moment."""
    mode = "" if health.paper is None else "PAPER" if health.paper else "LIVE"
    words = health.paper_why or "neither account id nor port has told yet whether this is paper or live"
    where = f"{health.source.full_name} at {health.address}" if health.address else health.source.full_name
    trouble = _trouble(health, ledger, now_ns)
    if trouble:
        return SourceState(mode, f"{words}\n{where}", trouble, True)
    newest_ns = max(ledger.account_ns, ledger.positions_ns)
    old = bool(newest_ns) and now_ns - newest_ns > OLD_S * NS_PER_S
    if old:
        age = formats.age(now_ns - newest_ns)
        trouble = f"{health.source.full_name} is connected, but its account figures are {age} old."
    return SourceState(mode, f"{words}\n{where}", trouble, old)


def _trouble(health: BrokerHealth, ledger: Ledger, now_ns: int) -> str:
    name = health.source.full_name
    if health.state is LinkState.LIVE:
        return ""
    reason = _sentence(health.reason)
    needs = _sentence(health.needs)
    newest_ns = max(ledger.account_ns, ledger.positions_ns)
    if health.connected_ns is None and not newest_ns:
        head = f"{name} is not connected yet."
    elif health.since_ns:
        head = f"{name} has been away for {formats.age(max(0, now_ns - health.since_ns))}."
    else:
        head = f"{name} is away."
    held = ""
    if newest_ns:
        held = f"Shown are the figures of {formats.clock_text(newest_ns)} UTC."
    again = ""
    if health.retry_at_ns is not None and health.retry_at_ns > now_ns:
        again = f"Next try in {formats.age(health.retry_at_ns - now_ns)}."
    return " ".join(part for part in (head, reason, needs, held, again) if part)


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."
