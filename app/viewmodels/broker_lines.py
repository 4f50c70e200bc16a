"""Puts market data lines into words and shares: how many are used for what, who waits, who was refused or lost one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final, Protocol

from app.domain.account import Source
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineBudget, LineGroup, LineUsage
from app.viewmodels import formats

WORDS: Final = "A broker quotes only so many contracts at once; visible panels and open positions come first."
_MOST: Final = 8


class LinesDesk(Protocol):
    """What is shown of a source; `services.brokerage.Desk` in the running program."""

    @property
    def lines(self) -> LineBudget:
        """Return its lines."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Return what it told."""
        ...

    @property
    def session(self) -> object | None:
        """Return its connection, None in a replay."""
        ...


class LinesDesks(Protocol):
    """The sources that are switched on; `services.brokerage.Brokerage` in the running program."""

    @property
    def desks(self) -> Mapping[Source, LinesDesk]:
        """Return them by source."""
        ...


@dataclass(frozen=True, slots=True)
class LineShare:
    """One part of the bar: a group, or None for lines that are free, and how many lines it has."""

    group: LineGroup | None
    count: int


class BrokerLines:
    """The lines of every source that is switched on."""

    def __init__(self, desks: LinesDesks) -> None:
        self._desks = desks

    @property
    def revision(self) -> tuple[tuple[str, int, int], ...]:
        """Return a value that moves with the lines."""
        return tuple(
            (source.value, desk.lines.revision, desk.lines.waiting) for source, desk in self._desks.desks.items()
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return the sources there are lines of; a replay has none."""
        return tuple(source for source, desk in self._desks.desks.items() if desk.session is not None)

    def usage(self, source: Source) -> LineUsage:
        """Return how a source's lines are used."""
        return self._desks.desks[source].lines.usage()

    def shares(self, source: Source) -> list[LineShare]:
        """Return the parts of the bar in the order of importance, what is free last; they add up to the capacity."""
        usage = self.usage(source)
        counts = dict(usage.by_group)
        found = [LineShare(group, counts[group]) for group in LineGroup if counts.get(group)]
        free = max(0, usage.effective - usage.used)
        return [*found, LineShare(None, free)] if free else found

    def text(self, source: Source) -> str:
        """Return the lines in words, with the source where there are several: `TWS lines 83/100: chain 40`."""
        text = self.usage(source).text
        return f"{source.full_name} {text}" if len(self.sources) > 1 else text

    def trouble(self, source: Source) -> str:
        """Return what is short in a few words: `12 waiting · 3 refused`, "" when nothing is."""
        usage = self.usage(source)
        parts = [f"{usage.waiting} waiting"] if usage.waiting else []
        parts += [f"{usage.refused} refused"] if usage.refused else []
        return " · ".join(parts)

    def tip(self, source: Source, zone: tzinfo = UTC) -> str:
        """Return everything there is to know, in lines."""
        desk, usage = self._desks.desks[source], self.usage(source)
        lines = [f"{source.full_name}: {usage.text}", WORDS]
        if usage.effective < usage.capacity:
            lines.append(f"The broker gives {usage.effective} instead of {usage.capacity}: {usage.note}")
        if usage.waiting:
            lines.append(f"{usage.waiting} contracts wait for a line")
        refused = desk.lines.refusals()
        if refused:
            lines += ["", "Refused, asked again later:"]
            for refusal in refused[:_MOST]:
                code = f"{refusal.code} " if refusal.code else ""
                lines.append(f"{self._name(desk, refusal.con_id)}: {code}{refusal.reason}")
            lines += _more(len(refused))
        lost = list(desk.lines.evictions)[::-1]
        if lost:
            lines += ["", "Lost their lines last:"]
            for each in lost[:_MOST]:
                when = formats.clock_text(each.ts_ns, zone)
                lines.append(f"{when}  {each.contract.label} ({each.group.value}): {each.reason}")
            lines += _more(desk.lines.evicted)
        return "\n".join(lines)

    def _name(self, desk: LinesDesk, con_id: int) -> str:
        contract = desk.ledger.contracts.get(con_id)
        return contract.label if contract is not None else f"contract {con_id}"


def _more(count: int) -> list[str]:
    return [f"and {count - _MOST} more"] if count > _MOST else []
