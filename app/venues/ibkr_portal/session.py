"""One account session through the Client Portal Gateway: certificate, login, socket, streams, and what is polled.

Implements `BrokerSession`. Each life of a connection goes the documented way (fact sheet, sections 1 to 3): the
certificate has to be trusted, there has to be a brokerage session, the socket has to say so, then everything is asked
for exactly once. When any of it ends, the whole life ends and the next one begins after a pause. Nothing here can
place, change or cancel an order: requests pass `routes`, texts come from `protocol`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from random import Random
from typing import Final

from app.domain.account import AccountPnl, AccountsSeen, AccountValue, PositionsListed, Severity, is_paper
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.contracts import Contract, ContractDetails, DailyBar
from app.domain.errors import FatalFeedError, FeedError
from app.domain.health import FeedEventKind, LinkState
from app.domain.orders import ExecutionSeen, OrdersListed
from app.domain.units import NS_PER_MS, NS_PER_S
from app.venues.backoff import Backoff
from app.venues.bans import BanStore
from app.venues.broker import BrokerError, BrokerSink, ScanRequest, Watchlist
from app.venues.connection import Connection
from app.venues.explain import LinkLost
from app.venues.ibkr_portal.auth import Login
from app.venues.ibkr_portal.gate import CertificateGate
from app.venues.ibkr_portal.http import NoSessionError, NotLoggedInError, PenaltyError, PortalHttp
from app.venues.ibkr_portal.intake import PortalIntake
from app.venues.ibkr_portal.keepalive import keep_ticking, keep_tickling, watch_silence
from app.venues.ibkr_portal.life import Life, SessionEndedError, decisive
from app.venues.ibkr_portal.lines import LineKeeper
from app.venues.ibkr_portal.options import PortalOptions
from app.venues.ibkr_portal.polling import Polling, ScanWish
from app.venues.ibkr_portal.protocol import Beat, LoginHolds, LoginSeen, News, OrdersIncomplete, Said, SessionSeen
from app.venues.ibkr_portal.questions import Questions
from app.venues.ibkr_portal.reception import Reception
from app.venues.ibkr_portal.streams import Streams
from app.venues.ibkr_portal.tls import Certificate, Gateway, pinned_context

__all__ = ["PortalOptions", "PortalSession"]

_BIGGEST_FRAME: Final = 8 * 2**20
_MARGIN_S: Final = 0.05
_FLOWS: Final = (AccountValue, AccountPnl, PositionsListed)


class PortalSession:
    """The one that talks to a gateway. `run` may be called again after it has ended."""

    def __init__(
        self,
        options: PortalOptions,
        sink: BrokerSink,
        health: BrokerHealth,
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        """Prepare; nothing is asked yet."""
        self.health = health
        self.intake = PortalIntake()
        self._options = options
        self._clock = clock
        self._wrong_address = ""
        try:
            self._gateway = Gateway.of(options.url)
        except FatalFeedError as error:
            self._wrong_address, self._gateway = str(error), Gateway("localhost", 5000)
        self.login_url = "" if self._wrong_address else self._gateway.login_url
        """Where the user logs in with a browser, "" when the address is none."""
        self._reception = Reception(sink, health, clock, self.intake)
        self._reception.on_news = self._on_news
        self._reception.on_events = self._on_events
        self._gate = CertificateGate(self._gateway, options, health, clock, self._reception)
        self._login = Login(health, self._reception, self._gateway.login_url, options.login_poll_s)
        self._lines = LineKeeper(options, health, self._reception, self._now_s)
        self._reception.on_quotes = self._lines.heard
        self._scans = ScanWish()
        self._questions = Questions(self.intake)
        self._bans = BanStore(options.bans_path)
        self._backoff = Backoff(options.backoff, random)
        self._wake = asyncio.Event()
        self._http: PortalHttp | None = None
        self._http_pin = ""
        self._life: Life | None = None
        self._paper_login: bool | None = None

    # -- what may be asked ---------------------------------------------------------------------------------------

    def set_lines(self, contracts: Sequence[Contract]) -> None:
        """Quote exactly these (the most important first); kept over reconnects."""
        self._lines.set(contracts)

    def set_scans(self, scans: Sequence[ScanRequest]) -> None:
        """Run exactly these server-side scanners; kept over reconnects."""
        self._scans.set(scans)

    async def find(self, symbol: str) -> tuple[Contract, ...]:
        """Return stocks and indices of that symbol, the US one first. Raises BrokerError."""
        return await self._questions.find(symbol)

    async def details(self, contract: Contract) -> ContractDetails:
        """Return tick size and trading hours. Raises BrokerError."""
        return await self._questions.details(contract)

    async def daily_bars(self, contract: Contract, days: int) -> tuple[DailyBar, ...]:
        """Return closes of the last trading days, oldest first. Raises BrokerError."""
        return await self._questions.daily_bars(contract, days)

    async def watchlists(self) -> tuple[Watchlist, ...]:
        """Return the lists kept at the broker. Raises BrokerError."""
        return await self._questions.watchlists()

    def wake(self) -> None:
        """Try at once instead of waiting for the next try; list orders again."""
        self._wake.set()
        self._gate.wake()
        self._login.wake()
        if self._life is not None and self._life.polling is not None:
            self._life.polling.orders_due.set()

    def trust(self, fingerprint: str) -> None:
        """Trust the certificate that waits for the user's word; another fingerprint changes nothing."""
        if not self._gate.trust(fingerprint):
            self._reception.notice(
                Severity.DEGRADED,
                "the certificate that was to be trusted is not the one the gateway shows now",
                "Compare the fingerprint that is shown now",
            )

    def take_over(self) -> None:
        """End the other login of the user at the next try, once; only the user may ask this, and only while there is
        one."""
        if self.health.competing:
            self._login.take_over = True
            self._login.wake()

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, listen, reconnect, for ever; leave nothing behind when cancelled."""
        try:
            if self._wrong_address:
                self._reception.show(LinkState.BANNED, self._wrong_address, self._wrong_address)
                await asyncio.Event().wait()
            await self._gate.load()
            await asyncio.to_thread(self._bans.load)
            first = True
            while True:
                self.health.reconnects += not first
                first = False
                self._wake.clear()
                await self._pause(*await self._live_once())
        finally:
            await self._forget_http()
            self._reception.show(LinkState.STOPPED)

    async def _live_once(self) -> tuple[FeedError, float]:
        """Go through one life of the connection; return why it ended and for how many seconds account data flowed."""
        life = self._life = Life(self._clock.monotonic_ns)
        if self.health.state is not LinkState.STALE:
            self._reception.show(LinkState.CONNECTING)
        # a task of its own: on Python 3.11 a failed group leaves its task marked as one that was cancelled
        living = asyncio.create_task(self._go_through(life), name="portal life")
        try:
            await asyncio.wait((living,))
        finally:
            living.cancel()
            await asyncio.wait((living,))
            self._life = None
            self._questions.http = None
            flowed_s = self._down(life)
        ended = decisive(living.exception() or LinkLost("the connection has ended"))
        if not isinstance(ended, LinkLost | BrokerError):
            raise ended
        if life.live_since_ns is not None:
            self._reception.log(FeedEventKind.DISCONNECTED, str(ended))
        return ended, flowed_s

    async def _go_through(self, life: Life) -> None:
        """Live until something ends it; never returns without raising."""
        certificate = await self._gate.certificate()
        http = await self._http_for(certificate)
        await self._login.open(http)
        self.health.read_only = False  # the gateway has no such mode; our own list of requests is the guard
        self._reception.show(LinkState.SYNCING, "logged in; waiting for the stream")
        connection = Connection(
            self._gateway.socket_url,
            inspect=life.hear,
            deliver=self._reception.on_frame,
            open_timeout_s=self._options.open_timeout_s,
            ping_interval_s=None,
            ping_timeout_s=None,
            close_timeout_s=self._options.close_timeout_s,
            max_size=_BIGGEST_FRAME,
            context=pinned_context(certificate),
            headers=http.socket_headers(),
        )
        await connection.open()
        try:
            self.intake.restarted()
            connection.go_live()
            life.hear(b"")
            async with asyncio.TaskGroup() as group:
                group.create_task(_read(connection), name="portal reader")
                group.create_task(life.watch(), name="portal end")
                await self._confirmed(life)
                await self._serve(group, life, http, connection)
        finally:
            await connection.close()

    async def _confirmed(self, life: Life) -> None:
        """Wait until the socket says that the session holds: what is asked for before is ignored."""
        limit_s = self._options.established_within_s
        try:
            async with asyncio.timeout(limit_s):
                await life.established.wait()
        except TimeoutError:
            raise LinkLost(f"the gateway did not confirm the session on its stream within {limit_s:g} s") from None

    async def _serve(self, group: asyncio.TaskGroup, life: Life, http: PortalHttp, connection: Connection) -> None:
        """Begin everything that goes on until the connection ends."""
        options, send = self._options, connection.send
        self._reception.show(LinkState.SYNCING, "reading the account")
        self._questions.http = http
        streams = Streams(send)
        polling = Polling(http, streams, self.intake, options, self.health, self._reception, self._clock)
        life.polling = polling
        await streams.follow_trading()
        works = {
            "accounts": polling.accounts(),
            "positions": polling.positions(),
            "orders": polling.orders(),
            "fills": polling.fills(),
            "contracts": polling.contracts(),
            "scans": polling.scans(self._scans),
            "lines": self._lines.run(http, send),
            "tic": keep_ticking(send, options.tic_every_s),
            "tickle": keep_tickling(polling.tickle, options.tickle_every_s),
            "silence": watch_silence(
                life.last_heard_ns, self._clock, options.silence_s, options.tick_s, options.sleep_gap_s
            ),
        }
        for name, work in works.items():
            group.create_task(work, name=f"portal {name}")

    def _down(self, life: Life) -> float:
        """Note that no data comes any more; return for how many seconds it did."""
        health = self.health
        health.connected_ns = health.latency_ms = None
        health.orders_known, health.orders_reason = False, "not connected"
        if life.live_since_ns is None:
            return 0.0
        return (self._clock.monotonic_ns() - life.live_since_ns) / NS_PER_S

    async def _pause(self, ended: FeedError, flowed_s: float) -> None:
        """Say why the connection ended and wait for the next try."""
        pause_s = self._backoff.failed(flowed_s)
        state, needs = LinkState.BACKOFF, ""
        if isinstance(ended, LinkLost):
            pause_s = max(pause_s, ended.wait_s)
        elif isinstance(ended, PenaltyError):
            pause_s = max(0.0, (ended.until_ns - self._clock.wall_ns()) / NS_PER_S) + _MARGIN_S
        elif isinstance(ended, NotLoggedInError | NoSessionError | SessionEndedError):
            state, needs = LinkState.STALE, self._login.needs()
        until_ns = self._clock.wall_ns() + int(pause_s * NS_PER_S)
        self._reception.show(state, str(ended), needs, until_ns)
        when = f"in {pause_s:.0f} s" if pause_s >= 1.0 else "now"
        self._reception.log(FeedEventKind.RECONNECTING, f"{ended}; trying again {when}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._wake.wait()

    async def _http_for(self, certificate: Certificate) -> PortalHttp:
        """Return the client that accepts this certificate and no other."""
        if self._http is None or self._http_pin != certificate.fingerprint:
            await self._forget_http()
            self._http = PortalHttp(
                self._gateway,
                pinned_context(certificate),
                self._options,
                self._clock,
                self._bans,
                self._reception.on_answer,
            )
            self._http_pin = certificate.fingerprint
        return self._http

    async def _forget_http(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S

    # -- what the gateway tells of the session -------------------------------------------------------------------

    def _on_events(self, events: Sequence[BrokerEvent]) -> None:
        life, health = self._life, self.health
        for event in events:
            if isinstance(event, AccountsSeen):
                self._on_accounts(event.accounts)
            elif isinstance(event, OrdersListed):
                health.orders_known, health.orders_reason = event.known, event.reason
            elif isinstance(event, ExecutionSeen) and life is not None and life.polling is not None:
                life.polling.positions_due.set()
        if life is None or life.polling is None or life.live_since_ns is not None:
            return
        if any(isinstance(event, _FLOWS) for event in events):
            life.live_since_ns = self._clock.monotonic_ns()
            health.connected_ns = self._reception.stamp()
            self._reception.show(LinkState.LIVE)
            self._reception.log(FeedEventKind.CONNECTED, f"connected; {len(health.accounts)} accounts")

    def _on_accounts(self, accounts: tuple[str, ...]) -> None:
        gone = len(set(self.health.accounts) - set(accounts))
        if gone:
            self._reception.notice(
                Severity.DEGRADED, f"{gone} of the accounts of this login is gone", "Its figures are not shown any more"
            )
        self.health.accounts = accounts
        self._judge_paper()
        if self._life is not None and self._life.polling is not None:
            self._life.polling.accounts_due.set()

    def _judge_paper(self) -> None:
        health = self.health
        by_id = is_paper(health.accounts[0]) if health.accounts else None
        if self._paper_login is not None:
            health.paper = self._paper_login
            health.paper_why = "the gateway says so of this login"
            if by_id is not None and by_id != self._paper_login:
                health.paper_why += ", although the account's id looks otherwise"
        elif by_id is not None:
            health.paper, health.paper_why = by_id, "by the first letter of the account's id"

    def _on_news(self, recv_ns: int, news: News) -> None:
        life, health = self._life, self.health
        match news:
            case SessionSeen():
                self._login.on_state(news)
                self._on_session(life, news)
            case LoginSeen(paper):
                self._paper_login = paper
                self._judge_paper()
            case LoginHolds(until_ns):
                health.session_until_ns = until_ns
            case Beat(server_ns):
                if server_ns:
                    health.clock_offset_ms = (server_ns - recv_ns) / NS_PER_MS
            case Said(notice):
                self._reception.keep(notice)
            case OrdersIncomplete():
                if life is not None and life.polling is not None:
                    life.polling.orders_due.set()

    def _on_session(self, life: Life | None, seen: SessionSeen) -> None:
        if life is None:
            return
        if seen.streamed and seen.authenticated:
            life.established.set()
        elif seen.authenticated is False and life.established.is_set():
            life.end(SessionEndedError(self._login.reason()))


async def _read(connection: Connection) -> None:
    """Read until the connection ends. Raises LinkLost."""
    raise await connection.read()
