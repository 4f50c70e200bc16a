"""Carries out the faults of the simulated gateway: on its session, port, answers, frames and certificate."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable

from app.sim.ibkr import World
from app.sim.portal.certificates import Certificate, install, make_certificate
from app.sim.portal.faults import BAD_FRAMES, Fault, bad_frame
from app.sim.portal.hub import Hub
from app.sim.portal.rest import RestDesk
from app.sim.portal.web import WebServer

_LASTING_S = {
    "silence": 60.0,
    "half-open": 300.0,  # a client has to notice by itself
    "gone": 5.0,
    "maintenance": 30.0,
    "sts-false": 5.0,
    "account-vanishes": 10.0,
    "slow": 30.0,
    "http503": 5.0,
}
_SLOW_S = 5.0


class Troubles:
    """The faults that are on, and the way to begin each."""

    def __init__(
        self,
        world: World,
        hub: Hub,
        desk: RestDesk,
        web: WebServer,
        context: ssl.SSLContext,
        certificate: Certificate,
        *,
        reopen: Callable[[], asyncio.Task[None]],
    ) -> None:
        """Take what faults act on; `reopen` makes the port listen again."""
        self.certificate = certificate
        self._world = world
        self._hub = hub
        self._desk = desk
        self._web = web
        self._context = context
        self._reopen = reopen
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._kinds = itertools.cycle(BAD_FRAMES)

    def start(self, fault: Fault) -> None:
        """Begin a fault."""
        begin: dict[str, Callable[[float, Fault], None]] = {
            "silence": self._silence,
            "drop": lambda _lasts, _fault: self._web.cut(),
            "half-open": self._half_open,
            "close": self._close,
            "gone": self._gone,
            "maintenance": self._maintenance,
            "competing": self._compete,
            "idle": self._idle,
            "logout": lambda _lasts, _fault: self.logout(),
            "login": lambda _lasts, _fault: self.login(),
            "penalty": self._penalty,
            "foreign-certificate": lambda _lasts, _fault: self._change_certificate(expired=False),
            "expired-certificate": lambda _lasts, _fault: self._change_certificate(expired=True),
            "sts-false": self._hold_down,
            "smd-expiry": lambda _lasts, _fault: self._hub.expire_quotes(),
            "badframe": self._bad_frames,
            "bulletin": self._bulletin,
            "account-vanishes": self._vanish,
            "slow": self._slow,
            "http503": self._down,
            "calm": lambda _lasts, _fault: self.calm(),
        }
        lasts = _LASTING_S.get(fault.name, 0.0) if fault.duration is None else fault.duration
        begin[fault.name](lasts, fault)

    async def stop(self) -> None:
        """End what waits."""
        for timer in self._timers:
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def calm(self) -> None:
        """End everything that lasts."""
        session = self._desk.session
        session.maintenance = session.held_down = session.competing = False
        self._desk.faults.down_until_s = self._desk.faults.slow_until_s = self._hub.silent_until_s = 0.0
        self._desk.pacing.pardon()
        for name in self._world.books.accounts:
            self._world.reappear(name)
        self._hub.check_status()

    def login(self) -> None:
        """Log in as a person does in the browser."""
        self._desk.session.login()
        self._hub.check_status()

    def logout(self) -> None:
        """End the login."""
        self._desk.session.logout()
        self._hub.check_status()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)

    def _silence(self, lasts: float, _fault: Fault) -> None:
        self._hub.silent_until_s = self._desk.now_s() + lasts

    def _half_open(self, lasts: float, _fault: Fault) -> None:
        for client in self._hub.clients:
            client.go_half_open()
            self._later(lasts, client.abort)

    def _close(self, _lasts: float, _fault: Fault) -> None:
        for client in self._hub.clients:
            client.close(1001, "service maintenance")

    def _gone(self, lasts: float, _fault: Fault) -> None:
        async def leave() -> None:
            await self._web.stop()
            await asyncio.sleep(lasts)
            await self._reopen()

        task = asyncio.get_running_loop().create_task(leave(), name="sim portal gone")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _maintenance(self, lasts: float, _fault: Fault) -> None:
        self._desk.session.maintenance = True
        self._hub.check_status()
        self._later(lasts, self._end_maintenance)

    def _end_maintenance(self) -> None:
        self._desk.session.maintenance = False
        self._hub.check_status()

    def _compete(self, _lasts: float, _fault: Fault) -> None:
        self._desk.session.compete()
        self._hub.check_status()

    def _idle(self, _lasts: float, _fault: Fault) -> None:
        self._desk.session.end_brokerage()
        self._hub.check_status()

    def _penalty(self, lasts: float, fault: Fault) -> None:
        self._desk.pacing.punish(lasts if fault.duration is not None else self._desk.pacing.limits.penalty_s)

    def _change_certificate(self, *, expired: bool) -> None:
        self.certificate = make_certificate(expired=expired, common_name="another gateway")
        install(self._context, self.certificate)
        self._web.cut()

    def _hold_down(self, lasts: float, _fault: Fault) -> None:
        self._desk.session.held_down = True
        self._hub.check_status()
        self._later(lasts, self._let_go)

    def _let_go(self) -> None:
        self._desk.session.held_down = False
        self._hub.check_status()

    def _bad_frames(self, _lasts: float, fault: Fault) -> None:
        for _ in range(fault.count or (1 if fault.kind else len(BAD_FRAMES))):
            payload, as_bytes = bad_frame(fault.kind or next(self._kinds))
            self._hub.send_raw(payload, as_bytes=as_bytes)

    def _bulletin(self, _lasts: float, _fault: Fault) -> None:
        text = "Simulated bulletin: exchange CBOE has a delay in its option quotes."
        self._hub.send_all({"topic": "blt", "args": {"id": "1", "message": text}})

    def _vanish(self, lasts: float, _fault: Fault) -> None:
        name = next(iter(self._world.books.accounts))
        self._world.vanish(name)
        self._hub.tell_accounts()
        self._later(lasts, lambda: self._reappear(name))

    def _reappear(self, name: str) -> None:
        self._world.reappear(name)
        self._hub.tell_accounts()

    def _slow(self, lasts: float, fault: Fault) -> None:
        self._desk.faults.delay_s = _SLOW_S if fault.delay is None else fault.delay
        self._desk.faults.slow_until_s = self._desk.now_s() + lasts

    def _down(self, lasts: float, _fault: Fault) -> None:
        self._desk.faults.down_until_s = self._desk.now_s() + lasts
