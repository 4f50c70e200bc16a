"""Brings stocks of a broker into the scanner: watchlists and server-side scans in, wishes for lines and rows out.

One source at a time serves the scanner: the first that is connected, until it has been away for a while. Rows on screen
come first when lines are short. Everything but `run` is synchronous; times are UTC ns.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from app.domain.account import DetailsSeen, Source
from app.domain.broker_events import BrokerEvent
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.contracts import Contract, SecType
from app.domain.health import LinkState
from app.domain.quotes import QuoteUpdate
from app.domain.units import NS_PER_S
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineBudget, LineGroup
from app.services.scanning import Scanning
from app.services.stock_rows import StockRows, Tell
from app.settings.store import Settings
from app.venues.broker import BrokerError, BrokerSession, ScanRequest

_log = logging.getLogger("fathom.brokerage")

MOST_SCANS: Final = 10
MOST_STOCKS: Final = 600
WATCHLIST: Final = "watchlist"
_STEP_NS: Final = NS_PER_S // 2
_SWITCH_NS: Final = 30 * NS_PER_S
"""How long the present source may be away before the other one serves the scanner."""
_ASK_EVERY_S: Final = 1.0
_RETRY_NS: Final = 900 * NS_PER_S
_FIND_RETRY_NS: Final = 120 * NS_PER_S
_LISTS_NS: Final = 600 * NS_PER_S
_DETAILS_NS: Final = 12 * 3600 * NS_PER_S
_BARS: Final = 6


class ScanDesk(Protocol):
    """What the scanner needs of a source; `services.brokerage.Desk` in the running program."""

    @property
    def source(self) -> Source:
        """Return which source it is."""
        ...

    @property
    def health(self) -> BrokerHealth:
        """Return its counters."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Return what it told."""
        ...

    @property
    def lines(self) -> LineBudget:
        """Return its market data lines."""
        ...

    @property
    def session(self) -> BrokerSession | None:
        """Return its connection, None in a replay."""
        ...

    def on_events(self, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        """Take what was asked for."""
        ...


class BrokerScanning:
    """Keeps the stocks on the scanner's board. `unknown` are symbols of the watchlist that the broker does not know."""

    def __init__(
        self, settings: Settings, desks: Mapping[Source, ScanDesk], scanning: Scanning, tell: Tell | None = None
    ) -> None:
        """Prepare. settings: `ibkr.watchlist`, `ibkr.scans`. tell: where news of rows goes, None: to the scanning."""
        self._desks = desks
        self._scanning = scanning
        self.rows = StockRows(scanning.board, tell or scanning.on_news, self._usd_rate)
        self.symbols: tuple[str, ...] = words_of(settings.text("ibkr.watchlist"))
        self.scans = tuple(scan_of(word) for word in words_of(settings.text("ibkr.scans"))[:MOST_SCANS])
        self.desk: ScanDesk | None = None
        self.left_out = 0
        self._found: dict[str, Contract] = {}
        self._broker_lists: dict[Source, dict[str, tuple[Contract, ...]]] = {}
        self._asked_ns: dict[tuple[str, str], int] = {}
        """When a question may be put again, by its kind and subject."""
        self._missing: set[str] = set()
        self._live_ns = 0
        self._next_ns = 0
        self._list_key: tuple[object, ...] = ()
        self._lists_revision = 0

    # -- news ----------------------------------------------------------------------------------------------------

    def on_quotes(self, source: Source, recv_ns: int, updates: Sequence[QuoteUpdate]) -> None:
        """Take quotes of a source."""
        if self.desk is not None and source is self.desk.source:
            self.rows.on_quotes(recv_ns, updates)

    def on_events(self, source: Source, recv_ns: int, events: Sequence[BrokerEvent]) -> None:
        """Take news besides quotes: trading hours."""
        for event in events:
            if isinstance(event, DetailsSeen):
                self.rows.on_details(event.details)

    # -- time goes on --------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Look at everything when half a second has passed."""
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + _STEP_NS
            self.look(now_ns)

    def look(self, now_ns: int) -> None:
        """Choose the source, list the stocks, ask for lines, and work out what follows from the time."""
        self._choose(now_ns)
        desk = self.desk
        if desk is None:
            return
        self._list(desk)
        self._want(desk)
        usage = desk.lines.usage()
        waits = f"waits for a market data line: {usage.used} of {usage.effective} are in use"
        self.rows.advance(now_ns, lambda con_id: _line_state(desk, con_id, waits))

    def _choose(self, now_ns: int) -> None:
        now = self.desk
        if now is not None and now.health.state is LinkState.LIVE:
            self._live_ns = now_ns
            return
        if now is not None and now_ns - self._live_ns < _SWITCH_NS:
            return
        live = next((desk for desk in self._desks.values() if desk.health.state is LinkState.LIVE), None)
        chosen = live or now or next(iter(self._desks.values()), None)
        if chosen is None or chosen is now:
            return
        if now is not None:
            now.lines.want(LineGroup.SCANNER, (), owner="on screen")
            now.lines.want(LineGroup.SCANNER, (), owner="rest")
            if now.session is not None:
                now.session.set_scans(())
        self.desk, self._live_ns = chosen, now_ns
        self.rows.source_name = chosen.source.full_name
        if chosen.session is not None:
            chosen.session.set_scans(self.scans)

    def _list(self, desk: ScanDesk) -> None:
        """Put together what is followed: the watchlist, the broker's lists, the rows of scans."""
        ledger = desk.ledger
        key = (desk.source, ledger.revisions.scans, len(ledger.contracts), len(self._found), self._lists_revision)
        if key == self._list_key:
            return
        self._list_key = key
        lists: dict[int, list[str]] = {}
        contracts: dict[int, Contract] = {}

        def add(name: str, contract: Contract) -> None:
            if contract.sec_type is SecType.STOCK and contract.con_id > 0:
                contracts.setdefault(contract.con_id, ledger.contracts.get(contract.con_id, contract))
                lists.setdefault(contract.con_id, []).append(name)

        for symbol in self.symbols:
            found = self._contract_of(desk, symbol)
            if found is not None:
                add(WATCHLIST, found)
        for name, members in self._broker_lists.get(desk.source, {}).items():
            for contract in members:
                add(name, contract)
        for scan in self.scans:
            for place, contract in enumerate(ledger.scans.get(scan.id, ()), 1):
                add(f"{scan.code} #{place}", contract)
        self.left_out = max(0, len(lists) - MOST_STOCKS)
        chosen = dict(list(lists.items())[:MOST_STOCKS])
        fresh = self.rows.show({con_id: tuple(names) for con_id, names in chosen.items()}, contracts)
        for con_id in fresh:
            self._seed(desk, con_id)

    def _seed(self, desk: ScanDesk, con_id: int) -> None:
        """Show what is known already of a stock that is new in the scanner."""
        details, quote = desk.ledger.details.get(con_id), desk.ledger.quotes.get(con_id)
        if details is not None:
            self.rows.on_details(details)
        if quote is not None and quote.values:
            update = QuoteUpdate(con_id, quote.event_ns, dict(quote.values))
            self.rows.on_quotes(quote.updated_ns, (update,), is_news=False)

    def _contract_of(self, desk: ScanDesk, symbol: str) -> Contract | None:
        found = self._found.get(symbol)
        if found is None:
            known = (each for each in desk.ledger.contracts.values() if each.symbol.upper() == symbol)
            found = best_stock(tuple(known), symbol)
            if found is not None:
                self._found[symbol] = found
        return found

    def _want(self, desk: ScanDesk) -> None:
        """Ask for lines: rows on screen, then those alerts are about, then the others in the order of their lists."""
        listed = self.rows.listed()
        on_screen = self._scanning.on_screen
        seen = [con_id for con_id, row in sorted(listed.items(), key=lambda pair: pair[1]) if row in on_screen]
        rest = [con_id for con_id, row in listed.items() if row not in on_screen]
        rest.sort(key=lambda con_id: listed[con_id] not in self._scanning.watched)
        for owner, visible, chosen in (("on screen", True, seen), ("rest", False, rest)):
            wanted = [contract for con_id in chosen if (contract := self.rows.contract_at(listed[con_id])) is not None]
            desk.lines.want(LineGroup.SCANNER, wanted, visible=visible, owner=owner)

    def _usd_rate(self, currency: str) -> float:
        """Return what a unit of a currency is worth in USD by the account's own rates, NaN when they are not known."""
        if currency == "USD" or self.desk is None:
            return 1.0 if currency == "USD" else math.nan
        ledger = self.desk.ledger
        for account in ledger.accounts:
            rate, usd = (ledger.value(account, "ExchangeRate", word)[0] for word in (currency, "USD"))
            if rate is not None and usd is not None and usd > 0.0:
                return rate / usd
        return math.nan

    # -- what must be asked for ----------------------------------------------------------------------------------

    async def run(self, clock: Clock) -> None:
        """Keep the rows up to date until cancelled, and ask the broker what it does not tell by itself."""
        if not self._desks:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._step(clock), name="stocks")
            group.create_task(self._ask(clock), name="questions of stocks")

    async def _step(self, clock: Clock) -> None:
        while True:
            self.look(clock.wall_ns())
            await asyncio.sleep(_STEP_NS / NS_PER_S)

    async def _ask(self, clock: Clock) -> None:
        while True:
            await asyncio.sleep(_ASK_EVERY_S)
            desk = self.desk
            if desk is not None and desk.session is not None and desk.health.state is LinkState.LIVE:
                try:
                    await self.ask_once(desk, desk.session, clock)
                except BrokerError as error:
                    _log.info("%s did not answer: %s", desk.source.full_name, error)

    async def ask_once(self, desk: ScanDesk, session: BrokerSession, clock: Clock) -> None:
        """Put the most urgent question, if there is any: symbols, lists, closes, trading hours. Raises BrokerError."""
        now_ns = clock.wall_ns()
        for symbol in self.symbols:
            if symbol not in self._found and self._due("find", symbol, now_ns, _FIND_RETRY_NS):
                found = best_stock(await session.find(symbol), symbol)
                if found is not None:
                    self._found[symbol] = found
                    self._missing.discard(symbol)
                else:
                    self._missing.add(symbol)
                return
        if self._due("lists", desk.source.value, now_ns, _LISTS_NS):
            lists = await session.watchlists()
            self._broker_lists[desk.source] = {each.name: each.contracts for each in lists}
            self._lists_revision += 1
            return
        for con_id in self._by_urgency(desk):
            contract = self.rows.contract_at(self.rows.listed()[con_id])
            if contract is None:
                continue
            if self.rows.needs_bars(con_id, now_ns) and self._due("bars", str(con_id), now_ns, _RETRY_NS):
                bars = await session.daily_bars(contract, _BARS)
                self.rows.on_bars(con_id, bars, clock.wall_ns())
                return
            if self._due("details", str(con_id), now_ns, _DETAILS_NS):
                details = await session.details(contract)
                desk.on_events(clock.wall_ns(), (DetailsSeen(details),))
                return

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return the symbols of the watchlist that were asked for and not found."""
        return tuple(each for each in self.symbols if each in self._missing)

    def _by_urgency(self, desk: ScanDesk) -> list[int]:
        """Return the stocks that are quoted, those on screen first."""
        on_screen, listed = self._scanning.on_screen, self.rows.listed()
        quoted = [con_id for con_id in listed if desk.lines.has_line(con_id)]
        return sorted(quoted, key=lambda con_id: listed[con_id] not in on_screen)

    def _due(self, what: str, subject: str, now_ns: int, again_ns: int) -> bool:
        """Tell whether to put a question now; counts as put."""
        if self._asked_ns.get((what, subject), 0) > now_ns:
            return False
        self._asked_ns[what, subject] = now_ns + again_ns
        return True


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a comma separated list in capitals, each once."""
    return tuple(dict.fromkeys(word.strip().upper() for word in text.split(",") if word.strip()))


def scan_of(word: str) -> ScanRequest:
    """Return the server-side scanner of a word: `CODE`, or `CODE@LOCATION` such as `TOP_PERC_GAIN@STK.NYSE`."""
    code, _, location = word.partition("@")
    return ScanRequest(id=word, code=code, location=location or "STK.US.MAJOR")


def best_stock(found: Sequence[Contract], symbol: str) -> Contract | None:
    """Return the stock that a symbol means: the first in USD of just that symbol, None when there is none."""
    exact = [each for each in found if each.sec_type is SecType.STOCK and each.symbol.upper() == symbol]
    return next((each for each in exact if each.currency == "USD"), None)


def _line_state(desk: ScanDesk, con_id: int, waits: str) -> tuple[int, str]:
    """Return whether a contract has a line (as in `Field.LINE`), and why it brings no quotes."""
    if desk.session is None:
        return 1, ""  # a replay: lines were asked for when it was recorded
    refusal = desk.lines.refusal(con_id)
    if refusal is not None:
        code = f"{refusal.code}: " if refusal.code else ""
        return -1, f"refused: {code}{refusal.reason}"
    if not desk.lines.has_line(con_id):
        return 0, waits
    quote = desk.ledger.quotes.get(con_id)
    return 1, f"refused: {quote.refused}" if quote is not None and quote.refused else ""
