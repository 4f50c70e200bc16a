"""A plain client of the simulated gateway, and a clock that tests move by hand."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from app.sim.portal import PortalLimits, PortalSim, PortalSimOptions

START_S = 1_795_276_800.0  # 2026-11-21, a Saturday; the account is open all the same
ACCOUNT = "DU1234567"
AAPL, MSFT, SPY, ES_ROOT = 265598, 272093, 756733, 11004968
FREE = PortalLimits(requests_per_s=100_000, own_scale=0.0)
Frame = dict[str, Any]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


class Socket:
    """A WebSocket of the gateway; `frames` are all that came, answers to `tic` left out."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[Frame] = []
        self.kinds: list[type] = []

    async def send(self, *messages: str) -> None:
        for message in messages:
            await self.connection.send(message)

    async def catch_up(self) -> list[Frame]:
        """Read everything the gateway has sent by now: frames come in order, and `tic` is answered at once."""
        await self.connection.send("tic")
        new: list[Frame] = []
        while True:
            raw = await self.connection.recv()
            self.kinds.append(type(raw))
            frame = json.loads(raw)
            if frame.get("topic") == "tic":
                self.frames += new
                return new
            new.append(frame)

    def of(self, topic: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.get("topic") == topic]


class Rig:
    """A gateway whose clock stands still between `run`s, and an HTTPS client that trusts its certificate."""

    def __init__(self, sim: PortalSim, clock: Clock, http: httpx.AsyncClient) -> None:
        self.sim = sim
        self.clock = clock
        self.http = http

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.sim.certificate_pem)

    async def get(self, path: str, **query: object) -> httpx.Response:
        return await self.http.get(path, params={name: str(value) for name, value in query.items()})

    async def post(self, path: str, body: Frame | None = None) -> httpx.Response:
        return await self.http.post(path, json=body or {})

    async def read(self, path: str, **query: object) -> Any:
        """GET what has to succeed."""
        answer = await self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def begin(self) -> None:
        """Ask what comes before everything else."""
        for path in ("/iserver/accounts", "/portfolio/accounts"):
            await self.read(path)

    async def prime_orders(self) -> None:
        """Ask for orders as the stream of orders wants it."""
        await self.begin()
        await self.read("/iserver/account/orders", force="true")

    def run(self, seconds: float) -> None:
        """Let time pass in steps of 100 ms."""
        for _ in range(round(seconds * 10.0)):
            self.clock.s += 0.1
            self.sim.step()

    @asynccontextmanager
    async def socket(self, cookie: str | None = None) -> AsyncIterator[Socket]:
        """Open a WebSocket with the session's cookie, or another one."""
        shown = json.dumps({"session": self.sim.session.value}) if cookie is None else cookie
        url = self.sim.url.replace("https://", "wss://") + "/v1/api/ws"
        async with connect(url, ssl=self.context, additional_headers={"Cookie": f"api={shown}"}) as connection:
            yield Socket(connection)

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[Socket]:
        """Open a WebSocket and wait for its `sts`."""
        async with self.socket() as socket:
            await socket.catch_up()
            self.run(0.2)
            await socket.catch_up()
            assert socket.of("sts")[-1]["args"]["authenticated"] is True
            yield socket


@asynccontextmanager
async def rig_of(**changes: Any) -> AsyncIterator[Rig]:
    """Run a gateway without limits (unless `changes` say otherwise) whose time stands still."""
    clock = Clock()
    usual = PortalSimOptions(limits=FREE, auto=False, rate=0.0, history_s=0.0)
    async with PortalSim(usual, now_s=lambda: START_S, monotonic_s=clock, **changes) as sim:
        context = ssl.create_default_context(cadata=sim.certificate_pem)
        async with httpx.AsyncClient(base_url=f"{sim.url}/v1/api", verify=context) as http:
            yield Rig(sim, clock, http)
