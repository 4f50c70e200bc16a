"""The simulated Bybit's own HTTP address: faults, counters and what a stream has told, for tests and for curl."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs

from app.domain.ids import Market
from app.sim.answers import Answer
from app.sim.bybit import encoders
from app.sim.bybit.books import FULL
from app.sim.bybit.faults import read_market
from app.sim.bybit.topics import PUSH_EVERY_MS
from app.sim.bybit.venue import BybitVenue
from app.sim.fault_text import FaultError
from app.sim.http import HttpRequest

HELP = (
    "POST /fault?name=gap&symbol=BTCUSDT&market=linear (or the same as a JSON body), GET /state, "
    "GET /truth?market=linear&symbol=BTCUSDT&levels=200&u=..., POST /pause, POST /resume\n"
)


class ControlDesk:
    """Answers control requests by calling what the simulator hands in."""

    def __init__(
        self,
        venues: dict[Market, BybitVenue],
        *,
        fault: Callable[..., None],
        state: Callable[[], dict[str, object]],
        pause: Callable[[bool], None],
    ) -> None:
        """Take both markets and the simulator's actions; `pause` is told whether to pause or go on."""
        self._venues = venues
        self._fault = fault
        self._state = state
        self._pause = pause

    def answer(self, request: HttpRequest) -> Answer:
        """Answer a request; never raises for what the caller wrote."""
        try:
            values: dict[str, object] = {key: found[-1] for key, found in parse_qs(request.query).items()}
            if request.body:
                body = json.loads(request.body)
                if not isinstance(body, dict):
                    raise FaultError("expected a JSON object")
                values.update(body)
            return Answer(200, json.dumps(self._act(request, values)).encode())
        except FaultError as error:
            return _error(400, str(error))
        except ValueError as error:
            return _error(400, f"expected a JSON object and numbers where due ({error})")
        except LookupError as error:
            return _error(404, f"{error.args[0] if error.args else 'not known'}; {HELP}")

    def _act(self, request: HttpRequest, values: dict[str, object]) -> dict[str, object]:
        what = (request.method, request.path)
        if what == ("GET", "/state"):
            return self._state()
        if what == ("GET", "/truth"):
            return self._truth(values)
        if what == ("POST", "/fault"):
            name = str(values.pop("name", ""))
            self._fault(name, **values)
            return {"fault": name, **values}
        if what in (("POST", "/pause"), ("POST", "/resume")):
            self._pause(request.path == "/pause")
            return {"paused": request.path == "/pause"}
        raise LookupError(f"expected a known path and method, was {request.method} {request.path}")

    def _truth(self, values: dict[str, object]) -> dict[str, object]:
        venue = self._venues[read_market(str(values.get("market", "")))]
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


def _error(status: int, text: str) -> Answer:
    return Answer(status, json.dumps({"error": text}).encode())
