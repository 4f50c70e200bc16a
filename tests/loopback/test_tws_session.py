"""The TWS session against the simulated TWS: what it tells, and that it never says anything that makes an order."""

from __future__ import annotations

import asyncio
import math

import pytest
from tws_rig import Rig, stock, tws_rig

from app.domain.account import LineRefused, PositionSeen, Tag
from app.domain.contracts import Contract, SecType
from app.domain.health import LinkState
from app.domain.orders import ExecutionSeen, OrdersListed, OrderStatus
from app.domain.quotes import DataKind, QuoteField
from app.sim.ibkr.world import World
from app.sim.tws import TwsSim
from app.venues.broker import BrokerError, ScanRequest
from app.venues.ibkr_tws.orders import READ_ONLY_REASON

ACCOUNT = "DU1234567"
AAPL, MSFT, ES = 265598, 272093, "ES"


async def test_the_account_its_positions_and_its_profit_and_loss_are_told() -> None:
    async with TwsSim(account_every_s=0.3) as sim, tws_rig(sim) as rig:
        await rig.live()
        await rig.until(lambda: len(rig.ledger.pnl) == 1, "profit and loss of the account")
        held = {position.con_id: position for position in sim.world.positions(ACCOUNT)}
        shown = {con_id: position for (_, con_id), position in rig.ledger.positions.items()}
        assert shown.keys() == held.keys()
        await rig.until(
            lambda: all(position.daily is not None for position in rig.ledger.positions.values()),
            "profit and loss of each position",
        )
        for con_id, position in shown.items():
            contract = sim.world.contract(con_id)
            assert contract is not None
            assert position.contract.sec_type.value == contract.sec_type
            assert position.contract.multiplier == float(contract.multiplier or 1)
            assert position.market_price is not None
            assert position.market_value is not None
        options = [position for position in shown.values() if position.contract.sec_type is SecType.OPTION]
        assert options
        assert all(position.contract.right and position.contract.strike > 0 for position in options)
        assert rig.ledger.value(ACCOUNT, Tag.NET_LIQUIDATION)[0] is not None
        cash = {currency for (tag, currency) in rig.ledger.values[ACCOUNT] if tag == Tag.CASH_BALANCE}
        rates = {currency for (tag, currency) in rig.ledger.values[ACCOUNT] if tag == Tag.EXCHANGE_RATE}
        assert {"USD", "EUR"} <= cash
        assert {"USD", "EUR"} <= rates
        assert rig.health.accounts == (ACCOUNT,)
        assert (rig.health.paper, rig.health.server_version, rig.health.client_id) == (True, "178", 7)
        assert set(rig.health.farms.values()) == {True}
        assert rig.health.bad_messages == 0
        assert rig.complaints == []


async def test_two_accounts_and_one_that_vanishes_and_comes_back() -> None:
    accounts = (ACCOUNT, "DU7654321")
    async with TwsSim(account_every_s=0.3, accounts=accounts) as sim, tws_rig(sim) as rig:
        await rig.live()
        await rig.until(lambda: set(rig.ledger.pnl) == set(accounts), "profit and loss of both")
        assert {account for account, _ in rig.ledger.positions} == set(accounts)
        assert all(rig.ledger.value(account, Tag.NET_LIQUIDATION)[0] for account in accounts)
        sim.fault("vanish", duration=0.5)
        await rig.until(lambda: rig.ledger.accounts == (ACCOUNT,), "the news of the missing account")
        assert {account for account, _ in rig.ledger.positions} == {ACCOUNT}
        assert set(rig.ledger.values) == {ACCOUNT}
        await rig.until(lambda: rig.ledger.accounts == accounts, "the account again")
        await rig.until(lambda: set(rig.ledger.pnl) == set(accounts), "its profit and loss")
        assert rig.complaints == []


async def test_quotes_come_with_what_changed_only() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL"), stock(sim, "MSFT")])
        await rig.live()
        await rig.quoted((AAPL, MSFT))
        await rig.until(lambda: rig.price(AAPL, QuoteField.IV) > 0, "implied volatility")
        quote = sim.world.quote(AAPL)
        assert rig.price(AAPL, QuoteField.CLOSE) == pytest.approx(quote.close)
        assert rig.price(AAPL, QuoteField.KIND) == DataKind.LIVE
        assert rig.price(AAPL, QuoteField.BID) < rig.price(AAPL, QuoteField.ASK)
        assert (rig.health.lines_open, rig.health.lines_limit) == (2, 100)
        rig.session.set_lines([stock(sim, "MSFT")])
        await rig.until(lambda: sim.gateway.lines.used(sim.gateway.ready) == 1, "a freed line")
        assert rig.health.lines_open == 1


async def test_options_bring_greeks_and_futures_are_routed_to_their_exchange() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        await rig.live()
        contracts = [position.contract for position in rig.ledger.positions.values()]
        option = next(each for each in contracts if each.sec_type is SecType.OPTION)
        future = next(each for each in contracts if each.sec_type is SecType.FUTURE)
        assert future.exchange == "SMART"
        rig.session.set_lines([option, future])
        await rig.quoted((option.con_id, future.con_id))
        await rig.until(lambda: not math.isnan(rig.price(option.con_id, QuoteField.DELTA)), "Greeks")
        assert abs(rig.price(option.con_id, QuoteField.DELTA)) <= 1.0
        assert rig.price(option.con_id, QuoteField.THETA) < 0.0
        assert rig.ledger.details[future.con_id].contract.exchange == "CME"
        assert rig.complaints == []


async def test_a_fill_without_an_event_and_its_later_commission_are_told_once() -> None:
    async with TwsSim(read_only=True, rate=0.0) as sim, tws_rig(sim) as rig:
        await rig.live()
        before = len(rig.executions())
        order = sim.world.begin_order(AAPL, "BUY", 10, fate="fill")
        await hurry(sim)
        await rig.until(lambda: rig_fill(rig, order.perm_id) is not None, "the fill")
        await rig.until(lambda: (rig_fill(rig, order.perm_id) or none()).execution.commission is not None, "commission")
        await asyncio.sleep(0.6)  # the executions have been asked for again
        news = rig.executions()[before:]
        exec_ids = [(event.execution.exec_id, event.execution.commission) for event in news]
        assert len(exec_ids) == len(set(exec_ids))
        assert rig.ledger.orders.executions.keys() == {fill.exec_id for fill in sim.world.fills}
        position = rig.ledger.positions[ACCOUNT, AAPL]
        held = sim.world.position(ACCOUNT, AAPL)
        assert held is not None
        assert position.quantity == held.quantity


async def hurry(sim: TwsSim) -> None:
    """Let four seconds of the simulated market pass in little time."""
    for _ in range(20):
        sim.step(4)
        await asyncio.sleep(0.02)


def none() -> ExecutionSeen:
    raise AssertionError("the fill is gone")


def rig_fill(rig: Rig, perm_id: int) -> ExecutionSeen | None:
    found = [event for event in rig.executions() if event.execution.order_id == str(perm_id)]
    return found[-1] if found else None


async def test_read_only_mode_is_found_by_one_probe_and_said() -> None:
    async with TwsSim(read_only=True) as sim, tws_rig(sim) as rig:
        await rig.live()
        await rig.until(lambda: rig.health.read_only is True, "the answer of the probe")
        assert (rig.health.orders_known, rig.health.orders_reason) == (False, READ_ONLY_REASON)
        assert OrdersListed(known=False, reason=READ_ONLY_REASON) in rig.told
        assert rig.orders() == []
        await asyncio.sleep(0.6)
        probes = [request for request in sim.requests if request.number in (5, 16, 99)]
        assert len(probes) == 1  # each one puts a window on the user's screen
        rig.session.wake()
        await rig.until(lambda: len([each for each in sim.requests if each.number == 16]) == 2, "another probe")
        assert rig.complaints == []


@pytest.mark.parametrize("push", [True, False])
async def test_orders_are_followed_to_their_end_whether_tws_pushes_them_or_not(push: bool) -> None:
    async with TwsSim(read_only=False, push_orders=push, rate=0.0) as sim, tws_rig(sim) as rig:
        await rig.live()
        await rig.until(lambda: rig.health.orders_known, "the list of orders")
        await rig.until(lambda: rig.health.read_only is False, "what the probe found")
        order = sim.world.begin_order(AAPL, "BUY", 10, fate="fill")
        name = str(order.perm_id)
        await rig.until(lambda: name in rig.ledger.orders.orders, "the new order")
        await hurry(sim)
        await rig.until(lambda: rig.ledger.orders.orders[name].status is OrderStatus.FILLED, "its end")
        state = rig.ledger.orders.orders[name]
        assert (state.filled, state.remaining) == (10.0, 0.0)
        news = [event.order for event in rig.orders() if event.order.order_id == name]
        assert len(news) == len({(each.status, each.filled, each.average_price, each.status_text) for each in news})
        await rig.until(lambda: name not in (rig.ledger.orders.listed or OrdersListed(True, "")).order_ids, "the list")
        assert rig.complaints == []


@pytest.mark.parametrize(("fate", "end"), [("reject", OrderStatus.INACTIVE), ("cancel", OrderStatus.CANCELLED)])
async def test_an_order_that_is_not_filled_says_why(fate: str, end: OrderStatus) -> None:
    async with TwsSim(read_only=False, push_orders=False, rate=0.0) as sim, tws_rig(sim) as rig:
        await rig.live()
        await rig.until(lambda: rig.health.orders_known, "the list of orders")
        order = sim.world.begin_order(AAPL, "BUY", 10, fate=fate)
        name = str(order.perm_id)
        await rig.until(lambda: name in rig.ledger.orders.orders, "the order")
        sim.step(920)  # a cancelled one rests for up to 46 seconds before
        await rig.until(lambda: not rig.ledger.orders.orders[name].status.is_working, "its end")
        assert rig.ledger.orders.orders[name].status is end
        assert rig.ledger.orders.orders[name].reason


async def test_an_order_that_came_and_went_between_two_looks_is_known_all_the_same() -> None:
    async with TwsSim(read_only=False, push_orders=False, rate=0.0) as sim, tws_rig(sim) as rig:
        await rig.live()
        await rig.until(lambda: rig.health.orders_known, "the list of orders")
        order = sim.world.begin_order(AAPL, "BUY", 10, fate="reject")
        sim.step(200)  # it is over before anybody asks
        name = str(order.perm_id)
        await rig.until(lambda: name in rig.ledger.orders.orders, "the order")
        assert rig.ledger.orders.orders[name].status is OrderStatus.INACTIVE
        assert rig.ledger.orders.orders[name].reason
        assert [event.order.order_id for event in rig.orders()].count(name) == 1


async def test_questions_about_contracts_and_history() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        with pytest.raises(BrokerError, match="no connection"):
            await rig.session.find("AAPL")
        await rig.live()
        apple, *_ = await rig.session.find("aapl")
        assert (apple.con_id, apple.symbol, apple.currency, apple.primary_exchange) == (AAPL, "AAPL", "USD", "NASDAQ")
        assert await rig.session.find("NOSUCHTHING") == ()
        details = await rig.session.details(apple)
        assert details.tick_size == 0.01
        assert details.zone
        assert len(details.liquid) >= 1
        assert len(details.trading) >= len(details.liquid)
        assert await rig.session.details(apple) is details
        with pytest.raises(BrokerError, match="200"):
            await rig.session.details(Contract(con_id=999_999_999, symbol="NONE"))
        assert await rig.session.watchlists() == ()
        bars, again = await asyncio.gather(rig.session.daily_bars(apple, 100), rig.session.daily_bars(apple, 100))
        assert len(bars) == 100
        assert bars == again
        assert [bar.day for bar in bars] == sorted({bar.day for bar in bars})
        assert len([request for request in sim.requests if request.number == 20]) == 1
        assert len(await rig.session.daily_bars(apple, 300)) == 300


async def test_history_is_paced_and_a_refusal_is_an_error_in_words() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        await rig.live()
        symbols = ("AAPL", "MSFT", "NVDA", "SPY", "TSLA")
        asked = [rig.session.daily_bars(stock(sim, symbol), days) for symbol in symbols for days in (20, 30)]
        answers = await asyncio.gather(*asked)
        assert [len(bars) for bars in answers] == [20, 30] * 5
        with pytest.raises(BrokerError, match="TWS 200"):
            await rig.session.daily_bars(Contract(con_id=999_999_999, symbol="NONE"), 20)


async def test_scans_bring_contracts() -> None:
    async with TwsSim(scan_every_s=0.5) as sim, tws_rig(sim) as rig:
        rig.session.set_scans([ScanRequest(id="gainers", code="TOP_PERC_GAIN", rows=5)])
        await rig.live()
        await rig.until(lambda: bool(rig.ledger.scans.get("gainers")), "rows")
        assert [each.con_id for each in rig.ledger.scans["gainers"]] == [
            each.con_id for each in sim.world.scan("TOP_PERC_GAIN", rows=5)
        ][: len(rig.ledger.scans["gainers"])]
        rig.session.set_scans([])
        await rig.until(lambda: any(request.number == 23 for request in sim.requests), "the end of the scanner")
        assert rig.complaints == []


async def test_refused_lines_are_freed_and_said_and_delayed_ones_kept_with_their_mark() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        sim.fault("notsubscribed", symbol="KO")
        sim.fault("delayed", symbol="MSFT")
        unknown = Contract(con_id=999_999_999, symbol="NONE")
        rig.session.set_lines([stock(sim, "KO"), stock(sim, "MSFT"), unknown, stock(sim, "AAPL")])
        await rig.live()
        refused = {stock(sim, "KO").con_id: 354, unknown.con_id: 200}
        await rig.until(
            lambda: {e.con_id: e.code for e in rig.told if isinstance(e, LineRefused)} == refused, "refusals"
        )
        await rig.quoted((MSFT, AAPL))
        assert rig.price(MSFT, QuoteField.KIND) == DataKind.DELAYED
        assert rig.price(AAPL, QuoteField.KIND) == DataKind.LIVE
        assert rig.health.lines_open == 2
        await asyncio.sleep(0.3)
        assert len([event for event in rig.told if isinstance(event, LineRefused)]) == 2
        quote = rig.ledger.quote(stock(sim, "KO").con_id)
        assert quote is not None
        assert "354" in quote.refused
        sim.fault("calm")
        rig.session.wake()
        await rig.quoted((stock(sim, "KO").con_id,))


async def test_without_delayed_data_a_line_that_would_be_delayed_is_refused() -> None:
    async with TwsSim() as sim, tws_rig(sim, delayed=False) as rig:
        sim.fault("delayed", symbol="MSFT")
        rig.session.set_lines([stock(sim, "MSFT"), stock(sim, "AAPL")])
        await rig.live()
        await rig.until(lambda: any(isinstance(event, LineRefused) for event in rig.told), "the refusal")
        await rig.until(lambda: rig.health.lines_open == 1, "a freed line")
        await rig.quoted((AAPL,))


async def test_lines_beyond_our_limit_and_beyond_that_of_tws_are_refused_for_want_of_lines() -> None:
    async with TwsSim(lines=2) as sim, tws_rig(sim, lines_limit=3) as rig:
        wanted = [stock(sim, symbol) for symbol in ("AAPL", "MSFT", "NVDA", "SPY")]
        rig.session.set_lines(wanted)
        await rig.live()
        await rig.until(lambda: len([e for e in rig.told if isinstance(e, LineRefused)]) == 2, "refusals")
        refused = {event.con_id: event for event in rig.told if isinstance(event, LineRefused)}
        assert refused[wanted[3].con_id].code == 0
        assert refused[wanted[2].con_id].code == 101
        assert all(event.limit for event in refused.values())
        assert rig.health.lines_open == 2


async def test_a_competing_login_is_said_and_its_end_noticed() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL"), stock(sim, "MSFT")])
        await rig.live()
        await rig.quoted((AAPL, MSFT))
        sim.fault("competing", duration=1.0)
        await rig.until(lambda: rig.health.competing, "the conflict")
        quote = rig.ledger.quote(AAPL)
        assert quote is not None
        await rig.until(lambda: "10197" in quote.refused, "the reason")
        await rig.until(lambda: not rig.health.competing, "its end")
        await rig.quoted((AAPL, MSFT))
        assert quote.refused == ""


async def test_sides_without_a_quote_and_crossed_ones_and_halts() -> None:
    async with TwsSim() as sim, tws_rig(sim) as rig:
        rig.session.set_lines([stock(sim, "AAPL")])
        await rig.live()
        await rig.quoted((AAPL,))
        sim.fault("noprices")
        await rig.until(lambda: math.isnan(rig.price(AAPL, QuoteField.BID)), "no bid")
        assert math.isnan(rig.price(AAPL, QuoteField.ASK))
        assert not math.isnan(rig.price(AAPL, QuoteField.LAST))
        sim.fault("calm")
        await rig.until(lambda: rig.price(AAPL, QuoteField.BID) > 0, "a bid")
        sim.fault("crossed", duration=1.0)
        await rig.until(lambda: rig.price(AAPL, QuoteField.BID) > rig.price(AAPL, QuoteField.ASK), "a crossed quote")
        sim.fault("halt", symbol="AAPL", duration=0.5)
        await rig.until(lambda: rig.price(AAPL, QuoteField.HALTED) == 2.0, "the halt")
        await rig.until(lambda: rig.price(AAPL, QuoteField.HALTED) == 0.0, "its end")


async def test_unset_figures_are_none_and_garbage_is_counted() -> None:
    async with TwsSim(account_every_s=0.2) as sim, tws_rig(sim) as rig:
        await rig.live()
        seen = len(rig.told)
        sim.fault("unset")
        await rig.until(lambda: len(rig.told) > seen + 50, "more figures")
        for event in rig.told[seen:]:
            if isinstance(event, PositionSeen):
                figures = (event.position.market_price, event.position.unrealised, event.position.market_value)
                assert all(figure is None or abs(figure) < 1e300 for figure in figures)
        assert all(pnl.daily is None or abs(pnl.daily) < 1e300 for pnl in rig.ledger.pnl.values())
        sim.fault("calm")
        sim.fault("garbage")
        await rig.until(lambda: rig.health.bad_messages >= 3, "counted garbage")
        assert rig.health.state is LinkState.LIVE
        assert rig.health.reconnects == 0


async def test_an_order_counts_as_working_until_tws_says_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """TWS may take an order off one list before it is on the other."""
    complete = World.completed_orders.fget  # type: ignore[attr-defined] # a property
    late = True
    monkeypatch.setattr(World, "completed_orders", property(lambda world: [] if late else complete(world)))
    async with TwsSim(read_only=False, push_orders=False, rate=0.0) as sim, tws_rig(sim) as rig:
        await rig.live()
        await rig.until(lambda: rig.health.orders_known, "the list of orders")
        order = sim.world.begin_order(AAPL, "BUY", 10, fate="reject")
        name = str(order.perm_id)
        await rig.until(lambda: name in rig.ledger.orders.orders, "the order")
        await rig.until(lambda: not order.is_working, "its end at TWS")
        asked = len(sim.requests)
        await rig.until(
            lambda: any(request.number == 99 for request in list(sim.requests)[asked:]), "a look for how it ended"
        )
        late = False
        await rig.until(lambda: rig.ledger.orders.orders[name].status is OrderStatus.INACTIVE, "its end")
        shown = [event.order_ids for event in rig.told if isinstance(event, OrdersListed)]
        assert name not in shown[-1]
        assert "not among the working orders" not in str(rig.ledger.orders.timeline(name))
