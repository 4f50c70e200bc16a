"""The Client Portal session against the simulated gateway, over real TLS sockets: the good days."""

from __future__ import annotations

import asyncio
import re

import pytest
from portal_venue_rig import AAPL, ACCOUNT, MSFT, SPY, quick, running, simulated

from app.domain.account import BASE, PositionsListed, Tag
from app.domain.contracts import Contract, SecType
from app.domain.health import FeedEventKind, LinkState
from app.domain.orders import OrderStatus
from app.domain.quotes import DataKind, QuoteField
from app.portfolio.ledger import Ledger
from app.sim.ibkr.instruments import Access
from app.sim.portal.pacing import PortalLimits
from app.venues.broker import BrokerError, ScanRequest
from app.venues.ibkr_portal.intake import PortalIntake


async def test_the_start_goes_in_the_documented_order() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        asked = [argument.partition("?")[0] for kind, argument, _ in rig.sink.raw if kind == "rest"]
        assert asked[:4] == ["/iserver/auth/status", "/iserver/accounts", "/portfolio/accounts", "/tickle"]
        frames = [raw for kind, _, raw in rig.sink.raw if kind == "ws"]
        first_data = next(at for at, raw in enumerate(frames) if re.search(rb'"topic":"(spl|str|smd|ssd|sor)', raw))
        confirmed = next(at for at, raw in enumerate(frames) if b'"topic":"sts"' in raw)
        assert confirmed < first_data
        orders = [argument for kind, argument, _ in rig.sink.raw if argument.startswith("/iserver/account/orders")]
        assert orders[:2] == ["/iserver/account/orders?force=true", "/iserver/account/orders"]
        assert sim.state()["streams"].get("ignored_before_sts", 0) == 0  # type: ignore[attr-defined]
        assert sim.hub.counts["sor_without_force"] == 0


async def test_health_tells_who_answers_and_what_the_login_is() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        await rig.until(lambda: rig.health.session_until_ns is not None, "the end of the login")
        health = rig.health
        assert (health.accounts, health.paper, health.read_only) == ((ACCOUNT,), True, False)
        assert health.paper_why == "the gateway says so of this login"
        assert health.server_version.startswith("Build 10.44")
        assert health.certificate.replace(":", "").lower() == sim.fingerprint.replace(":", "").lower()
        assert health.certificate_new == ""
        assert health.session_until_ns is not None
        assert health.session_until_ns > rig.clock.wall_ns()
        await rig.until(lambda: health.clock_offset_ms is not None, "a heartbeat")
        assert rig.session.login_url == sim.url


async def test_a_live_login_is_told_from_a_paper_one() -> None:
    async with simulated(accounts=("U7654321",)) as sim, running(sim) as rig:
        await rig.until(lambda: rig.health.paper is not None, "paper or live")
        assert rig.health.paper is False


async def test_the_account_is_that_of_the_broker() -> None:
    async with simulated() as sim, running(sim) as rig:
        sim.pause()  # the account stands still, heartbeats go on
        await rig.until(lambda: rig.ledger.value(ACCOUNT, Tag.BUYING_POWER)[0] is not None, "buying power")
        await rig.until(lambda: bool(rig.ledger.positions), "positions")
        books = sim.world
        for tag in (Tag.NET_LIQUIDATION, Tag.BUYING_POWER, Tag.AVAILABLE_FUNDS, Tag.MAINTENANCE_MARGIN):
            value, currency = rig.ledger.value(ACCOUNT, tag)
            assert currency == "USD"
            assert value == pytest.approx(books.value(ACCOUNT, tag.value), abs=0.02)
        for currency, cash in books.cash(ACCOUNT).items():
            assert rig.ledger.value(ACCOUNT, Tag.CASH_BALANCE, currency)[0] == pytest.approx(cash, abs=0.02)
        assert rig.ledger.value(ACCOUNT, Tag.EXCHANGE_RATE, "EUR")[0] == pytest.approx(1.08, abs=0.3)
        assert rig.ledger.value(ACCOUNT, Tag.CASH_BALANCE, BASE)[0] is not None
        held = {con_id: position for (_, con_id), position in rig.ledger.positions.items()}
        assert {each.con_id: each.quantity for each in books.positions(ACCOUNT)} == {
            con_id: position.quantity for con_id, position in held.items()
        }
        for each in books.positions(ACCOUNT):
            contract = books.contract(each.con_id)
            position = held[each.con_id]
            assert contract is not None
            assert position.average_cost == pytest.approx(each.average_cost)
            assert position.contract.multiplier == contract.multiplier
            assert position.contract.currency == contract.currency
            assert (position.contract.expiry, position.contract.strike) == (contract.expiry, contract.strike)
            assert position.contract.right.value == contract.right


async def test_profit_and_loss_follows_the_stream() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until(lambda: rig.ledger.pnl.get(ACCOUNT) is not None, "profit and loss")
        first = rig.ledger.pnl[ACCOUNT]
        assert first.daily is not None
        await rig.until(lambda: rig.ledger.pnl[ACCOUNT].daily != first.daily, "its change")
        await rig.until(lambda: rig.ledger.pnl[ACCOUNT].realised is not None, "what the ledger says is realised")
        assert sim.order_requests == []


async def test_quotes_come_for_exactly_the_wished_contracts() -> None:
    async with simulated() as sim, running(sim) as rig:
        rig.session.set_lines([AAPL, SPY])
        await rig.until_quotes([AAPL, SPY])
        await rig.until(lambda: QuoteField.CLOSE in rig.ledger.quotes[AAPL.con_id].values, "the second half of fields")
        quote = rig.ledger.quotes[AAPL.con_id]
        truth = sim.world.quote(AAPL.con_id)
        assert quote[QuoteField.CLOSE] == pytest.approx(truth.close, abs=0.006)
        assert quote[QuoteField.KIND] == DataKind.LIVE
        assert quote[QuoteField.HALTED] == 0.0
        assert 0.05 < quote[QuoteField.IV] < 2.0
        assert quote[QuoteField.VOLUME] > 1000.0
        rig.session.set_lines([MSFT])
        await rig.until(lambda: sim.hub.lines == 1 and rig.health.lines_open == 1, "the change of lines")
        await rig.until_quotes([MSFT])
        assert rig.ledger.quotes[MSFT.con_id].refused == ""
        await rig.until(lambda: sim.desk.snapshots.asked_s.keys() == {MSFT.con_id}, "the lines of snapshots freed")


async def test_options_come_with_greeks_although_they_were_never_looked_up() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        options = rig.options_held()[:2]
        rig.session.set_lines(options)
        await rig.until_quotes(options)
        con_id = options[0].con_id
        await rig.until(lambda: QuoteField.DELTA in rig.ledger.quotes[con_id].values, "Greeks")
        truth = sim.world.quote(con_id)
        quote = rig.ledger.quotes[con_id]
        assert quote[QuoteField.DELTA] == pytest.approx(truth.delta, abs=0.1)
        assert truth.iv is not None
        assert quote[QuoteField.IV] == pytest.approx(truth.iv, abs=0.05)


async def test_no_more_lines_are_opened_than_there_are() -> None:
    async with simulated() as sim, running(sim, quick(sim, lines_limit=2)) as rig:
        rig.session.set_lines([AAPL, SPY, MSFT])
        await rig.until_quotes([AAPL, SPY])
        assert sim.hub.lines == 2
        assert rig.ledger.quotes[MSFT.con_id].refused == "all 2 market data lines are in use"
        assert (rig.health.lines_open, rig.health.lines_limit) == (2, 2)
        rig.session.set_lines([MSFT, AAPL])
        await rig.until_quotes([MSFT])
        assert rig.ledger.quotes[MSFT.con_id].refused == ""
        assert sim.hub.counts["smd_over_lines"] == 0


async def test_every_line_there_is_can_be_used_although_each_is_looked_up_first() -> None:
    limits = PortalLimits(requests_per_s=1000, own_scale=0.0, market_data_lines=20)
    async with simulated(limits=limits) as sim, running(sim, quick(sim, lines_limit=20)) as rig:
        stocks = [each.con_id for each in sim.world.catalogue.contracts.values() if each.sec_type == "STK"][:25]
        first = [Contract(con_id=con_id, symbol="X") for con_id in stocks[:20]]
        rig.session.set_lines(first)
        await rig.until(lambda: sim.hub.lines == 20, "all lines")
        rig.session.set_lines([Contract(con_id=con_id, symbol="X") for con_id in stocks[5:]])
        await rig.until(lambda: sim.hub.streamed == frozenset(stocks[5:25]), "the lines after the change")
        assert sim.hub.counts["smd_over_lines"] == 0


async def test_quotes_are_asked_for_again_before_they_end() -> None:
    async with simulated(smd_life_s=1.8) as sim, running(sim, quick(sim, smd_renew_s=0.3)) as rig:
        rig.session.set_lines([AAPL, SPY])
        await rig.until(lambda: sim.hub.counts["smd"] >= 16, "renewals beyond the life of a line")
        await rig.until_quotes([AAPL, SPY])
        assert sim.hub.counts["smd_expired"] == 0


async def test_quotes_that_ended_in_silence_come_back_with_the_renewal() -> None:
    async with simulated() as sim, running(sim, quick(sim, smd_renew_s=0.5)) as rig:
        rig.session.set_lines([AAPL])
        await rig.until_quotes([AAPL])
        sim.fault("smd-expiry")
        await rig.until(lambda: sim.hub.lines == 1, "the renewed line")
        await rig.until_quotes([AAPL])


async def test_a_line_that_stays_silent_is_asked_for_anew_and_then_said_to_be_refused() -> None:
    nobody = Contract(con_id=999, symbol="NOBODY")
    async with simulated() as sim, running(sim, quick(sim, quote_within_s=0.2)) as rig:
        rig.session.set_lines([AAPL, nobody])
        await rig.until_quotes([AAPL])
        await rig.until(lambda: nobody.con_id in rig.ledger.quotes, "word of the silent line")
        assert "sends no quotes" in rig.ledger.quotes[nobody.con_id].refused
        snapshots = [argument for _, argument, _ in rig.sink.raw if "marketdata/snapshot" in argument]
        assert sum("999" in argument for argument in snapshots) >= 2
        await rig.until_quotes([AAPL])
        assert rig.ledger.quotes[AAPL.con_id].refused == ""


async def test_a_contract_without_subscription_is_refused_with_the_reason() -> None:
    async with simulated() as sim, running(sim, quick(sim, quote_within_s=0.2)) as rig:
        (con_id,) = [each.con_id for each in sim.world.catalogue.contracts.values() if each.access is Access.NONE][:1]
        rig.session.set_lines([Contract(con_id=con_id, symbol="X")])
        await rig.until(lambda: con_id in rig.ledger.quotes, "the refusal")
        await asyncio.sleep(0.6)
        assert "no subscription" in rig.ledger.quotes[con_id].refused


async def test_an_order_is_followed_from_change_to_change() -> None:
    async with simulated() as sim, running(sim) as rig:
        sim.pause()  # the account stands still, heartbeats go on
        await rig.until(lambda: rig.health.orders_known, "orders")
        order_id = await rig.happen(parts=2)
        seen: list[OrderStatus] = []

        def look() -> bool:
            sim.spread(sim.world.step(0.1))
            order = rig.ledger.orders.orders.get(order_id)
            if order is not None and (not seen or seen[-1] is not order.status):
                seen.append(order.status)
            return OrderStatus.FILLED in seen

        await rig.until(look, "the last fill")
        order = rig.ledger.orders.orders[order_id]
        assert OrderStatus.SUBMITTED in seen
        assert (order.filled, order.remaining, order.quantity) == (10.0, 0.0, 10.0)
        assert order.average_price is not None
        assert order.contract.symbol == "AAPL"
        truth = [fill for fill in sim.world.fills if str(fill.perm_id) == order_id]

        def commissions() -> bool:
            sim.spread(sim.world.step(0.1))
            executions = rig.ledger.orders.executions
            return all(each.exec_id in executions and executions[each.exec_id].commission is not None for each in truth)

        await rig.until(commissions, "fills with commission")
        told = rig.ledger.orders.executions[truth[0].exec_id]
        assert told.price == pytest.approx(truth[0].price, abs=0.006)
        assert told.commission == pytest.approx(truth[0].commission, abs=0.006)
        quantity = {each.con_id: each.quantity for each in sim.world.positions(ACCOUNT)}[AAPL.con_id]
        await rig.until(lambda: rig.ledger.positions[ACCOUNT, AAPL.con_id].quantity == quantity, "the position")


async def test_a_rejected_order_says_why() -> None:
    async with simulated() as sim, running(sim) as rig:
        sim.pause()  # the account stands still, heartbeats go on
        await rig.until(lambda: rig.health.orders_known, "orders")
        order_id = await rig.happen(fate="reject")

        def rejected() -> bool:
            sim.spread(sim.world.step(0.1))
            order = rig.ledger.orders.orders.get(order_id)
            return order is not None and order.status is OrderStatus.INACTIVE

        await rig.until(rejected, "the rejection")
        await rig.until(lambda: any("rejected" in each.text for each in rig.notices()), "the gateway's words")


async def test_scanners_run_again_and_again() -> None:
    async with simulated() as sim, running(sim) as rig:
        rig.session.set_scans([ScanRequest(id="gainers", code="TOP_PERC_GAIN", price_above=5.0, rows=3)])
        await rig.until(lambda: len(rig.ledger.scans.get("gainers", ())) == 3, "three rows")
        ran = [argument for _, argument, _ in rig.sink.raw if argument == "/iserver/scanner/run?scan=gainers&rows=3"]
        await rig.until(
            lambda: sum(argument.startswith("/iserver/scanner/run") for _, argument, _ in rig.sink.raw) > len(ran),
            "the next run",
        )
        contract = rig.ledger.scans["gainers"][0]
        assert contract.sec_type is SecType.STOCK
        assert sim.world.contract(contract.con_id) is not None


async def test_questions_are_answered() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        found = await rig.session.find("aapl")
        assert [(each.con_id, each.currency, each.primary_exchange) for each in found] == [(265598, "USD", "NASDAQ")]
        assert await rig.session.find("NOSUCH") == ()
        details = await rig.session.details(found[0])
        assert details.tick_size == 0.01
        assert details.zone == "US/Eastern"
        assert details.liquid
        assert details.trading[0].start_ns < details.liquid[0].start_ns
        bars = await rig.session.daily_bars(AAPL, 30)
        assert len(bars) == 30
        assert [bar.day for bar in bars] == sorted(bar.day for bar in bars)
        truth = sim.world.daily_bars(AAPL.con_id, 30)
        assert [bar.close for bar in bars] == pytest.approx([bar.close for bar in truth])
        assert [bar.day for bar in bars] == [bar.day for bar in truth]
        lists = await rig.session.watchlists()
        assert lists
        assert all(contract.symbol for each in lists for contract in each.contracts)


async def test_no_more_than_five_histories_are_asked_at_once() -> None:
    async with simulated(history_s=0.05) as sim, running(sim) as rig:
        await rig.until_live()
        held = [position.contract for position in rig.ledger.positions.values()]
        contracts = [contract for contract in held if contract.sec_type is SecType.STOCK] * 2
        await asyncio.gather(*(rig.session.daily_bars(contract, 5) for contract in contracts))
        assert len(contracts) > 10
        assert 2 <= sim.desk.market.most_histories <= 5
        assert sim.pacing.refused == 0


async def test_a_question_without_a_connection_is_refused_at_once() -> None:
    async with simulated(logged_in=False) as sim, running(sim) as rig:
        with pytest.raises(BrokerError, match="not connected"):
            await rig.session.find("AAPL")


async def test_the_documented_limits_are_kept() -> None:
    """Nothing is refused, also when many lines and questions come at once; the addresses' own limits are shortened to a
    fifth on both sides."""
    async with simulated(limits=PortalLimits(own_scale=0.2)) as sim:
        async with running(sim, quick(sim, pace_scale=0.2, requests_per_s=10, positions_every_s=1.0)) as rig:
            await rig.until(lambda: rig.health.orders_known, "orders")
            rig.session.set_lines([position.contract for position in rig.ledger.positions.values()])
            await rig.until(lambda: sim.hub.lines == len(rig.ledger.positions), "all lines")
        assert (sim.pacing.refused, sim.pacing.refused_in_penalty) == (0, 0)


async def test_a_recording_replayed_through_an_intake_gives_the_same_account() -> None:
    async with simulated() as sim, running(sim) as rig:
        rig.session.set_lines([AAPL, SPY])
        await rig.until_live()
        await rig.until_quotes([AAPL, SPY])
        recorded = list(rig.sink.raw)
        held, orders = dict(rig.ledger.positions), dict(rig.ledger.orders.orders)
        quotes = {con_id: dict(quote.values) for con_id, quote in rig.ledger.quotes.items()}
    intake, ledger = PortalIntake(), Ledger(rig.ledger.source)
    for at, (kind, argument, raw) in enumerate(recorded):
        taken = intake.on_frame(at, raw) if kind == "ws" else intake.on_rest(at, argument, raw)
        ledger.on_quotes(at, taken.quotes)
        ledger.on_events(at, taken.events)
    assert ledger.accounts == (ACCOUNT,)
    assert {key: each.quantity for key, each in ledger.positions.items()} == {
        key: each.quantity for key, each in held.items()
    }
    assert {key: each.contract.label for key, each in ledger.positions.items()} == {
        key: each.contract.label for key, each in held.items()
    }
    assert ledger.orders.orders.keys() == orders.keys()
    assert {con_id: dict(quote.values) for con_id, quote in ledger.quotes.items()} == quotes


async def test_no_secret_is_handed_on() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        await rig.until(lambda: sum(argument == "/tickle" for _, argument, _ in rig.sink.raw) >= 2, "tickles")
        value = sim.session.value
        assert len(value) > 20
        for _, argument, raw in rig.sink.raw:
            assert value.encode() not in raw
            assert value[:16].encode() not in raw, argument
            assert b"fathomdemo" not in raw, argument
        assert not any(value in event.text for event in rig.sink.log)


async def test_every_frame_comes_as_bytes_too() -> None:
    async with simulated(bytes_every=1) as sim, running(sim) as rig:
        rig.session.set_lines([AAPL])
        await rig.until_live()
        await rig.until_quotes([AAPL])
        assert rig.health.bad_messages == 0


async def test_connections_are_told_in_the_event_log() -> None:
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        assert rig.sink.texts(FeedEventKind.CONNECTED) == ["Client Portal: connected; 1 accounts"]
        assert not any(ACCOUNT in event.text for event in rig.sink.log)
        assert rig.health.state is LinkState.LIVE
        assert any(isinstance(event, PositionsListed) for event in rig.sink.events)
