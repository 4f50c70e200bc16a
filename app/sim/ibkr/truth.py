"""What the simulated account really holds, as JSON objects: what tests and people compare a screen with."""

from __future__ import annotations

from dataclasses import asdict

from app.sim.command_desk import Action, Values
from app.sim.ibkr.world import World


def truth_actions(world: World) -> dict[str, Action]:
    """Return what the control addresses of both simulators answer from the account."""

    def truth(values: Values) -> dict[str, object]:
        return truth_of(world, str(values.get("account") or next(iter(world.books.accounts))))

    def quote(values: Values) -> dict[str, object]:
        return asdict(world.quote(int(str(values.get("con_id", "0")))))

    return {"GET /truth": truth, "GET /quote": quote}


def truth_of(world: World, account: str) -> dict[str, object]:
    """Return money, positions, orders and fills of an account; LookupError for one that cannot be seen."""
    if account not in world.accounts:
        raise LookupError(f"expected an account, was {account!r}")
    return {
        "account": account,
        "now_s": world.now_s,
        "pnl": asdict(world.pnl(account)),
        "cash": world.cash(account),
        "positions": [
            {"con_id": held.con_id, **asdict(world.position_pnl(account, held.con_id))}
            for held in world.positions(account)
        ],
        "values": {f"{each.tag}.{each.currency}": each.value for each in world.values(account)},
        "orders": {str(each.perm_id): [each.status, each.filled] for each in world.orders if each.account == account},
        "fills": [fill.exec_id for fill in world.fills if fill.account == account],
        "open_orders": [order.perm_id for order in world.open_orders if order.account == account],
    }
