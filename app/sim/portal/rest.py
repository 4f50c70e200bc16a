"""Answers the gateway's REST: first who may ask and how often, then the route's own answer.

Order of refusals: 503 of a fault, 429, 403 of what would write, 401 without a login, 503 in maintenance, 401 and 400
("no bridge") without a brokerage session.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from app.sim.answers import Answer
from app.sim.http import HttpRequest
from app.sim.ibkr import World
from app.sim.portal.account_rest import AccountRest
from app.sim.portal.contract_rest import ContractRest
from app.sim.portal.market_rest import MarketRest
from app.sim.portal.marketdata import SnapshotDesk
from app.sim.portal.options import PortalSimOptions
from app.sim.portal.pacing import Pacing
from app.sim.portal.refusals import Refusal
from app.sim.portal.session import GatewaySession
from app.sim.portal.writes import OrderWatch

BASE = "/v1/api"
_SESSION_PATHS = re.compile(r"/iserver/(auth/status|auth/ssodh/init|reauthenticate)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a route's function gets: parts of the path, the query's last values, the body's object."""

    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]


Route = Callable[[Asked], object]


@dataclass(slots=True)
class RestFaults:
    """What faults do to every request; times are monotonic seconds."""

    down_until_s: float = 0.0
    slow_until_s: float = 0.0
    delay_s: float = 0.0


@dataclass(slots=True)
class RestDesk:
    """Answers requests; never raises for what a client wrote. on_status is told when the session may have changed."""

    world: World
    session: GatewaySession
    pacing: Pacing
    watch: OrderWatch
    snapshots: SnapshotDesk
    options: PortalSimOptions
    now_s: Callable[[], float]
    on_status: Callable[[], None]
    counts: Counter[str] = field(default_factory=Counter)
    faults: RestFaults = field(default_factory=RestFaults)
    accounts: AccountRest = field(init=False)
    market: MarketRest = field(init=False)
    _routes: list[tuple[str, re.Pattern[str], Route | Callable[[Asked], Awaitable[object]]]] = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = AccountRest(self.world, self.session)
        self.market = MarketRest(self.world, self.session, self.snapshots, self.options)
        contracts = ContractRest(self.world, self.session)
        table: list[tuple[str, str, Route | Callable[[Asked], Awaitable[object]]]] = [
            ("GET|POST", r"/iserver/auth/status", lambda asked: self.session.auth_status()),
            ("POST", r"/iserver/auth/ssodh/init", self._open_brokerage),
            ("GET|POST", r"/iserver/reauthenticate", self._reauthenticate),
            ("GET|POST", r"/tickle", lambda asked: self.session.tickle()),
            ("GET", r"/sso/validate", lambda asked: self.session.validation(int(self.world.now_s * 1000.0))),
            ("GET|POST", r"/logout", self._logout),
            *self.accounts.routes(),
            *self.market.routes(),
            *contracts.routes(),
        ]
        self._routes = [(methods, re.compile(pattern), route) for methods, pattern, route in table]

    async def answer(self, request: HttpRequest) -> Answer:
        """Answer one request."""
        self.counts["requests"] += 1
        now = self.now_s()
        if now < self.faults.slow_until_s:
            await asyncio.sleep(self.faults.delay_s)
        if not request.path.startswith(f"{BASE}/"):
            return self._page(request)
        path = request.path[len(BASE) :]
        if len(path) > 1:
            path = path.rstrip("/")
        try:
            self._gate(request.method, path)
            if _SESSION_PATHS.fullmatch(path) is None and path.startswith("/iserver"):
                self._need_brokerage()
            return _json(200, await self._found(request, path))
        except Refusal as refusal:
            self.counts[f"status_{refusal.status}"] += 1
            if refusal.status == 401 and not refusal.text:
                return Answer(401, b"Unauthorized")
            body: dict[str, object] = {"error": refusal.text}
            if refusal.status != 429:
                body["statusCode"] = refusal.status
            return _json(refusal.status, body)

    def _page(self, request: HttpRequest) -> Answer:
        """Answer what is not the interface: the page a person logs in at."""
        if request.method == "GET" and request.path in ("/", "/sso/Login"):
            word = "Client login succeeds" if self.session.logged_in else "Log in to the simulated gateway"
            return Answer(200, word.encode(), {"Server": "Simulated Client Portal Gateway"})
        return Answer(404, b"Not Found")

    def _gate(self, method: str, path: str) -> None:
        if self.now_s() < self.faults.down_until_s:
            raise Refusal(503, "Service Unavailable")
        if not self.pacing.admit(method, path):
            raise Refusal(429, "Too many requests")
        if self.watch.stops(method, path):
            raise Refusal(403, "the simulated gateway takes no orders")
        if not self.session.logged_in:
            raise Refusal(401, "")
        self.session.touch()

    def _need_brokerage(self) -> None:
        session = self.session
        if session.maintenance:
            raise Refusal(503, "Service Unavailable")
        if session.competing or session.held_down:
            raise Refusal(401, "not authenticated")
        if not session.established:
            raise Refusal(400, "Bad Request: no bridge")

    async def _found(self, request: HttpRequest, path: str) -> object:
        asked: Asked | None = None
        for methods, pattern, route in self._routes:
            found = pattern.fullmatch(path)
            if found is None or request.method not in methods.split("|"):
                continue
            if asked is None:
                asked = Asked((), _query(request.query), _body(request.body))
            parts = tuple(unquote(part) for part in found.groups() if part is not None)
            answer = route(Asked(parts, asked.query, asked.body))
            return await answer if isinstance(answer, Awaitable) else answer
        raise Refusal(404, "Resource not found")

    # The session

    def _open_brokerage(self, asked: Asked) -> object:
        self.session.open_brokerage(compete=asked.body.get("compete") is True)
        self.on_status()
        return self.session.auth_status()

    def _reauthenticate(self, asked: Asked) -> object:
        self.session.open_brokerage(compete=False)
        self.on_status()
        return {"message": "triggered"}

    def _logout(self, asked: Asked) -> object:
        self.session.logout()
        self.on_status()
        return {"status": True}


def _query(text: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def _body(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        found = json.loads(raw)
    except ValueError:
        raise Refusal(400, "Bad Request: Invalid JSON") from None
    if not isinstance(found, dict):
        raise Refusal(400, "Bad Request: expected an object")
    return found


def _json(status: int, value: object) -> Answer:
    return Answer(status, json.dumps(value).encode())
