"""REST of the simulated gateway over real TLS sockets: who may ask, how often, and what is answered."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace

import httpx
import pytest

from app.sim.ibkr import World
from app.sim.portal import OrderRequestedError, PortalLimits
from tests.loopback.sim_portal_rig import AAPL, ACCOUNT, ES_ROOT, FREE, MSFT, SPY, rig_of

TSLA, SAP = 76792991, 14204


async def test_the_start_sequence_of_a_session_that_is_logged_in() -> None:
    async with rig_of() as rig:
        status = (await rig.post("/iserver/auth/status")).json()
        assert (status["authenticated"], status["competing"], status["connected"]) == (True, False, True)
        accounts = await rig.read("/iserver/accounts")
        assert (accounts["accounts"], accounts["selectedAccount"]) == ([ACCOUNT], ACCOUNT)
        assert [row["accountId"] for row in await rig.read("/portfolio/accounts")] == [ACCOUNT]
        tickle = (await rig.post("/tickle")).json()
        assert len(tickle["session"]) == 32
        assert tickle["iserver"]["authStatus"]["authenticated"] is True
        assert (await rig.read("/sso/validate"))["RESULT"] is True


async def test_without_a_browser_login_everything_is_401_and_after_it_nothing() -> None:
    async with rig_of(logged_in=False) as rig:
        for path in ("/tickle", "/iserver/auth/status"):
            answer = await rig.post(path)
            assert (answer.status_code, answer.text) == (401, "Unauthorized")
        assert (await rig.get("/portfolio/accounts")).status_code == 401
        page = await rig.http.get(f"{rig.sim.url}/")
        assert page.status_code == 200
        assert "Log in" in page.text
        async with httpx.AsyncClient() as control:
            assert (await control.post(f"{rig.sim.control}/login")).json() == {"done": "login"}
        assert (await rig.post("/iserver/auth/status")).json()["authenticated"] is True


async def test_a_logout_ends_the_session_and_a_new_login_has_a_new_value() -> None:
    async with rig_of() as rig:
        before = (await rig.post("/tickle")).json()["session"]
        assert (await rig.post("/logout")).json() == {"status": True}
        assert (await rig.post("/tickle")).status_code == 401
        rig.sim.login()
        assert (await rig.post("/tickle")).json()["session"] != before


async def test_a_brokerage_session_is_opened_on_request_and_portfolio_does_not_need_it() -> None:
    async with rig_of(brokerage_open=False) as rig:
        status = (await rig.post("/iserver/auth/status")).json()
        assert (status["authenticated"], status["connected"]) == (False, True)
        refused = await rig.get("/iserver/accounts")
        assert refused.status_code == 400
        assert "no bridge" in refused.json()["error"]
        assert await rig.read("/portfolio/accounts")
        assert await rig.read(f"/portfolio/{ACCOUNT}/summary")
        opened = await rig.post("/iserver/auth/ssodh/init", {"publish": True, "compete": False})
        assert opened.json()["authenticated"] is True
        assert await rig.read("/iserver/accounts")


async def test_another_program_is_thrown_out_only_when_the_client_competes() -> None:
    async with rig_of(competing=True) as rig:
        status = (await rig.post("/iserver/auth/status")).json()
        assert (status["authenticated"], status["competing"]) == (False, True)
        refused = await rig.get("/iserver/accounts")
        assert (refused.status_code, refused.json()["error"]) == (401, "not authenticated")
        asked = (await rig.post("/iserver/auth/ssodh/init", {"publish": True, "compete": False})).json()
        assert (asked["authenticated"], asked["competing"], rig.sim.session.kicked_others) == (False, True, 0)
        asked = (await rig.post("/iserver/auth/ssodh/init", {"publish": True, "compete": True})).json()
        assert (asked["authenticated"], asked["competing"], rig.sim.session.kicked_others) == (True, False, 1)


async def test_a_session_without_requests_ends_after_its_time() -> None:
    async with rig_of(idle_s=330.0) as rig:
        await rig.begin()
        rig.clock.s += 329.0
        rig.run(0.1)
        assert (await rig.post("/tickle")).json()["iserver"]["authStatus"]["authenticated"] is True
        rig.clock.s += 331.0
        rig.run(0.1)
        assert (await rig.get("/iserver/accounts")).status_code == 400
        assert rig.sim.session.ended_for_idleness == 1


async def test_requests_beyond_ten_a_second_bring_a_penalty_for_everything() -> None:
    async with rig_of(limits=PortalLimits(penalty_s=600.0)) as rig:
        answers = [(await rig.post("/iserver/auth/status")).status_code for _ in range(11)]
        assert answers == [200] * 10 + [429]
        rig.clock.s += 599.0
        answer = await rig.post("/tickle")
        assert (answer.status_code, answer.json()) == (429, {"error": "Too many requests"})
        rig.clock.s += 2.0
        assert (await rig.post("/tickle")).status_code == 200
        assert (rig.sim.pacing.refused, rig.sim.pacing.refused_in_penalty) == (1, 1)


@pytest.mark.parametrize(
    ("method", "path", "wait_s"),
    [
        ("GET", "/iserver/account/orders", 5.0),
        ("GET", "/iserver/account/trades", 5.0),
        ("GET", "/iserver/account/pnl/partitioned", 5.0),
        ("GET", "/portfolio/accounts", 5.0),
        ("GET", "/iserver/scanner/params", 900.0),
        ("GET", "/sso/validate", 60.0),
    ],
)
async def test_endpoints_have_their_own_limits_without_a_penalty(method: str, path: str, wait_s: float) -> None:
    async with rig_of(limits=PortalLimits()) as rig:
        await rig.read("/iserver/accounts")
        assert (await rig.http.request(method, path)).status_code == 200
        assert (await rig.http.request(method, path)).status_code == 429
        assert (await rig.post("/tickle")).status_code == 200
        rig.clock.s += wait_s
        assert (await rig.http.request(method, path)).status_code == 200


async def test_at_most_five_histories_run_at_once() -> None:
    async with rig_of(history_s=0.2) as rig:
        asked = [rig.get("/iserver/marketdata/history", conid=AAPL, period="1m", bar="1d") for _ in range(7)]
        answers = Counter(answer.status_code for answer in await asyncio.gather(*asked))
        assert answers == {200: 5, 429: 2}
        assert rig.sim.desk.market.most_histories == 5


async def test_portfolio_and_iserver_want_their_accounts_asked_first() -> None:
    async with rig_of() as rig:
        for path in (f"/portfolio/{ACCOUNT}/ledger", "/iserver/account/orders", "/iserver/account/trades"):
            assert (await rig.get(path)).status_code == 400
        assert (await rig.get("/iserver/marketdata/snapshot", conids=AAPL, fields="31")).status_code == 400
        await rig.begin()
        assert (await rig.get(f"/portfolio/{ACCOUNT}/ledger")).status_code == 200
        assert (await rig.get("/portfolio/U9999999/ledger")).status_code == 400


async def test_figures_of_the_account_are_those_of_the_world() -> None:
    async with rig_of(accounts=("U7654321", "U7654322")) as rig:
        await rig.begin()
        world: World = rig.sim.world
        summary = await rig.read("/portfolio/U7654321/summary")
        assert summary["netliquidation"]["amount"] == pytest.approx(world.value("U7654321", "NetLiquidation"))
        assert summary["accountcode"]["value"] == "U7654321"
        ledger = await rig.read("/portfolio/U7654321/ledger")
        assert set(ledger) == {"USD", "EUR", "BASE"}
        assert ledger["EUR"]["cashbalance"] == pytest.approx(world.cash("U7654321")["EUR"], abs=0.01)
        in_base = sum(ledger[name]["netliquidationvalue"] * ledger[name]["exchangerate"] for name in ("USD", "EUR"))
        assert in_base == pytest.approx(ledger["BASE"]["netliquidationvalue"], abs=0.05)
        assert in_base == pytest.approx(summary["netliquidation"]["amount"], abs=0.05)
        partitioned = (await rig.read("/iserver/account/pnl/partitioned"))["upnl"]
        assert set(partitioned) == {"U7654321.Core", "U7654322.Core"}
        assert partitioned["U7654321.Core"]["dpl"] == pytest.approx(world.pnl("U7654321").daily, abs=0.01)
        meta = await rig.read("/portfolio/U7654322/meta")
        assert (meta["accountId"], meta["type"]) == ("U7654322", "INDIVIDUAL")
        allocation = await rig.read("/portfolio/U7654321/allocation")
        assert set(allocation["assetClass"]["long"]) >= {"STK", "OPT", "CASH"}
        assert allocation["assetClass"]["short"]["STK"] < 0.0


async def test_positions_come_in_pages_are_cached_and_can_be_refreshed() -> None:
    async with rig_of() as rig:
        await rig.begin()
        rows = await rig.read(f"/portfolio/{ACCOUNT}/positions/0")
        assert {row["assetClass"] for row in rows} == {"STK", "OPT", "FUT"}
        assert {row["currency"] for row in rows} == {"USD", "EUR"}
        assert any(row["position"] < 0 for row in rows)
        option = next(row for row in rows if row["assetClass"] == "OPT")
        assert option["avgCost"] == pytest.approx(option["avgPrice"] * 100.0)
        assert option["mktValue"] == pytest.approx(option["mktPrice"] * option["position"] * 100.0, abs=0.01)
        assert await rig.read(f"/portfolio/{ACCOUNT}/positions/1") == []
        before = next(row["position"] for row in rows if row["conid"] == AAPL)
        rig.sim.world.begin_order(AAPL, "BUY", 10.0)
        rig.run(4.0)
        live = await rig.read(f"/portfolio2/{ACCOUNT}/positions")
        assert next(row["position"] for row in live if row["conid"] == str(AAPL)) == before + 10.0
        cached = await rig.read(f"/portfolio/{ACCOUNT}/positions/0")
        assert next(row["position"] for row in cached if row["conid"] == AAPL) == before
        assert (await rig.post(f"/portfolio/{ACCOUNT}/positions/invalidate")).json() == {"message": "success"}
        fresh = await rig.read(f"/portfolio/{ACCOUNT}/positions/0")
        assert next(row["position"] for row in fresh if row["conid"] == AAPL) == before + 10.0
        assert (await rig.read(f"/portfolio/{ACCOUNT}/position/{AAPL}"))[0]["ticker"] == "AAPL"


async def test_orders_come_with_the_second_call_and_can_be_filtered() -> None:
    async with rig_of() as rig:
        await rig.begin()
        assert await rig.read("/iserver/account/orders") == {"orders": [], "snapshot": False}
        found = await rig.read("/iserver/account/orders")
        assert found["snapshot"] is True
        assert {row["status"] for row in found["orders"]} == {
            "Filled",
            "Submitted",
            "PreSubmitted",
            "Cancelled",
            "Inactive",
        }
        only = await rig.read("/iserver/account/orders", filters="pre_submitted,filled")
        assert {row["status"] for row in only["orders"]} == {"Filled", "PreSubmitted"}
        rejected = next(row for row in found["orders"] if row["status"] == "Inactive")
        status = await rig.read(f"/iserver/account/order/status/{rejected['orderId']}")
        assert "MARGIN" in status["order_status_description"]
        assert (await rig.get("/iserver/account/order/status/1")).status_code == 400
        trades = await rig.read("/iserver/account/trades", days=7)
        assert {row["side"] for row in trades} == {"B", "S"}
        assert all(float(row["commission"]) > 0.0 for row in trades)
        assert (await rig.get("/iserver/account/trades", days=8)).status_code == 400


async def test_a_snapshot_is_announced_first_and_comes_in_pieces() -> None:
    async with rig_of(pieces_s=0.3) as rig:
        await rig.begin()
        fields = "31,84,86,88,85,87,7762,83,7283,6509"
        first = await rig.read("/iserver/marketdata/snapshot", conids=f"{AAPL},{SPY}", fields=fields)
        assert first == [{"conid": AAPL, "conidEx": str(AAPL)}, {"conid": SPY, "conidEx": str(SPY)}]
        rig.clock.s += 0.4
        second = (await rig.read("/iserver/marketdata/snapshot", conids=AAPL, fields=fields))[0]
        assert {"31", "84", "86", "6509"} <= set(second)
        assert not {"87", "83", "7283"} & set(second)
        rig.clock.s += 0.4
        third = (await rig.read("/iserver/marketdata/snapshot", conids=AAPL, fields=fields))[0]
        assert {"87", "83", "7283"} <= set(third)
        assert third["87"][-1] in "KM"
        assert third["7283"].endswith("%")
        assert all(isinstance(third[name], str) for name in fields.split(","))
        assert rig.sim.state()["snapshot_lines"] == 2
        assert (await rig.post("/iserver/marketdata/unsubscribe", {"conid": AAPL})).json() == {"success": True}
        assert (await rig.post("/iserver/marketdata/unsubscribe", {"conid": AAPL})).status_code == 404
        assert await rig.read("/iserver/marketdata/unsubscribeall") == {"unsubscribed": True}
        assert rig.sim.state()["snapshot_lines"] == 0


async def test_lines_beyond_those_of_the_user_bring_no_fields() -> None:
    async with rig_of(limits=replace(FREE, market_data_lines=1)) as rig:
        await rig.begin()
        await rig.read("/iserver/marketdata/snapshot", conids=f"{AAPL},{SPY}", fields="31")
        rig.clock.s += 2.0
        rows = await rig.read("/iserver/marketdata/snapshot", conids=f"{AAPL},{SPY}", fields="31")
        assert ["31" in row for row in rows] == [True, False]


async def test_prefixes_commas_and_availability_are_as_documented() -> None:
    async with rig_of() as rig:
        await rig.begin()
        numbers = {
            each.symbol: each.con_id for each in rig.sim.world.catalogue.contracts.values() if each.sec_type == "STK"
        }
        wanted = ",".join(str(numbers[name]) for name in ("AMC", "NKE", "TSM", "AAPL"))
        await rig.read("/iserver/marketdata/snapshot", conids=wanted, fields="31,88,6509")
        rig.clock.s += 2.0
        rows = await rig.read("/iserver/marketdata/snapshot", conids=wanted, fields="31,88,7636,6509")
        halted, delayed, forbidden, usual = rows
        assert halted["31"].startswith("H")
        assert delayed["6509"].startswith("D")
        assert forbidden["6509"] == "N"
        assert "31" not in forbidden
        assert usual["6509"] == "RpB"
    async with rig_of(always_open=False) as rig:  # on a Saturday
        await rig.begin()
        await rig.read("/iserver/marketdata/snapshot", conids=AAPL, fields="31")
        rig.clock.s += 2.0
        closed = (await rig.read("/iserver/marketdata/snapshot", conids=AAPL, fields="31"))[0]
        assert closed["31"].startswith("C")
        assert closed["6509"].startswith("Z")


async def test_a_chain_is_found_by_search_months_strikes_and_info() -> None:
    async with rig_of() as rig:
        await rig.begin()
        assert await rig.read("/iserver/secdef/strikes", conid=AAPL, sectype="OPT", month="DEC26") == {
            "call": [],
            "put": [],
        }
        assert (await rig.get("/iserver/secdef/info", conid=AAPL, sectype="OPT", month="DEC26")).status_code == 500
        found = await rig.read("/iserver/secdef/search", symbol="AAPL", secType="STK")
        assert [row["conid"] for row in found] == [str(AAPL)]
        months = next(each["months"] for each in found[0]["sections"] if each["secType"] == "OPT").split(";")
        strikes = await rig.read(
            "/iserver/secdef/strikes", conid=AAPL, sectype="OPT", month=months[0], exchange="SMART"
        )
        assert strikes["call"] == strikes["put"] == sorted(strikes["call"])
        strike = strikes["call"][len(strikes["call"]) // 2]
        rows = await rig.read(
            "/iserver/secdef/info", conid=AAPL, sectype="OPT", month=months[0], strike=strike, right="C"
        )
        assert {(row["strike"], row["right"], row["multiplier"]) for row in rows} == {(strike, "C", "100")}
        assert len({row["maturityDate"] for row in rows}) == len(rows)
        by_name = (await rig.post("/iserver/secdef/search", {"symbol": "apple", "name": True})).json()
        assert by_name[0]["symbol"] == "AAPL"
        assert (await rig.get("/iserver/secdef/search", symbol="NOSUCH")).status_code == 400


async def test_contracts_hours_rates_and_futures() -> None:
    async with rig_of() as rig:
        await rig.begin()
        stocks = await rig.read("/trsrv/stocks", symbols="AAPL,NOSUCH,SAP")
        assert [each["isUS"] for each in stocks["AAPL"][0]["contracts"]] == [True, False]
        assert stocks["NOSUCH"] == []
        secdef = (await rig.read("/trsrv/secdef", conids=f"{AAPL},{SAP}"))["secdef"]
        assert [(row["ticker"], row["currency"]) for row in secdef] == [("AAPL", "USD"), ("SAP", "EUR")]
        future = (await rig.read("/trsrv/futures", symbols="ES"))["ES"][0]
        assert future["underlyingConid"] == ES_ROOT
        info = await rig.read(f"/iserver/contract/{future['conid']}/info")
        assert (info["instrument_type"], info["multiplier"]) == ("FUT", "50")
        rules = await rig.read(f"/iserver/contract/{AAPL}/info-and-rules", isBuy="true")
        assert rules["rules"]["increment"] == 0.01
        schedule = await rig.read("/trsrv/secdef/schedule", assetClass="STK", symbol="AAPL")
        day = schedule[0]["schedules"][0]
        assert (schedule[0]["timezone"], day["tradingScheduleDate"]) == ("America/New_York", "20261123")
        assert day["sessions"][0] == {"openingTime": "0930", "closingTime": "1600", "prop": "LIQUID"}
        assert day["tradingtimes"][0]["openingTime"] == "0400"
        by_day = await rig.read("/contract/trading-schedule", conid=AAPL)
        half_day = by_day["schedules"]["20261127"]["liquid_hours"][0]
        assert half_day["closing"] - half_day["opening"] == 3.5 * 3600
        assert "20261126" not in by_day["schedules"]
        there = (await rig.read("/iserver/exchangerate", source="EUR", target="USD"))["rate"]
        back = (await rig.read("/iserver/exchangerate", source="USD", target="EUR"))["rate"]
        assert there * back == pytest.approx(1.0)
        assert (await rig.get("/iserver/exchangerate", source="XXX", target="USD")).status_code == 400


async def test_histories_have_the_bars_that_were_asked_for() -> None:
    async with rig_of() as rig:
        year = await rig.read("/iserver/marketdata/history", conid=AAPL, period="1y", bar="1d")
        assert (len(year["data"]), year["barLength"]) == (252, 86400)
        assert [bar["t"] for bar in year["data"]] == sorted(bar["t"] for bar in year["data"])
        assert all(bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"] for bar in year["data"])
        weekly = await rig.read("/iserver/marketdata/history", conid=AAPL, period="1y", bar="1w")
        assert len(weekly["data"]) == 51
        assert len((await rig.read("/iserver/marketdata/history", conid=AAPL, period="2h", bar="5min"))["data"]) == 24
        many = await rig.read("/iserver/marketdata/history", conid=AAPL, period="3m", bar="1min")
        assert len(many["data"]) == 1000
        assert (await rig.get("/iserver/marketdata/history", conid=AAPL, period="soon", bar="1d")).status_code == 400
        option = next(each for each in rig.sim.world.catalogue.contracts.values() if each.is_option)
        nothing = await rig.get("/iserver/marketdata/history", conid=option.con_id, period="1m", bar="1d")
        assert (nothing.status_code, nothing.json()["error"]) == (500, "Chart data unavailable")


async def test_scanners_and_watchlists() -> None:
    async with rig_of() as rig:
        assert {each["code"] for each in (await rig.read("/iserver/scanner/params"))["scan_type_list"]} >= {
            "TOP_PERC_GAIN",
            "HALTED",
        }
        request = {"instrument": "STK", "type": "TOP_PERC_GAIN", "location": "STK.US.MAJOR", "filter": []}
        found = (await rig.post("/iserver/scanner/run", request)).json()["contracts"]
        assert found[0]["symbol"] == "AMC"
        dear = {**request, "filter": [{"code": "priceAbove", "value": 100}]}
        assert "AMC" not in [
            row["symbol"] for row in (await rig.post("/iserver/scanner/run", dear)).json()["contracts"]
        ]
        assert (await rig.post("/iserver/scanner/run", {**request, "type": "NO_SUCH"})).status_code == 400
        lists = (await rig.read("/iserver/watchlists", SC="USER_WATCHLIST"))["data"]["user_lists"]
        assert [each["name"] for each in lists] == ["Core", "Movers"]
        core = await rig.read("/iserver/watchlist", id=lists[0]["id"])
        assert MSFT in [row["conid"] for row in core["instruments"]]
        assert (await rig.get("/iserver/watchlist", id=1)).status_code == 400


WRITES = [
    ("POST", f"/iserver/account/{ACCOUNT}/orders"),
    ("POST", f"/iserver/account/{ACCOUNT}/order"),
    ("POST", f"/iserver/account/{ACCOUNT}/orders/whatif"),
    ("POST", f"/iserver/account/{ACCOUNT}/order/1426086001"),
    ("DELETE", f"/iserver/account/{ACCOUNT}/order/1426086001"),
    ("POST", "/iserver/reply/abc"),
    ("POST", "/iserver/questions/suppress"),
    ("POST", "/iserver/questions/suppress/reset"),
    ("POST", "/iserver/account"),
    ("POST", "/iserver/dynaccount"),
    ("POST", f"/iserver/account/{ACCOUNT}/alert"),
    ("DELETE", f"/iserver/account/{ACCOUNT}/alert/1"),
    ("POST", "/iserver/watchlist"),
    ("DELETE", "/iserver/watchlist"),
    ("PUT", "/fyi/notifications/1"),
    ("POST", "/iserver/notification"),
    ("POST", "/no/such/path"),
    ("GET", "/md/regsnapshot"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_every_path_that_writes_fails_loudly(method: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with rig_of() as rig:
        rig.sim.check_orders()
        with caplog.at_level(logging.CRITICAL, logger="fathom.sim.portal"):
            answer = await rig.http.request(method, path, json={"orders": []} if method == "POST" else None)
        assert answer.status_code == 403
        assert rig.sim.order_requests == [f"{method} {path}"]
        assert [record.levelname for record in caplog.records] == ["CRITICAL"]
        with pytest.raises(OrderRequestedError, match="could trade"):
            rig.sim.check_orders()


async def test_a_session_that_reads_everything_leaves_no_order_request() -> None:
    async with rig_of() as rig:
        await rig.begin()
        for path in ("/tickle", "/iserver/auth/status", "/logout"):
            assert (await rig.post(path)).status_code == 200
        assert rig.sim.order_requests == []


async def test_bad_requests_are_answered_as_such() -> None:
    async with rig_of() as rig:
        await rig.begin()
        assert (await rig.get("/no/such/path")).status_code == 404
        broken = await rig.http.post("/iserver/scanner/run", content=b"{not json")
        assert broken.status_code == 400
        assert (await rig.http.post("/iserver/scanner/run", content=b"[1]")).status_code == 400
        assert (await rig.get("/iserver/marketdata/snapshot", conids="abc", fields="31")).status_code == 400
        assert (await rig.get(f"/iserver/contract/{AAPL + 1}/info")).status_code == 400
        assert (await rig.http.get(f"{rig.sim.url}/elsewhere")).status_code == 404
