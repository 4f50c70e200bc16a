"""From questions about contracts to answers: find, trading hours, daily closes, lists kept at the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from app.domain.contracts import Contract, ContractDetails, DailyBar, SecType
from app.domain.errors import BadFrameError
from app.venues.broker import BrokerError, Watchlist
from app.venues.ibkr_portal import answers
from app.venues.ibkr_portal.http import NoSessionError, PortalError, PortalHttp, TransientError
from app.venues.ibkr_portal.intake import PortalIntake

T = TypeVar("T")
_TRIES: Final = 3
_MOST_FOUND: Final = 20
_MOST_KEPT: Final = 2000
_MOST_ASKED: Final = 200


class Questions:
    """Asks one gateway. `retry_s`: pause before a question that failed for the moment is asked again."""

    def __init__(self, intake: PortalIntake, retry_s: float = 1.0) -> None:
        self.http: PortalHttp | None = None
        """Where to ask; None while there is no session."""
        self._intake = intake
        self._retry_s = retry_s
        self._found: dict[str, tuple[Contract, ...]] = {}

    async def find(self, symbol: str) -> tuple[Contract, ...]:
        """Return stocks and indices of a symbol, the US one first. Raises BrokerError."""
        word = symbol.strip().upper()
        if not word or len(word) > 24 or not all(letter.isalnum() or letter in " .-" for letter in word):
            return ()
        if word not in self._found:
            found = await self._find(word)
            if len(self._found) >= _MOST_KEPT:
                self._found.clear()
            if found:
                self._found[word] = found
            return found
        return self._found[word]

    async def _find(self, word: str) -> tuple[Contract, ...]:
        con_ids = await self._ids(
            lambda http: http.get("/trsrv/stocks", {"symbols": word}), lambda raw: answers.stock_ids(raw, word)
        )
        if not con_ids:
            con_ids = await self._ids(
                lambda http: http.get("/iserver/secdef/search", {"symbol": word, "secType": "IND"}),
                lambda raw: answers.search_ids(raw, word, SecType.INDEX),
            )
        con_ids = con_ids[:_MOST_FOUND]
        await self._define(con_ids)
        return tuple(contract for con_id in con_ids if (contract := self._intake.contracts.get(con_id)) is not None)

    async def _ids(
        self, question: Callable[[PortalHttp], Awaitable[bytes]], read: Callable[[bytes], list[int]]
    ) -> list[int]:
        """Ask for contracts by their symbol; the gateway refuses a symbol it does not know."""
        try:
            return await self._ask(question, read)
        except PortalError as error:
            if error.status in (400, 404) or "no symbol found" in error.reason.lower():
                return []
            raise

    async def _define(self, con_ids: list[int]) -> None:
        """Learn what contracts are, where that is not known."""
        unknown = [con_id for con_id in con_ids if not self._intake.contracts.is_full(con_id)]
        for start in range(0, len(unknown), _MOST_ASKED):
            numbers = ",".join(map(str, unknown[start : start + _MOST_ASKED]))
            query = {"conids": numbers}
            await self._ask(lambda http, query=query: http.get("/trsrv/secdef", query), len)  # type: ignore[misc]

    async def details(self, contract: Contract) -> ContractDetails:
        """Return tick size and trading hours. Raises BrokerError."""
        con_id = contract.con_id
        await self._ask(lambda http: http.get(f"/iserver/contract/{con_id}/info-and-rules"), len)
        await self._ask(lambda http: http.get("/contract/trading-schedule", {"conid": str(con_id)}), len)
        known = self._intake.details.get(con_id)
        if known is None:
            raise BrokerError(f"the gateway's answer about {contract.label} cannot be read")
        return known

    async def daily_bars(self, contract: Contract, days: int) -> tuple[DailyBar, ...]:
        """Return closes of the last trading days, oldest first. Raises BrokerError."""
        if days <= 0:
            return ()
        query = {"conid": str(contract.con_id), "period": answers.period_of(days), "bar": "1d", "outsideRth": "false"}
        details = self._intake.details.get(contract.con_id)
        zone = details.zone if details is not None else "America/New_York"
        return await self._ask(
            lambda http: http.get("/iserver/marketdata/history", query),
            lambda raw: answers.daily_bars(raw, days, zone),
        )

    async def watchlists(self) -> tuple[Watchlist, ...]:
        """Return the lists the user keeps. Raises BrokerError."""
        names = await self._ask(
            lambda http: http.get("/iserver/watchlists", {"SC": "USER_WATCHLIST"}), answers.watchlist_ids
        )
        found = []
        for number in names:
            query = {"id": number}
            name, con_ids = await self._ask(
                lambda http, query=query: http.get("/iserver/watchlist", query),  # type: ignore[misc]
                answers.watchlist_rows,
            )
            await self._define(con_ids)
            known = [contract for each in con_ids if (contract := self._intake.contracts.get(each)) is not None]
            found.append(Watchlist(name, tuple(known)))
        return tuple(found)

    async def _ask(self, question: Callable[[PortalHttp], Awaitable[bytes]], read: Callable[[bytes], T]) -> T:
        """Ask, up to three times while the gateway is overloaded. Raises BrokerError."""
        for tries_left in reversed(range(_TRIES)):
            if self.http is None:
                raise BrokerError("Client Portal is not connected now")
            try:
                return read(await question(self.http))
            except (TransientError, NoSessionError):
                if not tries_left:
                    raise
                await asyncio.sleep(self._retry_s * (_TRIES - tries_left))
            except BadFrameError as error:
                raise BrokerError(f"the gateway's answer cannot be read: {error}") from None
        raise BrokerError("Client Portal did not answer")
