"""A TWS session, a ledger and a log of what it was told, against the simulated TWS."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import Random

from app.domain.account import Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.clock import SystemClock
from app.domain.contracts import Contract, SecType
from app.domain.health import FeedEvent, FeedEventKind, LinkState
from app.domain.orders import ExecutionSeen, OrderSeen
from app.domain.quotes import QuoteField, QuoteUpdate
from app.portfolio.ledger import Ledger
from app.sim.tws import TwsSim
from app.venues.backoff import BackoffPolicy
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.session import TwsSession
from app.venues.ibkr_tws.wire import READING

PATIENCE_S = 15.0
QUICK = TwsOptions(
    client_id=7,
    timeout_s=3.0,
    probe_s=1.0,
    orders_every_s=0.2,
    completed_every_s=0.6,
    executions_every_s=0.5,
    clock_every_s=0.3,
    competing_every_s=0.5,
    quiet_s=0.5,
    repeat_s=0.5,
    tick_s=0.05,
    backoff=BackoffPolicy(first_s=0.05, cap_s=0.2),
    refused=BackoffPolicy(first_s=0.05, cap_s=0.1),
)


class Rig:
    """One running session. complaints: what the library logged as errors."""

    def __init__(self, options: TwsOptions) -> None:
        self.clock = SystemClock()
        self.health = BrokerHealth(source=Source.TWS)
        self.ledger = Ledger(Source.TWS)
        self.told: list[BrokerEvent] = []
        self.quotes: Counter[int] = Counter()
        self.states: list[LinkState] = []
        self.log: list[FeedEvent] = []
        self.complaints: list[str] = []
        self.session = TwsSession(options, self, self.health, self.clock, random=Random(1))

    def on_events(self, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        self.told += events
        self.ledger.on_events(recv_ns, events)

    def on_quotes(self, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
        self.quotes.update(update.con_id for update in updates)
        self.ledger.on_quotes(recv_ns, updates)

    def on_raw(self, recv_ns: int, kind: str, argument: str, raw: str | bytes) -> None:
        raise AssertionError("TWS has no frames to record")

    def on_log(self, event: FeedEvent) -> None:
        self.log.append(event)

    def note(self, record: logging.LogRecord) -> bool:
        """Keep what is logged as an error, below our own areas."""
        if record.levelno >= logging.ERROR:
            self.complaints.append(f"{record.name}: {record.getMessage()}")
        return True

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(0.01)
        except TimeoutError:
            health = self.health
            raise AssertionError(f"{what} did not come; {health.state.value}: {health.reason} {health.needs}") from None

    async def live(self) -> None:
        """Wait until account data flows."""
        await self.until(lambda: self.health.state is LinkState.LIVE, "a live session")

    async def quoted(self, con_ids: Sequence[int]) -> None:
        """Wait for fresh prices of all these."""
        before = Counter(self.quotes)
        await self.until(
            lambda: all(self.quotes[con_id] > before[con_id] for con_id in con_ids), f"quotes of {con_ids}"
        )

    # -- reading ---------------------------------------------------------------------------------------------------

    def price(self, con_id: int, field: QuoteField = QuoteField.LAST) -> float:
        """Return a figure, NaN when it is not known."""
        quote = self.ledger.quote(con_id)
        return quote[field] if quote is not None else float("nan")

    def texts(self, kind: FeedEventKind) -> list[str]:
        """Return the sentences of one kind in the event log."""
        return [event.text for event in self.log if event.kind is kind]

    def executions(self) -> list[ExecutionSeen]:
        """Return every news of a fill."""
        return [event for event in self.told if isinstance(event, ExecutionSeen)]

    def orders(self) -> list[OrderSeen]:
        """Return every news of an order."""
        return [event for event in self.told if isinstance(event, OrderSeen)]


@asynccontextmanager
async def tws_rig(sim: TwsSim | None, port: int | None = None, **changes: object) -> AsyncIterator[Rig]:
    """Run a session; at the end nothing of it is left, no order was asked for and the library did not complain."""
    where = port if port is not None else sim.port if sim is not None else 1
    rig = Rig(replace(QUICK, port=where, **changes))  # type: ignore[arg-type] # checked by the dataclass
    loggers = [
        logging.getLogger(name) for name in ("ib_async.Decoder", "ib_async.wrapper", "eventkit.event", "asyncio")
    ]
    for logger in loggers:
        logger.addFilter(rig.note)
    others = asyncio.all_tasks()
    task = asyncio.ensure_future(rig.session.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        left = {each for each in asyncio.all_tasks() - others - {task} if "app/venues" in repr(each.get_coro())}
        for logger in loggers:
            logger.removeFilter(rig.note)
    assert left == set()
    assert rig.health.state is LinkState.STOPPED
    if sim is not None:
        assert sim.order_requests == []
        assert {request.number for request in sim.requests} <= READING


def stock(sim: TwsSim, symbol: str) -> Contract:
    """Return a stock of the simulated world, as a panel would name it."""
    found = sim.world.catalogue.find(symbol, sec_type="STK")[0]
    return Contract(con_id=found.con_id, symbol=symbol, sec_type=SecType.STOCK, currency=found.currency)


def framed(*fields: str) -> bytes:
    """Return a message as TWS frames it."""
    body = "".join(f"{field}\0" for field in fields).encode()
    return len(body).to_bytes(4, "big") + body


@asynccontextmanager
async def stand_in(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve connections by a function; give the port."""
    served: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served[task] = writer
        with suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in served.values():
            writer.close()
        await asyncio.gather(*served)
        await server.wait_closed()
