"""The whole simulated account at the broker, for any number of servers: turns a seed and steps of time into quotes,
orders, fills, positions and figures.

It never reads a clock: `step` moves it. The same seed, start and steps give the same world. It is not thread-safe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from app.sim.ibkr.accounts import BASE_CURRENCY, Books
from app.sim.ibkr.history import History
from app.sim.ibkr.hours import HOURS, Phase, day_of, hours_text
from app.sim.ibkr.instruments import EURUSD, Catalogue, Chain, SimContract
from app.sim.ibkr.listings import build_catalogue
from app.sim.ibkr.market import Market, option_tick
from app.sim.ibkr.records import (
    SimBar,
    SimFill,
    SimOrder,
    SimPnl,
    SimPosition,
    SimPositionPnl,
    SimQuote,
    SimValue,
)
from app.sim.ibkr.scans import ScanFilter, run_scan
from app.sim.ibkr.script import OrderScript
from app.sim.ibkr.start import Start

PAPER_ACCOUNT = "DU1234567"
LIVE_ACCOUNT = "U7654321"
_ORDER_EVERY_S = 7.0
_ACCOUNT_EVERY_S = 1.0


@dataclass(slots=True)
class Changes:
    """What a step changed. quotes: contracts that ticked. orders: copies, one for each status, in order. fills: new
    executions. commissions: executions whose commission is reported now. positions: contracts whose quantity changed.
    account: figures of the accounts are due (about once a second, and after fills). day: a new day began."""

    quotes: set[int] = field(default_factory=set)
    orders: list[SimOrder] = field(default_factory=list)
    fills: list[SimFill] = field(default_factory=list)
    commissions: list[SimFill] = field(default_factory=list)
    positions: set[int] = field(default_factory=set)
    account: bool = False
    day: bool = False


class World:
    """Accounts, instruments and market. The first account holds the big portfolio, a second one a small one."""

    def __init__(
        self,
        *,
        seed: int = 1,
        start_s: float,
        accounts: tuple[str, ...] = (PAPER_ACCOUNT,),
        always_open: bool = True,
        rate: float = 1.0,
        ticks_per_s: float = 4.0,
    ) -> None:
        """Begin at `start_s` (UTC seconds). always_open: quotes and orders go on outside trading hours. rate: how busy
        the order script is, 0 for no orders but those that are there at the start."""
        self.seed = seed
        self.now_s = start_s
        self.day: date = day_of(start_s)
        self.catalogue: Catalogue = build_catalogue(self.day)
        self.market = Market(self.catalogue, seed, start_s, ticks_per_s=ticks_per_s, always_open=always_open)
        self.history = History(
            self.catalogue, seed, self.day, quote_of=self.market.quote, volatility_of=self.market.volatility
        )
        self.books = Books(
            self.catalogue.contracts,
            price_of=lambda con_id: self.market.quote(con_id).mark,
            close_of=lambda con_id: self.market.quote(con_id).close,
            rate_of=self.rate_of,
        )
        self._vanished: set[str] = set()
        self._account_due_s = start_s
        start = Start(self.catalogue, self.market.quote)
        main, *others = accounts
        self.books.open_account(main, {"USD": 84_512.37, "EUR": 12_040.55}, start.big_portfolio())
        for name in others:
            self.books.open_account(name, {"USD": 31_200.0}, start.small_portfolio())
        self.script = OrderScript(
            seed,
            start_s,
            choices=start.choices(main, self.positions(main)),
            quote_of=self.market.quote,
            held=self._held,
            book=self.books.apply,
            every_s=_ORDER_EVERY_S / rate if rate > 0.0 else 0.0,
        )
        start.play_morning(self.script, main)

    # Accounts

    @property
    def accounts(self) -> tuple[str, ...]:
        """Names of the accounts that can be seen, the main one first."""
        return tuple(name for name in self.books.accounts if name not in self._vanished)

    def vanish(self, account: str) -> None:
        """Let an account be seen no more."""
        self._vanished.add(account)

    def reappear(self, account: str) -> None:
        """Let a vanished account be seen again."""
        self._vanished.discard(account)

    def positions(self, account: str, *, closed: bool = False) -> list[SimPosition]:
        """Return the positions of an account; `closed` adds those that were closed today."""
        if account not in self.accounts:
            return []
        return [each for each in self.books.accounts[account].positions.values() if each.quantity or closed]

    def position(self, account: str, con_id: int) -> SimPosition | None:
        """Return one position, also when it was closed today; None without one."""
        found = self.books.accounts.get(account)
        return None if found is None or account in self._vanished else found.positions.get(con_id)

    def cash(self, account: str) -> dict[str, float]:
        """Return the cash of an account by currency."""
        return dict(self.books.accounts[account].cash)

    def values(self, account: str) -> list[SimValue]:
        """Return the figures of an account under the broker's tags."""
        return self.books.values(account)

    def value(self, account: str, tag: str, currency: str = BASE_CURRENCY) -> float:
        """Return one figure; KeyError if there is none."""
        for each in self.books.values(account):
            if (each.tag, each.currency) == (tag, currency):
                return each.value
        raise KeyError((tag, currency))

    def pnl(self, account: str) -> SimPnl:
        """Return profit and loss of an account in USD."""
        return self.books.pnl(account)

    def position_pnl(self, account: str, con_id: int) -> SimPositionPnl:
        """Return profit and loss of a position in the contract's currency; KeyError without one."""
        return self.books.position_pnl(account, con_id)

    def rate_of(self, currency: str) -> float:
        """Return what one unit of a currency is worth in USD."""
        return 1.0 if currency == BASE_CURRENCY else self.market.quote(EURUSD).mark

    # Instruments and quotes

    def contract(self, con_id: int) -> SimContract | None:
        """Return a contract by the broker's number."""
        return self.catalogue.contracts.get(con_id)

    def chain(self, underlying_con_id: int) -> Chain | None:
        """Return the options of an underlying, None where there are none."""
        return self.catalogue.chains.get(underlying_con_id)

    def quote(self, con_id: int) -> SimQuote:
        """Return a quote, changed in place by later steps; KeyError for an unknown contract."""
        quote = self.market.quote(con_id)
        if quote.week_52_high is None and self.catalogue.contracts[con_id].sec_type == "STK":
            quote.week_52_high, quote.week_52_low = quote.high, quote.low  # ends the recursion by today's bar
            bars = self.history.daily(con_id, 252)
            quote.week_52_high = max(bar.high for bar in bars)
            quote.week_52_low = min(bar.low for bar in bars)
        return quote

    def tick_size(self, con_id: int) -> float:
        """Return the smallest price step at the present price."""
        contract = self.catalogue.contracts[con_id]
        return option_tick(self.quote(con_id).mark) if contract.is_option else contract.tick_size

    def phase(self, con_id: int) -> Phase:
        """Return which part of the contract's trading day it is."""
        return self.market.phase(self.catalogue.contracts[con_id])

    def hours_texts(self, con_id: int) -> tuple[str, str, str]:
        """Return (time zone as TWS names it, trading hours, liquid hours) of the week from today."""
        venue = self.catalogue.contracts[con_id].venue
        first = day_of(self.now_s, venue)
        zone = HOURS[venue].api_zone
        return zone, hours_text(venue, first, regular=False), hours_text(venue, first, regular=True)

    def halt(self, con_id: int, kind: int = 1) -> None:
        """Halt a contract (1 general, 2 volatility) or let it go on (0)."""
        self.market.halt(con_id, kind)

    def daily_bars(self, con_id: int, count: int) -> list[SimBar]:
        """Return daily bars, oldest first, today's last if it trades today; none for options."""
        return self.history.daily(con_id, count) if self.history.has(con_id) else []

    def volatility_bars(self, con_id: int, count: int) -> list[SimBar]:
        """Return daily bars of 30-day implied volatility, oldest first; for stocks only."""
        contract = self.catalogue.contracts[con_id]
        return self.history.daily_volatility(con_id, count) if contract.sec_type == "STK" else []

    def bars(self, con_id: int, bar_s: int, count: int) -> list[SimBar]:
        """Return bars within days, oldest first, the last still running; none for options."""
        return self.history.within_days(con_id, bar_s, count, self.now_s) if self.history.has(con_id) else []

    def scan(self, code: str, *, rows: int = 50, limits: ScanFilter | None = None) -> list[SimContract]:
        """Return the stocks a scan code finds, best first; KeyError for an unknown code (they are `scans.CODES`)."""
        return run_scan(code, self.catalogue, self.market.quote, limits or ScanFilter(), rows)

    # Orders

    @property
    def orders(self) -> list[SimOrder]:
        """All orders of the day, oldest first."""
        return [each for each in self.script.orders.values() if each.account not in self._vanished]

    @property
    def open_orders(self) -> list[SimOrder]:
        """Orders that can still be filled."""
        return [each for each in self.orders if each.is_working]

    @property
    def completed_orders(self) -> list[SimOrder]:
        """Orders of today that are done."""
        return [each for each in self.orders if not each.is_working]

    @property
    def fills(self) -> list[SimFill]:
        """Executions of the day, oldest first."""
        return [each for each in self.script.fills if each.account not in self._vanished]

    def commission_told(self, fill: SimFill) -> bool:
        """Return whether the commission of a fill has been reported."""
        return self.script.commission_told(fill)

    def begin_order(
        self,
        con_id: int,
        action: str,
        quantity: float,
        *,
        account: str | None = None,
        limit_price: float | None = None,
        fate: str = "fill",
        parts: int = 1,
        client_id: int = 0,
        order_id: int = 0,
    ) -> SimOrder:
        """Let an order appear as if somebody had entered it in TWS; fate: fill, rest, cancel or reject."""
        return self.script.begin(
            account or next(iter(self.books.accounts)),
            self.catalogue.contracts[con_id],
            action,
            quantity,
            order_type="MKT" if limit_price is None else "LMT",
            limit_price=limit_price,
            fate=fate,
            parts=parts,
            client_id=client_id,
            order_id=order_id,
        )

    # Time

    def step(self, dt_s: float) -> Changes:
        """Move on by `dt_s` seconds (above 0) and return what changed."""
        self.now_s += dt_s
        changes = Changes(quotes=self.market.step(dt_s))
        news = self.script.advance(self.now_s)
        today = day_of(self.now_s)
        if today != self.day:
            self._roll_day(today)
            changes.day = True
        changes.orders = [each for each in news.orders if each.account not in self._vanished]
        changes.fills = [each for each in news.fills if each.account not in self._vanished]
        changes.commissions = [each for each in news.commissions if each.account not in self._vanished]
        changes.positions = {each.con_id for each in changes.fills}
        if changes.fills or self.now_s >= self._account_due_s or changes.day:
            changes.account = True
            self._account_due_s = self.now_s + _ACCOUNT_EVERY_S
        return changes

    def _roll_day(self, today: date) -> None:
        self.history.roll_day(today)
        self.market.roll_day()
        self.books.roll_day()
        self.script.forget_day()
        self.day = today

    def _held(self, account: str, con_id: int) -> float:
        position = self.books.accounts[account].positions.get(con_id)
        return position.quantity if position is not None else 0.0
