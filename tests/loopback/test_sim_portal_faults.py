"""Every fault of the simulated gateway over real sockets, begun in the program and over its control address."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from app.sim.fault_text import FaultError
from app.sim.portal.faults import BAD_FRAMES, FAULTS, read_fault
from tests.loopback.sim_portal_rig import AAPL, ACCOUNT, Rig, Socket, rig_of

QUOTE = f'smd+{AAPL}+{{"fields":["31","84","86"]}}'


async def quoting(rig: Rig, socket: Socket) -> None:
    """Subscribe to a quote and see it come."""
    await socket.send(QUOTE)
    await socket.catch_up()
    rig.run(1.0)
    assert [frame for frame in await socket.catch_up() if frame.get("topic") == f"smd+{AAPL}"]


async def status_of(rig: Rig) -> tuple[bool, bool]:
    found = (await rig.post("/iserver/auth/status")).json()
    return found["authenticated"], found["competing"]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be so")


async def test_silence_keeps_the_socket_and_sends_nothing_not_even_a_heartbeat() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await quoting(rig, socket)
        rig.sim.fault("silence", duration=40)
        rig.run(39.0)
        await socket.send("tic")
        assert (await rig.post("/tickle")).status_code == 200
        rig.run(2.0)
        new = await socket.catch_up()
        assert all("hb" in frame or frame.get("topic") == f"smd+{AAPL}" for frame in new)
        assert rig.sim.hub.counts["kept_silent"] > 3
        assert rig.sim.hub.counts["tics"] == 5  # the one in the silence was not heard


async def test_drop_cuts_without_a_word_and_close_with_one() -> None:
    async with rig_of() as rig:
        async with rig.ready() as socket:
            rig.sim.fault("drop")
            with pytest.raises(ConnectionClosedError):
                await socket.catch_up()
        async with rig.ready() as socket:
            rig.sim.fault("close")
            with pytest.raises(ConnectionClosedOK):
                await socket.catch_up()


async def test_a_half_open_socket_neither_answers_nor_ends_before_its_time() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        rig.sim.fault("half-open", duration=0.3)
        rig.run(20.0)
        await socket.send("tic")
        assert (await rig.post("/tickle")).status_code == 200
        with pytest.raises(ConnectionClosedError):
            await socket.connection.recv()
        assert not [frame for frame in socket.frames if frame.get("topic") == "tic"]


async def test_a_gateway_that_is_gone_comes_back_on_its_port_with_its_certificate() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        fingerprint, url = rig.sim.fingerprint, rig.sim.url
        rig.sim.fault("gone", duration=0.2)
        with pytest.raises(ConnectionClosedError):
            await socket.catch_up()
        with pytest.raises(httpx.TransportError):
            await rig.post("/tickle")
        await until(lambda: rig.sim._web._server is not None)
        assert (await rig.post("/tickle")).status_code == 200
        assert (rig.sim.fingerprint, rig.sim.url) == (fingerprint, url)


async def test_maintenance_says_sts_false_and_503_and_then_sts_true() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await quoting(rig, socket)
        rig.sim.fault("maintenance", duration=0.2)
        await socket.catch_up()
        assert socket.of("sts")[-1]["args"]["authenticated"] is False
        assert (await rig.get("/iserver/accounts")).status_code == 503
        assert (await rig.get("/portfolio/accounts")).status_code == 200
        assert await status_of(rig) == (False, False)
        await socket.send(QUOTE)
        assert {"error": "not authenticated", "code": 401} in await socket.catch_up()
        await until(lambda: rig.sim.session.authenticated)
        rig.run(1.0)
        assert [frame["args"]["authenticated"] for frame in await socket.catch_up() if frame.get("topic") == "sts"] == [
            True
        ]
        assert rig.sim.hub.lines == 0  # what was subscribed ended with the session
        assert (await rig.get("/iserver/accounts")).status_code == 200


async def test_a_competing_program_takes_the_session() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        rig.sim.fault("competing")
        await socket.catch_up()
        told = socket.of("sts")[-1]["args"]
        assert (told["authenticated"], told["competing"]) == (False, True)
        assert (await rig.get("/iserver/accounts")).status_code == 401
        await rig.post("/iserver/auth/ssodh/init", {"publish": True, "compete": True})
        await socket.catch_up()
        assert socket.of("sts")[-1]["args"]["authenticated"] is True


async def test_an_idle_session_loses_its_bridge_and_gets_it_back() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        rig.sim.fault("idle")
        assert (await rig.get("/iserver/accounts")).status_code == 400
        await rig.post("/iserver/auth/ssodh/init", {"publish": True, "compete": False})
        await socket.catch_up()
        assert [frame["args"]["authenticated"] for frame in socket.of("sts")] == [True, False, True]


async def test_a_logout_says_so_and_ends_the_sockets() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        rig.sim.fault("logout")
        with pytest.raises(ConnectionClosedOK):
            await socket.catch_up()
        assert (await rig.post("/tickle")).status_code == 401
        rig.sim.fault("login")
        assert await status_of(rig) == (True, False)
        async with rig.ready() as again:
            await quoting(rig, again)


async def test_a_penalty_refuses_everything_for_its_time() -> None:
    async with rig_of() as rig:
        rig.sim.fault("penalty", duration=20)
        assert (await rig.post("/tickle")).status_code == 429
        rig.clock.s += 21.0
        assert (await rig.post("/tickle")).status_code == 200


@pytest.mark.parametrize("fault", ["foreign-certificate", "expired-certificate"])
async def test_another_certificate_is_refused_by_who_trusts_the_first(fault: str) -> None:
    async with rig_of() as rig, rig.ready() as socket:
        pinned, before = rig.context, rig.sim.fingerprint
        rig.sim.fault(fault)
        with pytest.raises(ConnectionClosedError):
            await socket.catch_up()
        assert rig.sim.fingerprint != before
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await rig.post("/tickle")
        with pytest.raises(ssl.SSLCertVerificationError):
            async with connect(rig.sim.url.replace("https", "wss") + "/v1/api/ws", ssl=pinned):
                pass
        shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", int(rig.sim.url.rpartition(":")[2])))
        assert shown.strip() == rig.sim.certificate_pem.strip()


async def test_sts_false_alone_comes_and_goes() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        rig.sim.fault("sts-false", duration=0.1)
        assert await status_of(rig) == (False, False)
        await until(lambda: rig.sim.session.authenticated)
        await socket.catch_up()
        assert [frame["args"]["authenticated"] for frame in socket.of("sts")] == [True, False, True]


async def test_quotes_can_expire_at_once() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        await quoting(rig, socket)
        rig.sim.fault("smd-expiry")
        rig.run(5.0)
        assert not [frame for frame in await socket.catch_up() if frame.get("topic") == f"smd+{AAPL}"]
        await quoting(rig, socket)


@pytest.mark.parametrize("kind", BAD_FRAMES)
async def test_a_bad_frame_of_each_kind_comes_between_good_ones(kind: str) -> None:
    async with rig_of() as rig, rig.ready() as socket:
        rig.sim.fault("badframe", kind=kind)
        raw = await socket.connection.recv()
        assert isinstance(raw, bytes) is (kind == "binary")
        if kind in ("malformed", "truncated", "binary", "text"):
            with pytest.raises(ValueError, match=r"."):
                json.loads(raw)
        else:
            json.loads(raw)
        await quoting(rig, socket)


async def test_a_bulletin_is_told_to_everybody() -> None:
    async with rig_of() as rig, rig.ready() as socket:
        rig.sim.fault("bulletin")
        await socket.catch_up()
        assert socket.of("blt")[0]["args"]["message"]


async def test_an_account_can_vanish_and_come_back() -> None:
    async with rig_of(accounts=(ACCOUNT, "DU7654321")) as rig, rig.ready() as socket:
        await rig.begin()
        rig.sim.fault("account-vanishes", duration=0.2)
        assert [row["accountId"] for row in await rig.read("/portfolio/accounts")] == ["DU7654321"]
        assert (await rig.get(f"/portfolio/{ACCOUNT}/summary")).status_code == 400
        assert (await rig.read("/iserver/accounts"))["accounts"] == ["DU7654321"]
        await socket.catch_up()
        assert socket.of("act")[-1]["args"]["accounts"] == ["DU7654321"]
        await until(lambda: ACCOUNT in rig.sim.world.accounts)
        await socket.catch_up()
        assert socket.of("act")[-1]["args"]["accounts"] == [ACCOUNT, "DU7654321"]
    async with rig_of() as rig:
        rig.sim.fault("account-vanishes", duration=60)
        assert await rig.read("/portfolio/accounts") == []


async def test_rest_can_be_slow_and_can_be_down() -> None:
    async with rig_of() as rig:
        rig.sim.fault("slow", delay=30.0, duration=10)
        with pytest.raises(httpx.ReadTimeout):
            await rig.http.post("/tickle", json={}, timeout=0.2)
        rig.sim.fault("calm")
        rig.sim.fault("http503", duration=10)
        assert (await rig.post("/tickle")).status_code == 503
        rig.clock.s += 11.0
        assert (await rig.post("/tickle")).status_code == 200


async def test_calm_ends_what_lasts() -> None:
    async with rig_of() as rig:
        for name in ("penalty", "maintenance", "http503", "sts-false", "account-vanishes", "competing"):
            rig.sim.fault(name, duration=None if name == "competing" else 1000)
        rig.sim.fault("calm")
        assert (await rig.get("/iserver/accounts")).status_code == 400  # the other program ended the session
        await rig.post("/iserver/auth/ssodh/init", {"publish": True, "compete": False})
        assert (await rig.read("/iserver/accounts"))["accounts"] == [ACCOUNT]


async def test_the_control_address_begins_faults_and_tells_the_truth() -> None:
    async with rig_of() as rig, httpx.AsyncClient(base_url=rig.sim.control) as control:
        truth = (await control.get("/truth")).json()
        held = {each["con_id"]: each["quantity"] for each in truth["positions"]}
        assert held == {each.con_id: each.quantity for each in rig.sim.world.positions(ACCOUNT)}
        assert (await control.get("/quote", params={"con_id": AAPL})).json()["con_id"] == AAPL
        assert (await control.get("/certificate")).text == rig.sim.certificate_pem
        assert (await control.post("/fault", params={"name": "penalty", "duration": "5"})).json()["fault"] == "penalty"
        assert (await rig.post("/tickle")).status_code == 429
        assert (await control.post("/fault", json={"name": "calm"})).status_code == 200
        assert (await control.post("/pause")).json() == {"paused": True}
        assert (await control.post("/resume")).json() == {"paused": False}
        assert (await control.post("/logout")).json() == {"done": "logout"}
        state = (await control.get("/state")).json()
        assert (state["logged_in"], state["faults"]["penalty"], state["order_requests"]) == (False, 1, [])
        order = (await control.post("/happen", params={"con_id": AAPL, "action": "SELL", "quantity": 5})).json()
        assert order["order"] in [each.perm_id for each in rig.sim.world.orders]
        for path, status in (("/fault?name=nonsense", 400), ("/happen?con_id=1", 400), ("/elsewhere", 404)):
            assert (await control.post(path)).status_code == status
        assert (await control.get("/truth", params={"account": "U1"})).status_code == 404
        assert (await control.post("/fault", content=b"[1]")).status_code == 400


def test_faults_are_read_from_the_command_line() -> None:
    assert read_fault("slow:3,20@5").fault.delay == 3.0
    assert read_fault("slow:3,20@5").fault.duration == 20.0
    assert read_fault("badframe:text@4").fault.kind == "text"
    assert read_fault("half-open@1.5").at_s == 1.5
    for text in ("nonsense@1", "drop", "penalty:many@2", "badframe:odd@1", "drop:1@2"):
        with pytest.raises(FaultError):
            read_fault(text)


async def test_a_fault_begins_at_its_time_and_each_has_a_name_that_works() -> None:
    async with rig_of() as rig:
        for name in FAULTS:
            if name != "gone":
                rig.sim.fault(name)
        assert rig.sim.faults_fired == [name for name in FAULTS if name != "gone"]
    async with rig_of(faults=(read_fault("penalty@0"),)) as rig:
        await until(lambda: rig.sim.faults_fired == ["penalty"])
