"""The simulator's own HTTP address: faults, counters and whole books, for tests and for people with curl."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs

from app.domain.ids import Market
from app.sim.answers import Answer
from app.sim.fault_text import FaultError
from app.sim.http import HttpRequest
from app.sim.market import BookTruth

HELP = (
    "GET /sim/fault?name=gap&symbol=BTCUSDT&market=spot&duration=3, /sim/state, /sim/book?market=spot&symbol=BTCUSDT, "
    "/sim/pause, /sim/resume\n"
)


class ControlDesk:
    """Answers control requests by calling what the simulator hands in."""

    def __init__(
        self,
        *,
        fault: Callable[..., None],
        state: Callable[[], dict[str, object]],
        truth: Callable[[Market, str], BookTruth],
        pause: Callable[[], None],
        resume: Callable[[], None],
    ) -> None:
        """Take the simulator's actions."""
        self._fault = fault
        self._state = state
        self._truth = truth
        self._pause = pause
        self._resume = resume

    def answer(self, request: HttpRequest) -> Answer:
        """Answer a request; never raises for what the caller wrote."""
        values = {key: found[-1] for key, found in parse_qs(request.query).items()}
        try:
            return Answer(200, json.dumps(self._act(request.path, values)).encode())
        except FaultError as error:
            return Answer(400, json.dumps({"error": str(error)}).encode())
        except LookupError:
            return Answer(404, HELP.encode())

    def _act(self, path: str, values: dict[str, str]) -> dict[str, object]:
        if path == "/sim/state":
            return self._state()
        if path == "/sim/fault":
            arguments: dict[str, object] = dict(values)
            name = str(arguments.pop("name", ""))
            self._fault(name, **arguments)
            return {"fault": name, **arguments}
        if path == "/sim/book":
            return self._book(values)
        if path == "/sim/pause":
            self._pause()
            return {"paused": True}
        if path == "/sim/resume":
            self._resume()
            return {"paused": False}
        raise LookupError(path)

    def _book(self, values: dict[str, str]) -> dict[str, object]:
        try:
            market = Market.from_label(values.get("market", "spot"))
            book = self._truth(market, values.get("symbol", "").upper())
        except (ValueError, KeyError) as error:
            raise FaultError(f"expected a market and one of its symbols, was {values} ({error})") from None
        return {"lastUpdateId": book.last_update_id, "bids": book.bids, "asks": book.asks}
