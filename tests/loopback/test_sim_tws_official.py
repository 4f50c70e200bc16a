"""The client of the official protocol against the simulated TWS, so that its fidelity is not only our own reading."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from ibapi.contract import Contract  # type: ignore[import-untyped]
from ibapi.execution import ExecutionFilter  # type: ignore[import-untyped]
from ibapi.scanner import ScannerSubscription  # type: ignore[import-untyped]

from app.sim.ibkr.instruments import AAPL
from app.sim.tws import TwsSim
from tests.loopback.tws_clients import OfficialClient, complaints, official

ACCOUNT = "DU1234567"


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[TwsSim]:
    async with TwsSim(seed=3, auto=False, rate=0.0, read_only=False) as sim:
        yield sim


@pytest.fixture(name="client")
async def _client(sim: TwsSim, caplog: pytest.LogCaptureFixture) -> AsyncIterator[OfficialClient]:
    async with official(sim) as client:
        yield client
    assert complaints(caplog) == []


def apple() -> Any:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "AAPL", "STK", "SMART", "USD"
    return contract


async def test_it_agrees_on_the_version_though_it_knows_later_ones(client: OfficialClient) -> None:
    assert client.client.serverVersion() == 178
    assert client.wrapper.of("managedAccounts") == [(ACCOUNT,)]
    assert [call[2] for call in await client.answers("error", 3)] == [2104, 2106, 2158]


async def test_positions_and_account_figures(sim: TwsSim, client: OfficialClient) -> None:
    client.client.reqPositions()
    await client.answers("positionEnd")
    told = {contract.conId: (quantity, cost) for _, contract, quantity, cost in client.wrapper.of("position")}
    held = {each.con_id: (Decimal(str(each.quantity)), each.average_cost) for each in sim.world.positions(ACCOUNT)}
    assert told.keys() == held.keys()
    for con_id, (quantity, cost) in told.items():
        assert quantity == held[con_id][0]
        assert cost == pytest.approx(held[con_id][1])
    client.client.reqAccountUpdates(True, ACCOUNT)
    await client.answers("accountDownloadEnd")
    values = {(tag, currency): value for tag, value, currency, _ in client.wrapper.of("updateAccountValue")}
    assert float(values["NetLiquidation", "USD"]) == pytest.approx(sim.world.value(ACCOUNT, "NetLiquidation"), abs=0.01)
    assert float(values["CashBalance", "EUR"]) == pytest.approx(sim.world.cash(ACCOUNT)["EUR"], abs=0.01)
    rows = client.wrapper.of("updatePortfolio")
    assert len(rows) == len(held)
    for contract, quantity, price, value, cost, unrealised, _realised, _account in rows:
        multiplier = float(contract.multiplier or 1)
        assert value == pytest.approx(float(quantity) * multiplier * price, abs=0.01)
        assert unrealised == pytest.approx(value - float(quantity) * cost, abs=0.02)
    client.client.reqAccountSummary(5, "All", "NetLiquidation,BuyingPower,$LEDGER:EUR")
    await client.answers("accountSummaryEnd")
    summary = {(tag, currency) for _, _, tag, _, currency in client.wrapper.of("accountSummary")}
    assert {("NetLiquidation", "USD"), ("BuyingPower", "USD"), ("CashBalance", "EUR")} <= summary
    assert not {currency for _, currency in summary} - {"USD", "EUR"}
    client.client.reqPnL(6, ACCOUNT, "")
    client.client.reqPnLSingle(7, ACCOUNT, "", AAPL)
    (_, daily, unrealised, _), *_ = await client.answers("pnl")
    assert daily == pytest.approx(sim.world.pnl(ACCOUNT).daily)
    assert unrealised == pytest.approx(sim.world.pnl(ACCOUNT).unrealised)
    (_, position, daily, *_), *_ = await client.answers("pnlSingle")
    assert position == Decimal("440")
    assert daily == pytest.approx(sim.world.position_pnl(ACCOUNT, AAPL).daily)


async def test_quotes_greeks_and_what_changes(sim: TwsSim, client: OfficialClient) -> None:
    client.client.reqMktData(11, apple(), "100,101,104,106,233", False, False, [])
    option = Contract()
    option.conId = next(
        each.con_id for each in sim.world.positions(ACCOUNT) if sim.world.catalogue.contracts[each.con_id].is_option
    )
    option.exchange = "SMART"
    client.client.reqMktData(12, option, "", False, False, [])
    await client.answers("tickOptionComputation", 3)
    await client.answers("tickReqParams", 2)
    quote = sim.world.quote(AAPL)
    prices = {kind: price for req_id, kind, price, _ in client.wrapper.of("tickPrice") if req_id == 11}
    assert (prices[1], prices[2], prices[9]) == (quote.bid, quote.ask, quote.close)
    assert (11, 1) in client.wrapper.of("marketDataType")
    generic = {kind: value for req_id, kind, value in client.wrapper.of("tickGeneric") if req_id == 11}
    assert generic[24] == pytest.approx(quote.iv)
    assert [text.count(";") for _, kind, text in client.wrapper.of("tickString") if kind == 48] == [5]
    model = next(call for call in client.wrapper.of("tickOptionComputation") if call[1] == 13)
    truth = sim.world.quote(option.conId)
    assert list(model[3:]) == pytest.approx(
        [truth.iv, truth.delta, truth.model_price, 0.0, truth.gamma, truth.vega, truth.theta, truth.underlying],
        abs=1e-7,
    )
    before = len(client.wrapper.of("tickPrice"))
    sim.step(20)
    await client.answers("tickPrice", before + 2)
    client.client.cancelMktData(11)
    client.client.cancelMktData(11)
    assert next(call for call in await client.answers("error", 4) if call[0] == 11)[2] == 300


async def test_contracts_chains_symbols_and_scans(sim: TwsSim, client: OfficialClient) -> None:
    client.client.reqContractDetails(21, apple())
    await client.answers("contractDetailsEnd")
    (_, details), *_ = client.wrapper.of("contractDetails")
    assert (details.contract.conId, details.longName, details.minTick) == (AAPL, "APPLE INC", 0.01)
    assert (details.timeZoneId, details.contract.primaryExchange) == ("US/Eastern", "NASDAQ")
    assert (details.tradingHours, details.liquidHours) == sim.world.hours_texts(AAPL)[1:]
    assert details.secIdList[0].value == "US0002655980"
    assert details.sizeIncrement == Decimal("0.0001")
    client.client.reqSecDefOptParams(22, "AAPL", "", "STK", AAPL)
    await client.answers("securityDefinitionOptionParameterEnd")
    chain = sim.world.chain(AAPL)
    assert chain is not None
    row = client.wrapper.of("securityDefinitionOptionParameter")[0]
    assert (row[1], row[2], row[3], row[4]) == ("SMART", AAPL, "AAPL", "100")
    assert (set(row[5]), set(row[6])) == (set(chain.expiries), set(chain.all_strikes))
    client.client.reqMatchingSymbols(23, "apple")
    (_, found), *_ = await client.answers("symbolSamples")
    assert [each.contract.symbol for each in found] == ["AAPL"]
    assert "OPT" in found[0].derivativeSecTypes
    scan = ScannerSubscription()
    scan.instrument, scan.locationCode, scan.scanCode, scan.numberOfRows = "STK", "STK.US.MAJOR", "TOP_PERC_GAIN", 5
    client.client.reqScannerSubscription(24, scan, [], [])
    await client.answers("scannerDataEnd")
    ranked = [(rank, each.contract.symbol) for _, rank, each, *_ in client.wrapper.of("scannerData")]
    assert ranked == list(enumerate(each.symbol for each in sim.world.scan("TOP_PERC_GAIN", rows=5)))
    wrong = apple()
    wrong.symbol = "NOSUCH"
    client.client.reqContractDetails(25, wrong)
    assert next(call for call in await client.answers("error", 4) if call[0] == 25)[2] == 200


async def test_history(sim: TwsSim, client: OfficialClient) -> None:
    client.client.reqHistoricalData(31, apple(), "", "1 Y", "1 day", "OPTION_IMPLIED_VOLATILITY", 1, 1, False, [])
    await client.answers("historicalDataEnd")
    bars = [bar for req_id, bar in client.wrapper.of("historicalData") if req_id == 31]
    truth = sim.world.volatility_bars(AAPL, 252)
    assert [(bar.date, bar.close) for bar in bars] == [(bar.day, pytest.approx(bar.close)) for bar in truth]
    client.client.reqHistoricalData(32, apple(), "", "2 D", "1 hour", "TRADES", 1, 1, False, [])
    await client.answers("historicalDataEnd", 2)
    hours = [bar for req_id, bar in client.wrapper.of("historicalData") if req_id == 32]
    assert len(hours) == 13
    assert all(bar.low <= bar.close <= bar.high and bar.date.endswith("US/Eastern") for bar in hours)
    client.client.reqHeadTimeStamp(33, apple(), "TRADES", 1, 1)
    (_, text), *_ = await client.answers("headTimestamp")
    assert text.startswith("202")
    client.client.reqHistoricalData(34, apple(), "", "2 D", "1 hour", "TRADES", 1, 1, False, [])
    assert "pacing violation" in next(call for call in await client.answers("error", 4) if call[0] == 34)[3]


async def test_executions_and_orders(sim: TwsSim, client: OfficialClient) -> None:
    client.client.reqExecutions(41, ExecutionFilter())
    await client.answers("execDetailsEnd")
    told = {each.execId: each for _, _, each in client.wrapper.of("execDetails")}
    assert told.keys() == {fill.exec_id for fill in sim.world.fills}
    reports = {report.execId: report for (report,) in client.wrapper.of("commissionAndFeesReport")}
    for fill in sim.world.fills:
        assert told[fill.exec_id].price == fill.price
        assert told[fill.exec_id].side == fill.side
        assert reports[fill.exec_id].commissionAndFees == pytest.approx(fill.commission)
        if fill.realised is not None:
            assert reports[fill.exec_id].realizedPNL == pytest.approx(fill.realised)
    client.client.reqAllOpenOrders()
    await client.answers("openOrderEnd")
    orders = {order.permId: (contract, order, state) for _, contract, order, state in client.wrapper.of("openOrder")}
    assert orders.keys() == {order.perm_id for order in sim.world.open_orders}
    for order in sim.world.open_orders:
        contract, theirs, state = orders[order.perm_id]
        assert contract.conId == order.con_id
        assert (theirs.action, theirs.totalQuantity) == (order.action, Decimal(str(order.quantity)))
        assert (theirs.orderType, theirs.lmtPrice, theirs.tif) == ("LMT", order.limit_price, order.time_in_force)
        assert (theirs.account, theirs.outsideRth, state.status) == (ACCOUNT, order.outside_rth, order.status)
        assert theirs.clearingIntent == "IB"
    assert {call[1] for call in client.wrapper.of("orderStatus")} == {"Submitted", "PreSubmitted"}
    client.client.reqCompletedOrders(False)
    await client.answers("completedOrdersEnd")
    done = client.wrapper.of("completedOrder")
    assert {state.status for _, _, state in done} == {"Filled", "Cancelled", "Inactive"}
    assert next(state for _, _, state in done if state.status == "Filled").completedStatus.startswith("Filled Size")
    sim.world.begin_order(AAPL, "BUY", 10.0, limit_price=500.0, parts=2)
    sim.step(200)
    live = [each for req_id, _, each in await client.answers("execDetails", 5) if req_id == -1]
    assert [(each.shares, each.cumQty) for each in live] == [(Decimal(5), Decimal(5)), (Decimal(5), Decimal(10))]
    await client.answers("commissionAndFeesReport", 5)
    said = [call[1] for call in client.wrapper.of("orderStatus") if call[5] == live[0].permId]
    assert said == ["PendingSubmit", "PreSubmitted", "Submitted", "Submitted", "Filled"]
