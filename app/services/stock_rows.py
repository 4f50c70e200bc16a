"""Turns a broker's quotes of stocks into rows of the scanner's board, with session, gap and turnover of the day.

What the quotes cannot say by themselves is worked out here: which session it is, which day's close the source means,
what the day's shares are worth. What is not certain stays unknown, and `why` says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from app.domain.contracts import Contract, ContractDetails, DailyBar
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.domain.quotes import DataKind, QuoteField, QuoteUpdate
from app.domain.units import NS_PER_S
from app.portfolio.closes import Closes, Held
from app.portfolio.hours import NEW_YORK, ContractHours, Spell
from app.scanner.board import Board

MARKET: Final = Market.IBKR_STOCK
NAN: Final = float("nan")
_ALIKE: Final = {
    QuoteField.LAST: Field.LAST,
    QuoteField.BID: Field.BID,
    QuoteField.ASK: Field.ASK,
    QuoteField.BID_SIZE: Field.BID_SIZE,
    QuoteField.ASK_SIZE: Field.ASK_SIZE,
    QuoteField.HIGH: Field.HIGH,
    QuoteField.LOW: Field.LOW,
    QuoteField.MARK: Field.MARK,
    QuoteField.VOLUME: Field.BASE_VOLUME,
    QuoteField.HALTED: Field.HALTED,
    QuoteField.KIND: Field.DATA_KIND,
}
_NEW_DAY: Final = 0.5
"""A day's volume that falls under this share of itself is that of another day."""

Tell = Callable[[Market, int, Sequence[TickerUpdate]], None]
LineState = Callable[[int], tuple[int, str]]
"""By con_id: 1, 0 or -1 as in `Field.LINE`, and why there are no quotes ("" when there are)."""


_NOTHING: Final = Held(NAN, "nothing was told yet")


@dataclass(slots=True, kw_only=True)
class _Stock:
    contract: Contract
    symbol: str
    row: int
    hours: ContractHours = field(default_factory=ContractHours)
    closes: Closes = field(default_factory=Closes)
    lists: tuple[str, ...] = ()
    spell: Spell | None = None
    gap: Held = _NOTHING
    previous: Held = _NOTHING
    last: float = NAN
    kind: float = NAN
    shares: float = NAN
    turnover: float = NAN
    told_close: tuple[float, int] | None = None
    """A previous close, and when it was told (UTC ns), before it was known whether quotes are live."""
    is_dirty: bool = True
    line: int = 0
    why_no_quotes: str = ""


class StockRows:
    """The stocks on the board. tell: where their news goes. usd_rate: what a unit of a currency is in USD, NaN unknown.

    dropped counts stocks that found no place on the board.
    """

    def __init__(self, board: Board, tell: Tell, usd_rate: Callable[[str], float]) -> None:
        self._board = board
        self._tell = tell
        self._usd_rate = usd_rate
        self._stocks: dict[int, _Stock] = {}
        self._by_row: dict[int, _Stock] = {}
        self._listed: dict[int, _Stock] = {}
        self.source_name = ""
        self.dropped = 0
        board.explainers[MARKET] = self

    # -- which stocks --------------------------------------------------------------------------------------------

    def show(self, lists: Mapping[int, tuple[str, ...]], contracts: Mapping[int, Contract]) -> list[int]:
        """Show just these stocks: by con_id the lists they are in, and what they are. Return those that are new."""
        before = set(self._listed)
        listed: dict[int, _Stock] = {}
        for con_id, names in lists.items():
            stock = self._stocks.get(con_id) or self._add(contracts[con_id])
            if stock is not None:
                stock.lists, stock.contract = names, contracts[con_id]
                listed[con_id] = stock
                self._board.set_listed(stock.row, True)
        for con_id, stock in self._listed.items():
            if con_id not in listed:
                stock.lists = ()
                self._forget(stock)
                self._board.set_listed(stock.row, False)
        self._listed = listed
        return [con_id for con_id in listed if con_id not in before]

    def _add(self, contract: Contract) -> _Stock | None:
        symbol = contract.symbol
        for name in (
            symbol,
            f"{symbol}.{contract.primary_exchange or contract.currency}",
            f"{symbol}.{contract.con_id}",
        ):
            taken = self._board.find(MARKET, name)
            if taken is None or self._by_row[taken].contract.con_id == contract.con_id:
                try:
                    row = self._board.row(MARKET, name)
                except (OverflowError, ValueError):
                    break
                stock = _Stock(contract=contract, symbol=name, row=row)
                self._stocks[contract.con_id] = self._by_row[row] = stock
                return stock
        self.dropped += 1
        return None

    def _forget(self, stock: _Stock) -> None:
        stock.last = stock.kind = stock.shares = stock.turnover = NAN
        stock.spell, stock.told_close, stock.is_dirty = None, None, True

    def listed(self) -> Mapping[int, int]:
        """Return the stocks that are shown: con_id and row of the board."""
        return {con_id: stock.row for con_id, stock in self._listed.items()}

    def contract_at(self, row: int) -> Contract | None:
        """Return the stock of a row, None when it is not shown."""
        stock = self._by_row.get(row)
        return stock.contract if stock is not None and stock.contract.con_id in self._listed else None

    # -- news ----------------------------------------------------------------------------------------------------

    def on_quotes(self, recv_ns: int, updates: Sequence[QuoteUpdate], *, is_news: bool = True) -> None:
        """Take quotes; those of contracts that are not shown are left. is_news: they came just now."""
        news = []
        for con_id, event_ns, values in updates:
            stock = self._listed.get(con_id)
            if stock is not None:
                news.append(TickerUpdate(stock.symbol, event_ns, self._figures(stock, values, recv_ns, is_news)))
        if news:
            self._tell(MARKET, recv_ns, news)

    def _figures(self, stock: _Stock, values: Mapping[int, float], recv_ns: int, is_news: bool) -> dict[int, float]:
        figures: dict[int, float] = {}
        for quote_field, value in values.items():
            alike = _ALIKE.get(QuoteField(quote_field))
            if alike is not None:
                figures[alike] = value
        stock.kind = figures.get(Field.DATA_KIND, stock.kind)
        stock.last = figures.get(Field.LAST, stock.last)
        self._note_close(stock, values, recv_ns, is_news)
        if stock.kind == DataKind.LIVE and is_news:
            stock.closes.on_open(values.get(QuoteField.OPEN, NAN), recv_ns)
        if Field.BASE_VOLUME in figures or math.isnan(stock.turnover):
            self._trade(stock, figures.get(Field.BASE_VOLUME, stock.shares))
            figures[Field.VOLUME] = stock.turnover * self._usd_rate(stock.contract.currency)
        stock.is_dirty = True
        return figures

    def _note_close(self, stock: _Stock, values: Mapping[int, float], recv_ns: int, is_news: bool) -> None:
        """Believe the previous close of live quotes only; one that comes before their kind waits for it."""
        close = values.get(QuoteField.CLOSE)
        if close is not None:
            stock.told_close = (close, recv_ns)
            if not is_news or (stock.kind != DataKind.LIVE and not math.isnan(stock.kind)):
                stock.closes.on_late_close(close, recv_ns)
                stock.told_close = None
        if stock.told_close is not None and stock.kind == DataKind.LIVE:
            stock.closes.on_close(*stock.told_close)
            stock.told_close = None

    def _trade(self, stock: _Stock, shares: float) -> None:
        """Add what was traded since the last volume, at the last price; what came before is worth the first price."""
        if not (shares >= 0.0 and stock.last > 0.0):
            if shares >= 0.0:
                stock.shares = shares
            return
        if math.isnan(stock.turnover) or shares < stock.shares * _NEW_DAY:
            stock.turnover = shares * stock.last
        else:
            stock.turnover += max(0.0, shares - stock.shares) * stock.last
        stock.shares = shares

    def on_details(self, details: ContractDetails) -> None:
        """Take a contract's own hours."""
        told, stock = details.contract, self._stocks.get(details.contract.con_id)
        if stock is None:
            return
        known = stock.contract
        stock.contract = replace(
            known, name=told.name or known.name, primary_exchange=told.primary_exchange or known.primary_exchange
        )
        if details.trading:
            stock.hours, stock.is_dirty = ContractHours(details), True

    def on_bars(self, con_id: int, bars: Sequence[DailyBar], now_ns: int) -> None:
        """Take the closes of the last days."""
        stock = self._stocks.get(con_id)
        if stock is not None:
            for bar in bars:
                stock.closes.on_bar(bar.day, bar.close, now_ns)
            stock.is_dirty = True

    def needs_bars(self, con_id: int, now_ns: int) -> bool:
        """Tell whether it is uncertain which day's close the source tells."""
        stock = self._listed.get(con_id)
        return stock is not None and stock.closes.needs_bar(now_ns)

    # -- time goes on --------------------------------------------------------------------------------------------

    def advance(self, now_ns: int, line_state: LineState) -> None:
        """Work out session, previous close and gap as of now (UTC ns), and note who has a line."""
        for con_id, stock in self._listed.items():
            spell = stock.hours.at(now_ns)
            line, why = line_state(con_id)
            if spell is stock.spell and not stock.is_dirty and line == stock.line and why == stock.why_no_quotes:
                continue
            stock.spell, stock.is_dirty, stock.line, stock.why_no_quotes = spell, False, line, why
            stock.previous = stock.closes.previous(now_ns)
            is_live = stock.kind == DataKind.LIVE
            stock.gap = stock.closes.gap_pct(now_ns, spell.phase, stock.last, is_live=is_live)
            self._board.annotate(
                stock.row,
                {
                    Field.PHASE: float(spell.phase),
                    Field.PREVIOUS: stock.previous.value,
                    Field.GAP_PCT: stock.gap.value,
                    Field.LINE: float(line),
                },
            )

    # -- in words ------------------------------------------------------------------------------------------------

    def notes(self, row: int) -> Sequence[str]:
        """Return what is to be said of a row: what it is, its session, its quotes, where it comes from."""
        stock = self._by_row.get(row)
        if stock is None:
            return ()
        contract = stock.contract
        what = " · ".join(
            filter(None, (contract.name, contract.primary_exchange or contract.exchange, contract.currency))
        )
        lines = [what, f"in {', '.join(stock.lists)}" if stock.lists else "in no list any more"]
        if stock.spell is not None:
            lines.append(_spell_words(stock.spell))
        if stock.why_no_quotes:
            lines.append(stock.why_no_quotes)
        elif not math.isnan(stock.kind) and stock.kind != DataKind.LIVE:
            lines.append(f"quotes are {DataKind(int(stock.kind)).word.upper()}: nothing is detected from them")
        halted = float(self._board.values[Field.HALTED, row])
        if halted > 0.0:
            lines.append("HALTED for volatility" if halted == 2.0 else "HALTED")
        if self.source_name:
            lines.append(f"quotes by {self.source_name}")
        return lines

    def why(self, row: int, key: str) -> str:
        """Return why a figure is not known, or what it rests on."""
        stock = self._by_row.get(row)
        if stock is None:
            return ""
        if key == "gap":
            unheard = math.isnan(stock.kind) and stock.why_no_quotes
            return stock.why_no_quotes if unheard else stock.gap.why
        if key == "change_24h":
            return f"against the previous close: {stock.previous.why}"
        if key == "volume_24h":
            return (
                "shares of the day, each lot at the price when it was told; what was traded before, at the first price"
            )
        return stock.why_no_quotes


def _spell_words(spell: Spell) -> str:
    """Return a session in words: `PRE until 09:30 New York, by the contract's own hours`."""
    end = datetime.fromtimestamp(spell.end_ns // NS_PER_S, NEW_YORK)
    note = f" ({spell.note})" if spell.note else ""
    return f"{spell.phase.word}{note} until {end:%a %H:%M} New York, by {spell.basis.value}"
