"""From the contracts that shall be quoted to exactly those quote streams, never more than there are lines.

A contract is looked up by a snapshot before its stream is asked for, because one that was never looked up may stay
silent. Streams end by themselves after ten minutes: each is asked for again at eight (fact sheet, section 3). One that
never sends anything is looked up and asked for anew, and after that said to be refused.

A look-up takes a line too, until it is given back: a contract counts as one line from its look-up to that moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from app.domain.account import LineRefused
from app.domain.broker_health import BrokerHealth
from app.domain.contracts import Contract
from app.venues.ibkr_portal import protocol
from app.venues.ibkr_portal.fields import wanted
from app.venues.ibkr_portal.http import NoSessionError, NotLoggedInError, PortalError, PortalHttp
from app.venues.ibkr_portal.options import PortalOptions
from app.venues.ibkr_portal.reception import Reception

_log = logging.getLogger("fathom.venues.ibkr_portal")
_AT_ONCE: Final = 100
_BURST: Final = 25
_LOOK_UP_AGAIN_S: Final = 5.0
_MOST_OWED: Final = 1000
_UNHURRIED_S: Final = 0.2
_TRIES: Final = 3

Send = Callable[[str], Awaitable[None]]


class LineKeeper:
    """The quote streams of one source. `run` is begun anew with each connection."""

    def __init__(
        self, options: PortalOptions, health: BrokerHealth, reception: Reception, now_s: Callable[[], float]
    ) -> None:
        """Begin without lines. now_s: monotonic seconds."""
        self.dropped = 0
        self._limit = limit = options.lines_limit
        self._renew_s = options.smd_renew_s
        self._within_s = min(options.quote_within_s, options.smd_renew_s)
        self._health = health
        self._reception = reception
        self._now_s = now_s
        self._wish: dict[int, Contract] = {}
        self._refused: frozenset[int] = frozenset()
        self._open: dict[int, float] = {}
        self._looked_up: set[int] = set()
        self._silent: dict[int, int] = {}
        """Lines that have sent nothing yet, and how often they were asked for."""
        self._owed: dict[int, None] = {}
        """Lines of look-ups that have to be given back."""
        self._freed = asyncio.Event()
        self._changed = asyncio.Event()
        health.lines_limit = limit

    def set(self, contracts: Sequence[Contract]) -> None:
        """Quote exactly these, the most important first; those beyond the limit are refused."""
        unique = {contract.con_id: contract for contract in contracts if contract.con_id > 0}
        granted = dict(list(unique.items())[: self._limit])
        refused = frozenset(unique) - frozenset(granted)
        reason = f"all {self._limit} market data lines are in use"
        news = [LineRefused(con_id, 0, reason, limit=True) for con_id in sorted(refused - self._refused)]
        self._wish, self._refused = granted, refused
        if news:
            self._reception.tell(news)
        self._changed.set()

    @property
    def open(self) -> frozenset[int]:
        """Contracts that are streamed now."""
        return frozenset(self._open)

    def heard(self, con_ids: Iterable[int]) -> None:
        """Note that quotes have come."""
        for con_id in con_ids:
            self._silent.pop(con_id, None)

    async def run(self, http: PortalHttp, send: Send) -> None:
        """Follow the wish until cancelled; on this connection nothing is streamed yet. Raises LinkLost."""
        self._open.clear()
        self._looked_up.clear()
        self._silent.clear()
        self._owed.clear()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._give_back(http), name="portal lines freed")
                await self._follow(http, send)
        finally:
            self._open.clear()
            self._health.lines_open = 0

    async def _follow(self, http: PortalHttp, send: Send) -> None:
        look_up_at_s = 0.0
        while True:
            self._changed.clear()
            self._give_silent_up()
            await self._close(send)
            missing = self._to_look_up()
            if missing and self._now_s() >= look_up_at_s and not await self._look_up(http, missing):
                look_up_at_s = self._now_s() + _LOOK_UP_AGAIN_S
            await self._ask(send)
            unknown = bool(self._to_look_up())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s(look_up_at_s if unknown else None)):
                    await self._changed.wait()

    def _room(self) -> int:
        """Return how many lines are free."""
        return self._limit - len(self._open.keys() | self._looked_up | self._owed.keys())

    def _to_look_up(self) -> list[int]:
        """Return wished contracts that have to be looked up, as many as there is room for."""
        missing = [con_id for con_id in self._wish if con_id not in self._looked_up]
        fresh = [con_id for con_id in missing if con_id not in self._open]
        late = set(fresh[max(0, self._room()) :])
        return [con_id for con_id in missing if con_id not in late]

    def _pause_s(self, look_up_at_s: float | None) -> float:
        """Return for how long nothing is due."""
        due_s = [asked_s + self._patience_s(con_id) for con_id, asked_s in self._open.items()]
        if look_up_at_s is not None:
            due_s.append(look_up_at_s)
        return max(0.01, min(due_s, default=self._now_s() + 60.0) - self._now_s())

    def _patience_s(self, con_id: int) -> float:
        """Return after how long a line is asked for again."""
        return self._within_s if self._silent.get(con_id, _TRIES) < _TRIES else self._renew_s

    def _give_silent_up(self) -> None:
        """Look lines up anew that have sent nothing; say so of those that were asked for often enough."""
        now_s = self._now_s()
        refused = []
        for con_id, tries in list(self._silent.items()):
            asked_s = self._open.get(con_id)
            if asked_s is None:
                del self._silent[con_id]
            elif now_s - asked_s >= self._within_s and tries < _TRIES:
                self._looked_up.discard(con_id)
                if tries == _TRIES - 1:
                    self._silent[con_id] = _TRIES
                    refused.append(LineRefused(con_id, 0, "the gateway sends no quotes of this contract", limit=False))
        if refused:
            self._reception.tell(refused)

    async def _close(self, send: Send) -> None:
        """End what is not wished any more; owe the lines of its look-ups."""
        for con_id in (self._open.keys() | self._looked_up) - self._wish.keys():
            if self._open.pop(con_id, None) is not None:
                self._health.lines_open = len(self._open)
                await send(protocol.quotes_end(con_id))
            if con_id in self._looked_up:
                self._looked_up.discard(con_id)
                if len(self._owed) < _MOST_OWED:
                    self._owed[con_id] = None
                    self._freed.set()
                else:
                    self.dropped += 1  # the gateway frees it itself at the end of the session
        for con_id in [con_id for con_id in self._owed if con_id in self._wish]:
            del self._owed[con_id]  # wished again before it was given back
            self._looked_up.add(con_id)

    async def _look_up(self, http: PortalHttp, con_ids: list[int]) -> bool:
        """Announce contracts to the gateway; return whether that worked for all."""
        for start in range(0, len(con_ids), _AT_ONCE):
            part = con_ids[start : start + _AT_ONCE]
            fields = dict.fromkeys(
                name for con_id in part if con_id in self._wish for name in wanted(self._wish[con_id].sec_type)
            )
            query = {"conids": ",".join(map(str, part)), "fields": ",".join(list(fields)[:50])}
            try:
                await http.get("/iserver/marketdata/snapshot", query)
            except (NotLoggedInError, NoSessionError):
                raise
            except PortalError as error:
                _log.info("contracts could not be looked up: %s", error)
                return False
            self._looked_up.update(part)
        return True

    async def _ask(self, send: Send) -> None:
        """Ask for streams that are not there, and again for those about to end."""
        now_s = self._now_s()
        due = [
            contract
            for con_id, contract in self._wish.items()
            if con_id not in self._open or now_s - self._open[con_id] >= self._patience_s(con_id)
        ]
        for number, contract in enumerate(due, 1):
            known = contract.con_id in self._open or contract.con_id in self._looked_up
            if contract.con_id not in self._wish or (not known and self._room() <= 0):
                continue  # the wish has changed meanwhile, or a line has to be given back first: the next round asks
            if contract.con_id not in self._open:
                self._silent[contract.con_id] = 1
            elif contract.con_id in self._silent:
                self._silent[contract.con_id] = min(_TRIES, self._silent[contract.con_id] + 1)
            self._open[contract.con_id] = now_s
            self._health.lines_open = len(self._open)
            await send(protocol.quotes(contract.con_id, contract.sec_type))
            if not number % _BURST:
                await asyncio.sleep(0.01)

    async def _give_back(self, http: PortalHttp) -> None:
        """Give lines of look-ups back: without hurry, unless others wait for them."""
        while True:
            await self._freed.wait()
            self._freed.clear()
            while self._owed:
                con_id = next(iter(self._owed))
                with contextlib.suppress(PortalError):
                    await http.post("/iserver/marketdata/unsubscribe", {"conid": con_id})
                waited_for = self._room() <= 0
                self._owed.pop(con_id, None)
                if waited_for:
                    self._changed.set()
                else:
                    await asyncio.sleep(_UNHURRIED_S)
