"""All that Fathom may ask of TWS: reading questions, each with a time limit, over one connection that is used once.

No function here, and none behind it that could be reached from here, makes an order; whatever ib_async can do besides
ends at the guard in `wire`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, tzinfo
from typing import Any, Final, Protocol, TypeVar

import ib_async
from ib_async.wrapper import RequestError

from app.domain.errors import RetryableFeedError
from app.venues.broker import BrokerError
from app.venues.ibkr_tws import errors
from app.venues.ibkr_tws.wire import ReadOnlyClient
from app.venues.ibkr_tws.wrapper import Completed, ReadingWrapper, StoreListener

_T = TypeVar("_T")
_LATE: Final = 500
"""Ended lines whose late ticks are still taken, so that the library does not complain of them."""
_CLOSE_S: Final = 2.0


class TwsDown(RetryableFeedError):
    """There is no connection. needs: what the user must do, "" for nothing. code: TWS' number for it, 0 for none.
    refused: nobody listens on the port."""

    def __init__(self, reason: str, *, needs: str = "", code: int = 0, refused: bool = False) -> None:
        super().__init__(reason)
        self.needs = needs
        self.code = code
        self.refused = refused


class TwsRefused(BrokerError):
    """TWS answered a question with a message. code: its number."""

    def __init__(self, code: int, text: str) -> None:
        said = errors.notice(code, text)
        super().__init__(f"{said.advice} (TWS {code}: {said.text})")
        self.code = code
        self.text = text


class TwsListener(StoreListener, Protocol):
    """What a connection tells. Called while a packet is worked on, which ends with `on_packet`."""

    def on_packet(self) -> None: ...
    def on_tickers(self, tickers: set[ib_async.Ticker]) -> None: ...
    def on_account_value(self, value: ib_async.AccountValue) -> None: ...
    def on_portfolio(self, item: ib_async.PortfolioItem) -> None: ...
    def on_position(self, position: ib_async.Position) -> None: ...
    def on_pnl(self, pnl: ib_async.PnL) -> None: ...
    def on_position_pnl(self, pnl: ib_async.PnLSingle) -> None: ...
    def on_order(self, trade: ib_async.Trade) -> None: ...
    def on_scan(self, scan: ib_async.ScanDataList) -> None: ...
    def on_message(self, request: int, code: int, text: str, contract: ib_async.Contract | None) -> None: ...


class _ReadingIB(ib_async.IB):
    """ib_async's front with our store and our client."""

    RaiseRequestErrors = True

    def __init__(self, listener: TwsListener) -> None:
        super().__init__()
        self.errorEvent -= self._onError  # would ask for a summary after 1102 that nobody waits for
        self.wrapper: ReadingWrapper = ReadingWrapper(self, listener)
        self.client: ReadOnlyClient = ReadOnlyClient(self.wrapper)
        self.client.apiEnd += self.disconnectedEvent


def _own_words(record: logging.LogRecord) -> bool:
    """Let only failures of the library itself pass: what TWS says and how connections end is told as notices."""
    return record.exc_info is not None or record.name == "ib_async.Decoder"


class ReadOnlyTws:
    """One connection to TWS. lost: resolved with the reason when it has ended by itself."""

    def __init__(self, listener: TwsListener, timeout_s: float) -> None:
        """Prepare a connection; nothing is opened yet."""
        for name in ("ib_async.ib", "ib_async.client", "ib_async.wrapper"):
            logging.getLogger(name).addFilter(_own_words)
        self._ib = _ReadingIB(listener)
        self._client: Any = self._ib.client  # their functions have no types
        self._store: Any = self._ib.wrapper
        self._timeout_s = timeout_s
        self._late: deque[int] = deque()
        self._said: list[tuple[int, str]] = []
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        ib = self._ib
        ib.updateEvent += listener.on_packet
        ib.pendingTickersEvent += listener.on_tickers
        ib.accountValueEvent += listener.on_account_value
        ib.updatePortfolioEvent += listener.on_portfolio
        ib.positionEvent += listener.on_position
        ib.pnlEvent += listener.on_pnl
        ib.pnlSingleEvent += listener.on_position_pnl
        ib.openOrderEvent += listener.on_order
        ib.orderStatusEvent += listener.on_order
        ib.scannerDataEvent += listener.on_scan
        ib.errorEvent += listener.on_message
        ib.errorEvent += self._on_message
        ib.client.apiError += self._on_api_error
        ib.client.conn.disconnected += self._on_disconnected

    # -- the connection --------------------------------------------------------------------------------------------

    async def connect(self, host: str, port: int, client_id: int) -> None:
        """Connect and take the accounts and the list of positions. Raises TwsDown."""
        connecting = asyncio.ensure_future(
            self._ib.connectAsync(
                host,
                port,
                client_id,
                timeout=self._timeout_s,
                readonly=True,
                raiseSyncErrors=True,
                fetchFields=ib_async.StartupFetchNONE,
            )
        )
        try:
            await asyncio.wait({connecting, self.lost}, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise self._why(self.lost.result(), host, port)
            await connecting
            if self.lost.done():
                raise self._why(self.lost.result(), host, port)
        except ConnectionRefusedError:
            raise TwsDown(
                f"nothing listens on {host}:{port}",
                needs=f"Start TWS or IB Gateway, log in, and switch its API on (port {port}).",
                refused=True,
            ) from None
        except TimeoutError:
            raise self._silent(host, port) from None
        except OSError as error:
            if "timed out" in str(error):
                raise self._silent(host, port) from None
            reason = self.lost.result() if self.lost.done() else error.strerror or str(error)
            raise self._why(reason, host, port) from None
        finally:
            if not connecting.done():
                connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    def _silent(self, host: str, port: int) -> TwsDown:
        client = self._client
        if client.isReady() or client.received:
            return TwsDown(f"{host}:{port} answers, but the start-up takes more than {self._timeout_s:g} s")
        return TwsDown(
            f"{host}:{port} is open, but TWS does not answer there",
            needs="Look for a question of TWS on its screen (accept the connection), and check the port.",
        )

    def _why(self, reason: str, host: str, port: int) -> TwsDown:
        foreign = self._client.conn.foreign
        if foreign:
            return TwsDown(
                f"something else than TWS answers on {host}:{port} ({foreign.strip()!r})",
                needs="Set ibkr.tws.port to the port that TWS or IB Gateway shows in its API settings.",
            )
        if ">= 972" in reason:
            return TwsDown(
                "this TWS is too old for the API", needs=errors.meaning(errors.OUTDATED).advice, code=errors.OUTDATED
            )
        for code, text in reversed(self._said):
            if code in (errors.ID_IN_USE, errors.OUTDATED) or code in errors.DROPPED:
                return TwsDown(f"TWS {code}: {text}", needs=errors.meaning(code).advice, code=code)
        return TwsDown(reason or "TWS closed the connection")

    def why(self, host: str, port: int) -> TwsDown:
        """Return in words why the connection ended."""
        return self._why(self.lost.result() if self.lost.done() else "", host, port)

    def drop(self, reason: str) -> None:
        """Give the connection up: it is of no use any more."""
        self._lose(reason)
        self._client.conn.abort()

    async def close(self) -> None:
        """End the connection; questions that wait get an error. Nothing is left open."""
        ended = self._client.conn.ended
        self._store.connectionClosed()
        self._ib.disconnect()
        if ended is not None and not ended.done():
            self._client.conn.disconnect()
            await asyncio.wait({ended}, timeout=_CLOSE_S)
            if not ended.done():
                self._client.conn.abort()
                await ended
        self._lose("closed")

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    def _on_message(self, _request: int, code: int, text: str, _contract: object) -> None:
        self._said = [*self._said[-20:], (code, errors.notice(code, text).text)]

    def _on_api_error(self, text: str) -> None:
        if not text.startswith("API connection failed"):
            self._lose(text)

    def _on_disconnected(self, reason: str) -> None:
        self._lose(reason or "TWS closed the connection")

    # -- what is known ----------------------------------------------------------------------------------------------

    @property
    def server_version(self) -> int:
        """Return the version of the protocol that was agreed on."""
        return int(self._client.serverVersion())

    @property
    def received(self) -> int:
        """Return how many messages came."""
        return int(self._client.received)

    @property
    def zone(self) -> tzinfo | None:
        """Return the time zone TWS greeted with, None when it is not known."""
        return self._ib.client.conn.zone

    def take_zone(self) -> None:
        """Read times without a zone as TWS' own."""
        if self.zone is not None:
            self._ib.TimezoneTWS = str(self.zone)

    def accounts(self) -> tuple[str, ...]:
        """Return the accounts of the login."""
        return tuple(self._ib.managedAccounts())

    def positions(self) -> list[ib_async.Position]:
        """Return all positions."""
        return self._ib.positions()

    def warning(self, perm_id: int) -> str:
        """Return TWS' words to an open order."""
        return self._ib.wrapper.warnings.get(perm_id, "")

    # -- questions ---------------------------------------------------------------------------------------------------

    async def _ask(self, what: str, key: object, answer: Awaitable[_T], timeout_s: float | None = None) -> _T:
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except TimeoutError:
            raise BrokerError(f"TWS did not answer for {what} within {limit_s:g} s") from None
        except RequestError as error:
            raise TwsRefused(error.code, error.message) from None
        except ConnectionError:
            raise BrokerError(f"the connection to TWS ended while it was asked for {what}") from None
        finally:
            self._store.forget(key)

    def _begin(self, contract: ib_async.Contract | None = None) -> tuple[int, asyncio.Future[Any]]:
        """Return a number for a question and its future answer. Raises BrokerError without a connection."""
        if not self._client.isReady():
            raise BrokerError("there is no connection to TWS")
        request = self._client.getReqId()
        return request, self._store.startReq(request, contract)

    async def _named(self, what: str, key: str, begin: Callable[[], Awaitable[_T]], timeout_s: float | None) -> _T:
        """Ask a question that can be asked once at a time, as its answer has no number."""
        if not self._client.isReady():
            raise BrokerError("there is no connection to TWS")
        return await self._ask(what, key, begin(), timeout_s)

    async def account_updates(self, account: str) -> None:
        """Ask for figures and positions with prices of one account; they go on coming."""
        await self._named("account figures", "accountValues", lambda: self._ib.reqAccountUpdatesAsync(account), None)

    async def account_figures(self, account: str) -> None:
        """Ask for the figures of one of several accounts; they go on coming."""
        request, answer = self._begin()
        self._client.reqAccountUpdatesMulti(request, account, "", False)
        await self._ask("account figures", request, answer)

    async def positions_again(self) -> list[ib_async.Position]:
        """Return all positions, asked for anew; changes go on coming."""
        return await self._named("positions", "positions", self._ib.reqPositionsAsync, None)

    async def executions(self) -> list[ib_async.Fill]:
        """Return the executions of the day; new ones are told to the listener."""
        request, answer = self._begin()
        self._client.reqExecutions(request, ib_async.ExecutionFilter())
        found: list[ib_async.Fill] = await self._ask("executions", request, answer)
        return found

    async def open_orders(self, timeout_s: float) -> list[ib_async.Trade]:
        """Return the open orders of all clients and of TWS itself."""
        return await self._named("open orders", "openOrders", self._ib.reqAllOpenOrdersAsync, timeout_s)

    async def completed_orders(self, timeout_s: float) -> list[Completed]:
        """Return the orders that ended today."""
        self._store.completed.clear()
        begin = self._ib.reqCompletedOrdersAsync
        await self._named("completed orders", "completedOrders", lambda: begin(False), timeout_s)
        return list(self._store.completed)

    async def current_time(self, timeout_s: float) -> datetime:
        """Return TWS' time, in whole seconds."""
        return await self._named("its time", "currentTime", self._ib.reqCurrentTimeAsync, timeout_s)

    async def contract_details(self, contract: ib_async.Contract) -> list[ib_async.ContractDetails]:
        """Return what TWS knows of the contracts that fit."""
        request, answer = self._begin(contract)
        self._client.reqContractDetails(request, contract)
        found: list[ib_async.ContractDetails] = await self._ask("contract details", request, answer)
        return found

    async def matching_symbols(self, pattern: str) -> list[ib_async.ContractDescription]:
        """Return contracts whose symbol or name begins so."""
        request, answer = self._begin()
        self._client.reqMatchingSymbols(request, pattern)
        found: list[ib_async.ContractDescription] = await self._ask("symbols", request, answer)
        return found

    async def daily_history(self, contract: ib_async.Contract, duration: str, what: str) -> list[ib_async.BarData]:
        """Return daily bars of the regular session up to now."""
        request, answer = self._begin(contract)
        self._client.reqHistoricalData(request, contract, "", duration, "1 day", what, True, 1, False, [])
        try:
            found: list[ib_async.BarData] = await self._ask("daily history", request, answer)
        except TwsRefused:
            raise
        except BrokerError:
            if self._client.isReady():
                self._client.cancelHistoricalData(request)
            raise
        return found

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def market_data_type(self, kind: int) -> None:
        """Ask for live (1) or, where there is none, delayed (3) quotes from now on."""
        self._ib.reqMarketDataType(kind)

    def start_line(self, contract: ib_async.Contract, generic_ticks: str) -> tuple[int, ib_async.Ticker]:
        """Begin quotes; return the number that messages about them carry, and where the quotes will be."""
        ticker = self._ib.reqMktData(contract, generic_ticks)
        return self._ib.wrapper.ticker2ReqId["mktData"][ticker], ticker

    def end_line(self, request: int, contract: ib_async.Contract) -> None:
        """End quotes."""
        self._ib.cancelMktData(contract)
        self._store.tickers.pop(hash(contract), None)
        self._late.append(request)
        while len(self._late) > _LATE:
            self._store.reqId2Ticker.pop(self._late.popleft(), None)

    def start_pnl(self, account: str) -> None:
        """Begin the profit and loss of an account."""
        self._ib.reqPnL(account)

    def end_pnl(self, account: str) -> None:
        """End it."""
        self._ib.cancelPnL(account)

    def start_position_pnl(self, account: str, con_id: int) -> None:
        """Begin the profit and loss of a position."""
        self._ib.reqPnLSingle(account, "", con_id)

    def end_position_pnl(self, account: str, con_id: int) -> None:
        """End it."""
        self._ib.cancelPnLSingle(account, "", con_id)

    def start_scan(self, subscription: ib_async.ScannerSubscription) -> ib_async.ScanDataList:
        """Begin a server-side scanner."""
        return self._ib.reqScannerSubscription(subscription)

    def end_scan(self, scan: ib_async.ScanDataList) -> None:
        """End it."""
        self._ib.cancelScannerSubscription(scan)
