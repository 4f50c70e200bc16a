"""The simulated TWS's own HTTP address: faults, counters and the truth of its world, for tests and for curl."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import parse_qs

from app.sim.answers import Answer
from app.sim.fault_text import FaultError
from app.sim.http import HttpRequest
from app.sim.ibkr.truth import truth_of
from app.sim.ibkr.world import World

HELP = (
    "POST /fault?name=restart&duration=8 (or the same as a JSON body), GET /state, GET /truth?account=DU1234567, "
    "GET /quote?con_id=265598, POST /pause, POST /resume\n"
)


class ControlDesk:
    """Answers control requests by calling what the simulator hands in."""

    def __init__(
        self,
        world: World,
        *,
        fault: Callable[..., None],
        state: Callable[[], dict[str, object]],
        pause: Callable[[bool], None],
    ) -> None:
        """Take the world and the simulator's actions; `pause` is told whether to pause or go on."""
        self._world = world
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
            return truth_of(self._world, str(values.get("account") or next(iter(self._world.accounts))))
        if what == ("GET", "/quote"):
            return asdict(self._world.quote(int(str(values.get("con_id", "0")))))
        if what == ("POST", "/fault"):
            name = str(values.pop("name", ""))
            self._fault(name, **values)
            return {"fault": name, **values}
        if what in (("POST", "/pause"), ("POST", "/resume")):
            self._pause(request.path == "/pause")
            return {"paused": request.path == "/pause"}
        raise LookupError(f"expected a known path and method, was {request.method} {request.path}")


def _error(status: int, text: str) -> Answer:
    return Answer(status, json.dumps({"error": text}).encode())
