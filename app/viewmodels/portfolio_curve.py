"""Turns stored and present minutes of profit and loss into the curve of the day.

Stored minutes come first, the present one moves with the account. A minute without figures is a gap, never a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from app.domain.errors import StorageError
from app.domain.units import MS_PER_MINUTE, NS_PER_MS
from app.portfolio.ledger import Ledger
from app.portfolio.pnl_minutes import PnlMinute, pnl_minutes

_GAP_MS: Final = 2 * MS_PER_MINUTE + MS_PER_MINUTE // 2


class PnlHistory(Protocol):
    """Where minutes are stored."""

    async def read_pnl(self, source: str, account: str, start_ms: int, end_ms: int) -> Sequence[PnlMinute]:
        """Return minutes of an account, oldest first; raise StorageError when the database is away."""
        ...


class CurveOf(StrEnum):
    """Which figure is drawn."""

    DAILY = "daily"
    UNREALISED = "unrealised"
    REALISED = "realised"
    NET_LIQUIDATION = "net_liquidation"

    @property
    def words(self) -> str:
        """Name for people."""
        return {
            CurveOf.DAILY: "Daily P&L",
            CurveOf.UNREALISED: "Unrealised P&L",
            CurveOf.REALISED: "Realised P&L",
            CurveOf.NET_LIQUIDATION: "Net liquidation",
        }[self]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a figure: at_ms int64 [n] (UTC epoch ms), value float64 [n], NaN between points that a gap parts."""

    at_ms: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

    @property
    def last(self) -> float | None:
        """Return the newest value, None when there is none."""
        known = self.value[np.isfinite(self.value)]
        return float(known[-1]) if known.size else None


class DayCurve:
    """The minutes of one day by account. reason: why stored minutes are missing, "" when they are not."""

    def __init__(self, history: PnlHistory | None) -> None:
        self._history = history
        self._minutes: dict[str, dict[int, PnlMinute]] = {}
        self._now_ms = 0
        self.reason = "" if history is not None else "no history is stored in this run; the curve begins now"
        self.revision = 0

    async def load(self, source: str, accounts: Sequence[str], start_ms: int, end_ms: int) -> None:
        """Read stored minutes; those of the present minute that are here already stay."""
        if self._history is None:
            return
        try:
            for account in accounts:
                rows = await self._history.read_pnl(source, account, start_ms, end_ms)
                held = self._minutes.setdefault(account, {})
                for row in rows:
                    held.setdefault(row.minute_ms, row)
        except StorageError as error:
            self.reason = f"stored minutes cannot be read: {error}"
        else:
            self.reason = ""
        self.revision += 1

    def clear(self) -> None:
        """Forget all minutes: another source."""
        self._minutes.clear()
        self.revision += 1

    def note(self, ledger: Ledger, now_ns: int, start_ms: int) -> None:
        """Take the present figures as those of the present minute; forget what is older than the day."""
        self._now_ms = now_ns // NS_PER_MS
        for row in pnl_minutes(ledger, now_ns):
            held = self._minutes.setdefault(row.account, {})
            if held.get(row.minute_ms) != row:
                held[row.minute_ms] = row
                self.revision += 1
        for held in self._minutes.values():
            for minute in [each for each in held if each < start_ms]:
                del held[minute]

    def curve(self, accounts: Sequence[str], figure: CurveOf) -> Curve:
        """Return the points of a figure; over several accounts only minutes that all of them have."""
        parts = [self._minutes.get(account, {}) for account in accounts]
        if not parts:
            return Curve(np.empty(0, np.int64), np.empty(0))
        minutes = sorted(set(parts[0]).intersection(*parts[1:]))
        at_ms: list[int] = []
        values: list[float] = []
        for minute in minutes:
            figures = [getattr(part[minute], figure.value) for part in parts]
            if any(each is None for each in figures):
                continue
            if at_ms and minute - at_ms[-1] > _GAP_MS:
                at_ms.append(at_ms[-1] + MS_PER_MINUTE)
                values.append(np.nan)
            at_ms.append(minute)
            values.append(float(sum(figures)))
        return Curve(np.array(at_ms, np.int64), np.array(values, np.float64))
