"""Stocks of a broker in the scanner: rows, lines, sessions, closes and reasons, from a desk's own words."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime

import pytest
from broker_desk import LocalDesk, stock

from app.domain.account import AccountsSeen, AccountValue, DetailsSeen, LineRefused, ScanSeen, Source
from app.domain.contracts import Contract, ContractDetails, DailyBar, SecType, Session
from app.domain.health import LinkState
from app.domain.ids import Market
from app.domain.market import Field, Phase
from app.domain.quotes import DataKind
from app.domain.units import NS_PER_S
from app.portfolio.hours import NEW_YORK, utc_ns
from app.scanner.board import Board
from app.scanner.columns import Derived
from app.services.broker_scanning import BrokerScanning, scan_of, words_of
from app.services.scanning import Scanning
from app.settings.store import Settings
from app.venues.broker import Watchlist

STOCK = Market.IBKR_STOCK
AAPL = stock(265598, "AAPL", name="APPLE INC")
MSFT = stock(272093, "MSFT")
SPY = stock(756733, "SPY", primary_exchange="ARCA")
SAP = stock(14204, "SAP", currency="EUR", primary_exchange="IBIS")
SAP_US = stock(9720, "SAP", primary_exchange="NYSE")


def ny(text: str) -> int:
    return utc_ns(datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=NEW_YORK))


class FixedClock:
    """Stands still until it is moved."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns


class Office:
    """One or two desks and the scanner behind them."""

    def __init__(self, *desks: LocalDesk, watchlist: str = "AAPL,MSFT", scans: str = "", at: str = "23 12:00") -> None:
        settings = Settings()
        settings.override([f"ibkr.watchlist={watchlist}", f"ibkr.scans={scans}"])
        self.desks = desks or (LocalDesk(),)
        self.scanning = Scanning()
        self.stocks = BrokerScanning(settings, {desk.source: desk for desk in self.desks}, self.scanning)
        for desk in self.desks:
            desk.listeners.append(self.stocks)
            desk.answers.known = {each.symbol: (each,) for each in (AAPL, MSFT, SPY)}
        self.clock = FixedClock(ny(at))

    @property
    def desk(self) -> LocalDesk:
        return self.desks[0]

    @property
    def board(self) -> Board:
        return self.scanning.board

    def at(self, text: str) -> None:
        self.clock.now_ns = ny(text)
        self.advance()

    def advance(self, seconds: float = 0.0) -> None:
        self.clock.now_ns += round(seconds * NS_PER_S)
        self.stocks.look(self.clock.now_ns)
        for desk in self.desks:
            desk.lines.plan(self.clock.now_ns)
        self.stocks.look(self.clock.now_ns)
        self.board.refresh(self.clock.now_ns)

    async def ask(self, times: int = 20) -> None:
        for _ in range(times):
            await self.stocks.ask_once(self.desk, self.desk.answers, self.clock)
            self.advance()

    def quote(self, contract: Contract, **figures: float) -> None:
        self.desk.quote(self.clock.now_ns, contract.con_id, **figures)
        self.advance()

    def row(self, symbol: str) -> int:
        found = self.board.find(STOCK, symbol)
        assert found is not None
        return found

    def value(self, symbol: str, figure: Field | Derived) -> float:
        return float(self.board.values[figure, self.row(symbol)])

    def listed(self) -> list[str]:
        return [self.board.symbols[row] for row in range(self.board.count) if self.board.listed[row]]

    def notes(self, symbol: str) -> str:
        return "\n".join(self.stocks.rows.notes(self.row(symbol)))

    def why(self, symbol: str, key: str) -> str:
        return self.stocks.rows.why(self.row(symbol), key)


async def opened(*desks: LocalDesk, watchlist: str = "AAPL,MSFT", scans: str = "", at: str = "23 12:00") -> Office:
    """Return an office whose watchlist is resolved."""
    office = Office(*desks, watchlist=watchlist, scans=scans, at=at)
    office.advance()
    await office.ask()
    return office


# -- lists -----------------------------------------------------------------------------------------------------------


async def test_the_watchlist_becomes_rows_with_lines() -> None:
    office = await opened()
    assert office.listed() == ["AAPL", "MSFT"]
    assert {contract.con_id for contract in office.desk.lines.plan(office.clock.now_ns)} == {265598, 272093}
    assert office.desk.answers.asked[:3] == ["find AAPL", "find MSFT", "watchlists"]
    assert office.notes("AAPL").startswith("APPLE INC · NASDAQ · USD\nin watchlist\n")


async def test_a_symbol_the_broker_does_not_know_is_named_and_asked_again_later() -> None:
    office = await opened(watchlist="AAPL,NOSUCH")
    assert list(office.stocks.unknown) == ["NOSUCH"]
    assert office.desk.answers.asked.count("find NOSUCH") == 1
    office.clock.now_ns += 121 * NS_PER_S
    office.desk.answers.known["NOSUCH"] = (stock(5, "NOSUCH"),)
    await office.ask(1)
    assert not office.stocks.unknown
    assert office.listed() == ["AAPL", "NOSUCH"]


async def test_a_stock_the_ledger_knows_already_is_not_asked_for() -> None:
    office = Office()
    office.desk.on_events(1, (DetailsSeen(ContractDetails(contract=AAPL)),))
    office.advance()
    assert office.listed() == ["AAPL"]
    await office.ask(1)
    assert office.desk.answers.asked == ["find MSFT"]


async def test_rows_of_a_scan_come_and_go_and_say_their_rank() -> None:
    office = await opened(watchlist="AAPL", scans="TOP_PERC_GAIN,MOST_ACTIVE@STK.NYSE")
    assert [(scan.code, scan.location) for scan in office.desk.answers.scans] == [
        ("TOP_PERC_GAIN", "STK.US.MAJOR"),
        ("MOST_ACTIVE", "STK.NYSE"),
    ]
    office.desk.on_events(1, (ScanSeen("TOP_PERC_GAIN", (SPY, AAPL)),))
    office.advance()
    assert office.listed() == ["AAPL", "SPY"]
    assert "in watchlist, TOP_PERC_GAIN #2" in office.notes("AAPL")
    office.quote(SPY, last=600.0)
    office.desk.on_events(1, (ScanSeen("TOP_PERC_GAIN", ()),))
    office.advance()
    assert office.listed() == ["AAPL"]
    assert math.isnan(office.value("SPY", Field.LAST))
    office.desk.on_events(1, (ScanSeen("TOP_PERC_GAIN", (SPY,)),))
    office.advance()
    assert office.listed() == ["AAPL", "SPY"]
    assert office.value("SPY", Field.LAST) == 600.0, "what the ledger still knows"


async def test_lists_kept_at_the_broker_are_shown_too() -> None:
    office = Office(watchlist="")
    option = Contract(con_id=1, symbol="AAPL", sec_type=SecType.OPTION)
    office.desk.answers.lists = (Watchlist("Tech {0}", (AAPL, option)), Watchlist("All", (AAPL, MSFT)))
    office.advance()
    await office.ask(1)
    assert office.listed() == ["AAPL", "MSFT"]
    assert "in Tech {0}, All" in office.notes("AAPL")


async def test_one_symbol_on_two_exchanges_makes_two_rows() -> None:
    office = await opened(watchlist="", scans="X")
    office.desk.on_events(1, (ScanSeen("X", (SAP_US, SAP)),))
    office.advance()
    assert office.listed() == ["SAP", "SAP.IBIS"]
    office.quote(SAP, last=240.0)
    assert office.value("SAP.IBIS", Field.LAST) == 240.0
    assert math.isnan(office.value("SAP", Field.LAST))


async def test_too_many_stocks_are_left_out_and_counted() -> None:
    office = await opened(watchlist="", scans="X")
    office.desk.on_events(1, (ScanSeen("X", tuple(stock(n, f"S{n}") for n in range(1, 701))),))
    office.advance()
    assert len(office.listed()) == 600
    assert office.stocks.left_out == 100


def test_words_and_scans_are_read_leniently() -> None:
    assert words_of(" spy,, aapl ,SPY,") == ("SPY", "AAPL")
    assert scan_of("HOT_BY_VOLUME").location == "STK.US.MAJOR"


async def test_a_question_without_an_answer_harms_nothing() -> None:
    office = Office()
    office.advance()
    office.desk.answers.broken = True
    task = asyncio.create_task(office.stocks.run(office.clock))
    await asyncio.sleep(1.2)
    assert office.desk.answers.asked == ["find AAPL"]
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- lines -----------------------------------------------------------------------------------------------------------


async def test_rows_on_screen_get_the_lines_when_they_are_short() -> None:
    office = await opened(LocalDesk(lines=1))
    assert office.desk.lines.has_line(265598)
    assert office.value("MSFT", Field.LINE) == 0
    assert "waits for a market data line: 1 of 1 are in use" in office.notes("MSFT")
    office.scanning.set_on_screen({office.row("MSFT")})
    office.advance(1)
    assert office.desk.lines.has_line(272093)
    assert office.value("AAPL", Field.LINE) == 0


async def test_rows_that_alerts_are_about_go_before_other_hidden_ones() -> None:
    office = Office(LocalDesk(lines=1))
    office.scanning.set_watched({1})
    office.advance()
    await office.ask(3)
    office.advance(60)
    assert office.desk.lines.has_line(272093)


async def test_a_refused_row_stays_and_says_why() -> None:
    office = await opened()
    office.desk.lines.refused(272093, 354, "not subscribed", limit=False, now_ns=office.clock.now_ns)
    office.desk.on_events(office.clock.now_ns, (LineRefused(272093, 354, "not subscribed", False),))
    office.advance()
    assert office.listed() == ["AAPL", "MSFT"]
    assert office.value("MSFT", Field.LINE) == -1
    assert "refused: 354: not subscribed" in office.notes("MSFT")
    assert "not subscribed" in office.why("MSFT", "last")
    assert office.why("AAPL", "last") == ""


# -- figures ---------------------------------------------------------------------------------------------------------


async def test_quotes_become_figures_of_the_board() -> None:
    office = await opened()
    office.quote(AAPL, bid=199.9, ask=200.1, bid_size=300, ask_size=200, last=200.0, high=203.0, low=198.0, mark=200.0)
    office.quote(AAPL, close=190.0, halted=0.0)
    shown = {field: office.value("AAPL", field) for field in (Field.BID, Field.ASK, Field.HIGH, Field.LOW)}
    assert shown == {Field.BID: 199.9, Field.ASK: 200.1, Field.HIGH: 203.0, Field.LOW: 198.0}
    assert office.value("AAPL", Field.CHANGE_PCT) == pytest.approx(100 * 10 / 190)
    assert office.value("AAPL", Derived.SPREAD_BP) == pytest.approx(10.0)
    assert office.value("AAPL", Derived.AGE_S) == 0.0
    assert office.value("AAPL", Derived.DELAYED) == 0.0
    office.quote(AAPL, bid=math.nan)
    assert math.isnan(office.value("AAPL", Derived.SPREAD_BP))


async def test_turnover_grows_by_what_is_traded_at_its_price() -> None:
    office = await opened()
    office.quote(AAPL, volume=1000.0)
    assert math.isnan(office.value("AAPL", Field.VOLUME)), "no price yet"
    office.quote(AAPL, last=200.0)
    assert office.value("AAPL", Field.VOLUME) == 200_000.0
    office.quote(AAPL, last=210.0)
    assert office.value("AAPL", Field.VOLUME) == 200_000.0, "a price alone is no trade"
    office.quote(AAPL, volume=1100.0)
    assert office.value("AAPL", Field.VOLUME) == 221_000.0
    office.quote(AAPL, volume=10.0)
    assert office.value("AAPL", Field.VOLUME) == 2_100.0, "another day"


async def test_turnover_in_other_money_needs_the_accounts_rate() -> None:
    office = await opened(watchlist="", scans="X")
    office.desk.on_events(1, (ScanSeen("X", (SAP,)),))
    office.advance()
    office.quote(SAP, last=200.0, volume=10.0)
    assert math.isnan(office.value("SAP", Field.VOLUME))
    rates = (AccountValue("DU1", "ExchangeRate", "EUR", 1.1), AccountValue("DU1", "ExchangeRate", "USD", 1.0))
    office.desk.on_events(1, (AccountsSeen(("DU1",)), *rates))
    office.quote(SAP, volume=20.0)
    assert office.value("SAP", Field.VOLUME) == pytest.approx(4_400.0)


async def test_nothing_is_told_of_stocks_that_are_in_no_list() -> None:
    office = await opened()
    office.quote(SPY, last=600.0)
    assert office.board.find(STOCK, "SPY") is None


# -- sessions and gaps -----------------------------------------------------------------------------------------------


async def test_the_session_follows_the_time_without_quotes() -> None:
    office = await opened(at="23 08:00")
    seen = []
    for text in ("23 08:00", "23 09:30", "23 16:00", "23 20:00", "24 04:00"):
        office.at(text)
        seen.append(Phase(int(office.value("AAPL", Field.PHASE))))
    assert seen == [Phase.PRE, Phase.RTH, Phase.POST, Phase.CLOSED, Phase.PRE]
    assert "PRE until Tue 09:30 New York, by the calendar of the New York Stock Exchange" in office.notes("AAPL")
    assert math.isnan(office.value("AAPL", Derived.AGE_S)), "the time of day is no news of a stock"


async def test_a_contracts_own_hours_are_asked_for_and_believed() -> None:
    office = Office()
    early = Session(ny("23 04:00"), ny("23 14:00")), Session(ny("23 09:30"), ny("23 11:00"))
    office.desk.answers.hours[265598] = ContractDetails(
        contract=AAPL, zone="US/Eastern", trading=early[:1], liquid=early[1:]
    )
    office.advance()
    await office.ask()
    assert office.value("AAPL", Field.PHASE) == Phase.POST
    assert office.value("MSFT", Field.PHASE) == Phase.RTH
    assert "by the contract's own hours" in office.notes("AAPL")


async def test_a_gap_before_the_session_is_against_the_close_before() -> None:
    office = await opened(at="23 08:00")
    office.quote(AAPL, last=206.0, close=200.0)
    assert office.value("AAPL", Field.GAP_PCT) == pytest.approx(3.0)
    assert office.why("AAPL", "gap") == "last 206 against the close of 20 Nov, 200"
    office.quote(AAPL, kind=float(DataKind.DELAYED))
    assert math.isnan(office.value("AAPL", Field.GAP_PCT))
    assert "delayed" in office.why("AAPL", "gap")
    assert "quotes are DELAYED" in office.notes("AAPL")
    assert office.value("AAPL", Derived.DELAYED) == 1.0


async def test_a_close_that_comes_before_the_kind_of_quotes_waits_for_it() -> None:
    office = await opened(at="23 08:00")
    office.quote(AAPL, kind=math.nan, last=206.0, close=200.0)
    assert math.isnan(office.value("AAPL", Field.GAP_PCT))
    office.quote(AAPL)
    assert office.value("AAPL", Field.GAP_PCT) == pytest.approx(3.0)


async def test_after_the_session_a_daily_bar_says_which_close_it_is() -> None:
    office = await opened(at="23 17:00")
    office.quote(AAPL, last=210.0, close=200.0)
    assert math.isnan(office.value("AAPL", Field.GAP_PCT))
    assert office.value("AAPL", Field.CHANGE_PCT) == pytest.approx(5.0), "shown, with its doubt"
    assert "uncertain" in office.why("AAPL", "change_24h")
    office.desk.answers.bars[265598] = (DailyBar("20261120", 200.0), DailyBar("20261123", 205.0))
    office.clock.now_ns += 901 * NS_PER_S
    await office.ask()
    assert office.value("AAPL", Field.GAP_PCT) == pytest.approx(100 * 5 / 205)
    assert office.value("AAPL", Field.CHANGE_PCT) == pytest.approx(5.0)
    assert office.why("AAPL", "change_24h") == "against the previous close: close of 20 Nov"


async def test_bars_are_asked_for_rows_on_screen_first_and_not_again_and_again() -> None:
    office = Office(watchlist="AAPL,MSFT,SPY")
    office.advance()
    await office.ask(4)
    office.scanning.set_on_screen({office.row("SPY")})
    await office.ask()
    asked = office.desk.answers.asked[4:]
    assert asked[0] == "bars SPY"
    assert sorted(asked) == sorted(f"{what} {each}" for what in ("bars", "details") for each in ("AAPL", "MSFT", "SPY"))


async def test_a_stock_listed_again_does_not_take_an_old_close_for_a_new_one() -> None:
    office = await opened(watchlist="", scans="X", at="20 12:00")
    office.desk.on_events(1, (ScanSeen("X", (AAPL,)),))
    office.advance()
    office.desk.on_events(1, (ScanSeen("X", ()),))
    office.advance()
    office.quote(AAPL, last=200.0, close=190.0)
    office.at("23 08:00")
    office.quote(AAPL, last=201.0)
    office.desk.on_events(1, (ScanSeen("X", (AAPL,)),))
    office.advance()
    assert office.value("AAPL", Field.LAST) == 201.0
    assert math.isnan(office.value("AAPL", Field.GAP_PCT)), "the close was told three days ago"
    assert "uncertain" in office.why("AAPL", "change_24h")


async def test_halts_are_shown_with_their_kind() -> None:
    office = await opened()
    office.quote(AAPL, last=200.0, halted=2.0)
    assert office.value("AAPL", Field.HALTED) == 2.0
    assert "HALTED for volatility" in office.notes("AAPL")


# -- two sources -----------------------------------------------------------------------------------------------------


async def test_the_other_source_serves_the_scanner_after_a_while_and_only_one_at_a_time() -> None:
    tws, portal = LocalDesk(Source.TWS), LocalDesk(Source.PORTAL)
    office = await opened(tws, portal, scans="X")
    assert office.stocks.desk is tws
    portal.quote(office.clock.now_ns, 265598, last=1.0)
    assert math.isnan(office.value("AAPL", Field.LAST)), "quotes of the source that is not asked"
    tws.health.state = LinkState.BACKOFF
    office.advance(29)
    assert office.stocks.desk is tws
    office.advance(2)
    assert office.stocks.desk is portal
    assert "quotes by Client Portal" in office.notes("AAPL")
    assert portal.answers.scans == office.stocks.scans
    assert tws.answers.scans == ()
    assert tws.lines.usage().waiting == 0
    portal.quote(office.clock.now_ns, 265598, last=201.0)
    assert office.value("AAPL", Field.LAST) == 201.0
    tws.health.state = LinkState.LIVE
    office.advance(60)
    assert office.stocks.desk is portal, "no source is left without need"


async def test_without_a_live_source_the_first_one_is_waited_for() -> None:
    office = Office(LocalDesk(Source.TWS, state=LinkState.CONNECTING), LocalDesk(Source.PORTAL, state=LinkState.IDLE))
    office.advance()
    assert office.stocks.desk is office.desks[0]


async def test_a_replay_that_runs_fast_looks_twice_a_second() -> None:
    office = await opened()
    for moment in range(100):
        office.stocks.advance(office.clock.now_ns + moment * NS_PER_S // 100)
    office.desk.on_events(1, (ScanSeen("X", ()), DetailsSeen(ContractDetails(contract=SPY))))
    office.stocks.symbols = ("SPY",)
    office.stocks.advance(office.clock.now_ns + NS_PER_S - 1)
    assert office.listed() == ["AAPL", "MSFT"]
    office.stocks.advance(office.clock.now_ns + NS_PER_S)
    assert office.listed() == ["SPY"]


async def test_without_desks_nothing_happens() -> None:
    stocks = BrokerScanning(Settings(), {}, Scanning())
    stocks.look(1)
    await stocks.run(FixedClock(1))
    assert stocks.desk is None


async def test_in_a_replay_rows_come_from_what_was_recorded() -> None:
    office = Office(LocalDesk(state=LinkState.IDLE), scans="X")
    office.desk.session = None
    office.desk.on_events(1, (ScanSeen("X", (AAPL,)),))
    office.advance()
    office.quote(AAPL, last=200.0)
    assert office.value("AAPL", Field.LAST) == 200.0
    assert office.value("AAPL", Field.LINE) == 1.0
