"""The simulated gateway's own HTTP address, without TLS: login, faults, counters, and what the account really holds."""

from __future__ import annotations

from collections.abc import Callable

from app.sim.answers import Answer
from app.sim.command_desk import Action, CommandDesk, Values
from app.sim.fault_text import FaultError
from app.sim.ibkr import World
from app.sim.ibkr.truth import truth_actions

HELP = (
    "POST /login, /logout, /pause, /resume, /fault?name=drop (or the same as a JSON body), "
    "/happen?con_id=265598&action=BUY&quantity=10&fate=fill; GET /state, /truth?account=DU1234567, "
    "/quote?con_id=265598, /certificate\n"
)
_FATES = ("fill", "rest", "cancel", "reject")


def control_desk(
    world: World,
    *,
    fault: Callable[..., None],
    state: Callable[[], dict[str, object]],
    pause: Callable[[bool], None],
    certificate: Callable[[], str],
) -> CommandDesk:
    """Return what answers control requests; `certificate` gives the present one as PEM."""

    def browser(name: str) -> Action:
        def act(_values: Values) -> dict[str, object]:
            fault(name)
            return {"done": name}

        return act

    more: dict[str, Action] = {
        **truth_actions(world),
        "GET /certificate": lambda _values: Answer(200, certificate().encode()),
        "POST /login": browser("login"),
        "POST /logout": browser("logout"),
        "POST /happen": lambda values: _happen(world, values),
    }
    return CommandDesk(HELP, fault=fault, state=state, pause=pause, more=more)


def _happen(world: World, values: Values) -> dict[str, object]:
    """Let the simulated person enter an order in TWS."""
    con_id, fate = int(str(values.get("con_id", ""))), str(values.get("fate", "fill"))
    action = str(values.get("action", "BUY"))
    if world.contract(con_id) is None or fate not in _FATES or action not in ("BUY", "SELL"):
        raise FaultError(f"expected con_id, action BUY or SELL, and fate among {', '.join(_FATES)}")
    price = values.get("limit_price")
    order = world.begin_order(
        con_id,
        action,
        float(str(values.get("quantity", 10))),
        limit_price=None if price is None else float(str(price)),
        fate=fate,
        parts=int(str(values.get("parts", 1))),
    )
    return {"order": order.perm_id}
