"""Turns the state of a ledger into one row a minute and account: what the P&L curve of the day is stored as."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.units import MS_PER_MINUTE, NS_PER_MS
from app.portfolio.holdings import net_liquidation
from app.portfolio.ledger import Ledger
from app.portfolio.sums import known


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlMinute:
    """The broker's own figures of an account at the end of a minute, in its base currency; None: not known.

    source: a `Source` value. minute_ms: UTC epoch ms of the minute's start.
    """

    source: str
    account: str
    minute_ms: int
    net_liquidation: float | None
    daily: float | None
    unrealised: float | None
    realised: float | None


def pnl_minutes(ledger: Ledger, now_ns: int) -> tuple[PnlMinute, ...]:
    """Return a row for every account of which something is known, stamped with the minute `now_ns` (UTC) is in."""
    minute_ms = now_ns // NS_PER_MS // MS_PER_MINUTE * MS_PER_MINUTE
    accounts = dict.fromkeys((*ledger.accounts, *ledger.pnl, *ledger.values))
    rows = (_row(ledger, account, minute_ms) for account in accounts if account)
    return tuple(row for row in rows if row is not None)


def _row(ledger: Ledger, account: str, minute_ms: int) -> PnlMinute | None:
    pnl = ledger.pnl.get(account)
    figures = (
        net_liquidation(ledger, account),
        known(pnl.daily) if pnl is not None else None,
        known(pnl.unrealised) if pnl is not None else None,
        known(pnl.realised) if pnl is not None else None,
    )
    if all(figure is None for figure in figures):
        return None
    return PnlMinute(
        source=ledger.source.value,
        account=account,
        minute_ms=minute_ms,
        net_liquidation=figures[0],
        daily=figures[1],
        unrealised=figures[2],
        realised=figures[3],
    )
