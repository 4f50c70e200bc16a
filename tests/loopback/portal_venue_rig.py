"""A session at the Client Portal Gateway, the ledger behind it and a log of what was told, against the simulator."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from app.domain.account import Notice, Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.clock import SystemClock
from app.domain.contracts import Contract, SecType
from app.domain.health import FeedEvent, FeedEventKind, LinkState
from app.domain.orders import ExecutionSeen
from app.domain.quotes import QuoteUpdate
from app.portfolio.ledger import Ledger
from app.sim.portal.pacing import PortalLimits
from app.sim.portal.server import PortalSim
from app.venues.backoff import BackoffPolicy
from app.venues.ibkr_portal.session import PortalOptions, PortalSession

PATIENCE_S = 12.0
ACCOUNT = "DU1234567"
AAPL = Contract(con_id=265598, symbol="AAPL")
SPY = Contract(con_id=756733, symbol="SPY")
MSFT = Contract(con_id=272093, symbol="MSFT")


def quick(sim: PortalSim, **changes: object) -> PortalOptions:
    """Return options whose times suit a test; the simulator's certificate is trusted."""
    values: dict[str, object] = {
        "url": sim.url,
        "fingerprint": sim.fingerprint,
        "open_timeout_s": 3.0,
        "request_timeout_s": 3.0,
        "close_timeout_s": 0.3,
        "established_within_s": 3.0,
        "silence_s": 1.0,
        "tick_s": 0.05,
        "tickle_every_s": 0.4,
        "tic_every_s": 0.3,
        "login_poll_s": 0.1,
        "certificate_poll_s": 0.2,
        "smd_renew_s": 60.0,
        "positions_every_s": 0.2,
        "account_every_s": 0.4,
        "reconcile_every_s": 0.4,
        "scan_every_s": 0.3,
        "pace_scale": 0.01,
        "requests_per_s": 200,
        "backoff": BackoffPolicy(first_s=0.05, cap_s=0.2),
        **changes,
    }
    return PortalOptions(**values)  # type: ignore[arg-type] # checked by the dataclass


class LoggedSink:
    """Keeps a ledger as the program does, and writes down what passed."""

    def __init__(self) -> None:
        self.ledger = Ledger(Source.PORTAL)
        self.events: list[BrokerEvent] = []
        self.quotes: list[QuoteUpdate] = []
        self.raw: list[tuple[str, str, bytes]] = []
        self.log: list[FeedEvent] = []
        self.stamps: list[int] = []

    def on_events(self, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        self.stamps.append(recv_ns)
        self.events.extend(events)
        self.ledger.on_events(recv_ns, events)

    def on_quotes(self, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
        self.stamps.append(recv_ns)
        self.quotes.extend(updates)
        self.ledger.on_quotes(recv_ns, updates)

    def on_raw(self, recv_ns: int, kind: str, argument: str, raw: str | bytes) -> None:
        self.stamps.append(recv_ns)
        self.raw.append((kind, argument, raw if isinstance(raw, bytes) else raw.encode()))

    def on_log(self, event: FeedEvent) -> None:
        self.log.append(event)

    def texts(self, kind: FeedEventKind) -> list[str]:
        """Return the sentences of one kind in the event log."""
        return [event.text for event in self.log if event.kind is kind]

    def fills(self) -> Counter[str]:
        """Return how often each fill was told in words that had not been told of it before."""
        told = {event.execution: None for event in self.events if isinstance(event, ExecutionSeen)}
        return Counter(fill.exec_id for fill in told)


class Rig:
    """One running session."""

    def __init__(self, sim: PortalSim, options: PortalOptions) -> None:
        self.sim = sim
        self.clock = SystemClock()
        self.sink = LoggedSink()
        self.health = BrokerHealth(source=Source.PORTAL, address=options.url)
        self.session = PortalSession(options, self.sink, self.health, self.clock)
        self.task: asyncio.Task[None]

    @property
    def ledger(self) -> Ledger:
        """Return what is known of the account."""
        return self.sink.ledger

    def notices(self) -> list[Notice]:
        """Return what the screens would show of the source's messages."""
        return [seen.notice for seen in self.health.notices]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; a session that has ended fails the test."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    if self.task.done():
                        self.task.result()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            told = [event.text for event in self.sink.log[-8:]]
            raise AssertionError(f"{what} did not come: {self.health} {told} {self.sim.state()}") from None

    async def until_state(self, *states: LinkState) -> None:
        """Wait until the source is in one of these states."""
        await self.until(lambda: self.health.state in states, f"state {[state.value for state in states]}")

    async def until_live(self) -> None:
        """Wait until account data, positions and orders have come."""

        def there() -> bool:
            return self.health.state is LinkState.LIVE and self.health.orders_known and bool(self.ledger.positions)

        await self.until(there, "account data, positions and orders")

    async def until_quotes(self, contracts: Sequence[Contract]) -> None:
        """Wait for news of each of these contracts from now on."""
        seen = len(self.sink.quotes)
        wanted = {contract.con_id for contract in contracts}
        await self.until(
            lambda: wanted <= {update.con_id for update in self.sink.quotes[seen:]}, f"quotes of {sorted(wanted)}"
        )

    async def happen(self, con_id: int = AAPL.con_id, fate: str = "fill", parts: int = 1) -> str:
        """Let the simulated person enter an order in TWS; return its number."""
        return str(self.sim.world.begin_order(con_id, "BUY", 10.0, fate=fate, parts=parts).perm_id)

    def options_held(self) -> list[Contract]:
        """Return the options of the account."""
        return [each.contract for each in self.ledger.positions.values() if each.contract.sec_type is SecType.OPTION]


@asynccontextmanager
async def simulated(**changes: object) -> AsyncIterator[PortalSim]:
    """Run a gateway whose clocks suit a test; no order of any client may ever come."""
    values: dict[str, object] = {
        "seed": 3,
        "rate": 4.0,
        "heartbeat_s": 0.2,
        "smd_cadence_s": 0.1,
        "pieces_s": 0.1,
        "account_push_s": 0.2,
        "pnl_push_s": 0.1,
        "history_s": 0.01,
        "limits": PortalLimits(requests_per_s=1000, penalty_s=1.0, own_scale=0.0),
        **changes,
    }
    async with PortalSim(**values) as sim:  # type: ignore[arg-type] # checked by the dataclass
        yield sim
        assert sim.order_requests == []


@asynccontextmanager
async def running(sim: PortalSim, options: PortalOptions | None = None) -> AsyncIterator[Rig]:
    """Run a session until the block ends; nothing of it may be left afterwards."""
    before = asyncio.all_tasks()
    rig = Rig(sim, options or quick(sim))
    rig.task = asyncio.create_task(rig.session.run())
    await asyncio.sleep(0)  # a task that is cancelled before it began has nothing to end
    try:
        yield rig
    finally:
        rig.task.cancel()
        async with asyncio.timeout(4.0):
            await asyncio.gather(rig.task, return_exceptions=True)
        assert rig.task.cancelled(), rig.task.exception()
    left = {task for task in asyncio.all_tasks() - before if "sim" not in task.get_name()}
    own = {task for task in left if "portal" in task.get_name()}
    assert not own, f"tasks are left: {own}"
    assert rig.health.state is LinkState.STOPPED
    assert rig.sink.stamps == sorted(rig.sink.stamps)


def pin_file(folder: Path) -> Path:
    """Return where the trusted certificate is kept."""
    return folder / "gateway.json"
