"""What the simulated account really holds, as one JSON object: what tests and people compare a screen with."""

from __future__ import annotations

from dataclasses import asdict

from app.sim.ibkr.world import World


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
