"""One market of the simulated Bybit: its instruments, the books somebody follows, the topics somebody listens to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

import numpy as np

from app.domain.ids import Market
from app.sim.bybit import encoders
from app.sim.bybit.books import LiveBook, WindowState
from app.sim.bybit.contracts import Contract, Status
from app.sim.bybit.deals import Deals
from app.sim.bybit.faults import Fault
from app.sim.bybit.fields import Fields, Quote, linear_fields, quiet_quote, rest_row, spot_fields
from app.sim.bybit.tape import Tape
from app.sim.bybit.topics import PUSH_EVERY_MS, DepthTopic, TickerTopic, Topic, read_topic
from app.sim.connection import SimConnection
from app.sim.fault_text import FaultError

BURSTS_PER_STEP = 5
BURST_MS = 20
LIQUIDATIONS_EVERY_MS = 500
_MAJOR_EDITS = (4, 12)
_MINOR_EDITS = (2, 8)
_TOO_FAR = 0.01  # a book nobody followed is filled anew when the price went further than this
_LIQUIDATION_BURST = 25


class BybitVenue:
    """One market. `move` goes on by 20 ms and queues messages on the connections that subscribed."""

    def __init__(
        self, market: Market, contracts: list[Contract], tape: Tape, seed: int, now_ms: Callable[[], int]
    ) -> None:
        """Take the instruments and their figures; `now_ms` is UTC ms."""
        self.market = market
        self.contracts = contracts
        self.by_symbol = {each.symbol: each for each in contracts}
        self.tape = tape
        self.figures = tape.figures[market]
        self.topics: dict[str, Topic] = {}
        self.now_ms = now_ms
        self._seed = seed
        self._deals = Deals(self.figures, self._next_sequence)
        self._dice = Random(seed)
        self._books: dict[str, LiveBook] = {}
        self._tickers: dict[int, TickerTopic] = {}
        self._trades: dict[int, Topic] = {}
        self._liquidation_topics: dict[int, Topic] = {}
        self._depths: dict[int, list[DepthTopic]] = {}
        self._slots: list[list[int]] = [[] for _ in range(BURSTS_PER_STEP)]
        self._clock_ms = 0
        self._sequence = 10**11 + seed % 1000

    # Books

    def book(self, symbol: str) -> LiveBook:
        """Return a book as of now, filled at first sight; LookupError for an unknown or closed instrument."""
        contract = self.by_symbol[symbol]
        mid = self.tape.mid(self.market, contract.row)
        book = self._books.get(symbol)
        if book is None:
            if contract.status is Status.CLOSED:
                raise LookupError(symbol)
            book = self._books[symbol] = LiveBook(contract, mid, self._generator(contract, 0))
        elif not book.awake and contract.trading:
            tick_scale = 10**contract.listing.price_decimals
            if abs(book.best_bid / tick_scale / mid - 1.0) > _TOO_FAR:
                book = self._books[symbol] = self._filled_anew(book, contract, mid)
            else:
                self._follow(book, 2)
        return book

    def _generator(self, contract: Contract, age: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, contract.linear, contract.symbol_id, age))

    def _filled_anew(self, old: LiveBook, contract: Contract, mid: float) -> LiveBook:
        book = LiveBook(contract, mid, self._generator(contract, old.seq))
        book.seq = old.seq + 1000
        for level, window in old.windows.items():
            book.window(level).u = window.u + 1
        return book

    def _follow(self, book: LiveBook, edits: int) -> None:
        row = book.contract.row
        pressure = self.tape.pressure(book.contract.coin)
        book.follow(self.tape.mid(self.market, row), int(self.figures.spread[row]), pressure, edits, self.now_ms())

    def told(self, symbol: str, level: int, u: int | None = None) -> WindowState:
        """Return what a depth stream has told (until `u`); a stream nobody listens to is brought up to date."""
        if self.by_symbol[symbol].status is Status.CLOSED:
            return WindowState(1, self._books[symbol].seq if symbol in self._books else 1, [], [])
        book = self.book(symbol)
        window = book.window(level)
        if not window.awake:
            book.wake(window)
            book.sleep(window)
        return window.state() if u is None else window.state_at(u)

    def quote(self, row: int) -> Quote:
        """Return an instrument's best prices, from its book where one is followed."""
        book = self._books.get(self.contracts[row].symbol)
        if book is None or not book.awake or not book.contract.trading:
            return quiet_quote(self.figures, row)
        top = book.top(0)
        return top.bid, top.bid_quantity, top.ask, top.ask_quantity

    # Subscriptions

    def knows(self, name: str) -> bool:
        """Tell whether there is such a topic."""
        read = read_topic(name, self.market)
        contract = self.by_symbol.get(read[2]) if read is not None else None
        return contract is not None and contract.status is not Status.CLOSED

    def enter(self, connection: SimConnection, name: str) -> None:
        """Note a known topic on a connection."""
        topic = self.topics.get(name) or self._open(name)
        topic.subscribers[connection] = None
        connection.streams[name] = None

    def first(self, name: str) -> str | None:
        """Return what a new subscriber of an open topic is told at once."""
        return self.topics[name].first(self.now_ms())

    def unsubscribe(self, connection: SimConnection, names: Iterable[str]) -> None:
        """Take topics from a connection."""
        for name in list(names):
            topic = self.topics.get(name)
            if connection.streams.pop(name, self) is self or topic is None:
                continue
            topic.subscribers.pop(connection, None)
            if not topic.subscribers:
                self._close(topic)

    def _open(self, name: str) -> Topic:
        read = read_topic(name, self.market)
        assert read is not None, "asked for a topic that `knows` refuses"
        kind, level, symbol = read
        contract = self.by_symbol[symbol]
        row = contract.row
        if kind == "orderbook":
            assert level is not None
            depth = DepthTopic(name, contract, level, lambda: self._books.get(symbol) or self.book(symbol))
            self.book(symbol)
            depth.window.book.wake(depth.window)
            self._depths.setdefault(row, []).append(depth)
            self._share_slots()
            topic: Topic = depth
        elif kind == "tickers":
            topic = self._tickers[row] = TickerTopic(name, contract, lambda: self._fields(row), self._next_sequence)
        else:
            topic = Topic(name, contract)
            (self._trades if kind == "publicTrade" else self._liquidation_topics)[row] = topic
        self.topics[name] = topic
        return topic

    def _close(self, topic: Topic) -> None:
        row = topic.contract.row
        del self.topics[topic.name]
        if isinstance(topic, DepthTopic):
            topic.window.book.sleep(topic.window)
            self._depths[row].remove(topic)
            if not self._depths[row]:
                del self._depths[row]
            self._share_slots()
        else:
            for rows in (self._tickers, self._trades, self._liquidation_topics):
                if rows.get(row) is topic:
                    del rows[row]

    def _share_slots(self) -> None:
        self._slots = [[] for _ in range(BURSTS_PER_STEP)]
        for row, depths in self._depths.items():
            if self.contracts[row].listing.major and any(depth.level == 50 for depth in depths):
                for slot in self._slots:
                    slot.append(row)
            else:
                self._slots[row % 2 * 2].append(row)  # few writes serve many books

    def _fields(self, row: int) -> Fields:
        if self.market is Market.BYBIT_SPOT:
            return spot_fields(self.figures, row)
        return linear_fields(self.figures, row, self.quote(row), self.now_ms())

    def _next_sequence(self) -> int:
        self._sequence += 7
        return self._sequence

    # Time

    def move(self, burst: int, *, silent: bool) -> None:
        """Go on by one burst of 20 ms: move books, and queue what is due unless `silent`."""
        self._clock_ms += BURST_MS
        now_ms = self.now_ms()
        dice = self._dice
        for row in self._slots[burst]:
            contract = self.contracts[row]
            if not contract.trading:
                continue
            listing, depths = contract.listing, self._depths[row]
            wide = [depth for depth in depths if depth.level != 1]
            if wide and all(self._clock_ms - each.window.pushed_at_ms < PUSH_EVERY_MS[each.level] for each in wide):
                continue  # a move most could not be told of yet
            chance = 0.9 if listing.major else max(0.2, 0.5 - 0.002 * row) if wide else 0.15
            if dice.random() < chance * self.tape.rate:
                fewest, most = _MAJOR_EDITS if listing.major else _MINOR_EDITS
                self._follow(self._books[contract.symbol], dice.randint(fewest, most))
            if not silent:
                for depth in depths:
                    depth.push(now_ms, self._clock_ms)
        if burst == BURSTS_PER_STEP - 1:
            if self.market is Market.BYBIT_LINEAR:
                self._deals.note_liquidations(self.tape.liquidations, now_ms)
            if not silent:
                self._tell_figures(now_ms)

    def settle(self) -> None:
        """Push what every window still holds back, whatever its pace."""
        now_ms = self.now_ms()
        for depths in self._depths.values():
            for depth in depths:
                if depth.contract.trading:
                    depth.push(now_ms, self._clock_ms + 1000)

    def _tell_figures(self, now_ms: int) -> None:
        figures = self.figures
        for row, ticker in self._tickers.items():
            if figures.touched[row]:
                ticker.push(now_ms)
        for row, topic in self._trades.items():
            if figures.active[row]:
                topic.send(encoders.trades(topic.contract, [self._deals.trade(row, now_ms)], now_ms))
        if self._clock_ms % LIQUIDATIONS_EVERY_MS < BURST_MS * BURSTS_PER_STEP:
            for row, rows in self._deals.take_liquidations().items():
                listening = self._liquidation_topics.get(row)
                if listening is not None:
                    listening.send(encoders.liquidations(listening.contract, rows, now_ms))

    # Faults

    def concerns(self, fault: Fault) -> bool:
        """Tell whether a fault of books finds something here: a book that is followed, or one to take away."""
        if fault.name == "delist" and fault.symbol is not None:
            return fault.symbol in self.by_symbol
        return bool(self._followed(fault))

    def start_fault(self, fault: Fault) -> None:
        """Begin a fault of books or liquidations; raise FaultError when nobody follows what it names."""
        if fault.name == "liquidations":
            self._burst_of_liquidations(fault)
        elif fault.name == "delist":
            self._delist(self._contract(fault))
        else:
            depths = self._followed(fault)
            if not depths:
                raise FaultError(f"expected a symbol of {self.market.word} whose book is followed, was {fault.symbol}")
            for depth in depths:
                depth.faults.append(fault)

    def _followed(self, fault: Fault) -> list[DepthTopic]:
        rows = list(self._depths)
        if fault.symbol is not None:
            rows = [row for row in rows if self.contracts[row].symbol == fault.symbol]
        elif fault.name != "restart":
            rows = rows[:1]
        return [depth for row in rows for depth in self._depths[row] if depth.level != 1]

    def _contract(self, fault: Fault) -> Contract:
        if fault.symbol is None:
            row = next(iter(self._depths), 0)
            return self.contracts[row]
        if fault.symbol not in self.by_symbol:
            raise FaultError(f"expected a symbol of {self.market.word}, was {fault.symbol!r}")
        return self.by_symbol[fault.symbol]

    def _delist(self, contract: Contract) -> None:
        contract.status = Status.CLOSED
        self.figures.trading[contract.row] = False
        now_ms = self.now_ms()
        for depth in self._depths.get(contract.row, []):
            depth.end(now_ms)

    def _burst_of_liquidations(self, fault: Fault) -> None:
        row = self._contract(fault).row
        count = fault.count or _LIQUIDATION_BURST
        burst = [self.tape.liquidation(row, long=self._dice.random() < 0.8) for _ in range(count)]
        self._deals.note_liquidations(burst, self.now_ms())

    # Views

    def rest_tickers(self, symbol: str | None) -> list[dict[str, object]]:
        """Return the rows of the REST tickers, of one instrument or of all that are not closed."""
        now_ms = self.now_ms()
        chosen = self.contracts if symbol is None else [self.by_symbol[symbol]]
        rows = [each.row for each in chosen if each.status is not Status.CLOSED]
        return [rest_row(self.figures, row, self.quote(row), now_ms) for row in rows]
