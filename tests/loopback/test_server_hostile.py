"""What hostile pages, wrong names and missing tokens get from the local server: nothing, before any upgrade."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from app.server.limits import Limits
from tests.loopback.server_rig import TOKEN, hear, say, serving

DATA_PATHS = (
    "/health",
    "/ws/realtime/status",
    "/api/ws/status",
    "/api/status",
    "/api/rows",
    "/api/ticks/BTCUSDT",
    "/api/snapshots/BTCUSDT",
    "/api/indicators/delta",
    "/api/validation/BTCUSDT",
    "/api/portfolio",
)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1.evil.example:{port}",
        "http://evil.example/127.0.0.1:{port}",
        "http://127.0.0.1:{other}",
        "http://127.0.0.1",
        "https://127.0.0.1:{port}",
        "http://localhost:{port}",  # ours, but not the name this very request goes to
        "http://127.0.0.1:{port}\r\nOrigin: http://evil.example",
        "http://127.0.0.1:{port}, http://evil.example",
        "",
    ],
)
async def test_a_page_of_another_origin_gets_403_before_the_upgrade_even_with_the_token(origin: str) -> None:
    async with serving() as rig:
        line = "Origin: " + origin.format(port=rig.port, other=rig.port + 1)
        answer = await rig.knock(line)
        assert (answer.status, answer.json()["error"]) == (403, "bad_origin")
        answer = await rig.get("/api/status", line)
        assert (answer.status, answer.json()["error"]) == (403, "bad_origin")
        assert rig.server.figures()["refused"] == {"bad_origin": 2}


async def test_the_own_page_and_a_script_get_in_with_the_token() -> None:
    async with serving() as rig:
        assert (await rig.knock(f"Origin: {rig.origin}")).status == 101
        named = f"localhost:{rig.port}"
        assert (await rig.knock(f"Origin: http://{named}", host=named)).status == 101
        assert (await rig.knock()).status == 101
        assert (await rig.knock(host=f"[::1]:{rig.port}")).status == 101


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost.evil.example:{port}", "127.0.0.1:{other}", "@", ""],
)
async def test_a_request_that_calls_the_server_by_another_name_gets_403(host: str) -> None:
    async with serving() as rig:
        name = host.format(port=rig.port, other=rig.port + 1)
        for first in ("GET /api/status HTTP/1.1", "GET / HTTP/1.1"):
            answer = await rig.ask([first, f"Host: {name}", f"Authorization: Bearer {TOKEN}"])
            assert (answer.status, answer.json()["error"]) == (403, "bad_host")
        assert (await rig.knock(host=name or " ")).status == 403


async def test_a_request_without_a_host_or_with_two_gets_403() -> None:
    async with serving() as rig:
        own = f"127.0.0.1:{rig.port}"
        for hosts in ([], [own, own], [own, "evil.example"]):
            lines = ["GET /api/status HTTP/1.1", *(f"Host: {host}" for host in hosts)]
            answer = await rig.ask([*lines, f"Authorization: Bearer {TOKEN}"])
            assert (answer.status, answer.json()["error"]) == (403, "bad_host")
        assert (await rig.knock(host="-")).status == 403
        assert (await rig.knock(f"Host: {own}")).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_requests_that_another_sites_page_causes_get_no_data_even_with_the_cookie(site: str) -> None:
    async with serving() as rig:
        cookie = (await rig.get(f"/?token={TOKEN}", token=False)).headers["set-cookie"].partition(";")[0]
        mine = ("Sec-Fetch-Site: same-origin", f"Cookie: {cookie}")
        theirs = (f"Sec-Fetch-Site: {site}", f"Cookie: {cookie}")
        assert (await rig.get("/api/status", *mine, token=False)).status == 200
        assert (await rig.get("/api/status", *theirs, token=False)).status == 403
        assert (await rig.knock(*theirs, token=False)).status == 403


@pytest.mark.parametrize("path", DATA_PATHS)
async def test_data_needs_the_token(path: str) -> None:
    async with serving() as rig:
        for given, code in (
            ((), "token_required"),
            (("Authorization: Bearer wrong",), "wrong_token"),
            (("Authorization: Basic " + TOKEN,), "wrong_token"),
            ((f"Cookie: fathom_{rig.port}={TOKEN}",), "token_required"),
        ):
            answer = await rig.get(path, *given, token=False)
            assert (answer.status, answer.json()["error"]) == (401, code)
        assert (await rig.get(path)).status == 200


async def test_no_answer_may_be_read_framed_or_guessed_by_others() -> None:
    async with serving() as rig:
        for path in (*DATA_PATHS, "/nothing", f"/?token={TOKEN}", "/?token=wrong"):
            headers = (await rig.get(path)).headers
            assert not any(name.startswith("access-control") for name in headers)
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["referrer-policy"] == "no-referrer"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert "server" not in headers


async def test_the_link_gives_a_cookie_once_and_takes_the_token_out_of_the_address() -> None:
    async with serving() as rig:
        answer = await rig.get(f"/?view=total-delta&token={TOKEN}&market=spot", token=False)
        assert (answer.status, answer.headers["location"]) == (303, "/?view=total-delta&market=spot")
        cookie, *flags = (part.strip() for part in answer.headers["set-cookie"].split(";"))
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(flags)
        assert TOKEN not in cookie
        assert TOKEN.encode() not in answer.body
        others = 'theme="{a,b; x"; broken; =; fathom_1=abc'
        assert (await rig.get("/api/status", f"Cookie: {others}; {cookie}", token=False)).status == 200
        page = f"Origin: {rig.origin}"
        assert (await rig.knock(f"Cookie: {cookie}", page, "Sec-Fetch-Site: same-origin", token=False)).status == 101
        assert (await rig.get("/?token=wrong", token=False)).status == 401
        assert "set-cookie" not in (await rig.get("/?token=wrong", token=False)).headers


async def test_a_script_may_show_the_token_in_its_first_message() -> None:
    async with serving() as rig, rig.client(token=False) as client:
        assert (await say(client, action="auth", token=TOKEN, id=3)) == {"type": "authenticated", "id": 3}
        assert (await say(client, type="ping"))["type"] == "pong"
    async with serving() as rig, rig.client("/ws/realtime/binance?symbols=BTCUSDT", token=False) as client:
        await say(client, action="auth", token=TOKEN)
        assert [row["symbol"] for row in (await hear(client, "initial_data"))["data"]] == ["BTCUSDT"]


@pytest.mark.parametrize(
    "message",
    [
        {"action": "auth", "token": "wrong"},
        {"action": "auth"},
        {"action": "subscribe", "tickers": ["BTCUSDT"]},
        {"type": "ping"},
        [1, 2],
    ],
)
async def test_whoever_says_anything_else_first_is_closed_and_told_nothing(message: Any) -> None:
    async with serving(limits=Limits(auth_s=0.5)) as rig, rig.client(token=False) as client:
        await client.send(json.dumps(message))
        with pytest.raises(ConnectionClosed) as closed:
            await hear(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        await rig.until(lambda: not rig.server.figures()["active_connections"])


async def test_whoever_says_nothing_is_closed_after_the_time_for_it() -> None:
    async with serving(limits=Limits(auth_s=0.3)) as rig, rig.client(token=False) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await hear(client)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "token required")
        await rig.until(lambda: rig.server.figures()["dropped"] == {"token required": 1})


async def test_a_wrong_token_in_the_header_is_answered_before_the_upgrade() -> None:
    async with serving() as rig:
        answer = await rig.knock("Authorization: Bearer wrong", token=False)
        assert (answer.status, answer.json()["error"]) == (401, "wrong_token")
        assert not rig.server._admission.clients


async def test_only_get_and_head_are_known() -> None:
    async with serving() as rig:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
            answer = await rig.get("/api/status", method=method)
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        answer = await rig.get("/api/status", method="HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert int(answer.headers["content-length"]) > 10
        assert (await rig.get("/nothing", method="HEAD")).body == b""
        with_body = f"POST /api/status HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\nContent-Length: 2\r\n\r\n{{}}"
        assert (await rig.ask(with_body)).status in (0, 405)


async def test_tokens_and_cookies_are_never_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with serving() as rig:
        cookie = (await rig.get(f"/?token={TOKEN}", token=False)).headers["set-cookie"].partition(";")[0]
        await rig.get("/api/status", f"Cookie: {cookie}")
        async with rig.client() as client:
            await say(client, action="auth", token=TOKEN)
        logged = [record.getMessage() for record in caplog.records if record.name != "websockets.client"]
        told = f"{logged} {rig.events} {rig.notes} {rig.server.status!r} {rig.server.options!r}"
        for path in DATA_PATHS:
            told += (await rig.get(path)).body.decode()
        assert TOKEN not in told
        assert cookie.partition("=")[2] not in told


async def test_ends_of_strange_requests_leave_nothing_behind() -> None:
    async with serving() as rig:
        for text in (
            "",
            "nonsense",
            "GET / HTTP/9",
            "GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + "x" * 20_000,
            "GET /" + "a" * 3000 + f" HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}",
            "GET /" + "a" * 9000 + f" HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}",
            f"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}",
            "\x00\xff\x16\x03\x01",
        ):
            assert (await rig.ask(text)).status in (0, 400, 403, 414, 431)
        await rig.until(lambda: not rig.server._peers)
        assert rig.server._admission.unknown == 0
        assert rig.server._admission.clients == 0


async def test_a_caller_that_hangs_up_during_the_handshake_gives_its_place_back() -> None:
    async with serving() as rig:
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            head = f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            writer.write(f"{head}Authorization: Bearer {TOKEN}\r\n\r\n".encode())
            writer.transport.abort()
        await rig.until(lambda: not rig.server._peers)
        assert rig.server._admission.clients == 0
        assert not rig.server._admission.addresses
