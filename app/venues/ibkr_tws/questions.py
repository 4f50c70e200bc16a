"""Which contract a symbol means, its tick size and hours; answers are kept."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Final

import ib_async

from app.domain.account import DetailsSeen
from app.domain.clock import Clock
from app.domain.contracts import Contract, ContractDetails, SecType
from app.domain.units import NS_PER_S
from app.venues.broker import BrokerError
from app.venues.ibkr_tws import errors
from app.venues.ibkr_tws.convert import SMART, described, to_details
from app.venues.ibkr_tws.outbox import Outbox
from app.venues.ibkr_tws.readonly import ReadOnlyTws, TwsRefused

_SEARCH_EVERY_S: Final = 1.0
"""TWS answers one search a second."""
_DETAILS_KEPT: Final = 2000
_DETAILS_S: Final = 6 * 3600.0
"""Hours are listed for the coming days only."""
_NOT_SMART: Final = frozenset(
    (SecType.FUTURE, SecType.FUTURE_OPTION, SecType.CASH, SecType.INDEX, SecType.COMMODITY, SecType.CRYPTO)
)
_US_EXCHANGES: Final = frozenset(("NASDAQ", "NYSE", "ARCA", "AMEX", "BATS", "ISLAND", "PINK", "IEX", "CBOE"))


class Questions:
    """Answers about contracts from whichever connection there is."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self.tws: ReadOnlyTws | None = None
        self._details: dict[int, tuple[int, ContractDetails]] = {}
        self._exchanges: dict[int, str] = {}
        """Where quotes are asked for, of contracts whose place had to be learned."""
        self._searching = asyncio.Lock()
        self._searched_ns: int | None = None

    def connected(self) -> ReadOnlyTws:
        """Return the connection. Raises BrokerError when there is none."""
        if self.tws is None:
            raise BrokerError("there is no connection to TWS")
        return self.tws

    async def find(self, symbol: str) -> tuple[Contract, ...]:
        """Return stocks and indices of that symbol, the US one first, the first one with its details."""
        symbol = symbol.strip().upper()
        if not symbol:
            return ()
        async with self._searching:
            await self._wait_turn()
            rows = await self.connected().matching_symbols(symbol)
        fitting = [
            contract
            for contract in described(rows)
            if contract.symbol.upper() == symbol and contract.sec_type in (SecType.STOCK, SecType.INDEX)
        ]
        fitting.sort(key=_rank)
        if not fitting:
            return await self._find_stock(symbol)
        fuller = await self._fuller(fitting[0])
        return (fuller, *fitting[1:])

    async def _wait_turn(self) -> None:
        if self._searched_ns is not None:
            wait_s = _SEARCH_EVERY_S - (self._clock.monotonic_ns() - self._searched_ns) / NS_PER_S
            if wait_s > 0:
                await asyncio.sleep(wait_s)
        self._searched_ns = self._clock.monotonic_ns()

    async def _fuller(self, contract: Contract) -> Contract:
        try:
            known = (await self.details(contract)).contract
        except BrokerError:
            return contract
        return dataclasses.replace(
            known,
            exchange=contract.exchange,
            primary_exchange=known.primary_exchange or contract.primary_exchange,
            name=known.name or contract.name,
        )

    async def _find_stock(self, symbol: str) -> tuple[Contract, ...]:
        """Ask for the US stock itself: a search shows a few contracts only."""
        wanted = ib_async.Contract(symbol=symbol, secType="STK", exchange=SMART, currency="USD")
        try:
            rows = await self.connected().contract_details(wanted)
        except TwsRefused:
            return ()
        return tuple(self._keep(details).contract for details in map(to_details, rows) if details is not None)

    async def details(self, contract: Contract) -> ContractDetails:
        """Return tick size and trading hours. Raises BrokerError."""
        known = self._details.get(contract.con_id)
        if known is not None and (self._clock.monotonic_ns() - known[0]) / NS_PER_S < _DETAILS_S:
            return known[1]
        rows = await self.connected().contract_details(ib_async.Contract(conId=contract.con_id))
        for details in map(to_details, rows):
            if details is not None and details.contract.con_id == contract.con_id:
                return self._keep(details)
        raise BrokerError(f"TWS has no details of {contract.label}")

    def _keep(self, details: ContractDetails) -> ContractDetails:
        self._details.pop(details.contract.con_id, None)
        self._details[details.contract.con_id] = (self._clock.monotonic_ns(), details)
        while len(self._details) > _DETAILS_KEPT:
            self._details.pop(next(iter(self._details)))
        self._outbox.put(DetailsSeen(details))
        self._outbox.flush()
        return details

    # -- where quotes are asked for --------------------------------------------------------------------------------

    def known_route(self, contract: Contract) -> Contract | None:
        """Return the contract with an exchange at which its quotes can be asked for, None when it has to be learned:
        positions come without one, and SMART knows no futures, currencies and indices."""
        exchange = self._exchanges.get(contract.con_id)
        if exchange is not None:
            return dataclasses.replace(contract, exchange=exchange)
        return None if contract.sec_type in _NOT_SMART and contract.exchange in ("", SMART) else contract

    async def routed(self, contract: Contract) -> Contract:
        """Return the contract with an exchange at which its quotes can be asked for. Raises BrokerError."""
        known = self.known_route(contract)
        if known is not None:
            return known
        exchange = (await self.details(contract)).contract.exchange
        self._keep_exchange(contract.con_id, exchange)
        return dataclasses.replace(contract, exchange=exchange)

    async def elsewhere(self, contract: Contract, code: int) -> Contract | None:
        """Return the contract at its own exchange when TWS does not know it where it was asked for: SMART has not all
        stocks either. None when there is no other place."""
        if code != errors.NO_CONTRACT:
            return None
        try:
            exchange = (await self.details(contract)).contract.exchange
        except BrokerError:
            return None
        if exchange == contract.exchange:
            return None
        self._keep_exchange(contract.con_id, exchange)
        return dataclasses.replace(contract, exchange=exchange)

    def _keep_exchange(self, con_id: int, exchange: str) -> None:
        self._exchanges[con_id] = exchange
        while len(self._exchanges) > _DETAILS_KEPT:
            self._exchanges.pop(next(iter(self._exchanges)))


def _rank(contract: Contract) -> tuple[bool, bool, bool]:
    american = contract.currency == "USD" and contract.primary_exchange in _US_EXCHANGES
    return (not american, contract.currency != "USD", contract.sec_type is not SecType.STOCK)
