"""The program with a measuring Portfolio: painted minus the time at which the simulator sent what changed a cell.

Run as a child of `bench_broker`, whose TWS stamps trades of stocks when it sends them. Every line the broker allows is
in use: what the panels want, and options of one underlying for the rest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from app.cli import main
from app.domain.contracts import Contract, SecType
from app.domain.quotes import QuoteUpdate
from app.domain.units import NS_PER_S
from app.portfolio.lines import LineGroup
from app.services.desk import Desk
from app.sim.ibkr.world import World
from app.ui.panels.portfolio import PortfolioPanel

_plan = Desk.plan_lines
_refresh = PortfolioPanel.refresh
_on_quotes = Desk.on_quotes
_trades: dict[int, tuple[int, int]] = {}
"""The newest packet with a trade by con_id: when it was received, and when it was sent (UTC ns)."""


def options() -> list[Contract]:
    """Return contracts the demo's broker quotes besides what is held."""
    world = World(seed=1, start_s=time.time())
    found = [each for each in world.catalogue.contracts.values() if each.sec_type == "OPT"]
    return [
        Contract(con_id=each.con_id, symbol=each.symbol, sec_type=SecType.OPTION, expiry=each.expiry)
        for each in found[:120]
    ]


def plan_all_lines(self: Desk, now_ns: int) -> None:
    """Fill the budget up."""
    self.want_lines(LineGroup.CHAIN, CHAIN)
    _plan(self, now_ns)


def note_trades(self: Desk, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
    """Keep the times of trades, then go on."""
    for update in updates:
        if update.event_ns % NS_PER_S:  # times of whole seconds are those of options and futures: too coarse
            _trades[update.con_id] = (recv_ns, update.event_ns)
    _on_quotes(self, recv_ns, updates)


def refresh_since_the_trade(self: PortfolioPanel, now_ns: int) -> int | None:
    """Return when the newest trade was sent whose packet has now changed a cell, None when none did."""
    shown = _refresh(self, now_ns)
    newest = 0
    for row in self.model.rows if shown is not None else ():
        held = self.model.prices.get(row.key)
        recv_ns, event_ns = _trades.get(row.contract.con_id, (0, 0))
        if held is not None and recv_ns and held.updated_ns == recv_ns:
            newest = max(newest, event_ns)
            del _trades[row.contract.con_id]
    return newest or None


if __name__ == "__main__":
    CHAIN = options()
    Desk.plan_lines = plan_all_lines  # type: ignore[method-assign]
    Desk.on_quotes = note_trades  # type: ignore[method-assign]
    PortfolioPanel.refresh = refresh_since_the_trade  # type: ignore[method-assign]
    raise SystemExit(main(sys.argv[1:]))
