"""The program with a measuring Portfolio: painted minus the simulator's own time of the trade that changed a cell.

Run as a child of `bench_broker`. Every line the broker allows is in use: what the panels want, and options of one
underlying for the rest.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from app.cli import main
from app.domain.contracts import Contract, SecType
from app.portfolio.lines import LineGroup
from app.services.brokerage import Desk
from app.sim.ibkr.world import World
from app.ui.panels.portfolio import PortfolioPanel

_plan = Desk.plan_lines
_refresh = PortfolioPanel.refresh
_seen: dict[int, int] = {}


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


def refresh_since_the_trade(self: PortfolioPanel, now_ns: int) -> int | None:
    """Return the simulator's time of the newest trade that is now shown, None when nothing but quotes came."""
    shown = _refresh(self, now_ns)
    desk: Any = self.model.desk
    if shown is None or desk is None:
        return None
    newest = 0
    for row in self.model.rows:
        quote = desk.ledger.quote(row.contract.con_id)
        if quote is not None and quote.event_ns > _seen.get(row.contract.con_id, 0):
            _seen[row.contract.con_id] = quote.event_ns
            newest = max(newest, quote.event_ns)
    return newest or None


if __name__ == "__main__":
    CHAIN = options()
    Desk.plan_lines = plan_all_lines  # type: ignore[method-assign]
    PortfolioPanel.refresh = refresh_since_the_trade  # type: ignore[method-assign]
    raise SystemExit(main(sys.argv[1:]))
