"""Market data lines: which are open, which TWS refuses and until when, and their quotes.

A refused line is freed and told once. It is asked for again when there is a reason to hope: the connection is new, the
user asks, or time has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import ib_async

from app.domain.account import LineRefused
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.contracts import Contract, SecType
from app.domain.quotes import DataKind, QuoteField, QuoteUpdate
from app.domain.units import NS_PER_S
from app.venues.broker import BrokerError
from app.venues.ibkr_tws import errors
from app.venues.ibkr_tws.convert import from_contract
from app.venues.ibkr_tws.convert_quotes import TickerReader
from app.venues.ibkr_tws.options import TwsOptions
from app.venues.ibkr_tws.outbox import Outbox
from app.venues.ibkr_tws.questions import Questions
from app.venues.ibkr_tws.readonly import ReadOnlyTws, TwsRefused

GENERIC_TICKS: Final = {
    SecType.STOCK: "100,101,104,106,165,233,236",
    SecType.INDEX: "100,101,104,106",
    SecType.OPTION: "100,101",
    SecType.FUTURE: "588",
}
"""What is asked for besides prices: volumes and interest of options, volatilities, 52 weeks, last trades, shortable."""
_HOLD_S: Final = 600.0
_SHORT_HOLD_S: Final = 60.0
_SILENT_HOLD_S: Final = 5.0
_REMEMBERED: Final = 2000
_PRICES: Final = frozenset((QuoteField.BID, QuoteField.ASK, QuoteField.LAST, QuoteField.CLOSE, QuoteField.MARK))
_OVER: Final = "all market data lines of the budget are in use"


@dataclass(slots=True)
class _Line:
    """One open line. doubt: TWS' warning that perhaps nothing will come, to be judged at `judge_ns` (monotonic).
    silent: nothing came yet."""

    contract: Contract
    raw: ib_async.Contract
    request: int
    reader: TickerReader
    generic: bool
    doubt: tuple[int, str] | None = None
    judge_ns: int = 0
    silent: bool = True


class Lines:
    """The lines of one session over its connections."""

    def __init__(
        self, options: TwsOptions, outbox: Outbox, health: BrokerHealth, clock: Clock, questions: Questions
    ) -> None:
        self._options = options
        self._outbox = outbox
        self._health = health
        self._clock = clock
        self._questions = questions
        self._tws: ReadOnlyTws | None = None
        self._wanted: dict[int, Contract] = {}
        self._lines: dict[int, _Line] = {}
        self._by_request: dict[int, _Line] = {}
        self._by_ticker: dict[ib_async.Ticker, _Line] = {}
        self._refused: dict[int, tuple[int, int]] = {}
        """Code, and monotonic ns until which it is not asked again, by con_id."""
        self._over: set[int] = set()
        self._routing: dict[int, asyncio.Task[None]] = {}
        self._fields: dict[int, frozenset[int]] = {}
        """Figures that ended lines have told."""
        self._repeat_ns: int | None = None
        """When silent lines are opened once more, as TWS has dropped messages (monotonic)."""
        health.lines_limit = options.lines_limit

    # -- what is wanted --------------------------------------------------------------------------------------------

    def want(self, contracts: Sequence[Contract]) -> None:
        """Quote exactly these, the most important first.

        What was refused for want of a line is asked again: whoever wants other contracts now has made room for it.
        """
        wanted = {each.con_id: each for each in contracts if each.con_id > 0 and each.sec_type is not SecType.BAG}
        if wanted.keys() != self._wanted.keys():
            for con_id in [each for each, (code, _) in self._refused.items() if code == errors.LINES_USED_UP]:
                del self._refused[con_id]
        self._wanted = wanted
        self._over &= self._wanted.keys()
        self._sync()

    def attach(self, tws: ReadOnlyTws) -> None:
        """Open all on a new connection."""
        self._tws = tws
        tws.market_data_type(int(DataKind.DELAYED if self._options.delayed else DataKind.LIVE))
        self._refused.clear()
        self._over.clear()
        self._health.competing = False
        self._sync()

    async def detach(self) -> None:
        """Forget what was open: the connection is gone."""
        self._tws = None
        for line in list(self._lines.values()):
            self._forget(line)
        routing = list(self._routing.values())
        for task in routing:
            task.cancel()
        await asyncio.gather(*routing, return_exceptions=True)
        self._routing.clear()
        self._health.lines_open = 0

    def restart(self) -> None:
        """Open all anew on the same connection: TWS has lost them."""
        for line in list(self._lines.values()):
            self._close(line)
        self.retry()

    def retry(self) -> None:
        """Ask again for what was refused."""
        self._refused.clear()
        self._over.clear()
        self._sync()

    def tick(self) -> None:
        """Judge warned lines and ask again for refused ones whose time has come; called each second."""
        now_ns = self._clock.monotonic_ns()
        for line in [line for line in self._lines.values() if line.doubt is not None and line.judge_ns <= now_ns]:
            code, text = line.doubt or (0, "")
            self._refuse(line.contract.con_id, code, text, _HOLD_S)
        if self._repeat_ns is not None and self._repeat_ns <= now_ns:
            self._repeat_ns = None
            for line in [line for line in self._lines.values() if line.silent]:
                self._close(line)
            self._sync()
        expired = [con_id for con_id, (_, until_ns) in self._refused.items() if until_ns <= now_ns]
        probed = False
        for con_id in expired:
            if self._refused[con_id][0] == errors.COMPETING and probed:  # one line shows whether the other is gone
                again_ns = now_ns + int(self._options.competing_every_s * NS_PER_S)
                self._refused[con_id] = (errors.COMPETING, again_ns)
                continue
            probed = probed or self._refused[con_id][0] == errors.COMPETING
            del self._refused[con_id]
        if expired:
            self._sync()
        self._outbox.flush()

    # -- opening and closing ---------------------------------------------------------------------------------------

    def _sync(self) -> None:
        tws = self._tws
        if tws is None:
            return
        chosen: dict[int, Contract] = {}
        for con_id, contract in self._wanted.items():
            if con_id in self._refused:
                continue
            if len(chosen) < self._options.lines_limit:
                chosen[con_id] = contract
                self._over.discard(con_id)
            elif con_id not in self._over:
                self._over.add(con_id)
                self._outbox.put(LineRefused(con_id, 0, _OVER, limit=True))
        for line in [line for con_id, line in self._lines.items() if con_id not in chosen]:
            self._close(line)
        for con_id, contract in chosen.items():
            if con_id not in self._lines:
                self._begin(tws, contract)
        self._health.lines_open = len(self._lines)
        self._outbox.flush()

    def _begin(self, tws: ReadOnlyTws, contract: Contract) -> None:
        if contract.con_id in self._routing:
            return
        routed = self._questions.known_route(contract)
        if routed is not None:
            self._open(tws, routed, generic=True)
        else:
            self._routing[contract.con_id] = asyncio.ensure_future(self._route(contract))

    async def _route(self, contract: Contract) -> None:
        """Learn the exchange of a contract, then open its line if it is still wanted."""
        try:
            await self._questions.routed(contract)
        except TwsRefused as refused:
            self._hold(contract.con_id, refused.code, str(refused), _HOLD_S)
        except BrokerError as error:
            self._hold(contract.con_id, 0, str(error), _SILENT_HOLD_S)
        finally:
            self._routing.pop(contract.con_id, None)
        self._sync()

    async def _reroute(self, contract: Contract, text: str) -> None:
        """Look for another place where quotes of a contract can be asked for; without one it is refused."""
        try:
            if await self._questions.elsewhere(contract, errors.NO_CONTRACT) is None:
                self._hold(contract.con_id, errors.NO_CONTRACT, _reason(errors.NO_CONTRACT, text), _HOLD_S)
        finally:
            self._routing.pop(contract.con_id, None)
        self._sync()

    def _open(self, tws: ReadOnlyTws, contract: Contract, *, generic: bool) -> None:
        raw = from_contract(contract)
        request, ticker = tws.start_line(raw, GENERIC_TICKS.get(contract.sec_type, "") if generic else "")
        reader = TickerReader(contract, self._fields.get(contract.con_id, ()))
        line = _Line(contract, raw, request, reader, generic)
        self._lines[contract.con_id] = self._by_request[request] = self._by_ticker[ticker] = line

    def _close(self, line: _Line) -> None:
        if self._tws is not None:
            self._tws.end_line(line.request, line.raw)
        self._forget(line)

    def _forget(self, line: _Line) -> None:
        con_id = line.contract.con_id
        self._lines.pop(con_id, None)
        self._by_request.pop(line.request, None)
        self._by_ticker = {ticker: other for ticker, other in self._by_ticker.items() if other is not line}
        self._fields.pop(con_id, None)
        self._fields[con_id] = line.reader.fields
        while len(self._fields) > _REMEMBERED:
            self._fields.pop(next(iter(self._fields)))

    # -- refusals --------------------------------------------------------------------------------------------------

    def on_message(self, request: int, code: int, text: str) -> bool:
        """Take a message; return whether it was about a line."""
        if code == errors.TOO_FAST:
            self._repeat_ns = self._clock.monotonic_ns() + int(self._options.repeat_s * NS_PER_S)
        line = self._by_request.get(request)
        if line is None:
            return False
        con_id = line.contract.con_id
        if code == errors.COMPETING:
            self._health.competing = True
            self._refuse(con_id, code, text, self._options.competing_every_s)
        elif code in errors.DOUBTFUL and self._options.delayed:
            line.doubt = (code, text)
            line.judge_ns = self._clock.monotonic_ns() + int(self._options.quiet_s * NS_PER_S)
        elif code == errors.READ_ONLY and line.generic and self._tws is not None:
            self._close(line)  # such a contract has no such extra figures; its prices may come without them
            self._open(self._tws, line.contract, generic=False)
        elif code == errors.NO_CONTRACT and con_id not in self._routing:
            self._close(line)
            self._routing[con_id] = asyncio.ensure_future(self._reroute(line.contract, text))
        elif code in errors.REFUSALS or code in errors.DOUBTFUL or code == errors.READ_ONLY:
            self._refuse(con_id, code, text, _SHORT_HOLD_S if code == errors.LINES_USED_UP else _HOLD_S)
        return True

    def _refuse(self, con_id: int, code: int, text: str, hold_s: float) -> None:
        line = self._lines.get(con_id)
        if line is not None:
            self._close(line)
        self._hold(con_id, code, _reason(code, text), hold_s)
        self._health.lines_open = len(self._lines)

    def _hold(self, con_id: int, code: int, reason: str, hold_s: float) -> None:
        self._refused[con_id] = (code, self._clock.monotonic_ns() + int(hold_s * NS_PER_S))
        while len(self._refused) > _REMEMBERED:
            self._refused.pop(next(iter(self._refused)))
        self._outbox.put(LineRefused(con_id, code, reason, limit=code == errors.LINES_USED_UP))

    # -- quotes ----------------------------------------------------------------------------------------------------

    def on_tickers(self, tickers: set[ib_async.Ticker]) -> None:
        """Take the tickers of a packet that changed."""
        updates = []
        for ticker in tickers:
            line = self._by_ticker.get(ticker)
            if line is None:
                continue
            line.silent = False
            event_ns, news = line.reader.read(ticker)
            if not news:
                continue
            updates.append(QuoteUpdate(line.contract.con_id, event_ns, news))
            if (line.doubt is not None or self._health.competing) and any(
                news.get(price, 0.0) > 0.0 for price in _PRICES
            ):
                self._flows(line, ticker.marketDataType)
        if updates:
            self._outbox.sink.on_quotes(self._outbox.stamp(), updates)

    def _flows(self, line: _Line, kind: int) -> None:
        """A price came: it is no line to be freed, and when it is live, no other login keeps the data."""
        line.doubt = None
        if self._health.competing and kind in (DataKind.LIVE, DataKind.FROZEN):
            self._health.competing = False
            asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        held = [con_id for con_id, (code, _) in self._refused.items() if code == errors.COMPETING]
        for con_id in held:
            del self._refused[con_id]
        self._sync()


def _reason(code: int, text: str) -> str:
    said = errors.notice(code, text)
    return f"{said.advice} (TWS {code}: {said.text})"
