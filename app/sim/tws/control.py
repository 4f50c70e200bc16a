"""The simulated TWS's own HTTP address: faults, counters and the truth of its world, for tests and for curl."""

from __future__ import annotations

from collections.abc import Callable

from app.sim.command_desk import CommandDesk
from app.sim.ibkr.truth import truth_actions
from app.sim.ibkr.world import World

HELP = (
    "POST /fault?name=restart&duration=8 (or the same as a JSON body), GET /state, GET /truth?account=DU1234567, "
    "GET /quote?con_id=265598, POST /pause, POST /resume\n"
)


def control_desk(
    world: World,
    *,
    fault: Callable[..., None],
    state: Callable[[], dict[str, object]],
    pause: Callable[[bool], None],
) -> CommandDesk:
    """Return what answers control requests; `pause` is told whether to pause or go on."""
    return CommandDesk(HELP, fault=fault, state=state, pause=pause, more=truth_actions(world))
