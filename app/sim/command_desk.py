"""From requests to a simulator's own HTTP address to its actions: faults, counters, pauses and what a venue adds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from app.sim.answers import Answer
from app.sim.fault_text import FaultError
from app.sim.http import HttpRequest

Values = dict[str, object]
Action = Callable[[Values], dict[str, object] | Answer]
"""Takes the values of a request; raises FaultError, ValueError or LookupError for those that make no sense."""


class CommandDesk:
    """Answers requests by calling what the simulator hands in."""

    def __init__(
        self,
        help_text: str,
        *,
        fault: Callable[..., None],
        state: Callable[[], dict[str, object]],
        pause: Callable[[bool], None],
        more: Mapping[str, Action],
    ) -> None:
        """Take the simulator's actions. pause: told whether to pause or go on. more: by what is asked, "GET /truth"."""
        self._help = help_text
        self._fault = fault
        self._pause = pause
        self._actions: dict[str, Action] = {
            "GET /state": lambda _values: state(),
            "POST /fault": self._begin,
            "POST /pause": lambda _values: self._set_paused(True),
            "POST /resume": lambda _values: self._set_paused(False),
            **more,
        }

    def answer(self, request: HttpRequest) -> Answer:
        """Answer a request; never raises for what the caller wrote."""
        what = f"{request.method} {request.path}"
        try:
            values = _values_of(request)
            if what not in self._actions:
                raise LookupError(f"expected a known path and method, was {what}")
            result = self._actions[what](values)
            return result if isinstance(result, Answer) else Answer(200, json.dumps(result).encode())
        except FaultError as error:
            return _error(400, str(error))
        except ValueError as error:
            return _error(400, f"expected a JSON object and numbers where due ({error})")
        except LookupError as error:
            return _error(404, f"{error.args[0] if error.args else 'not known'}; {self._help}")

    def _begin(self, values: Values) -> dict[str, object]:
        name = str(values.pop("name", ""))
        self._fault(name, **values)
        return {"fault": name, **values}

    def _set_paused(self, paused: bool) -> dict[str, object]:
        self._pause(paused)
        return {"paused": paused}


def _values_of(request: HttpRequest) -> Values:
    values: Values = {key: found[-1] for key, found in parse_qs(request.query).items()}
    if request.body:
        body = json.loads(request.body)
        if not isinstance(body, dict):
            raise FaultError("expected a JSON object")
        values.update(body)
    return values


def _error(status: int, text: str) -> Answer:
    return Answer(status, json.dumps({"error": text}).encode())
