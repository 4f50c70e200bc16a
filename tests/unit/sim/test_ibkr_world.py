"""The simulated account: its figures fit its prices and fills, and a seed decides everything."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from app.sim.ibkr.accounts import Books, Opening
from app.sim.ibkr.hours import Phase, Venue, fridays, hours_text, is_half_day, is_trading_day, phase_at
from app.sim.ibkr.instruments import AAPL, MSFT, NVDA, SAP, SPY, TSLA, Access, SimContract
from app.sim.ibkr.listings import build_catalogue
from app.sim.ibkr.market import expiry_s
from app.sim.ibkr.pricing import RATE, value_option
from app.sim.ibkr.records import SimFill, SimOrder
from app.sim.ibkr.scans import ScanFilter
from app.sim.ibkr.world import Changes, World

FRIDAY_NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC).timestamp()
"""12:00 in New York."""
ACCOUNT = "DU1234567"


def world(**changes: object) -> World:
    values: dict[str, object] = {"seed": 5, "start_s": FRIDAY_NOON, **changes}
    return World(**values)  # type: ignore[arg-type] # checked by the class


def run(moved: World, seconds: float, dt_s: float = 0.25) -> list[Changes]:
    return [moved.step(dt_s) for _ in range(round(seconds / dt_s))]


def test_what_an_account_holds_is_of_every_kind() -> None:
    held = {moved.con_id: moved for moved in world().positions(ACCOUNT)}
    catalogue = world().catalogue
    kinds = [catalogue.contracts[con_id].sec_type for con_id in held]
    assert kinds.count("STK") >= 8
    assert kinds.count("OPT") >= 6
    assert kinds.count("FUT") == 1
    assert any(position.quantity < 0 for position in held.values())
    assert any(catalogue.contracts[con_id].currency == "EUR" for con_id in held)
    options = [catalogue.contracts[con_id] for con_id in held if catalogue.contracts[con_id].is_option]
    assert {option.right for option in options} == {"C", "P"}
    assert len({option.expiry for option in options}) == 2


def test_the_same_seed_and_steps_give_the_same_world_whatever_is_looked_at() -> None:
    one, other = world(), world()
    for option in list(other.catalogue.options.values())[:50]:
        other.quote(option.con_id)  # looking must not change anything else
    first, second = run(one, 60.0), run(other, 60.0)
    assert [each.orders for each in first] == [each.orders for each in second]
    assert [each.fills for each in first] == [each.fills for each in second]
    assert any(each.fills for each in first)
    assert asdict(one.quote(AAPL)) == asdict(other.quote(AAPL))
    assert one.values(ACCOUNT) == other.values(ACCOUNT)


def test_another_seed_gives_another_world() -> None:
    one, other = world(seed=5), world(seed=6)
    run(one, 5.0)
    run(other, 5.0)
    assert one.quote(AAPL).bid != other.quote(AAPL).bid
    assert one.daily_bars(SPY, 20)[:19] != other.daily_bars(SPY, 20)[:19]


def test_net_liquidation_is_cash_and_what_positions_are_worth() -> None:
    moved = world()
    run(moved, 90.0)
    expected = sum(amount * moved.rate_of(currency) for currency, amount in moved.cash(ACCOUNT).items())
    for position in moved.positions(ACCOUNT):
        contract = moved.catalogue.contracts[position.con_id]
        rate, price = moved.rate_of(contract.currency), moved.quote(position.con_id).mark
        worth = position.quantity * contract.multiplier * price
        cost = position.quantity * position.average_cost
        expected += rate * (worth - cost if contract.sec_type == "FUT" else worth)
    assert moved.value(ACCOUNT, "NetLiquidation") == pytest.approx(expected, rel=1e-12)
    assert moved.value(ACCOUNT, "NetLiquidationByCurrency", "BASE") == pytest.approx(expected, rel=1e-12)


def test_profit_and_loss_of_an_account_are_the_sums_of_its_positions() -> None:
    moved = world()
    run(moved, 90.0)
    sums = [0.0, 0.0, 0.0]
    for position in moved.positions(ACCOUNT, closed=True):
        found = moved.position_pnl(ACCOUNT, position.con_id)
        contract = moved.catalogue.contracts[position.con_id]
        rate = moved.rate_of(contract.currency)
        assert found.unrealised == pytest.approx(
            position.quantity * (contract.multiplier * found.price - position.average_cost)
        )
        for place, value in enumerate((found.daily, found.unrealised, found.realised)):
            sums[place] += rate * value
    pnl = moved.pnl(ACCOUNT)
    assert [pnl.daily, pnl.unrealised, pnl.realised] == pytest.approx(sums)
    assert moved.value(ACCOUNT, "UnrealizedPnL", "BASE") == pytest.approx(pnl.unrealised)


def test_daily_profit_is_what_the_account_gained_since_the_previous_close() -> None:
    moved = world(rate=5.0)
    run(moved, 120.0)
    gained = 0.0
    for position in moved.positions(ACCOUNT, closed=True):
        contract = moved.catalogue.contracts[position.con_id]
        quote = moved.quote(position.con_id)
        fills = [fill for fill in moved.fills if fill.con_id == position.con_id]
        bought = sum(fill.signed_quantity for fill in fills)
        paid = sum(fill.signed_quantity * fill.price * contract.multiplier + fill.commission for fill in fills)
        start = position.quantity - bought
        value = contract.multiplier * (position.quantity * quote.mark - start * quote.close)
        gained += moved.rate_of(contract.currency) * (value - paid)
    assert len(moved.fills) > 10
    assert moved.pnl(ACCOUNT).daily == pytest.approx(gained)


def test_fills_move_cash_and_positions_by_what_they_say() -> None:
    moved = world(rate=0.0)
    cash, quantity = moved.cash(ACCOUNT), {each.con_id: each.quantity for each in moved.positions(ACCOUNT)}
    realised = {each.con_id: each.realised for each in moved.positions(ACCOUNT)}
    before = len(moved.fills)
    future = moved.catalogue.find("ES", sec_type="FUT")[0].con_id
    option = next(each.con_id for each in moved.positions(ACCOUNT) if moved.catalogue.contracts[each.con_id].is_option)
    for con_id, action, size in (
        (AAPL, "SELL", 500.0),
        (SAP, "BUY", 10.0),
        (option, "SELL", 2.0),
        (future, "SELL", 2.0),
    ):
        moved.begin_order(con_id, action, size, parts=2)
    changes = run(moved, 15.0)
    fills = moved.fills[before:]
    assert len(fills) == 8
    assert {each.con_id for each in fills} == set().union(*(each.positions for each in changes))
    for con_id in (AAPL, SAP, option, future):
        position = moved.position(ACCOUNT, con_id)
        assert position is not None
        own = [fill for fill in fills if fill.con_id == con_id]
        assert position.quantity == pytest.approx(quantity[con_id] + sum(fill.signed_quantity for fill in own))
        assert position.realised == pytest.approx(realised[con_id] + sum(fill.realised or 0.0 for fill in own))
    expected = dict(cash)
    for fill in fills:
        contract = moved.catalogue.contracts[fill.con_id]
        paid = fill.signed_quantity * fill.price * contract.multiplier + fill.commission
        # a future is not paid for, only what it gains when closed
        expected[contract.currency] += (fill.realised or 0.0) if contract.sec_type == "FUT" else -paid
    assert moved.cash(ACCOUNT) == pytest.approx(expected)


def fill_of(contract: SimContract, quantity: float, price: float, commission: float = 1.0) -> SimFill:
    return SimFill(
        exec_id="1",
        perm_id=1,
        order_id=0,
        client_id=0,
        account="A",
        con_id=contract.con_id,
        side="BOT" if quantity > 0 else "SLD",
        quantity=abs(quantity),
        price=price,
        time_s=0.0,
        exchange="X",
        cumulative=abs(quantity),
        average_price=price,
        commission=commission,
        commission_currency="USD",
        realised=None,
        liquidity=1,
        reference="",
        commission_s=0.0,
    )


@pytest.mark.parametrize(
    ("fills", "quantity", "average_price", "realised"),
    [
        ([(10, 100.0)], 10, 100.1, None),  # the commission of 1 is part of the cost
        ([(10, 100.0), (10, 110.0)], 20, 105.1, None),
        ([(10, 100.0), (-4, 103.0)], 6, 100.1, 4 * 2.9 - 1.0),
        ([(10, 100.0), (-10, 103.0)], 0, 0.0, 28.0),
        ([(10, 100.0), (-15, 104.0)], -5, (5 * 104.0 - 1.0 / 3.0) / 5.0, 10 * 3.9 - 2.0 / 3.0),
        ([(-10, 100.0), (4, 96.0)], -6, 99.9, 4 * 3.9 - 1.0),
    ],
)
def test_average_cost_and_realised_profit_by_hand(
    fills: list[tuple[float, float]], quantity: float, average_price: float, realised: float | None
) -> None:
    contract = SimContract(con_id=1, symbol="X")
    books = Books({1: contract}, price_of=lambda _: 100.0, close_of=lambda _: 100.0, rate_of=lambda _: 1.0)
    books.open_account("A", {"USD": 0.0}, [Opening(1, 0.0, 0.0)])
    done = [fill_of(contract, size, price) for size, price in fills]
    for fill in done:
        books.apply(fill)
    position = books.accounts["A"].positions[1]
    assert position.quantity == quantity
    assert position.average_price == pytest.approx(average_price)
    assert done[-1].realised == (None if realised is None else pytest.approx(realised))


def test_orders_go_through_their_statuses_and_the_commission_follows_the_execution() -> None:
    moved = world(rate=0.0)
    filled = moved.begin_order(MSFT, "BUY", 30.0, limit_price=480.0, parts=3)
    cancelled = moved.begin_order(NVDA, "BUY", 10.0, limit_price=150.0, fate="cancel")
    rejected = moved.begin_order(TSLA, "BUY", 10.0, limit_price=380.0, fate="reject")
    changes = run(moved, 60.0)
    said: dict[int, list[SimOrder]] = {}
    for change in changes:
        for order in change.orders:
            said.setdefault(order.perm_id, []).append(order)
    statuses = {number: [order.status for order in orders] for number, orders in said.items()}
    assert statuses[filled.perm_id] == ["PendingSubmit", "PreSubmitted", *["Submitted"] * 3, "Filled"]
    assert [order.filled for order in said[filled.perm_id]] == [0.0, 0.0, 0.0, 10.0, 20.0, 30.0]
    assert statuses[cancelled.perm_id] == ["PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel", "Cancelled"]
    assert statuses[rejected.perm_id] == ["PendingSubmit", "Inactive"]
    assert said[rejected.perm_id][-1].reason
    for place, change in enumerate(changes):
        for fill in change.fills:
            later = [each.exec_id for after in changes[place:] for each in after.commissions]
            earlier = [each.exec_id for before in changes[:place] for each in before.commissions]
            assert later.count(fill.exec_id) == 1
            assert fill.exec_id not in earlier


def test_the_day_begins_with_orders_of_every_end_and_with_fills() -> None:
    moved = world()
    assert {order.status for order in moved.orders} == {"Filled", "Submitted", "PreSubmitted", "Cancelled", "Inactive"}
    assert len(moved.fills) == 3
    assert all(fill.time_s < moved.now_s for fill in moved.fills)
    assert all(moved.commission_told(fill) for fill in moved.fills)


def test_quotes_tick_about_four_times_a_second_and_never_cross() -> None:
    moved = world()
    option = next(iter(moved.catalogue.options.values())).con_id
    moved.quote(option)
    count = {AAPL: 0, option: 0}
    for _ in range(400):
        changed = moved.step(0.05).quotes
        for con_id in count:
            count[con_id] += con_id in changed
        for con_id in changed:
            quote = moved.quote(con_id)
            assert quote.ask is not None
            assert quote.bid is None or 0.0 < quote.bid < quote.ask
            assert quote.low <= quote.last <= quote.high
    assert count == {AAPL: 80, option: 80}


def test_quotes_rest_outside_trading_hours_unless_told_otherwise() -> None:
    saturday = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()
    assert not any(change.quotes for change in run(world(start_s=saturday, always_open=False), 5.0))
    assert any(change.quotes for change in run(world(start_s=saturday), 5.0))
    friday = run(world(always_open=False), 5.0)
    assert AAPL in set().union(*(change.quotes for change in friday))


def test_a_halted_stock_does_not_move_and_goes_on_when_released() -> None:
    moved = world()
    halted = moved.catalogue.find("AMC")[0].con_id
    assert moved.quote(halted).halted == 2
    assert halted not in set().union(*(change.quotes for change in run(moved, 3.0)))
    moved.halt(halted, 0)
    assert halted in set().union(*(change.quotes for change in run(moved, 3.0)))


def test_greeks_are_those_of_the_price() -> None:
    values = {"spot": 230.0, "strike": 235.0, "years": 0.08, "volatility": 0.29}
    for call in (True, False):
        base = value_option(**values, call=call)
        for name, shift, expected in (
            ("spot", 1e-4, base.delta),
            ("volatility", 1e-6, base.vega * 100.0),
            ("years", -1e-7, -base.theta * -365.0),
        ):
            moved = value_option(**{**values, name: values[name] + shift}, call=call)
            slope = (moved.price - base.price) / shift
            assert slope == pytest.approx(expected if name != "years" else -base.theta * 365.0, rel=1e-3)
        up = value_option(**{**values, "spot": 230.01}, call=call)
        assert (up.delta - base.delta) / 0.01 == pytest.approx(base.gamma, rel=1e-3)
    call_price, put_price = (value_option(**values, call=call).price for call in (True, False))
    assert call_price - put_price == pytest.approx(230.0 - 235.0 * math.exp(-RATE * 0.08))


def test_options_are_priced_by_their_own_volatility() -> None:
    moved = world()
    run(moved, 2.0)
    for option in list(moved.catalogue.options.values())[::97]:
        quote = moved.quote(option.con_id)
        assert quote.iv is not None
        assert quote.underlying is not None
        worth = value_option(
            spot=quote.underlying,
            strike=option.strike,
            years=(expiry_s(option) - moved.now_s) / (365.0 * 86400.0),
            volatility=quote.iv,
            call=option.right == "C",
        )
        assert quote.model_price == pytest.approx(worth.price, abs=0.02)
        assert (quote.bid or 0.0) <= worth.price + 0.05
        assert quote.ask is not None
        assert quote.ask >= worth.price - 0.05


def test_a_chain_has_strikes_that_do_not_exist_at_every_expiry() -> None:
    moved = world()
    chain = moved.chain(AAPL)
    assert chain is not None
    assert len(chain.expiries) == 6
    missing = [
        (expiry, strike)
        for expiry in chain.expiries
        for strike in chain.all_strikes
        if moved.catalogue.option(AAPL, expiry, strike, "C") is None
    ]
    assert missing
    assert all(expiry in chain.monthlies for expiry, _ in missing)
    for expiry, strikes in chain.strikes.items():
        option = moved.catalogue.option(AAPL, expiry, strikes[0], "P")
        assert option is not None
        assert len(option.local_symbol) == 21


def test_history_moves_with_the_market_by_a_beta_and_ends_at_the_previous_close() -> None:
    moved = world()
    market = np.log([bar.close for bar in moved.daily_bars(SPY, 300)])
    for con_id in (AAPL, NVDA):
        bars = moved.daily_bars(con_id, 300)
        returns = np.diff(np.log([bar.close for bar in bars]))
        beta = np.cov(returns[:-1], np.diff(market)[:-1])[0, 1] / np.var(np.diff(market)[:-1], ddof=1)
        assert beta == pytest.approx(moved.catalogue.contracts[con_id].beta, abs=0.35)
        assert bars[-2].close == pytest.approx(moved.quote(con_id).close)
        assert bars[-1].close == moved.quote(con_id).last
        assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
        assert len({bar.day for bar in bars}) == 300
    volatility = moved.volatility_bars(AAPL, 252)
    assert len(volatility) == 252
    assert max(bar.close for bar in volatility) > 1.2 * min(bar.close for bar in volatility)
    assert moved.quote(AAPL).week_52_high == max(bar.high for bar in moved.daily_bars(AAPL, 252))
    assert moved.daily_bars(next(iter(moved.catalogue.options.values())).con_id, 10) == []


def test_bars_within_days_stay_and_new_ones_follow_the_price() -> None:
    moved = world()
    bars = moved.bars(AAPL, 300, 20)
    assert bars == moved.bars(AAPL, 300, 20)
    assert [later.time_s - bar.time_s for bar, later in pairwise(bars)] == [300.0] * 19
    assert bars[-1].time_s <= moved.now_s < bars[-1].time_s + 300.0
    run(moved, 300.0, 1.0)
    later = moved.bars(AAPL, 300, 40)
    assert later[-21:-2] == bars[:-1]
    assert later[-1].close == moved.quote(AAPL).last
    assert all(after.open == before.close for before, after in pairwise(later))
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in later)


def test_nothing_of_before_the_start_is_told_again() -> None:
    moved = world(rate=0.0)
    assert not any(change.commissions or change.orders or change.fills for change in run(moved, 5.0))


def test_a_new_day_begins_at_midnight_in_new_york() -> None:
    late = datetime(2026, 11, 20, 4, 59, 50, tzinfo=UTC).timestamp()
    moved = world(start_s=late, rate=20.0)
    run(moved, 9.0)
    assert moved.fills
    last = moved.quote(AAPL).mark
    changes = run(moved, 1.0)
    assert [change.day for change in changes].count(True) == 1
    assert moved.quote(AAPL).close == pytest.approx(last, rel=1e-3)
    assert moved.quote(AAPL).volume < 1e6
    assert abs(moved.pnl(ACCOUNT).daily) < 2000.0
    assert moved.daily_bars(AAPL, 3)[-1].day == "20261120"
    assert moved.daily_bars(AAPL, 3)[-2].day == "20261119"
    assert {fill.time_s >= late + 10.0 for fill in moved.fills} <= {True}


def test_an_account_can_vanish_and_come_back() -> None:
    moved = world(accounts=(ACCOUNT, "DU7654321"))
    assert len(moved.positions("DU7654321")) == 3
    moved.vanish("DU7654321")
    assert moved.accounts == (ACCOUNT,)
    assert moved.positions("DU7654321") == []
    moved.reappear("DU7654321")
    assert len(moved.positions("DU7654321")) == 3


def test_scans_order_stocks_by_their_code() -> None:
    moved = world()
    gainers = moved.scan("TOP_PERC_GAIN", rows=5)
    changes = [moved.quote(each.con_id).last / moved.quote(each.con_id).close for each in gainers]
    assert changes == sorted(changes, reverse=True)
    assert [each.symbol for each in moved.scan("HALTED")] == ["AMC"]
    assert moved.scan("TOP_PERC_GAIN", limits=ScanFilter(above_price=1e6)) == []
    cheap = moved.scan("MOST_ACTIVE", limits=ScanFilter(below_price=30.0, above_volume=1e5))
    assert cheap
    assert all(moved.quote(each.con_id).last <= 30.0 for each in cheap)
    with pytest.raises(KeyError):
        moved.scan("NO_SUCH_SCAN")


def test_some_stocks_are_delayed_or_not_allowed() -> None:
    access = {each.symbol: each.access for each in world().catalogue.contracts.values() if each.sec_type == "STK"}
    assert access["NKE"] is Access.DELAYED
    assert access["TSM"] is Access.NONE
    assert list(access.values()).count(Access.LIVE) >= 38


@pytest.mark.parametrize(
    ("utc", "phase"),
    [
        ("2026-11-20 08:59", Phase.CLOSED),
        ("2026-11-20 09:00", Phase.PRE),
        ("2026-11-20 14:29", Phase.PRE),
        ("2026-11-20 14:30", Phase.REGULAR),
        ("2026-11-20 20:59", Phase.REGULAR),
        ("2026-11-20 21:00", Phase.POST),
        ("2026-11-21 01:00", Phase.CLOSED),
        ("2026-11-26 15:00", Phase.CLOSED),  # Thanksgiving
        ("2026-11-27 18:00", Phase.POST),  # the half day after it
        ("2026-07-06 13:30", Phase.REGULAR),  # summer time
    ],
)
def test_phases_of_the_new_york_day(utc: str, phase: Phase) -> None:
    moment = datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp()
    assert phase_at(Venue.US_STOCKS, moment) is phase


def test_hours_are_written_as_the_broker_writes_them() -> None:
    text = hours_text(Venue.US_STOCKS, date(2026, 11, 25), regular=False)
    assert text.split(";")[:4] == [
        "20261125:0400-20261125:2000",
        "20261126:CLOSED",
        "20261127:0400-20261127:1700",
        "20261128:CLOSED",
    ]
    regular = hours_text(Venue.US_STOCKS, date(2026, 11, 27), regular=True)
    assert regular.startswith("20261127:0930-20261127:1300;20261128:CLOSED")
    assert hours_text(Venue.FUTURES, date(2026, 11, 23), regular=False).startswith("20261122:1700-20261123:1600")


def test_expiries_are_fridays_that_trade() -> None:
    for start in range(0, 360, 7):
        for expiry in fridays(date(2026, 1, 5) + timedelta(days=start), weekly=2, monthly=4):
            assert is_trading_day(expiry)
            assert expiry.weekday() in (3, 4)
    assert is_half_day(date(2026, 11, 27))
    assert not is_half_day(date(2026, 11, 20))


def test_every_catalogue_of_the_year_has_its_instruments() -> None:
    for month in range(1, 13):
        catalogue = build_catalogue(date(2026, month, 15))
        future = catalogue.find("ES", sec_type="FUT")[0]
        assert future.expiry > f"2026{month:02d}15"
        assert future.multiplier == 50.0
        assert len(catalogue.options) > 1500
        assert len(catalogue.matching("AAP")) >= 1
