"""The simulated gateway's own HTTP address, without TLS: login, faults, counters, and what the account really holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import parse_qs

from app.sim.answers import Answer
from app.sim.fault_text import FaultError
from app.sim.http import HttpRequest
from app.sim.ibkr import World
from app.sim.ibkr.truth import truth_of

HELP = (
    "POST /login, /logout, /pause, /resume, /fault?name=drop (or the same as a JSON body), "
    "/happen?con_id=265598&action=BUY&quantity=10&fate=fill; GET /state, /truth?account=DU1234567, "
    "/quote?con_id=265598, /certificate\n"
)
_FATES = ("fill", "rest", "cancel", "reject")


class ControlDesk:
    """Answers control requests by calling what the simulator hands in."""

    def __init__(
        self,
        world: World,
        *,
        fault: Callable[..., None],
        state: Callable[[], dict[str, object]],
        pause: Callable[[bool], None],
        certificate: Callable[[], str],
    ) -> None:
        """Take the account and the simulator's actions; `certificate` gives the present one as PEM."""
        self._world = world
        self._fault = fault
        self._state = state
        self._pause = pause
        self._certificate = certificate

    def answer(self, request: HttpRequest) -> Answer:
        """Answer a request; never raises for what the caller wrote."""
        try:
            values: dict[str, object] = {key: found[-1] for key, found in parse_qs(request.query).items()}
            if request.body:
                body = json.loads(request.body)
                if not isinstance(body, dict):
                    raise FaultError("expected a JSON object")
                values.update(body)
            if (request.method, request.path) == ("GET", "/certificate"):
                return Answer(200, self._certificate().encode())
            return Answer(200, json.dumps(self._act(request, values)).encode())
        except FaultError as error:
            return _error(400, str(error))
        except ValueError as error:
            return _error(400, f"expected a JSON object and numbers where due ({error})")
        except LookupError as error:
            return _error(404, f"{error.args[0] if error.args else 'not known'}; {HELP}")

    def _act(self, request: HttpRequest, values: dict[str, object]) -> dict[str, object]:
        what = f"{request.method} {request.path}"
        if what == "GET /state":
            return self._state()
        if what == "GET /truth":
            return truth_of(self._world, str(values.get("account") or next(iter(self._world.books.accounts))))
        if what == "GET /quote":
            return asdict(self._world.quote(int(str(values.get("con_id", "0")))))
        if what == "POST /fault":
            name = str(values.pop("name", ""))
            self._fault(name, **values)
            return {"fault": name, **values}
        if what in ("POST /login", "POST /logout"):
            self._fault(request.path[1:])
            return {"done": request.path[1:]}
        if what in ("POST /pause", "POST /resume"):
            self._pause(request.path == "/pause")
            return {"paused": request.path == "/pause"}
        if what == "POST /happen":
            return self._happen(values)
        raise LookupError(f"expected a known path and method, was {what}")

    def _happen(self, values: dict[str, object]) -> dict[str, object]:
        """Let the simulated person enter an order in TWS."""
        con_id, fate = int(str(values.get("con_id", ""))), str(values.get("fate", "fill"))
        action = str(values.get("action", "BUY"))
        if self._world.contract(con_id) is None or fate not in _FATES or action not in ("BUY", "SELL"):
            raise FaultError(f"expected con_id, action BUY or SELL, and fate among {', '.join(_FATES)}")
        price = values.get("limit_price")
        order = self._world.begin_order(
            con_id,
            action,
            float(str(values.get("quantity", 10))),
            limit_price=None if price is None else float(str(price)),
            fate=fate,
            parts=int(str(values.get("parts", 1))),
        )
        return {"order": order.perm_id}


def _error(status: int, text: str) -> Answer:
    return Answer(status, json.dumps({"error": text}).encode())
