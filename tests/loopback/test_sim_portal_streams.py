"""The WebSocket of the simulated gateway: order of the first frames, every topic, deltas, expiry, limits."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosedError

from tests.loopback.sim_portal_rig import AAPL, ACCOUNT, FREE, MSFT, SPY, Frame, Rig, rig_of

QUOTE = f'smd+{AAPL}+{{"fields":["31","84","86","88","85","87","83","7283","6509"]}}'


def merged(frames: list[Frame]) -> dict[str, object]:
    """Return the fields of a contract after all its frames."""
    found: dict[str, object] = {}
    for frame in frames:
        found.update({name: value for name, value in frame.items() if name.isdecimal()})
    return found


def option_of(rig: Rig) -> int:
    return next(each.con_id for each in rig.sim.world.catalogue.contracts.values() if each.is_option)


async def test_the_greeting_comes_before_sts_and_sts_may_be_late() -> None:
    async with rig_of(sts_s=5.0) as rig, rig.socket() as socket:
        await socket.catch_up()
        assert [frame.get("message") or frame["topic"] for frame in socket.frames] == [
            "waiting for session",
            "system",
            "act",
        ]
        assert socket.frames[1]["success"]
        assert socket.frames[2]["args"]["accounts"] == [ACCOUNT]
        await socket.send(QUOTE, "spl+{}")
        rig.run(4.9)
        await socket.catch_up()
        assert not socket.of("sts")
        rig.run(3.0)
        await socket.catch_up()
        assert len(socket.of("sts")) == 1
        assert not socket.of(f"smd+{AAPL}")  # what was sent before sts is forgotten
        assert not socket.of("spl")
        assert rig.sim.hub.counts["ignored_before_sts"] == 2


async def test_a_wrong_cookie_waits_for_a_session_for_ever() -> None:
    async with rig_of() as rig, rig.socket(cookie="nonsense") as socket:
        rig.run(60.0)
        assert [frame for frame in await socket.catch_up() if "hb" not in frame] == [{"message": "waiting for session"}]


async def test_a_plain_session_value_is_a_cookie_as_well() -> None:
    async with rig_of() as rig, rig.socket(cookie=rig.sim.session.value) as socket:
        rig.run(0.2)
        await socket.catch_up()
        assert socket.of("sts")


async def test_a_heart_beats_every_ten_seconds() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        rig.run(35.0)
        await socket.catch_up()
        assert len([frame for frame in socket.of("system") if "hb" in frame]) == 3


async def test_quotes_come_whole_in_two_pieces_and_then_only_what_changed() -> None:
    async with rig_of(pieces_s=0.3, smd_cadence_s=0.5) as rig, rig.ready() as socket:
        await socket.send(QUOTE)
        await socket.catch_up()
        rig.run(0.1)
        (first,) = [each for each in await socket.catch_up() if each.get("topic") == f"smd+{AAPL}"]
        assert (first["conidEx"], first["conid"], first["server_id"]) == (str(AAPL), AAPL, "q0")
        assert {"31", "84", "86", "88", "85", "6509"} <= set(first)
        assert not {"87", "7283"} & set(first)
        rig.run(0.4)
        (second,) = [each for each in await socket.catch_up() if each.get("topic") == f"smd+{AAPL}"]
        assert {"87", "87_raw", "83", "7283"} <= set(second)
        rig.run(20.0)
        later = [each for each in await socket.catch_up() if each.get("topic") == f"smd+{AAPL}"]
        assert 20 <= len(later) <= 42
        assert all("6509" not in frame and "7283" not in frame for frame in later[:3])
        seen = merged([first])
        for frame in (second, *later):
            for name, value in frame.items():
                if name.isdecimal() and name != "6119":
                    assert seen.get(name) != value, f"{name} was sent again unchanged"
            seen.update(merged([frame]))
        quote = rig.sim.world.quote(AAPL)
        rig.run(1.0)
        await socket.catch_up()
        assert quote.bid is not None
        now = merged(socket.of(f"smd+{AAPL}"))
        assert re.fullmatch(r"\d+\.\d\d", str(now["84"]))
        assert re.fullmatch(r"\d{1,3}(,\d{3})*", str(now["88"]))


async def test_an_exchange_may_be_named_and_an_unknown_contract_may_not() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await socket.send(f'smd+{AAPL}@ARCA+{{"fields":["31"]}}', 'smd+1+{"fields":["31"]}', f"smd+{AAPL}+{{}}")
        await socket.catch_up()
        rig.run(0.2)
        await socket.catch_up()
        assert socket.of(f"smd+{AAPL}")[0]["conidEx"] == f"{AAPL}@ARCA"
        assert [frame["args"]["error"] for frame in socket.of("error")] == ["Invalid conid: 1", "fields expected"]


async def test_umd_ends_a_quote() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await socket.send(QUOTE)
        await socket.catch_up()
        rig.run(1.0)
        await socket.catch_up()
        await socket.send(f"umd+{AAPL}+{{}}")
        await socket.catch_up()
        rig.run(5.0)
        assert not [frame for frame in await socket.catch_up() if frame.get("topic") == f"smd+{AAPL}"]


async def test_quotes_end_silently_after_their_life_and_live_on_when_asked_again() -> None:
    async with rig_of(smd_life_s=20.0) as rig, rig.ready() as socket:
        await socket.send(QUOTE, f'smd+{SPY}+{{"fields":["31"]}}')
        await socket.catch_up()
        rig.run(15.0)
        await socket.send(QUOTE)
        await socket.catch_up()
        rig.run(10.0)
        await socket.catch_up()
        rig.run(5.0)
        topics = {frame.get("topic") for frame in await socket.catch_up()}
        assert f"smd+{AAPL}" in topics
        assert f"smd+{SPY}" not in topics
        assert rig.sim.hub.counts["smd_expired"] == 1


async def test_a_derivative_is_silent_until_it_was_looked_up() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        option = option_of(rig)
        await socket.send(f'smd+{option}+{{"fields":["31","84","86","7308","7633"]}}')
        await socket.catch_up()
        rig.run(2.0)
        await socket.catch_up()
        assert not socket.of(f"smd+{option}")
        await rig.begin()
        await rig.read("/iserver/marketdata/snapshot", conids=option, fields="31")
        rig.run(2.0)
        await socket.catch_up()
        found = merged(socket.of(f"smd+{option}"))
        assert abs(float(str(found["7308"]))) <= 1.0
        assert str(found["7633"]).endswith("%")


async def test_lines_are_limited() -> None:
    async with rig_of(limits=replace(FREE, market_data_lines=2)) as rig, rig.ready() as socket:
        await socket.send(*(f'smd+{con_id}+{{"fields":["31"]}}' for con_id in (AAPL, SPY, MSFT, AAPL)))
        await socket.catch_up()
        assert [frame["args"]["error"] for frame in socket.of("error")] == ["Max number of tickers has been reached"]
        assert rig.sim.hub.lines == 2


async def test_orders_come_only_after_a_forced_call_and_then_as_deltas() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await socket.send("sor+{}")
        rig.sim.world.begin_order(AAPL, "BUY", 20.0, parts=2)
        await socket.catch_up()
        rig.run(6.0)
        await socket.catch_up()
        assert not socket.of("sor")
        await rig.prime_orders()
        await socket.send("sor+{}")
        await socket.catch_up()
        (whole,) = socket.of("sor")
        told = {row["orderId"]: row for row in whole["args"]}
        assert len(told) == len(rig.sim.world.orders)
        order = rig.sim.world.begin_order(MSFT, "SELL", 20.0, parts=2)
        rig.run(8.0)
        await socket.catch_up()
        rows = [row for frame in socket.of("sor")[1:] for row in frame["args"] if row["orderId"] == order.perm_id]
        assert [row["status"] for row in rows if "status" in row] == [
            "PendingSubmit",
            "PreSubmitted",
            "Submitted",
            "Filled",
        ]
        assert rows[0]["ticker"] == "MSFT"
        assert all("ticker" not in row and "acct" not in row for row in rows[1:])
        assert [row["filledQuantity"] for row in rows if row.get("filledQuantity")] == [10.0, 20.0]
        assert rows[-1]["remainingQuantity"] == 0.0
        assert rows[-1]["sizeAndFills"] == "20"


async def test_a_filtered_call_silences_orders_until_the_next_forced_one() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await rig.prime_orders()
        await socket.send("sor+{}")
        await socket.catch_up()
        await rig.read("/iserver/account/orders", filters="filled")
        rig.sim.world.begin_order(AAPL, "BUY", 20.0)
        rig.run(2.0)
        assert not [frame for frame in await socket.catch_up() if frame.get("topic") == "sor"]
        await rig.read("/iserver/account/orders", force="true")
        rig.sim.world.begin_order(MSFT, "BUY", 20.0)
        rig.run(2.0)
        assert [frame for frame in await socket.catch_up() if frame.get("topic") == "sor"]


async def test_orders_can_be_filtered_by_status_and_ended() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await rig.prime_orders()
        await socket.send('sor+{"filters":["Submitted"]}')
        await socket.catch_up()
        assert {row["status"] for row in socket.of("sor")[0]["args"]} == {"Submitted"}
        await socket.send("uor+{}")
        rig.sim.world.begin_order(MSFT, "BUY", 20.0, fate="rest", limit_price=400.0)
        await socket.catch_up()
        rig.run(3.0)
        assert not [frame for frame in await socket.catch_up() if frame.get("topic") == "sor"]


async def test_a_rejected_order_brings_a_notification_with_the_reason() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        order = rig.sim.world.begin_order(MSFT, "BUY", 5000.0, limit_price=470.0, fate="reject")
        rig.run(2.0)
        await socket.catch_up()
        (note,) = socket.of("ntf")[0]["args"]
        assert (note["id"], note["title"]) == (str(order.perm_id), "Order rejected")
        assert "reason" in note["text"]


async def test_trades_come_first_without_and_then_with_their_commission() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await socket.send('str+{"realtimeUpdatesOnly":false,"days":1}')
        await socket.catch_up()
        earlier = socket.of("str")[0]["args"]
        assert len(earlier) == len(rig.sim.world.fills) == 3
        rig.sim.world.begin_order(AAPL, "BUY", 30.0)
        rig.run(6.0)
        await socket.catch_up()
        rows = [row for frame in socket.of("str")[1:] for row in frame["args"]]
        assert [("commission" in row, row["size"], row["side"]) for row in rows] == [
            (False, 30.0, "B"),
            (True, 30.0, "B"),
        ]
        assert len({row["execution_id"] for row in rows}) == 1
        await socket.send("utr", "str+{}", "utr", 'str+{"realtimeUpdatesOnly":true}')
        await socket.catch_up()
        assert len(socket.of("str")) == 4  # one more by str+{}, none by the last


@pytest.mark.parametrize("ending", ["upl+{}", "upl{}", "upl"])
@pytest.mark.parametrize("beginning", ["spl+{}", "spl"])
async def test_profit_and_loss_goes_on_until_it_is_ended(beginning: str, ending: str) -> None:
    async with rig_of(pnl_push_s=1.0) as rig, rig.ready() as socket:
        await socket.send(beginning)
        await socket.catch_up()
        rig.run(5.0)
        await socket.catch_up()
        assert 3 <= len(socket.of("spl")) <= 6
        assert set(socket.of("spl")[-1]["args"][f"{ACCOUNT}.Core"]) == {
            "rowType",
            "dpl",
            "nl",
            "upl",
            "el",
            "uel",
            "mv",
        }
        await socket.send(ending)
        await socket.catch_up()
        rig.run(5.0)
        assert not [frame for frame in await socket.catch_up() if frame.get("topic") == "spl"]


async def test_the_summary_comes_whole_and_then_only_what_changed() -> None:
    async with rig_of(account_push_s=10.0) as rig, rig.ready() as socket:
        await socket.send(f"ssd+{ACCOUNT}+{{}}")
        await socket.catch_up()
        rig.run(25.0)
        await socket.catch_up()
        first, *later = socket.of(f"ssd+{ACCOUNT}")
        rows = {row["key"]: row for row in first["result"]}
        world = rig.sim.world
        assert rows["AccountCode"]["value"] == ACCOUNT
        assert {"NetLiquidation-S", "BuyingPower-S", "TotalCashValue-S", "InitMarginReq"} <= set(rows)
        assert rows["NetLiquidation"]["monetaryValue"] == pytest.approx(
            world.value(ACCOUNT, "NetLiquidation"), rel=0.05
        )
        assert len(later) == 2
        unchanged = {row["key"]: set(row) for row in later[0]["result"]}
        assert unchanged["AccruedCash"] == {"key", "timestamp"}
        assert "monetaryValue" in unchanged["NetLiquidation"]
        await socket.send(f"usd+{ACCOUNT}+{{}}")
        assert {"result": "unsubscribed from summary"} in await socket.catch_up()


async def test_summary_and_ledger_keep_to_the_keys_and_fields_asked_for() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await socket.send(
            f'ssd+{ACCOUNT}+{{"keys":["NetLiquidation-S","BuyingPower-S"],"fields":["currency","monetaryValue"]}}',
            f'sld+{ACCOUNT}+{{"keys":["LedgerListEUR"],"fields":["cashBalance"]}}',
        )
        await socket.catch_up()
        rig.run(0.1)
        await socket.catch_up()
        summary = socket.of(f"ssd+{ACCOUNT}")[0]["result"]
        assert {row["key"] for row in summary} == {"NetLiquidation-S", "BuyingPower-S"}
        assert all(set(row) == {"key", "timestamp", "currency", "monetaryValue"} for row in summary)
        (ledger,) = socket.of(f"sld+{ACCOUNT}")[0]["result"]
        assert set(ledger) == {"key", "timestamp", "cashBalance"}
        assert ledger["cashBalance"] == pytest.approx(rig.sim.world.cash(ACCOUNT)["EUR"], abs=0.01)
        await socket.send(f"uld+{ACCOUNT}+{{}}", "ssd+U0000000+{}")
        answers = await socket.catch_up()
        assert {"result": "unsubscribed from ledger"} in answers
        assert answers[-1]["args"]["error"] == "Invalid account: U0000000"


async def test_bars_come_once_and_five_at_most() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await socket.send(*(f'smh+{AAPL}+{{"period":"2h","bar":"5min","source":"t","format":"%o/%c/%h/%l"}}',) * 6)
        await socket.catch_up()
        bars = socket.of(f"smh+{AAPL}")
        assert [len(frame["data"]) for frame in bars] == [24] * 5
        assert socket.of("error")[0]["args"]["error"] == "Too many historical data requests"
        server_id = bars[0]["serverId"]
        await socket.send(f"umh+{server_id}", f'smh+{AAPL}+{{"period":"1d","bar":"1h"}}')
        answers = await socket.catch_up()
        assert answers[0] == {"message": f"Unsubscribed {server_id}"}
        assert answers[1]["barLength"] == 3600


@pytest.mark.parametrize("message", ["xyz+1", '{"session":"abc"}', "smd+265598+{not json", "sbd+DU1234567+265598", ""])
async def test_what_cannot_be_understood_brings_an_error_frame(message: str) -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await socket.send(message)
        (answer,) = await socket.catch_up()
        assert answer["topic"] == "error"
        assert answer["args"]["error"]


async def test_now_and_then_a_frame_comes_as_bytes() -> None:
    async with rig_of(bytes_every=4) as rig, rig.ready() as socket:
        await socket.send(QUOTE)
        await socket.catch_up()
        rig.run(10.0)
        await socket.catch_up()
        assert set(socket.kinds) == {str, bytes}
    async with rig_of(bytes_every=0) as rig, rig.ready() as socket:
        await socket.send(QUOTE)
        await socket.catch_up()
        rig.run(10.0)
        await socket.catch_up()
        assert set(socket.kinds) == {str}


async def test_a_session_has_one_websocket_and_the_older_one_has_to_go() -> None:
    async with rig_of() as rig, rig.ready() as older, rig.ready() as newer:
        with pytest.raises(ConnectionClosedError, match="another websocket"):
            await older.catch_up()
        await newer.send(QUOTE)
        await newer.catch_up()
        rig.run(0.1)
        assert await newer.catch_up()
