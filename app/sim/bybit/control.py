"""The simulated Bybit's own HTTP address: faults, counters and what a stream has told, for tests and for curl."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.domain.ids import Market
from app.sim.bybit import encoders
from app.sim.bybit.books import FULL
from app.sim.bybit.faults import read_market
from app.sim.bybit.topics import PUSH_EVERY_MS
from app.sim.bybit.venue import BybitVenue
from app.sim.command_desk import Action, CommandDesk, Values
from app.sim.fault_text import FaultError

HELP = (
    "POST /fault?name=gap&symbol=BTCUSDT&market=linear (or the same as a JSON body), GET /state, "
    "GET /truth?market=linear&symbol=BTCUSDT&levels=200&u=..., POST /pause, POST /resume\n"
)


def control_desk(
    venues: Mapping[Market, BybitVenue],
    *,
    fault: Callable[..., None],
    state: Callable[[], dict[str, object]],
    pause: Callable[[bool], None],
) -> CommandDesk:
    """Return what answers control requests; `pause` is told whether to pause or go on."""
    more: dict[str, Action] = {"GET /truth": lambda values: _truth(venues, values)}
    return CommandDesk(HELP, fault=fault, state=state, pause=pause, more=more)


def _truth(venues: Mapping[Market, BybitVenue], values: Values) -> dict[str, object]:
    venue = venues[read_market(str(values.get("market", "")))]
    levels = str(values.get("levels", "1000"))
    level = FULL if levels == "full" else int(levels)
    if level not in PUSH_EVERY_MS:
        raise FaultError(f"expected levels 1, 50, 200, 1000 or full, was {levels!r}")
    contract = venue.by_symbol[str(values.get("symbol", ""))]
    state = venue.told(contract.symbol, level, int(str(values["u"])) if "u" in values else None)
    return {
        "u": state.u,
        "seq": state.seq,
        "bids": encoders.pairs(contract, state.bids),
        "asks": encoders.pairs(contract, state.asks),
    }
