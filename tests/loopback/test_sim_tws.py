"""ib_async against the simulated TWS: it gets everything and finds nothing to complain about."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ib_async import IB, Contract, ExecutionFilter, ScannerSubscription, Stock, Ticker, Trade
from ib_async import Order as WireOrder

from app.sim.ibkr.instruments import AAPL, MSFT
from app.sim.tws import OrderAttempted, TwsSim, TwsSimOptions, check_orders, serve
from app.sim.tws.wire import frame
from tests.loopback.tws_clients import complaints, connected, raw, until

ACCOUNT = "DU1234567"
OTHER = "DU7654321"
Bodies = list[str]


@pytest.fixture(name="sim")
async def _sim(caplog: pytest.LogCaptureFixture) -> AsyncIterator[TwsSim]:
    """A simulator that stands still; at the end, no library may have complained of anything."""
    async with TwsSim(seed=3, auto=False, rate=0.0) as sim:
        yield sim
        assert sim.order_requests == []
    assert complaints(caplog) == []


@pytest.fixture(name="open_sim")
async def _open_sim(caplog: pytest.LogCaptureFixture) -> AsyncIterator[TwsSim]:
    """One whose Read-Only API is switched off, with two accounts."""
    async with TwsSim(seed=3, auto=False, rate=0.0, read_only=False, accounts=(ACCOUNT, OTHER)) as sim:
        yield sim
    assert complaints(caplog) == []


async def qualified(ib: IB, symbol: str) -> Contract:
    contract = Stock(symbol, "SMART", "USD")
    await ib.qualifyContractsAsync(contract)
    return contract


async def test_the_bootstrap_is_that_of_a_recorded_gateway(sim: TwsSim, captures: Path) -> None:
    lines = (captures / "ibkr_tws" / "ibkr_go_transcripts" / "grounded_bootstrap.txt").read_text().splitlines()
    steps = [line.split(" ", 2) for line in lines if line.startswith("server ")]
    names = {"managed_accounts": "15", "next_valid_id": "9", "api_error": "4"}
    async with raw(sim) as client:
        assert client.version[0] == "178"
        for _, name, body in steps:
            fields = await client.receive()
            assert fields[0] == names[name]
            if name == "api_error":
                recorded = json.loads(body)
                assert fields[2:5] == [str(recorded["req_id"]), str(recorded["code"]), recorded["message"]]


async def test_it_connects_read_only_and_knows_the_account(sim: TwsSim) -> None:
    async with connected(sim) as ib:
        assert ib.client.serverVersion() == 178
        assert ib.managedAccounts() == [ACCOUNT]
        positions = {each.contract.conId: each for each in ib.positions()}
        held = {each.con_id: each for each in sim.world.positions(ACCOUNT)}
        assert positions.keys() == held.keys()
        for con_id, position in positions.items():
            assert position.position == held[con_id].quantity
            assert position.avgCost == pytest.approx(held[con_id].average_cost)
            assert position.contract.exchange == ""
        assert {each.contract.conId for each in ib.portfolio()} == held.keys()
        for item in ib.portfolio():
            truth = sim.world.position_pnl(ACCOUNT, item.contract.conId)
            assert item.marketPrice == pytest.approx(truth.price)
            assert item.marketValue == pytest.approx(truth.value, abs=0.01)
            assert item.unrealizedPNL == pytest.approx(truth.unrealised, abs=0.01)
        values = {(each.tag, each.currency): each.value for each in ib.accountValues()}
        assert float(values["NetLiquidation", "USD"]) == pytest.approx(
            sim.world.value(ACCOUNT, "NetLiquidation"), abs=0.01
        )
        assert {"USD", "EUR", "BASE"} <= {currency for tag, currency in values if tag == "CashBalance"}
        assert {each.execution.execId for each in ib.fills()} == {fill.exec_id for fill in sim.world.fills}
        asked = [request.number for request in sim.requests]
        assert asked[0] == 71
        assert 5 not in asked
        assert 99 not in asked


async def test_orders_are_refused_by_a_read_only_api(sim: TwsSim) -> None:
    async with connected(sim) as ib:
        said: list[tuple[int, int, str]] = []
        ib.errorEvent += lambda req_id, code, text, _contract: said.append((req_id, code, text))
        futures = [asyncio.ensure_future(ib.reqAllOpenOrdersAsync()), asyncio.ensure_future(ib.reqOpenOrdersAsync())]
        futures.append(asyncio.ensure_future(ib.reqCompletedOrdersAsync(False)))
        await until(lambda: [each[1] for each in said].count(321) == 3)
        assert all(req_id == -1 and "Read-Only" in text for req_id, code, text in said if code == 321)
        assert not any(future.done() for future in futures)  # the library leaves them hanging
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)


async def test_orders_stream_where_they_may_be_seen(open_sim: TwsSim) -> None:
    sim = open_sim
    async with connected(sim, readonly=False) as ib:
        assert {trade.order.permId for trade in ib.trades()} == {each.perm_id for each in sim.world.completed_orders}
        trades = await ib.reqAllOpenOrdersAsync()
        working = [trade for trade in trades if trade.orderStatus.status in ("Submitted", "PreSubmitted")]
        assert {trade.order.permId for trade in working} == {each.perm_id for each in sim.world.open_orders}
        statuses: list[tuple[str, float, float]] = []
        fills: list[str] = []

        def on_status(trade: Trade) -> None:
            statuses.append((trade.orderStatus.status, trade.orderStatus.filled, trade.orderStatus.remaining))

        ib.orderStatusEvent += on_status
        ib.execDetailsEvent += lambda _trade, fill: fills.append(fill.execution.execId)
        order = sim.world.begin_order(MSFT, "BUY", 30.0, limit_price=600.0, parts=3)
        sim.step(400)
        await until(lambda: statuses and statuses[-1][0] == "Filled")
        assert list(dict.fromkeys(statuses)) == [
            ("PendingSubmit", 0.0, 30.0),
            ("PreSubmitted", 0.0, 30.0),
            ("Submitted", 0.0, 30.0),
            ("Submitted", 10.0, 20.0),
            ("Submitted", 20.0, 10.0),
            ("Filled", 30.0, 0.0),
        ]
        assert fills == [fill.exec_id for fill in sim.world.fills if fill.perm_id == order.perm_id]
        done = next(trade for trade in ib.trades() if trade.order.permId == order.perm_id)
        assert [fill.commissionReport.commission for fill in done.fills] == [1.0, 1.0, 1.0]
        held = {each.contract.conId: each.position for each in ib.positions(ACCOUNT)}
        assert held[MSFT] == 180.0
        assert len(ib.positions(OTHER)) == 3


async def test_a_foreign_fill_is_seen_and_asked_for_again(sim: TwsSim) -> None:
    async with connected(sim) as ib:
        before = len(ib.fills())
        sim.world.begin_order(AAPL, "SELL", 40.0, parts=2)
        sim.step(400)
        await until(lambda: len(ib.fills()) == before + 2)
        executions = await ib.reqExecutionsAsync(ExecutionFilter(acctCode=ACCOUNT, symbol="AAPL", side="SELL"))
        assert [fill.execution.shares for fill in executions if fill.contract.secType == "STK"] == [20.0, 20.0]
        assert all(fill.commissionReport.commission > 0.0 for fill in ib.fills())
        truth = {fill.exec_id: fill.realised for fill in sim.world.fills}
        for fill in ib.fills():
            # the library makes 0 of what is not set
            assert fill.commissionReport.realizedPNL == pytest.approx(truth[fill.execution.execId] or 0.0)


async def test_quotes_of_stocks_options_and_a_future(sim: TwsSim) -> None:
    async with connected(sim) as ib:
        contracts = [position.contract for position in ib.positions()]
        for contract in contracts:
            contract.exchange = "CME" if contract.secType == "FUT" else "SMART"
        tickers = [ib.reqMktData(contract, "101,165,233,236") for contract in contracts]
        await until(lambda: all(ticker.bid > 0 and ticker.ask > 0 for ticker in tickers))
        options = [ticker for contract, ticker in zip(contracts, tickers, strict=True) if contract.secType == "OPT"]
        await until(lambda: all(ticker.modelGreeks for ticker in options))
        sim.step(40)
        apple = next(ticker for ticker in tickers if ticker.contract and ticker.contract.conId == AAPL)
        await until(lambda: (apple.bid, apple.ask) == (sim.world.quote(AAPL).bid, sim.world.quote(AAPL).ask))
        quote = sim.world.quote(AAPL)
        assert (apple.close, apple.open, apple.halted, apple.marketDataType) == (quote.close, quote.open, 0, 1)
        assert (apple.high52week, apple.low52week) == pytest.approx((quote.week_52_high, quote.week_52_low))
        assert apple.volume == quote.volume
        assert not math.isnan(apple.rtVolume)
        for ticker in options:
            assert ticker.contract is not None
            assert ticker.modelGreeks is not None
            truth = sim.world.quote(ticker.contract.conId)
            assert ticker.modelGreeks.impliedVol == pytest.approx(truth.iv, rel=0.02)
        assert sim.gateway.lines.used(sim.gateway.ready) == len(contracts)
        for contract in contracts:
            ib.cancelMktData(contract)
        await until(lambda: sim.gateway.lines.used(sim.gateway.ready) == 0)


async def test_profit_and_loss_follow_the_prices(sim: TwsSim) -> None:
    async with connected(sim) as ib:
        whole = ib.reqPnL(ACCOUNT)
        one = ib.reqPnLSingle(ACCOUNT, "", MSFT)
        await until(lambda: not math.isnan(whole.dailyPnL) and not math.isnan(one.value))
        for _ in range(60):
            sim.step(1)
        truth, single = sim.world.pnl(ACCOUNT), sim.world.position_pnl(ACCOUNT, MSFT)
        await until(lambda: whole.dailyPnL == pytest.approx(truth.daily, rel=0.05))
        assert one.position == single.quantity
        assert one.value == pytest.approx(single.value, rel=0.01)
        assert one.realizedPnL > 1e300  # never realised anything: TWS sends what is not set
        ib.cancelPnL(ACCOUNT)
        ib.cancelPnLSingle(ACCOUNT, "", MSFT)
        await until(lambda: sim.requests[-1].name == "cancel pnl single")


async def test_contracts_chains_history_and_scans(sim: TwsSim) -> None:
    async with connected(sim) as ib:
        apple = await qualified(ib, "AAPL")
        assert apple.conId == AAPL
        (details,) = await ib.reqContractDetailsAsync(Contract(conId=AAPL))
        assert details.timeZoneId == "US/Eastern"
        assert details.tradingSessions()
        assert details.contract is not None
        assert details.contract.exchange == "SMART"
        chains = await ib.reqSecDefOptParamsAsync("AAPL", "", "STK", AAPL)
        assert {chain.exchange for chain in chains} == {"SMART", "CBOE", "AMEX", "PHLX"}
        option = Contract(
            secType="OPT",
            symbol="AAPL",
            exchange="SMART",
            currency="USD",
            lastTradeDateOrContractMonth=chains[0].expirations[2],
            strike=235.0,
            right="C",
        )
        (found,) = await ib.reqContractDetailsAsync(option)
        assert found.contract is not None
        assert (found.underConId, found.contract.multiplier) == (AAPL, "100")
        bars = await ib.reqHistoricalDataAsync(apple, "", "1 Y", "1 day", "TRADES", True)
        assert [bar.close for bar in bars] == pytest.approx([bar.close for bar in sim.world.daily_bars(AAPL, 252)])
        ivs = await ib.reqHistoricalDataAsync(apple, "", "1 Y", "1 day", "OPTION_IMPLIED_VOLATILITY", True)
        assert len(ivs) == 252
        kept = await ib.reqHistoricalDataAsync(apple, "", "1 D", "5 mins", "TRADES", True, keepUpToDate=True)
        updates: list[float] = []
        kept.updateEvent += lambda bars, _is_new: updates.append(bars[-1].close)
        sim.step(240)  # 12 seconds, so two times
        await until(lambda: len(updates) == 2)
        assert updates[-1] == pytest.approx(sim.world.quote(AAPL).last, rel=1e-3)
        ib.cancelHistoricalData(kept)
        rows = await ib.reqScannerDataAsync(
            ScannerSubscription(instrument="STK", locationCode="STK.US.MAJOR", scanCode="MOST_ACTIVE", abovePrice=100.0)
        )
        assert rows
        assert all(row.contractDetails.contract for row in rows)
        assert "TOP_PERC_GAIN" in await ib.reqScannerParametersAsync()
        assert await ib.reqMatchingSymbolsAsync("micro")
        summary = await ib.accountSummaryAsync()
        assert {"NetLiquidation", "Leverage", "AccountType"} <= {each.tag for each in summary}
        now = await ib.reqCurrentTimeAsync()
        assert now.timestamp() > 1.7e9


async def test_bars_of_five_seconds(sim: TwsSim) -> None:
    async with connected(sim) as ib:
        bars = ib.reqRealTimeBars(await qualified(ib, "AAPL"), 5, "TRADES", False)
        await until(lambda: any(request.name == "real-time bars" for request in sim.requests))
        sim.step(210)
        await until(lambda: len(bars) == 2)
        ib.cancelRealTimeBars(bars)
        await until(lambda: sim.requests[-1].name == "cancel real-time bars")


async def test_the_clock_drives_a_simulator_that_is_left_alone() -> None:
    async with TwsSim(seed=4, rate=20.0) as sim, connected(sim) as ib:
        before = len(ib.fills())
        ticker = ib.reqMktData(await qualified(ib, "AAPL"))
        ticks = 0

        def count(_tickers: set[Ticker]) -> None:
            nonlocal ticks
            ticks += 1

        ib.pendingTickersEvent += count
        await until(lambda: ticks > 5 and len(ib.fills()) > before and ticker.bid > 0)


# What needs an answer that libraries log as an error


async def test_what_may_not_be_seen_is_refused_with_its_code(caplog: pytest.LogCaptureFixture) -> None:
    async with TwsSim(seed=3, auto=False, rate=0.0, lines=3) as sim, connected(sim) as ib:
        codes: dict[int, list[int]] = {}
        ib.errorEvent += lambda req_id, code, _text, _contract: codes.setdefault(code, []).append(req_id)
        assert await ib.reqContractDetailsAsync(Stock("NOSUCH", "SMART", "USD")) == []
        assert 200 in codes
        forbidden, delayed = await qualified(ib, "TSM"), await qualified(ib, "NKE")
        ib.reqMktData(forbidden)
        ib.reqMktData(delayed)
        await until(lambda: len(codes.get(354, [])) == 2)
        ib.reqMarketDataType(3)
        ib.cancelMktData(delayed)
        late = ib.reqMktData(delayed)
        await until(lambda: late.marketDataType == 3 and late.bid > 0)
        assert 10167 in codes
        for symbol in ("AAPL", "MSFT", "KO"):
            ib.reqMktData(await qualified(ib, symbol))
        await until(lambda: 101 in codes)
        assert len(codes[101]) == 1
        assert not await ib.reqHistoricalDataAsync(forbidden, "", "5 D", "1 day", "TRADES", True)
        assert 162 in codes
        ib.reqMktData(await qualified(ib, "AAPL"), regulatorySnapshot=True, snapshot=True)
        await until(lambda: 10170 in codes)
    assert complaints(caplog, "Error ") == []


async def test_a_client_id_is_used_once(sim: TwsSim) -> None:
    async with raw(sim, client_id=5) as first:
        await first.receive_until(4, 2, -1, 2158)
        async with raw(sim, client_id=5) as second:
            assert (await second.receive_until(4, 2, -1, 326))[-1][4].startswith("Unable to connect")
            assert await second.ended()
        first.send(49, 1)
        assert (await first.receive())[:2] == ["49", "1"]


async def test_a_flood_is_answered_by_error_100_and_ends(sim: TwsSim) -> None:
    async with raw(sim) as client:
        await client.receive_until(4, 2, -1, 2158)
        for _ in range(60):
            client.send(49, 1)
        found = await client.receive_until(4, 2, -1, 100)
        assert [fields[0] for fields in found].count("49") == 49  # and the start of the API makes 50
        assert sim.gateway.counts["over_rate"] >= 1


@pytest.mark.parametrize(
    ("hello", "ended"),
    [(b"v157..178", False), (b"v100..225", False), (b"v100..177", True), (b"v179..200", True), (b"hello", True)],
)
async def test_only_version_178_is_spoken(sim: TwsSim, hello: bytes, ended: bool) -> None:
    async with raw(sim, client_id=None, hello=hello) as client:
        if ended:
            assert await client.ended()
        else:
            assert (await client.receive())[0] == "178"


async def test_what_is_no_client_is_sent_away(sim: TwsSim) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert sim.gateway.counts["strangers"] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (["1", "11", "notanumber"], "320"),
        (["9", "8"], "320"),
        (["12345", "1"], "505"),
        (["word"], "507"),
    ],
)
async def test_requests_that_cannot_be_read_are_answered(sim: TwsSim, body: Bodies, code: str) -> None:
    async with raw(sim) as client:
        await client.receive_until(4, 2, -1, 2158)
        client.send(*body)
        assert (await client.receive())[:4] == ["4", "2", "-1", code]


# Orders that must never be asked for


async def test_an_order_makes_the_simulator_fail_loudly(caplog: pytest.LogCaptureFixture) -> None:
    async with TwsSim(seed=3, auto=False, rate=0.0) as sim, connected(sim) as ib:
        verb = getattr(ib, "place" + "Order")  # only here: to see that it is noticed
        verb(Stock("AAPL", "SMART", "USD"), WireOrder(action="BUY", totalQuantity=1, orderType="MKT"))
        await until(lambda: not ib.isConnected())
        assert [request.name for request in sim.order_requests] == ["place order"]
        assert len(sim.state()["order_requests"]) == 1  # type: ignore[arg-type] # a list
        with pytest.raises(OrderAttempted, match="place order"):
            check_orders(sim)
    assert [record.levelname for record in caplog.records if record.name == "fathom.sim.tws"] == ["CRITICAL"]


@pytest.mark.parametrize("number", [3, 4, 21, 58])
async def test_every_order_verb_is_refused_and_ends_the_client(number: int) -> None:
    async with TwsSim(seed=3, auto=False, rate=0.0, read_only=False) as sim, raw(sim) as client:
        await client.receive_until(4, 2, -1, 2158)
        client.send(number, 1, 1)
        assert (await client.receive())[:4] == ["4", "2", "-1", "321"]
        assert await client.ended()
        assert [request.number for request in sim.order_requests] == [number]


async def test_a_program_that_saw_an_order_ends_in_failure() -> None:
    stop = asyncio.Event()
    addresses: dict[str, str] = {}

    def announce(found: dict[str, str]) -> None:
        addresses.update(found)

    running = asyncio.create_task(serve(TwsSimOptions(rate=0.0), announce, stop))
    await until(lambda: addresses)
    reader, writer = await asyncio.open_connection(addresses["host"], int(addresses["port"]))
    writer.write(b"API\0\x00\x00\x00\x09v157..178" + frame(71, 2, 1, "") + frame(58, 1))
    assert await reader.read()
    stop.set()
    with pytest.raises(OrderAttempted):
        await running
    writer.close()
    await writer.wait_closed()
