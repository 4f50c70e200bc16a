"""Begins and ends the faults of the simulated TWS on its gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.sim.fault_text import FaultError
from app.sim.tws import encoders
from app.sim.tws.client import Subscriptions
from app.sim.tws.faults import GARBAGE, Fault
from app.sim.tws.gateway import Gateway

_LOST = "Connectivity between IB and Trader Workstation has been lost."
_MAINTAINED = (
    "Connectivity between IB and Trader Workstation has been restored - data maintained."
    " All data farms are connected: usfarm; ushmds; secdefnj."
)
_DATA_LOST = "Connectivity between IB and Trader Workstation has been restored - data lost."
_NO_SERVER = "Connectivity between Trader Workstation and server is broken. It will be restored automatically."


class Upsets:
    """Faults of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        """Take the gateway."""
        self.skew_s = 0.0
        self._gateway = gateway
        self._conditions = gateway.conditions
        self._restart: asyncio.Task[None] | None = None
        self._begin: dict[str, Callable[[Fault], None]] = {
            "restart": self._on_restart,
            "freeze": self._on_freeze,
            "lost": lambda fault: self._cut_off(fault, 1100, _LOST, self._regained),
            "dataloss": lambda fault: self._cut_off(fault, 1100, _LOST, self._regained_without_data),
            "server": lambda fault: self._cut_off(fault, 2110, _NO_SERVER, self._regained),
            "farm": self._on_farm,
            "competing": self._on_competing,
            "vanish": self._on_vanish,
            "notsubscribed": self._on_not_subscribed,
            "delayed": self._on_delayed,
            "halt": self._on_halt,
            "garbage": self._on_garbage,
            "drop": self._on_drop,
            "skew": self._on_skew,
            "calm": self._on_calm,
        }

    def begin(self, fault: Fault) -> None:
        """Begin a fault; raise FaultError when it cannot be begun."""
        if fault.symbol is not None and not self._gateway.world.catalogue.find(fault.symbol):
            raise FaultError(f"expected a known symbol, was {fault.symbol!r}")
        act = self._begin.get(fault.name)
        if act is not None:
            act(fault)
        else:
            self._conditions.begin(fault, self._tell_again)
            self._tell_again()

    async def close(self) -> None:
        """Let nothing of it go on."""
        self._conditions.close()
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)

    def _tell_again(self) -> None:
        self._gateway.lines.tell_again(self._gateway.ready)
        self._gateway.flush()

    # The port

    def _on_restart(self, fault: Fault) -> None:
        if self._restart is not None and not self._restart.done():
            raise FaultError("expected a port that is open, a restart is under way")
        self._restart = asyncio.get_running_loop().create_task(
            self._close_and_open(fault.duration or 0.0), name="sim tws restart"
        )

    async def _close_and_open(self, closed_s: float) -> None:
        await self._gateway.stop()
        await asyncio.sleep(closed_s)
        await self._gateway.reopen()

    def _on_freeze(self, fault: Fault) -> None:
        for client in self._gateway.clients:
            client.frozen = True

        def thaw() -> None:
            # what was not sent is lost, so that a client that went on would know less than it believes: as on a line
            # that was cut, its connection ends
            for client in list(self._gateway.clients):
                if client.frozen:
                    client.cut()

        self._conditions.begin(fault, thaw)

    def _on_drop(self, fault: Fault) -> None:
        for client in list(self._gateway.clients):
            client.cut()

    def _on_skew(self, fault: Fault) -> None:
        self.skew_s = fault.seconds or 0.0

    def _on_garbage(self, fault: Fault) -> None:
        frames = [GARBAGE[fault.kind]] if fault.kind is not None else list(GARBAGE.values())
        self._gateway.tell(*frames * (fault.count or 1))

    def _on_calm(self, fault: Fault) -> None:
        self.skew_s = 0.0
        self._conditions.calm()

    # Connectivity

    def _cut_off(self, fault: Fault, code: int, text: str, on_end: Callable[[], None]) -> None:
        self._conditions.begin(fault, on_end)
        self._gateway.tell(encoders.error(-1, code, text))

    def _regained(self) -> None:
        self._gateway.tell(encoders.error(-1, 1102, _MAINTAINED))
        self._tell_again()

    def _regained_without_data(self) -> None:
        for client in self._gateway.clients:
            client.subscriptions = Subscriptions()
        self._gateway.tell(encoders.error(-1, 1101, _DATA_LOST))

    def _on_farm(self, fault: Fault) -> None:
        self._conditions.begin(fault, self._farm_is_back)
        self._gateway.tell(
            encoders.error(-1, 2103, "Market data farm connection is broken:usfarm"),
            encoders.error(-1, 2105, "HMDS data farm connection is broken:ushmds"),
        )

    def _farm_is_back(self) -> None:
        self._gateway.tell(
            encoders.error(-1, 2104, "Market data farm connection is OK:usfarm"),
            encoders.error(-1, 2106, "HMDS data farm connection is OK:ushmds"),
        )
        self._tell_again()

    # Quotes and accounts

    def _on_competing(self, fault: Fault) -> None:
        self._conditions.begin(fault)
        self._gateway.lines.compete(self._gateway.ready)
        self._gateway.flush()

    def _on_not_subscribed(self, fault: Fault) -> None:
        self._conditions.begin(fault)
        self._gateway.lines.withdraw(self._gateway.ready, fault.symbol or "")
        self._gateway.flush()

    def _on_delayed(self, fault: Fault) -> None:
        self._conditions.begin(fault)
        self._gateway.lines.delay(self._gateway.ready, fault.symbol or "")
        self._gateway.flush()

    def _on_halt(self, fault: Fault) -> None:
        world = self._gateway.world
        contract = world.catalogue.find(fault.symbol or "", sec_type="STK")[0]

        def resume() -> None:
            world.halt(contract.con_id, 0)
            self._tell_again()

        world.halt(contract.con_id, 2)
        self._conditions.begin(fault, resume)
        self._tell_again()

    def _on_vanish(self, fault: Fault) -> None:
        world = self._gateway.world
        account = fault.account or world.accounts[-1]
        if account not in world.accounts:
            raise FaultError(f"expected an account that is there, was {account!r}")

        def return_it() -> None:
            world.reappear(account)
            self._gateway.tell(encoders.managed_accounts(world.accounts))

        world.vanish(account)
        self._conditions.begin(fault, return_it)
        self._gateway.tell(encoders.managed_accounts(world.accounts))
