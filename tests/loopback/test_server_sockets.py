"""What WebSocket clients of the local server are sent: present values at once, then what changed and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from app.domain.ids import Market
from tests.loopback.server_rig import ServerRig, hear, say, serving
from tests.loopback.server_stand_in import SYMBOLS

SPOT, USDM, LINEAR = Market.BINANCE_SPOT, Market.BINANCE_USDM, Market.BYBIT_LINEAR
ROW_KEYS = {"symbol", "price", "volume_24h", "change_24h", "high_24h", "low_24h", "bid", "ask", "timestamp", "age_ms"}


async def next_tick(rig: ServerRig) -> None:
    """Wait until the server has looked at all values once more."""
    hub = rig.server._hub
    seen = hub.tick
    await rig.until(lambda: hub.tick > seen + 1)


async def silence(client: ClientConnection) -> None:
    """Fail unless nothing has arrived before the answer to a ping."""
    heard = await say(client, type="ping")
    assert heard["type"] == "pong"


async def test_rows_come_whole_at_once_and_then_only_when_they_change() -> None:
    async with serving() as rig, rig.client("/ws/realtime/binance?symbols=BTCUSDT,ETHUSDT") as client:
        first = await hear(client)
        assert (first["type"], first["venue"], first["count"]) == ("initial_data", "binance", 2)
        assert [row["symbol"] for row in first["data"]] == ["BTCUSDT", "ETHUSDT"]
        assert all(set(row) >= ROW_KEYS for row in first["data"])
        await next_tick(rig)
        await silence(client)
        rig.data.move(SPOT, "ETHUSDT", 77.0)
        rig.data.move(SPOT, "SOLUSDT", 78.0)  # not asked for
        rig.data.move(LINEAR, "BTCUSDT", 79.0)  # another venue's
        heard = await hear(client)
        assert (heard["type"], heard["venue"], heard["count"]) == ("market_data", "binance", 1)
        assert [(row["symbol"], row["price"]) for row in heard["data"]] == [("ETHUSDT", 77.0)]
        assert 0 <= heard["data"][0]["age_ms"] < 20_000
        assert abs(heard["data"][0]["timestamp"] - heard["time"]) < 20_000
        await next_tick(rig)
        await silence(client)


async def test_a_value_that_changes_twice_within_an_interval_comes_once_with_its_last_state() -> None:
    async with serving(interval_s=0.3) as rig, rig.client("/ws/realtime/binance?symbols=BTCUSDT") as client:
        await hear(client)
        await next_tick(rig)
        for price in (1.0, 2.0, 3.0):
            rig.data.move(SPOT, "BTCUSDT", price)
        assert [row["price"] for row in (await hear(client, "market_data"))["data"]] == [3.0]
        await next_tick(rig)
        await silence(client)


async def test_what_is_unknown_is_null() -> None:
    async with serving() as rig, rig.client("/ws/realtime/binance?symbols=DOGEUSDT") as client:
        row = (await hear(client))["data"][0]
        assert row["funding"] is None
        assert row["open_interest_usd"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("binance?symbols=BTCUSDT&marketType=FUTURES", [("BTCUSDT", "FUTURES")]),
        ("binance?symbols=BTCUSDT&marketType=ALL", [("BTCUSDT", "SPOT"), ("BTCUSDT", "FUTURES")]),
        ("binance?symbols=BTCUSDT", [("BTCUSDT", "SPOT")]),
        ("bybit?symbols=BTCUSDT", [("BTCUSDT", "FUTURES")]),
        ("bybit", [(symbol, "FUTURES") for symbol in SYMBOLS]),
        ("binance?limit=2", [("BTCUSDT", "SPOT"), ("ETHUSDT", "SPOT")]),
        ("hyperliquid", []),
    ],
)
async def test_the_address_says_which_rows(query: str, expected: list[tuple[str, str]]) -> None:
    async with serving() as rig, rig.client(f"/ws/realtime/{query}") as client:
        if not expected:
            await next_tick(rig)
            await silence(client)
            return
        data = (await hear(client, "initial_data"))["data"]
        assert [(row["symbol"], row["marketType"]) for row in data] == expected


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/ws/realtime/kraken", 404, "unknown_venue"),
        ("/ws/realtime/status", 404, "unknown_venue"),
        ("/ws/realtime/binance?symbols=NOPE", 404, "unknown_symbol"),
        ("/ws/realtime/binance?marketType=OPTIONS", 400, "unknown_market"),
        ("/ws/realtime/binance?limit=0", 400, "bad_number"),
        ("/ws/realtime/binance?limit=1e3", 400, "bad_number"),
        ("/ws/realtime/binance?symbols=" + ",".join(f"S{n}" for n in range(201)), 400, "too_many"),
        ("/ws/realtime/binance/more", 404, "not_found"),
        ("/elsewhere", 404, "not_found"),
    ],
)
async def test_an_address_of_nothing_is_answered_before_the_upgrade(path: str, status: int, code: str) -> None:
    async with serving() as rig:
        with pytest.raises(InvalidStatus) as refused:
            await rig.client(path)
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["error"] == code


async def test_the_depth_of_a_book_comes_at_once_and_with_each_change() -> None:
    async with serving() as rig, rig.client() as client:
        heard = await say(client, action="subscribe", symbol="btcusdt", marketType="SPOT", id="a")
        assert heard == {
            "type": "subscribed",
            "symbols": [{"symbol": "BTCUSDT", "venue": "binance", "marketType": "SPOT"}],
            "tickers": [],
            "channels": ["ticks"],
            "indicators": [],
            "id": "a",
        }
        tick = await hear(client, "tick")
        assert (tick["symbol"], tick["marketType"], tick["depths"]) == ("BTCUSDT", "SPOT", [1.5, 3, 5, 8, 15, 30, 60])
        for side in ("bid", "ask"):
            assert tick[f"{side}_coverage"] == ["exact"] * 4 + ["floor", "partial", "missing"]
            assert len(tick[f"{side}_usd"]) == len(tick[f"{side}_unconfirmed"]) == 7
            assert tick[f"{side}_usd"][-1] is None
        await next_tick(rig)
        await silence(client)
        rig.data.move(SPOT, "BTCUSDT", 50.0)
        assert (await hear(client))["bid"] == pytest.approx(49.995)


async def test_channels_choose_what_comes_of_the_books() -> None:
    async with serving() as rig, rig.client() as client:
        await say(client, action="subscribe", symbols=["BTCUSDT", "ETHUSDT"], marketType="FUTURES")
        assert {(await hear(client, "tick"))["symbol"] for _ in range(2)} == {"BTCUSDT", "ETHUSDT"}
        heard = await say(client, action="subscribe", channels=["snapshots"])
        assert heard["channels"] == ["ticks", "snapshots"]
        snapshots = [await hear(client, "snapshot") for _ in range(2)]
        assert {each["symbol"] for each in snapshots} == {"BTCUSDT", "ETHUSDT"}
        assert len(snapshots[0]["bids"]) == 20
        heard = await say(client, action="unsubscribe", channels=["ticks", "snapshots"])
        assert (heard["type"], heard["channels"], heard["symbols"]) == ("unsubscribed", [], [])
        rig.data.move(USDM, "BTCUSDT", 50.0)
        await next_tick(rig)
        await silence(client)


async def test_tickers_of_any_venue_come_as_rows_and_unknown_ones_are_named() -> None:
    async with serving() as rig, rig.client() as client:
        asked = ["BTCUSDT", "bybit:ETHUSDT", "bybit.linear:SOLUSDT", "SPY"]
        heard = await say(client, action="subscribe", tickers=asked)
        assert heard["unknown"] == ["SPY", "bybit:ETHUSDT"] or heard["unknown"] == ["bybit:ETHUSDT", "SPY"]
        assert [(each["venue"], each["symbol"]) for each in heard["tickers"]] == [
            ("binance", "BTCUSDT"),
            ("bybit", "SOLUSDT"),
        ]
        venues = {heard["venue"]: heard for heard in [await hear(client, "initial_data") for _ in range(2)]}
        assert venues["bybit"]["data"][0]["symbol"] == "SOLUSDT"
        heard = await say(client, action="unsubscribe", tickers=["BTCUSDT"])
        assert [each["symbol"] for each in heard["tickers"]] == ["SOLUSDT"]
        rig.data.move(SPOT, "BTCUSDT", 1.0)
        rig.data.move(LINEAR, "SOLUSDT", 2.0)
        heard = await hear(client, "market_data")
        assert (heard["venue"], [row["price"] for row in heard["data"]]) == ("bybit", [2.0])
        heard = await say(client, action="subscribe", tickers=["SPY", "AAPL"])
        assert (heard["type"], heard["code"]) == ("error", "unknown_symbol")


async def test_the_most_traded_of_all_venues_can_be_had_in_one_message() -> None:
    async with serving() as rig, rig.client() as client:
        heard = await say(client, action="subscribe", venue="all", marketType="FUTURES", top=7)
        assert [each["venue"] for each in heard["tickers"]] == ["binance"] * 5 + ["bybit"] * 2


async def test_indicators_come_by_name_with_coverage_and_age() -> None:
    async with serving() as rig, rig.client() as client:
        wanted = [
            {"indicator": "delta", "category": "TOTAL", "marketType": "SPOT", "depth": 5},
            {"indicator": "bid-ask", "category": "BTCUSDT", "marketType": "FUTURES"},
        ]
        heard = await say(client, action="subscribe", indicators=wanted)
        assert [each["indicator"] for each in heard["indicators"]] == ["delta", "bid-ask"]
        delta, volumes = [await hear(client, "indicator") for _ in range(2)]
        assert (delta["category"], delta["depth"], [line["key"] for line in delta["lines"]]) == (
            "TOTAL",
            5,
            ["delta:5"],
        )
        assert (volumes["category"], volumes["marketType"], volumes["depth"]) == ("BTCUSDT", "FUTURES", None)
        assert {"coverage", "value", "unconfirmed"} <= set(delta["lines"][0])
        assert delta["age_ms"] is not None
        await silence(client)
        rig.data.move(SPOT, "BTCUSDT", 3.0)
        assert {(await hear(client, "indicator"))["indicator"] for _ in range(2)} == {"delta", "bid-ask"}
        heard = await say(client, action="unsubscribe", indicators=wanted[:1])
        assert [each["indicator"] for each in heard["indicators"]] == ["bid-ask"]


async def test_the_indicators_channel_alone_gives_all_four_of_the_total() -> None:
    async with serving() as rig, rig.client() as client:
        heard = await say(client, action="subscribe", channels=["indicators"], marketType="FUTURES")
        assert [each["indicator"] for each in heard["indicators"]] == ["avg", "bid-ask", "totals", "delta"]
        assert {each["category"] for each in heard["indicators"]} == {"TOTAL"}
        assert {(await hear(client, "indicator"))["marketType"] for _ in range(4)} == {"FUTURES"}


async def test_alerts_come_once_each_and_only_those_after_the_subscription() -> None:
    async with serving() as rig, rig.client() as client:
        rig.data.alert("before")
        await say(client, action="subscribe", channels=["alerts"])
        await next_tick(rig)
        rig.data.alert("one")
        rig.data.alert("two")
        heard = [await hear(client, "alert") for _ in range(2)]
        assert [(each["seq"], each["text"]) for each in heard] == [(2, "one"), (3, "two")]
        await next_tick(rig)
        await silence(client)


async def test_status_is_a_sign_of_life() -> None:
    async with serving() as rig, rig.client() as client:
        await say(client, action="subscribe", channels=["status"])
        first, second = await hear(client, "status"), await hear(client, "status")
        assert first["mode"] == "DEMO"
        assert [feed["light"] for feed in second["feeds"]] == ["green"] * 3


async def test_the_account_stays_here_until_its_owner_switches_sharing_on() -> None:
    everything = ["ticks", "snapshots", "indicators", "portfolio", "alerts"]
    async with serving() as rig, rig.client() as client:
        rig.data.account = {"cash": 12345.0}
        heard = await say(client, action="subscribe", channels=everything)
        assert heard["channels"] == ["ticks", "snapshots", "indicators", "alerts"]
        heard = await hear(client, "portfolio")
        assert heard["available"] is False
        assert "cash" not in heard
        assert (await rig.get("/api/portfolio")).json()["available"] is False
    async with serving(share_account=True) as rig, rig.client() as client:
        heard = await say(client, action="subscribe", channels=["portfolio"])
        assert heard["channels"] == ["portfolio"]
        assert (await hear(client, "portfolio"))["available"] is False
        rig.data.account = {"cash": 12345.0}
        while not (heard := await hear(client, "portfolio"))["available"]:
            pass
        assert heard["cash"] == 12345.0
        assert (await rig.get("/api/portfolio")).json() == {"available": True, "cash": 12345.0}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"action": "fly"}, "unknown_action"),
        ({}, "unknown_action"),
        ({"action": "subscribe"}, "nothing_asked"),
        ({"action": "unsubscribe"}, "nothing_asked"),
        ({"action": "subscribe", "symbol": "NOPE"}, "unknown_symbol"),
        ({"action": "subscribe", "symbol": ""}, "unknown_symbol"),
        ({"action": "subscribe", "symbol": "BTCUSDT", "venue": "kraken"}, "unknown_venue"),
        ({"action": "subscribe", "symbol": "BTCUSDT", "marketType": "OPTIONS"}, "unknown_market"),
        ({"action": "subscribe", "symbol": 5}, "bad_message"),
        ({"action": "subscribe", "tickers": ["x" * 65]}, "bad_message"),
        ({"action": "subscribe", "tickers": ["T"] * 201}, "bad_message"),
        ({"action": "subscribe", "channels": ["orders"]}, "unknown_channel"),
        ({"action": "subscribe", "indicators": [{"indicator": "rsi"}]}, "unknown_indicator"),
        ({"action": "subscribe", "indicators": [{"indicator": "delta", "depth": 7}]}, "unknown_depth"),
        ({"action": "subscribe", "indicators": [{"indicator": "delta", "depth": 60}]}, "unknown_depth"),
        ({"action": "subscribe", "indicators": [{"indicator": "delta", "depth": 1e400}]}, "bad_message"),
        ({"action": "subscribe", "indicators": [{"indicator": "avg", "category": "BTCUSDT"}]}, "unknown_category"),
        ({"action": "subscribe", "indicators": [{"indicator": "delta", "category": "NOPE"}]}, "unknown_category"),
        ({"action": "subscribe", "venue": "all", "top": 201}, "bad_message"),
        ([], "bad_message"),
        ("nonsense", "bad_message"),
    ],
)
async def test_what_cannot_be_met_is_answered_with_an_error_and_changes_nothing(message: Any, code: str) -> None:
    async with serving() as rig, rig.client() as client:
        text = json.dumps(message).replace("Infinity", "1e400")
        await client.send("{" if message == "nonsense" else text)
        heard = await hear(client)
        assert (heard["type"], heard["code"]) == ("error", code)
        assert heard["message"]
        await silence(client)
        assert rig.server._hub.counts()[0] == 0


async def test_no_more_subscriptions_than_allowed() -> None:
    async with serving() as rig, rig.client() as client:
        indicators = [
            {"indicator": name, "category": symbol, "marketType": kind, "depth": depth}
            for name, depths in (("delta", (3, 5, 8, 15, 30)), ("bid-ask", (1.5, 3, 5, 8, 15, 30)))
            for depth in depths
            for symbol in ("TOTAL", "TOTAL1", "TOTAL2", "TOTAL3", "OTHERS", *SYMBOLS)
            for kind in ("SPOT", "FUTURES")
        ]
        assert len(indicators) == 220
        assert (await say(client, action="subscribe", indicators=indicators[:190]))["type"] == "subscribed"
        for _ in range(190):
            await hear(client, "indicator")
        heard = await say(client, action="subscribe", indicators=indicators[190:202])
        assert (heard["type"], heard["code"]) == ("error", "too_many")
        heard = await say(client, action="subscribe", indicators=indicators[180:200])
        assert len(heard["indicators"]) == 200


async def test_clients_come_and_go_without_a_trace() -> None:
    async with serving() as rig:
        for _ in range(3):
            async with rig.client("/ws/realtime/binance") as one, rig.client() as two:
                await say(two, action="subscribe", channels=["alerts", "status", "indicators"], symbol="BTCUSDT")
                await hear(one)
                assert len(rig.server.status.clients) == 2
        await rig.until(lambda: not rig.server.status.clients)
        assert rig.server._hub.counts() == (0, 0)
        assert rig.server._admission.clients == 0
        assert rig.server.status.dropped == ()


async def test_clients_with_the_same_wishes_get_the_same_bytes_built_once() -> None:
    async with serving() as rig:
        built = 0
        rows = rig.data.rows

        def counted(numbers: Any) -> Any:
            nonlocal built
            built += 1
            return rows(numbers)

        async with rig.client("/ws/realtime/binance") as one, rig.client("/ws/realtime/binance") as two:
            await hear(one), await hear(two)
            await next_tick(rig)
            rig.data.rows = counted  # type: ignore[method-assign] # counts calls
            rig.data.move(SPOT, "BTCUSDT", 3.0)
            assert await one.recv() == await two.recv()
            assert built == 1
            assert rig.server._hub.counts() == (10, 1)


async def test_the_interval_can_be_changed_while_it_runs() -> None:
    async with serving(interval_s=1.0) as rig:
        assert (await rig.get("/health")).json()["interval_ms"] == 1000
        rig.server.set_interval(0.1)
        assert (await rig.get("/health")).json()["interval_ms"] == 100


async def test_an_error_inside_is_told_and_does_not_end_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as rig, rig.client("/ws/realtime/binance?symbols=BTCUSDT") as client:
        await hear(client)
        rig.data.broken = True
        await rig.until(lambda: rig.notes.get("server"), "a note")
        assert not rig.server.figures()["workers_running"]
        assert "failed inside" in caplog.text
        rig.data.broken = False
        rig.data.move(SPOT, "BTCUSDT", 5.0)
        assert (await hear(client, "market_data"))["data"][0]["price"] == 5.0
        assert rig.notes["server"] is None
        assert rig.server.figures()["workers_running"]


async def test_stopping_says_goodbye_and_starting_again_serves_again() -> None:
    async with serving() as rig:
        async with rig.client("/ws/realtime/binance") as client:
            await hear(client)
            stopping = asyncio.create_task(rig.server.stop())
            with pytest.raises(ConnectionClosedOK) as closed:
                await hear(client, "never")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            await stopping
        assert not rig.server.status.running
        assert await rig.server.start()
        async with rig.client("/ws/realtime/binance") as client:
            assert (await hear(client))["type"] == "initial_data"
        assert [event.kind.value for event in rig.events] == ["connected", "disconnected", "connected"]
