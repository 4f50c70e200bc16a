"""What is asked over REST again and again beside the streams: positions, account figures, orders, fills, contracts.

Every round may fail without harm: what did not come is asked for again, and the failure is shown. Only a lost login
ends the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from app.domain.account import Severity
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.units import NS_PER_S
from app.venues.broker import ScanRequest
from app.venues.ibkr_portal.http import NoSessionError, NotLoggedInError, PenaltyError, PortalError, PortalHttp
from app.venues.ibkr_portal.intake import PortalIntake
from app.venues.ibkr_portal.options import PortalOptions
from app.venues.ibkr_portal.reception import Reception
from app.venues.ibkr_portal.streams import Streams

_MOST_PAGES: Final = 50
_ACCOUNT_S: Final = 0.5
"""With many accounts rounds take longer, so that their requests leave room for others."""
_LOOK_EVERY_S: Final = 1.0
_MARGIN_S: Final = 0.05
_SETTLE_S: Final = 0.7
"""After a fill the gateway needs a moment until its positions know of it."""


class Polling:
    """The rounds of one connection."""

    def __init__(
        self,
        http: PortalHttp,
        streams: Streams,
        intake: PortalIntake,
        options: PortalOptions,
        health: BrokerHealth,
        reception: Reception,
        clock: Clock,
    ) -> None:
        self.orders_due = asyncio.Event()
        self.accounts_due = asyncio.Event()
        self.positions_due = asyncio.Event()
        self.failures = 0
        self._http = http
        self._streams = streams
        self._intake = intake
        self._options = options
        self._health = health
        self._reception = reception
        self._clock = clock
        self._by_pages: set[str] = set()
        self._told: dict[str, str] = {}

    # -- asking --------------------------------------------------------------------------------------------------

    async def ask(self, question: Callable[[], Awaitable[object]], what: str) -> PortalError | None:
        """Ask once; return what went wrong, None when nothing did. Raises only what ends the connection."""
        try:
            await question()
        except (NotLoggedInError, NoSessionError):
            raise
        except PenaltyError as error:
            await self._sit_out(error)
            return error
        except PortalError as error:
            self.failures += 1
            if self._told.get(what) != error.reason:
                self._told[what] = error.reason
                self._reception.notice(Severity.DEGRADED, f"{what}: {error.reason}", "It is asked for again by itself")
            return error
        self._told.pop(what, None)
        return None

    async def _sit_out(self, penalty: PenaltyError) -> None:
        """Wait until the penalty ends; streams go on meanwhile."""
        health = self._health
        if health.retry_at_ns != penalty.until_ns:
            health.reason, health.retry_at_ns = penalty.reason, penalty.until_ns
            self._reception.notice(Severity.DEGRADED, penalty.reason, "Streams go on; the rest waits")
        left_s = (penalty.until_ns - self._clock.wall_ns()) / NS_PER_S
        await asyncio.sleep(max(0.0, left_s) + _MARGIN_S)
        if health.retry_at_ns == penalty.until_ns:
            health.reason, health.retry_at_ns = "", None

    def _get(self, path: str, **query: str) -> Callable[[], Awaitable[object]]:
        return lambda: self._http.get(path, query or None)

    async def tickle(self) -> None:
        """Keep the login alive."""
        await self.ask(self._http.tickle, "keeping the login alive")

    # -- the account ---------------------------------------------------------------------------------------------

    async def accounts(self) -> None:
        """Read the figures of every account, then follow their changes; look now and then which accounts there are."""
        while True:
            self.accounts_due.clear()
            for account in self._intake.accounts:
                await self.ask(self._get(f"/portfolio/{account}/summary"), "account figures")
                await self.ask(self._get(f"/portfolio/{account}/ledger"), "cash by currency")
            await self._streams.follow_accounts(self._intake.accounts, self._intake.currencies)
            if not await _within(self._options.account_every_s, self.accounts_due):
                await self.ask(self._get("/iserver/accounts"), "accounts")

    async def positions(self) -> None:
        """Read the positions of every account with all their words once, then their figures every few seconds."""
        complete: set[str] = set()
        while True:
            self.positions_due.clear()
            accounts = self._intake.accounts
            for account in accounts:
                if account not in complete or account in self._by_pages:
                    if await self._read_pages(account):
                        complete.add(account)
                    continue
                error = await self.ask(self._get(f"/portfolio2/{account}/positions"), "positions")
                if error is not None and error.status == 404:  # older gateways do not have it
                    self._by_pages.add(account)
            pause_s = max(self._options.positions_every_s, len(accounts) * _ACCOUNT_S)
            if await _within(pause_s, self.positions_due):
                await asyncio.sleep(min(_SETTLE_S, pause_s))

    async def _read_pages(self, account: str) -> bool:
        """Read all pages afresh; return whether that worked."""
        base = f"/portfolio/{account}/positions"
        if await self.ask(lambda: self._http.post(f"{base}/invalidate"), "positions") is not None:
            return False
        for page in range(_MOST_PAGES):
            if await self.ask(self._get(f"{base}/{page}"), "positions") is not None:
                return False
            if not self._intake.expects_page(account):
                return True
        return True

    # -- orders and fills ----------------------------------------------------------------------------------------

    async def orders(self) -> None:
        """List orders in the way that makes their stream begin, then list them again now and then."""
        primed = False
        while True:
            self.orders_due.clear()
            if not primed:
                path = "/iserver/account/orders"
                primed = await self.ask(self._get(path, force="true"), "orders") is None
            if primed and await self.ask(self._get("/iserver/account/orders"), "orders") is None:
                await self._streams.follow_orders()
            pause_s = self._options.reconcile_every_s if self._health.orders_known else _LOOK_EVERY_S
            await _within(pause_s, self.orders_due)

    async def fills(self) -> None:
        """Read the fills of the last days, so that none is lost that came while nobody listened; again now and then."""
        days = self._options.trades_days
        while True:
            query = str(days)
            if await self.ask(self._get("/iserver/account/trades", days=query), "fills") is None:
                days = 1
            await asyncio.sleep(self._options.reconcile_every_s)

    # -- contracts and scanners ----------------------------------------------------------------------------------

    async def contracts(self) -> None:
        """Ask what contracts are of which only a row has told."""
        while True:
            missing = self._intake.contracts.missing()
            if missing:
                await self.define(missing)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def define(self, con_ids: Sequence[int]) -> None:
        """Ask for the definitions of up to 200 contracts."""
        numbers = ",".join(map(str, con_ids))
        if await self.ask(self._get("/trsrv/secdef", conids=numbers), "contracts") is None:
            self._intake.contracts.asked(list(con_ids))

    async def scans(self, wish: ScanWish) -> None:
        """Run the scanners of the wish one after the other, again and again."""
        while True:
            wish.changed.clear()
            for scan in wish.scans:
                await self.ask(lambda scan=scan: run_scan(self._http, scan), f"scanner {scan.code}")  # type: ignore[misc]
            await _within(self._options.scan_every_s, wish.changed)


async def _within(pause_s: float, event: asyncio.Event) -> bool:
    """Wait so long for an event; return whether it came."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await event.wait()
    return event.is_set()


class ScanWish:
    """Which scanners shall run; kept over connections."""

    def __init__(self) -> None:
        self.scans: tuple[ScanRequest, ...] = ()
        self.changed = asyncio.Event()

    def set(self, scans: Sequence[ScanRequest]) -> None:
        """Run exactly these."""
        self.scans = tuple(scans)
        self.changed.set()


async def run_scan(http: PortalHttp, scan: ScanRequest) -> None:
    """Run a scanner once; its rows are told as those of its id."""
    filters = [] if scan.price_above is None else [{"code": "priceAbove", "value": scan.price_above}]
    body = {"instrument": scan.instrument, "type": scan.code, "location": scan.location, "filter": filters}
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in scan.id)[:80]
    await http.post("/iserver/scanner/run", body, told_as=f"/iserver/scanner/run?scan={name}&rows={scan.rows}")
