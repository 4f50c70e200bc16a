"""The Portfolio without a screen: pace, sources, accounts, order, texts, reasons, curve, export."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "portfolio"))
from portfolio_desk import (
    AAPL,
    ACCOUNT,
    CALL,
    EURUSD,
    FUTURE,
    SAP,
    SPY,
    FakeBrokerage,
    FakeDesk,
    Time,
    world_desk,
)

from app.domain.account import AccountPnl, AccountsSeen, Source, Tag
from app.domain.contracts import ContractDetails, Session
from app.domain.errors import StorageError
from app.domain.health import LinkState
from app.domain.orders import Side
from app.domain.units import NS_PER_S
from app.portfolio.beta import Beta
from app.portfolio.groups import By
from app.portfolio.lines import LineGroup
from app.portfolio.pnl_minutes import PnlMinute
from app.viewmodels.linking import LinkBus
from app.viewmodels.portfolio import ALL, PortfolioModel, day_start_ns
from app.viewmodels.portfolio_accounts import BarFigure
from app.viewmodels.portfolio_columns import COLUMNS, KEYS, USUAL, Column, chosen_columns, chosen_widths
from app.viewmodels.portfolio_curve import CurveOf
from app.viewmodels.portfolio_nodes import Node
from app.viewmodels.portfolio_source import NONE_ON

OTHER = "DU7654321"


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk(Time())
    made.tell(AccountsSeen((ACCOUNT,)))
    made.money(Tag.NET_LIQUIDATION, 100_000.0)
    return made


def model_of(*desks: FakeDesk, history: object = None) -> PortfolioModel:
    made = PortfolioModel(FakeBrokerage(*desks), LinkBus(), clock=desks[0].time, history=history)  # type: ignore[arg-type]
    made.compute()
    return made


def labels(model: PortfolioModel) -> list[str]:
    return [node.label for node in model.lines.nodes]


def node_of(model: PortfolioModel, label: str) -> Node:
    lines = [each for node in model.lines.nodes for each in (node, *node.children)]
    return next(each for each in lines if each.label == label)


def text(model: PortfolioModel, label: str, key: str) -> str:
    return model.lines.text(node_of(model, label), key)


def why(model: PortfolioModel, label: str, key: str) -> str:
    return model.lines.why(node_of(model, label), key)


def figure(model: PortfolioModel, title: str) -> BarFigure:
    return next(each for each in model.view.figures if each.title == title)


# -- pace ----------------------------------------------------------------------------------------------------------


def test_values_are_computed_every_second_in_the_session_and_every_five_outside(desk: FakeDesk) -> None:
    desk.hold(AAPL, 10, 150.0, market_price=160.0)
    model = model_of(desk)
    assert model.in_session
    revision = model.revision
    desk.time.add(0.9)
    model.poll()
    assert model.revision == revision
    desk.time.add(0.1)
    model.poll()
    assert model.revision == revision + 1
    desk.time.add(14 * 3600)  # past midnight in New York, a Saturday
    model.poll()
    assert not model.in_session
    revision = model.revision
    for _ in range(4):
        desk.time.add(1)
        model.poll()
    assert model.revision == revision
    desk.time.add(1)
    model.poll()
    assert model.revision == revision + 1


def test_the_contracts_own_hours_decide_about_the_session(desk: FakeDesk) -> None:
    desk.hold(AAPL, 10, 150.0, market_price=160.0)
    now_ns = desk.time.now_ns
    hours = (Session(now_ns + 3600 * NS_PER_S, now_ns + 7200 * NS_PER_S),)
    desk.ledger.details[AAPL.con_id] = ContractDetails(contract=AAPL, trading=hours, liquid=hours, zone="US/Eastern")
    model = model_of(desk)
    assert not model.in_session
    desk.time.add(3600)
    model.poll()
    assert model.in_session


def test_prices_follow_the_quotes_between_two_computations(desk: FakeDesk) -> None:
    desk.hold(AAPL, 10, 150.0)
    desk.quote(AAPL, bid=159.9, ask=160.1, last=160.0, close=150.0)
    model = model_of(desk)
    assert model.follow_prices() == []
    desk.time.add(0.1)
    desk.quote(AAPL, bid=164.9, ask=165.1, last=165.0)
    assert model.follow_prices() == [(ACCOUNT, AAPL.con_id)]
    assert text(model, "AAPL", "price") == "165.00"
    assert text(model, "AAPL", "change") == "+10.00"
    assert text(model, "AAPL", "market_value") == "1,600.00"
    assert model.follow_prices() == []
    desk.time.add(1)
    model.poll()
    assert text(model, "AAPL", "market_value") == "1,650.00"


# -- sources and accounts ------------------------------------------------------------------------------------------


def test_with_no_source_on_the_panel_says_how_to_switch_one_on() -> None:
    model = PortfolioModel(FakeBrokerage(), LinkBus(), clock=Time())
    model.compute()
    assert model.message() == NONE_ON
    assert model.source is None
    assert model.view.figures == ()
    assert model.follow_prices() == []


def test_both_sources_can_be_chosen_and_the_former_gives_its_lines_up(desk: FakeDesk) -> None:
    portal = FakeDesk(desk.time, Source.PORTAL)
    desk.hold(AAPL, 10, 150.0)
    portal.hold(SAP, 10, 150.0)
    model = model_of(desk, portal)
    assert model.sources == (Source.TWS, Source.PORTAL)
    assert labels(model) == ["AAPL"]
    assert [each.con_id for each in desk.wanted[LineGroup.POSITIONS]] == [AAPL.con_id]
    model.set_source(Source.PORTAL)
    assert labels(model) == ["SAP"]
    assert desk.wanted[LineGroup.POSITIONS] == ()
    assert [each.con_id for each in portal.wanted[LineGroup.POSITIONS]] == [SAP.con_id]
    model.shut()
    assert portal.wanted[LineGroup.POSITIONS] == ()


def test_a_second_panel_that_is_closed_takes_no_quotes_from_the_first(desk: FakeDesk) -> None:
    desk.hold(AAPL, 10, 150.0)
    first, second = model_of(desk), model_of(desk)
    second.shut()
    desk.time.add(1)
    first.poll()
    assert [each.con_id for each in desk.wanted[LineGroup.POSITIONS]] == [AAPL.con_id]


def test_one_account_or_all_can_be_shown(desk: FakeDesk) -> None:
    desk.tell(AccountsSeen((ACCOUNT, OTHER)))
    desk.money(Tag.NET_LIQUIDATION, 50_000.0, account=OTHER)
    desk.money(Tag.CUSHION, 0.4, "")
    desk.hold(AAPL, 10, 150.0, market_price=160.0)
    desk.hold(SPY, 10, 150.0, OTHER, market_price=160.0)
    model = model_of(desk)
    assert len(model.rows) == 2
    assert "account" in model.shown_columns
    assert figure(model, "Net liquidation").text == "150,000"
    assert "2 accounts" in figure(model, "Net liquidation").tip
    assert figure(model, "Cushion").text == "—"
    assert "choose one account" in figure(model, "Cushion").tip
    model.set_account(ACCOUNT)
    assert labels(model) == ["AAPL"]
    assert "account" not in model.shown_columns
    assert figure(model, "Net liquidation").text == "100,000"
    assert figure(model, "Cushion").text == "40.0 %"


def test_an_account_that_vanishes_takes_its_rows_with_it_and_the_rest_is_shown(desk: FakeDesk) -> None:
    desk.tell(AccountsSeen((ACCOUNT, OTHER)))
    desk.hold(AAPL, 10, 150.0, market_price=160.0)
    desk.hold(SPY, 10, 150.0, OTHER, market_price=160.0)
    model = model_of(desk)
    model.set_account(OTHER)
    assert labels(model) == ["SPY"]
    desk.tell(AccountsSeen((ACCOUNT,)))
    model.compute()
    assert model.accounts == (ACCOUNT,)
    assert labels(model) == ["AAPL"]


# -- health --------------------------------------------------------------------------------------------------------


def test_paper_and_live_are_said_with_the_reason(desk: FakeDesk) -> None:
    model = model_of(desk)
    assert model.state.mode == "PAPER"
    assert "7497" in model.state.mode_why
    desk.health.paper = False
    model.compute()
    assert model.state.mode == "LIVE"
    desk.health.paper, desk.health.paper_why = None, ""
    model.compute()
    assert model.state.mode == ""
    assert "neither" in model.state.mode_why


def test_a_source_that_is_down_is_said_since_when_and_what_comes_next(desk: FakeDesk) -> None:
    desk.hold(AAPL, 10, 150.0, market_price=160.0)
    model = model_of(desk)
    assert (model.state.trouble, model.state.is_stale) == ("", False)
    desk.health.state, desk.health.reason = LinkState.BACKOFF, "TWS closed the connection"
    desk.health.since_ns = desk.time.now_ns
    desk.health.retry_at_ns = desk.time.now_ns + 30 * NS_PER_S
    desk.time.add(12)
    model.compute()
    assert model.state.is_stale
    assert model.state.trouble == (
        "TWS has been away for 12 s. TWS closed the connection. Shown are the figures of 15:30:00 UTC. "
        "Next try in 18 s."
    )
    assert labels(model) == ["AAPL"]


def test_what_the_user_must_do_is_said(desk: FakeDesk) -> None:
    desk = FakeDesk(Time(), Source.PORTAL)
    desk.health.state, desk.health.needs = LinkState.BANNED, "Log in at https://localhost:5000"
    desk.health.connected_ns = None
    model = model_of(desk)
    assert model.state.trouble == "Client Portal is not connected yet. Log in at https://localhost:5000."


def test_account_figures_that_stopped_coming_are_stale_though_the_source_is_live(desk: FakeDesk) -> None:
    model = model_of(desk)
    desk.time.add(301)
    model.compute()
    assert model.state.is_stale
    assert "5 m 1 s old" in model.state.trouble


# -- tree, order, filter -------------------------------------------------------------------------------------------


@pytest.fixture
def portfolio(desk: FakeDesk) -> FakeDesk:
    desk.money(Tag.EXCHANGE_RATE, 1.25, "EUR")
    desk.hold(AAPL, 100, 150.0)
    desk.quote(AAPL, bid=199.9, ask=200.1, last=200.0, close=198.0)
    desk.hold(CALL, -2, 512.0)
    desk.quote(CALL, bid=6.0, ask=6.2, close=5.0, delta=0.4, gamma=0.01, theta=-0.05, vega=0.1)
    desk.hold(SAP, 90, 200.0, market_price=220.0)
    desk.hold(SPY, 10, 400.0)
    desk.quote(SPY, last=500.0, close=505.0)
    return desk


def test_the_tree_groups_by_underlying_and_the_total_comes_first(portfolio: FakeDesk) -> None:
    model = model_of(portfolio)
    # SAP: 19,800 EUR are 24,750 USD, more than AAPL's 18,780
    assert labels(model) == ["Total in USD", "SAP", "AAPL", "SPY"]
    group = node_of(model, "AAPL")
    assert [child.label for child in group.children] == ["AAPL", "AAPL 18 Dec 26 200 C"]
    assert text(model, "AAPL", "market_value") == "18,780"
    assert text(model, "Total in USD", "market_value") == "48,530"
    model.set_tree(False)
    assert labels(model) == ["Total in USD", "SAP", "AAPL", "SPY", "AAPL 18 Dec 26 200 C"]


def test_sorting_turns_round_and_unknown_values_stay_last(portfolio: FakeDesk) -> None:
    model = model_of(portfolio)
    model.set_tree(False)
    model.set_sorting("daily")
    assert labels(model)[1:] == ["AAPL", "SPY", "AAPL 18 Dec 26 200 C", "SAP"]
    model.set_sorting("daily")
    assert labels(model)[1:] == ["AAPL 18 Dec 26 200 C", "SPY", "AAPL", "SAP"]
    model.set_sorting("instrument")
    assert labels(model)[1:] == ["AAPL", "AAPL 18 Dec 26 200 C", "SAP", "SPY"]
    model.set_sorting("instrument")
    assert labels(model)[1:][0] == "SPY"
    model.set_sorting("currency")
    assert labels(model)[1] == "SAP"


def test_rows_stay_where_they_are_while_held(portfolio: FakeDesk) -> None:
    model = model_of(portfolio)
    model.set_tree(False)
    structure = model.lines.structure
    portfolio.quote(SPY, last=9_000.0)
    model.compute(hold=True)
    assert labels(model) == ["Total in USD", "SAP", "AAPL", "SPY", "AAPL 18 Dec 26 200 C"]
    assert model.lines.structure == structure
    model.compute()
    assert labels(model)[1] == "SPY"
    assert model.lines.structure == structure + 1


def test_the_filter_wants_every_word(portfolio: FakeDesk) -> None:
    model = model_of(portfolio)
    model.set_filter("aapl opt")
    assert labels(model) == ["AAPL 18 Dec 26 200 C"]
    model.set_filter("eur")
    assert labels(model) == ["SAP"]
    model.set_filter("nothing")
    assert labels(model) == []
    assert model.message() == "None of 4 positions contains “nothing”."


def test_without_positions_the_panel_says_whether_they_are_still_to_come(desk: FakeDesk) -> None:
    model = model_of(desk)
    assert model.message() == "Waiting for the positions of TWS…"
    desk.hold(AAPL, 1, 1.0)
    desk.hold(AAPL, 0, 1.0)
    model.compute()
    assert model.message() == "TWS shows no open position."


# -- texts and reasons ---------------------------------------------------------------------------------------------


def test_cells_have_signs_ticks_and_marks(portfolio: FakeDesk) -> None:
    portfolio.ledger.details[CALL.con_id] = ContractDetails(contract=CALL, tick_size=0.05)
    model = model_of(portfolio)
    call = "AAPL 18 Dec 26 200 C"
    assert text(model, call, "quantity") == "-2"
    assert text(model, call, "price") == "6.10"
    assert text(model, call, "average") == "5.120"
    assert text(model, call, "market_value") == "-1,220.00"
    assert text(model, call, "unrealised") == "-196.00"
    assert text(model, call, "daily") == "-220.00"
    assert text(model, call, "delta") == "-80.00"
    assert text(model, call, "theta") == "+10.00"
    assert text(model, call, "dollar_delta") == "-16,000"
    assert text(model, "SPY", "gamma") == "0"
    assert text(model, "SAP", "daily") == "—"
    assert text(model, "SAP", "currency") == "EUR"


def test_a_mid_between_two_ticks_gets_one_decimal_more(portfolio: FakeDesk) -> None:
    portfolio.ledger.details[CALL.con_id] = ContractDetails(contract=CALL, tick_size=0.01)
    portfolio.quote(CALL, bid=6.10, ask=6.13)
    model = model_of(portfolio)
    assert text(model, "AAPL 18 Dec 26 200 C", "price") == "6.115"


def test_partial_sums_carry_the_sign_and_the_count(portfolio: FakeDesk) -> None:
    model = model_of(portfolio)
    assert text(model, "Total in USD", "daily").startswith("≈ ")
    reason = why(model, "Total in USD", "daily")
    assert "known for 3 of 4" in reason
    assert "PARTIAL" in reason
    assert text(model, "Total in USD", "delta") == ""
    assert "different underlyings" in why(model, "Total in USD", "delta")
    assert text(model, "AAPL", "gamma") == "-2.00"


def test_the_brokers_figure_is_marked(desk: FakeDesk) -> None:
    desk.hold(AAPL, 10, None, market_price=160.0, unrealised=77.0, daily=-5.0)
    model = model_of(desk)
    assert text(model, "AAPL", "unrealised") == "+77.00 †"
    assert text(model, "AAPL", "daily") == "-5.00 †"
    assert "the broker's figure" in why(model, "AAPL", "daily")


def test_halted_and_delayed_are_marked(desk: FakeDesk) -> None:
    desk.hold(AAPL, 10, 150.0)
    desk.quote(AAPL, last=160.0, kind=3.0, halted=2.0)
    model = model_of(desk)
    assert text(model, "AAPL", "price") == "H D 160.00"
    assert "delayed" in why(model, "AAPL", "price")
    assert "halted" in why(model, "AAPL", "price")


def test_every_number_says_its_formula_with_its_values(portfolio: FakeDesk) -> None:
    portfolio.betas[AAPL.con_id] = Beta(1.2, 250, "20251120", "20261119")
    model = model_of(portfolio)
    call = "AAPL 18 Dec 26 200 C"
    assert "512 ÷ 100" in why(model, call, "average")
    assert "-2 × 100 × 6.1" in why(model, call, "market_value")
    assert "-2 × 100 × (6.1 − 5.12)" in why(model, call, "unrealised")
    assert "100 × (-2 × 6.1 − -2 × 5 − 0)" in why(model, call, "daily")
    assert "no execution of today is known" in why(model, call, "daily")
    assert "-2 × 100 × 0.4" in why(model, call, "delta")
    assert "-80.00 × 200 (AAPL, last)" in why(model, call, "dollar_delta")
    assert "-16,000 × 1.200 ÷ 500.00" in why(model, call, "beta_delta")
    assert "250 common days, 20 Nov 25 to 19 Nov 26" in why(model, call, "beta")
    assert "1 EUR = 1.25000 USD (broker's rate, unchanged for 0.0 s)" in why(model, "SAP", "currency")
    assert "STALE" not in why(model, "SPY", "price")
    portfolio.time.add(61)
    model.compute()
    assert "STALE: last news 1 m 1 s ago" in why(model, "SPY", "price")


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.key)
def test_every_cell_of_every_kind_of_row_has_a_text_and_a_reason(portfolio: FakeDesk, column: Column) -> None:
    bare = FakeDesk(portfolio.time, Source.PORTAL)
    for contract in (AAPL, CALL, FUTURE, SAP):
        bare.hold(contract, 1)
    bare.quote(FUTURE, last=math.nan)
    portfolio.fill(AAPL, Side.BUY, 5, 199.0, commission=1.0)
    portfolio.fill(FUTURE, Side.SELL, 1, 5_000.0)
    for desk in (portfolio, bare, world_desk()):
        model = model_of(desk)
        for node in (each for top in model.lines.nodes for each in (top, *top.children)):
            shown, reason = model.lines.text(node, column.key), model.lines.why(node, column.key)
            assert not {"nan", "+nan", "inf", "+inf", "-inf", "None"} & set(f"{shown}\n{reason}".split())
            assert column.title in reason
            if shown == "—" and node.row is not None:
                assert len(reason.split("\n")) > 1, f"{node.label} {column.key}: no reason for the dash"


# -- account bar ---------------------------------------------------------------------------------------------------


def test_the_bar_shows_money_margins_cash_and_profit(desk: FakeDesk) -> None:
    for tag, value in (
        (Tag.BUYING_POWER, 400_000.0),
        (Tag.AVAILABLE_FUNDS, 60_000.0),
        (Tag.EXCESS_LIQUIDITY, -5.0),
        (Tag.INITIAL_MARGIN, 40_000.0),
        (Tag.MAINTENANCE_MARGIN, 30_000.0),
    ):
        desk.money(tag, value)
    desk.money(Tag.CASH_BALANCE, 1_234.5, "USD")
    desk.money(Tag.CASH_BALANCE, -20.0, "EUR")
    desk.money(Tag.EXCHANGE_RATE, 1.25, "EUR")
    desk.tell(AccountPnl(ACCOUNT, -12.5, 300.0, None))
    model = model_of(desk)
    shown = {each.title: (each.text, each.sign) for each in model.view.figures}
    assert shown["Net liquidation"] == ("100,000", 0)
    assert shown["Daily P&L"] == ("-12.50", -1)
    assert shown["Unrealised P&L"] == ("+300.00", 1)
    assert shown["Realised P&L"] == ("—", 0)
    assert shown["Cash EUR"] == ("-20.00", -1)
    assert shown["Cash USD"] == ("1,234.50", 0)
    assert figure(model, "Excess liquidity").warns
    assert "computed here" in figure(model, "Cushion").tip
    assert figure(model, "Cushion").warns
    assert model.view.conversions == ("1 EUR = 1.25000 USD (broker's rate, unchanged for 0.0 s)",)
    assert dict(model.view.cash_base) == {"EUR": -25.0, "USD": 1_234.5}


def test_our_sum_is_held_against_the_brokers(portfolio: FakeDesk) -> None:
    portfolio.hold(SAP, 0)
    portfolio.tell(AccountPnl(ACCOUNT, -70.0, 5_804.0, 0.0))
    model = model_of(portfolio)
    assert [check.figure for check in model.view.checks] == ["Daily P&L", "Unrealised P&L"]
    assert not any(check.is_notable for check in model.view.checks)
    assert "agrees within" in figure(model, "Daily P&L").tip
    portfolio.tell(AccountPnl(ACCOUNT, 4_000.0, 5_804.0, 0.0))
    model.compute()
    assert figure(model, "Daily P&L").warns
    assert "DIFFERS" in figure(model, "Daily P&L").tip


def test_sums_that_are_not_whole_are_not_compared(portfolio: FakeDesk) -> None:
    portfolio.tell(AccountPnl(ACCOUNT, 4_000.0, 5_804.0, 0.0))
    model = model_of(portfolio)
    assert "Daily P&L" not in [check.figure for check in model.view.checks]
    assert not figure(model, "Daily P&L").warns


def test_accounts_of_several_base_currencies_are_not_added(desk: FakeDesk) -> None:
    desk.tell(AccountsSeen((ACCOUNT, OTHER)))
    desk.money(Tag.NET_LIQUIDATION, 100.0, "CHF", OTHER)
    model = model_of(desk)
    assert figure(model, "Net liquidation").text == "—"
    assert "different base currencies" in figure(model, "Net liquidation").tip


# -- beta against the index, lines ---------------------------------------------------------------------------------


def test_the_index_is_priced_in_base(desk: FakeDesk) -> None:
    desk.money(Tag.NET_LIQUIDATION, None)
    desk.ledger.values[ACCOUNT].clear()
    desk.money(Tag.NET_LIQUIDATION, 100_000.0, "EUR")
    desk.quote(EURUSD, bid=1.25, ask=1.25)
    desk.quote(SPY, last=500.0)
    desk.hold(AAPL, 10, 150.0)
    model = model_of(desk)
    assert model.cells.index.price_base == pytest.approx(400.0)
    assert {each.con_id for each in desk.wanted[LineGroup.POSITIONS]} == {AAPL.con_id, SPY.con_id, EURUSD.con_id}


# -- allocation, curve ---------------------------------------------------------------------------------------------


def test_shares_take_in_cash_except_by_underlying(portfolio: FakeDesk) -> None:
    portfolio.money(Tag.CASH_BALANCE, 10_000.0)
    model = model_of(portfolio)
    assert "Cash" not in {share.name for share in model.shares()}
    model.set_by(By.ASSET_CLASS)
    assert next(share for share in model.shares() if share.name == "Cash").long == 10_000.0


class Stored:
    """A history of minutes; None: it is away."""

    def __init__(self, rows: Sequence[PnlMinute] | None) -> None:
        self.rows = rows
        self.asked: list[tuple[str, str]] = []

    async def read_pnl(self, source: str, account: str, start_ms: int, end_ms: int) -> Sequence[PnlMinute]:
        self.asked.append((source, account))
        if self.rows is None:
            raise StorageError("The database cannot be reached.")
        return [row for row in self.rows if row.account == account and start_ms <= row.minute_ms < end_ms]


def minute(at_ms: int, daily: float | None, account: str = ACCOUNT) -> PnlMinute:
    return PnlMinute(
        source="tws", account=account, minute_ms=at_ms, net_liquidation=5.0, daily=daily, unrealised=None, realised=None
    )


def test_the_curve_joins_stored_minutes_with_the_present_one(desk: FakeDesk) -> None:
    now_ms = desk.time.now_ns // 1_000_000
    start_ms = day_start_ns(desk.time.now_ns) // 1_000_000
    assert (now_ms - start_ms) / 3_600_000 == 10.5
    stored = [minute(start_ms - 60_000, 99.0), minute(now_ms - 180_000, 1.0), minute(now_ms - 120_000, None)]
    stored.append(minute(now_ms - 60_000, 3.0))
    desk.tell(AccountPnl(ACCOUNT, 4.0, None, None))
    model = model_of(desk, history=Stored(stored))
    asyncio.run(model.load_curve())
    curve = model.curve()
    assert curve.at_ms.tolist() == [now_ms - 180_000, now_ms - 60_000, now_ms]
    assert curve.value.tolist() == [1.0, 3.0, 4.0]
    assert curve.last == 4.0
    desk.time.add(20)
    desk.tell(AccountPnl(ACCOUNT, 6.0, None, None))
    model.compute()
    assert model.curve().value.tolist() == [1.0, 3.0, 6.0]
    model.set_curve(CurveOf.UNREALISED)
    assert model.curve().last is None


def test_a_stored_minute_does_not_replace_the_present_one(desk: FakeDesk) -> None:
    now_ms = desk.time.now_ns // 1_000_000
    desk.tell(AccountPnl(ACCOUNT, 4.0, None, None))
    model = model_of(desk, history=Stored([minute(now_ms, 1.0)]))
    asyncio.run(model.load_curve())
    assert model.curve().value.tolist() == [4.0]


def test_a_hole_is_a_gap_and_not_a_line(desk: FakeDesk) -> None:
    now_ms = desk.time.now_ns // 1_000_000
    desk.tell(AccountPnl(ACCOUNT, 4.0, None, None))
    model = model_of(desk, history=Stored([minute(now_ms - 600_000, 1.0)]))
    asyncio.run(model.load_curve())
    values = model.curve().value.tolist()
    assert (values[0], values[-1]) == (1.0, 4.0)
    assert math.isnan(values[1])


def test_while_the_source_is_away_no_minute_is_made_up(desk: FakeDesk) -> None:
    desk.tell(AccountPnl(ACCOUNT, 4.0, None, None))
    model = model_of(desk)
    desk.health.state = LinkState.STALE
    desk.time.add(600)
    model.compute()
    assert model.curve().at_ms.size == 1


def test_several_accounts_are_added_where_all_have_a_minute(desk: FakeDesk) -> None:
    now_ms = desk.time.now_ns // 1_000_000
    desk.tell(AccountsSeen((ACCOUNT, OTHER)))
    stored = [minute(now_ms - 120_000, 1.0), minute(now_ms - 60_000, 2.0), minute(now_ms - 60_000, 30.0, OTHER)]
    model = model_of(desk, history=Stored(stored))
    asyncio.run(model.load_curve())
    assert model.curve().value.tolist() == [32.0]
    model.set_account(ACCOUNT)
    assert model.curve().value.tolist() == [1.0, 2.0]


def test_a_history_that_is_away_is_said_and_the_curve_goes_on(desk: FakeDesk) -> None:
    desk.tell(AccountPnl(ACCOUNT, 4.0, None, None))
    model = model_of(desk, history=Stored(None))
    asyncio.run(model.load_curve())
    assert "cannot be reached" in model.day_curve.reason
    assert model.curve().last == 4.0


# -- picks, export, layout -----------------------------------------------------------------------------------------


def test_a_pick_goes_to_the_link_group_only_when_there_is_one(portfolio: FakeDesk) -> None:
    links = LinkBus()
    model = PortfolioModel(FakeBrokerage(portfolio), links, clock=portfolio.time)
    model.compute()
    row = next(row for row in model.rows if row.contract.con_id == CALL.con_id)
    model.pick(row)
    assert links.groups() == {}
    model.link_group = "B"
    model.pick(row)
    assert links.groups() == {"B": "AAPL"}


def test_the_export_has_plain_numbers_and_no_sums(portfolio: FakeDesk) -> None:
    model = model_of(portfolio)
    header, rows = model.export_header(), model.lines.export_rows(model.shown_columns)
    assert header[:3] == ["Account", "Group", "Instrument"]
    assert {len(row) for row in rows} == {len(header)}
    assert len(rows) == 4
    call = next(row for row in rows if row[2] == "AAPL 18 Dec 26 200 C")
    assert call[:2] == [ACCOUNT, "AAPL"]
    assert call[header.index("Mkt value")] == pytest.approx(-1_220.0)
    sap = next(row for row in rows if row[1] == "SAP")
    assert sap[header.index("Daily P&L")] == ""


def test_choices_are_remembered(portfolio: FakeDesk) -> None:
    model = model_of(portfolio)
    model.set_tree(False)
    model.set_sorting("weight")
    model.toggle_column("bid")
    model.toggle_column("gamma")
    model.set_account(ACCOUNT)
    model.set_by(By.CURRENCY)
    model.set_curve(CurveOf.REALISED)
    model.link_group = "C"
    again = model_of(portfolio)
    again.restore(model.save())
    assert again.save() == model.save()
    assert "bid" in again.columns
    assert "gamma" not in again.columns
    assert again.lines.sort_key == "weight"


@pytest.mark.parametrize(
    "state",
    [
        {"source": 3, "account": 7, "sort": ["nothing", 1], "columns": "all", "link": "Z", "by": [], "curve": {}},
        {"sort": "daily", "columns": ["nothing"], "collapsed": 5},
        {},
    ],
)
def test_a_spoilt_state_changes_nothing(portfolio: FakeDesk, state: dict[str, object]) -> None:
    model = model_of(portfolio)
    before = model.save()
    model.restore(state)
    assert model.save() == before
    assert model.account == ALL


def test_columns_keep_the_instrument_first() -> None:
    assert chosen_columns(["delta", "instrument", "delta", "x", 3]) == ("instrument", "delta")
    assert chosen_columns([]) == USUAL
    assert chosen_columns(None) == USUAL
    assert set(USUAL) <= set(KEYS)
    assert chosen_widths({"delta": 80, "gamma": True, "x": 80, "theta": 5}) == {"delta": 80}
    assert chosen_widths([1]) == {}
