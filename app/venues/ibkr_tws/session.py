"""The session to TWS: connects, listens, tells, mends itself; it runs until it is cancelled.

Every connection has its own library object; what was told outlives it in the sink, what is wanted is kept here and
asked for again once a connection is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from random import Random
from typing import Final

import ib_async

from app.domain.account import Severity
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.contracts import Contract, ContractDetails, DailyBar
from app.domain.health import FeedEventKind, LinkState
from app.domain.units import NS_PER_S
from app.venues.backoff import Backoff
from app.venues.broker import BrokerError, BrokerSink, ScanRequest, Watchlist
from app.venues.ibkr_tws import errors
from app.venues.ibkr_tws.account import Accounts
from app.venues.ibkr_tws.fills import Fills
from app.venues.ibkr_tws.history import History
from app.venues.ibkr_tws.lines import Lines
from app.venues.ibkr_tws.options import CLIENT_IDS, TwsOptions
from app.venues.ibkr_tws.orders import Orders
from app.venues.ibkr_tws.outbox import Outbox
from app.venues.ibkr_tws.questions import Questions
from app.venues.ibkr_tws.readonly import ReadOnlyTws, TwsDown
from app.venues.ibkr_tws.scans import Scans
from app.venues.ibkr_tws.watch import Watch
from app.venues.sleep import SleepSensor

log = logging.getLogger("fathom.tws")

_DOWN: Final = frozenset((LinkState.CONNECTING, LinkState.BACKOFF, LinkState.BANNED))
_LOGGED: Final = frozenset((Severity.DEGRADED, Severity.RESTORED, Severity.CONFLICT, Severity.LOST))
_AGAIN_S: Final = 3.0
_IDS_TAKEN: Final = "All client ids from {} to {} are in use: close other programs on this TWS or set another id."


class TwsSession:
    """One source of account, orders and quotes: TWS or IB Gateway."""

    def __init__(
        self,
        options: TwsOptions,
        sink: BrokerSink,
        health: BrokerHealth,
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        """Prepare; nothing is opened yet."""
        self.health = health
        self._options = options
        self._clock = clock
        self._outbox = Outbox(sink, clock)
        self._questions = Questions(self._outbox, clock)
        self._history = History(options, self._questions, clock)
        self._accounts = Accounts(options, self._outbox, health)
        self._orders = Orders(options, self._outbox, health)
        self._fills = Fills(options, self._outbox, health)
        self._lines = Lines(options, self._outbox, health, clock, self._questions)
        self._scans = Scans(self._outbox)
        self._watch = Watch(options, health, clock)
        self._backoff = Backoff(options.backoff, random)
        self._refused = Backoff(options.refused, random)
        self._tws: ReadOnlyTws | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._id_step = 0
        self._counted = 0
        self._lost_ns: int | None = None
        """Since when TWS has been without its servers (monotonic), None: it has them."""
        self._told = ""
        self._moved = ""
        """What the user must do since TWS moved to another port, "" for nothing."""
        health.address = f"{options.host}:{options.port}"

    # -- what may be asked -----------------------------------------------------------------------------------------

    def set_lines(self, contracts: Sequence[Contract]) -> None:
        """Quote exactly these, the most important first."""
        self._lines.want(contracts)

    def set_scans(self, scans: Sequence[ScanRequest]) -> None:
        """Run exactly these server-side scanners."""
        self._scans.want(scans)

    async def find(self, symbol: str) -> tuple[Contract, ...]:
        """Return stocks and indices of that symbol, the US one first. Raises BrokerError."""
        return await self._questions.find(symbol)

    async def details(self, contract: Contract) -> ContractDetails:
        """Return tick size and trading hours. Raises BrokerError."""
        return await self._questions.details(contract)

    async def daily_bars(self, contract: Contract, days: int) -> tuple[DailyBar, ...]:
        """Return closes of the last trading days, oldest first. Raises BrokerError."""
        return await self._history.daily_bars(contract, days)

    async def watchlists(self) -> tuple[Watchlist, ...]:
        """Return nothing: TWS tells its API nothing of the lists in its windows."""
        return ()

    def wake(self) -> None:
        """Try at once; ask again what was refused."""
        self._woken.set()
        if self._tws is not None:
            self._orders.wake()
            self._lines.retry()
            self._fills.hurry()
            self._watch.hurry()

    # -- the life of a session -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, listen, reconnect, for ever; leave nothing behind when cancelled."""
        try:
            while True:
                began_ns = self._clock.monotonic_ns()
                down, was_live = await self._connection()
                served_s = (self._clock.monotonic_ns() - began_ns) / NS_PER_S if was_live else 0.0
                await self._pause(down, served_s)
        finally:
            self._state(LinkState.STOPPED, "")
            self.health.retry_at_ns = None

    async def _connection(self) -> tuple[TwsDown, bool]:
        """Serve one connection from its beginning to its end; return why it ended and whether it was ever live."""
        options = self._options
        client_id = options.client_id + self._id_step
        self._state(LinkState.CONNECTING, "")
        tws = ReadOnlyTws(self, options.timeout_s)
        decoder, counter = logging.getLogger("ib_async.Decoder"), self._count_bad
        decoder.addFilter(counter)
        was_live = False
        self._counted = 0
        self._lost_ns = None
        try:
            await tws.connect(options.host, options.port, client_id)
            self._tws = tws
            self.health.client_id = client_id
            await self._start(tws)
            was_live = True
            await self._serve(tws)
            raise tws.why(options.host, options.port)
        except TwsDown as down:
            return down, was_live
        except BrokerError as error:
            return TwsDown(str(error)), was_live
        finally:
            decoder.removeFilter(counter)
            await self._end(tws)
            if was_live:
                self.health.reconnects += 1

    async def _start(self, tws: ReadOnlyTws) -> None:
        """Take over a new connection: account first, then fills; raise BrokerError when there are no figures."""
        now_ns = self._outbox.stamp()
        self.health.connected_ns = now_ns
        self.health.server_version = str(tws.server_version)
        self._state(LinkState.SYNCING, "")
        tws.take_zone()
        self._accounts.attach(tws)
        await self._accounts.start()
        with contextlib.suppress(BrokerError):
            await self._fills.ask(tws)
        self._questions.tws = tws
        self._lines.attach(tws)
        self._scans.attach(tws)
        self._accounts.start_positions()
        self._show_live()
        self._told = self._moved = ""
        self._outbox.log(
            FeedEventKind.CONNECTED, f"connected to {self.health.address} as client {self.health.client_id}"
        )

    async def _serve(self, tws: ReadOnlyTws) -> None:
        """Listen until the connection is lost."""
        for part in (self._watch, self._orders, self._fills):
            self._spawn(partial(part.run, tws))
        self._spawn(self._tick)
        await asyncio.wait({tws.lost})

    async def _end(self, tws: ReadOnlyTws) -> None:
        """Leave nothing of a connection behind."""
        self._tws = None
        self._questions.tws = None
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await self._lines.detach()
        self._scans.detach()
        self._accounts.detach()
        await tws.close()
        self._outbox.flush()
        self.health.latency_ms = None

    async def _pause(self, down: TwsDown, served_s: float) -> None:
        """Say why there is no connection, and wait for the next try."""
        health = self.health
        needs = down.needs
        if down.code == errors.ID_IN_USE:
            self._id_step = (self._id_step + 1) % CLIENT_IDS
            first = self._options.client_id
            needs = "" if self._id_step else _IDS_TAKEN.format(first, first + CLIENT_IDS - 1)
        if down.refused:
            needs = self._moved or needs
            pause_s = self._refused.failed(served_s)
        else:
            self._refused.reset()
            pause_s = self._backoff.failed(served_s)
            if down.code == errors.ID_IN_USE and self._id_step:
                pause_s = 0.0
        state = LinkState.BANNED if down.code == errors.OUTDATED else LinkState.BACKOFF
        self._state(state, str(down), needs)
        health.retry_at_ns = self._outbox.stamp() + int(pause_s * NS_PER_S)
        if str(down) != self._told:
            self._told = str(down)
            self._outbox.log(FeedEventKind.RECONNECTING, f"{down}; trying again")
        if self._woken.is_set():
            pause_s = 0.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        self._woken.clear()
        health.retry_at_ns = None

    def _state(self, state: LinkState, reason: str, needs: str = "") -> None:
        health = self.health
        if state is not LinkState.CONNECTING or health.state not in (LinkState.BACKOFF, LinkState.BANNED):
            health.reason, health.needs = reason, needs
        if health.state is not state:
            is_down = state in _DOWN and health.state in _DOWN  # tries and pauses are one time without a connection
            health.state = state
            if not is_down or health.since_ns is None:
                health.since_ns = self._outbox.stamp()

    def _show_live(self) -> None:
        if self._lost_ns is None:
            self._state(LinkState.LIVE, "")
        else:
            lost = errors.meaning(errors.CONNECTION_LOST)
            self._state(LinkState.STALE, "TWS has no connection to IBKR's servers", lost.advice)

    def _spawn(self, job: Callable[[], Coroutine[None, None, None]]) -> None:
        task = asyncio.ensure_future(self._guarded(job))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _guarded(self, job: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run a part of the session; its failure ends the connection, never silently."""
        try:
            await job()
        except BrokerError as error:
            log.info("TWS: %s", error)
        except Exception:
            log.exception("a part of the TWS session failed; the connection is made again")
            if self._tws is not None:
                self._tws.drop("a part of the session failed")

    async def _tick(self) -> None:
        sensor = SleepSensor(self._clock.monotonic_ns())
        while True:
            await asyncio.sleep(self._options.tick_s)
            self._lines.tick()
            slept = sensor.look(self._clock.monotonic_ns())
            if slept is not None:
                self._outbox.log(FeedEventKind.NOTICE, slept)
                self._watch.hurry()
                self._fills.hurry()

    def _count_bad(self, record: logging.LogRecord) -> bool:
        """Count messages that the library could not read: it only logs them."""
        if record.levelno >= logging.ERROR:
            self.health.bad_messages += 1
        return True

    # -- what the connection tells ---------------------------------------------------------------------------------

    def on_packet(self) -> None:
        """Take the end of a packet: all its news are told together."""
        self.health.last_message_ns = self._outbox.stamp()
        if self._tws is not None:
            received = self._tws.received
            self.health.messages += received - self._counted
            self._counted = received
        self._outbox.flush()

    def on_tickers(self, tickers: set[ib_async.Ticker]) -> None:
        """Take quotes."""
        self._lines.on_tickers(tickers)

    def on_account_value(self, value: ib_async.AccountValue) -> None:
        """Take a figure of an account."""
        self._accounts.on_value(value)

    def on_portfolio(self, item: ib_async.PortfolioItem) -> None:
        """Take a position with its price."""
        self._accounts.on_portfolio(item)

    def on_position(self, position: ib_async.Position) -> None:
        """Take a position."""
        self._accounts.on_position(position)

    def on_pnl(self, pnl: ib_async.PnL) -> None:
        """Take the profit and loss of an account."""
        self._accounts.on_pnl(pnl)

    def on_position_pnl(self, pnl: ib_async.PnLSingle) -> None:
        """Take the profit and loss of a position."""
        self._accounts.on_position_pnl(pnl)

    def on_order(self, trade: ib_async.Trade) -> None:
        """Take news of an order."""
        self._orders.on_order(trade)

    def on_unknown_order(self) -> None:
        """Take that an unknown order changed."""
        self._orders.on_unknown()

    def on_fill(self, fill: ib_async.Fill) -> None:
        """Take a fill."""
        self._fills.on_fill(fill)

    def on_scan(self, scan: ib_async.ScanDataList) -> None:
        """Take the rows of a scanner."""
        self._scans.on_rows(scan)

    def on_accounts(self, accounts: tuple[str, ...]) -> None:
        """Take the accounts of the login: one may have gone while connected."""
        if self._tws is not None:
            self._spawn(partial(self._accounts.on_accounts, accounts))

    def on_message(self, request: int, code: int, text: str, contract: ib_async.Contract | None) -> None:
        """Take one of TWS' numbered messages."""
        if code == errors.UNKNOWN_REQUEST:
            return  # what we end may have been ended by TWS already
        con_id = contract.conId if contract is not None and contract.conId else None
        said = errors.notice(code, text, con_id)
        self.health.note(self._outbox.stamp(), said)
        if said.severity in _LOGGED:
            self._outbox.log(FeedEventKind.NOTICE, f"TWS {code}: {said.text}. {said.advice}")
        farm = errors.farm(code, text)
        if farm is not None:
            name, state = farm
            self.health.farms[name] = state
        self._orders.on_message(request, code, text)
        if not self._lines.on_message(request, code, text):
            self._scans.on_message(request, code, text)
        self._on_link(code, said.text, said.advice)

    def _on_link(self, code: int, text: str, advice: str) -> None:
        """Follow TWS' own connection to IBKR's servers."""
        tws = self._tws
        if code in (errors.CONNECTION_LOST, errors.SERVER_BROKEN):
            self._lost_ns = self._clock.monotonic_ns()
            if tws is not None:
                self._state(LinkState.STALE, f"TWS {code}: {text}", advice)
        elif code in (errors.DATA_KEPT, errors.DATA_LOST):
            self._lost_ns = None
            if tws is not None:
                self._show_live()
                self._fills.hurry()
                self._orders.on_unknown()
                if code == errors.DATA_LOST:
                    self._spawn(self._subscribe_again)
        elif code in errors.DROPPED and tws is not None:
            if code == errors.PORT_CHANGED:
                self._moved = f"{advice} TWS said: {text}"
            tws.drop(f"TWS {code}: {text}")

    async def _subscribe_again(self) -> None:
        self._lines.restart()
        self._scans.restart()
        while True:
            try:
                return await self._accounts.restart()
            except BrokerError as error:
                log.info("TWS: %s; asking again", error)
            await asyncio.sleep(_AGAIN_S)
