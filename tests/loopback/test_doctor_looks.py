"""What the doctor finds at real sockets: TWS, something else on its port, gateways, venues, and the data folder."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from http_server import HttpServer, Reply

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.clock import SystemClock
from app.domain.health import LinkState
from app.domain.units import NS_PER_S
from app.portfolio.ledger import Ledger
from app.services.doctor import Doctor, DoctorFiles
from app.services.doctor_checks import machine, venues
from app.services.doctor_checks.finding import Finding, State
from app.services.doctor_checks.portal import PortalPlace, check_portal
from app.services.doctor_checks.tws import TwsPlace, check_tws
from app.services.doctor_checks.wire_looks import Answerer, look_at
from app.settings.store import Settings
from app.sim.portal import PortalSim
from app.sim.portal.certificates import make_certificate, server_context
from app.sim.tws import TwsSim
from app.venues.bans import Ban, BanStore
from app.venues.ibkr_portal.tls import Certificate, PinStore
from tests.loopback.servers import free_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATIENCE_S = 0.3
NEVER = 3600 * NS_PER_S


@asynccontextmanager
async def listening(serve: Serve, secure: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen on a free port with a function per client; its failures are those of its clients."""
    writers: list[asyncio.StreamWriter] = []

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=secure)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


def greeting(version: str = "178", time: str = "20261120 09:30:00 EST") -> bytes:
    payload = f"{version}\0{time}\0".encode()
    return struct.pack(">I", len(payload)) + payload


def says(data: bytes, *, hold: bool = False) -> Serve:
    """Return a server that says something after the client's first words."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)
        writer.write(data)
        await writer.drain()
        if hold:
            await reader.read()

    return serve


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer HTTP requests, and nothing that is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"GET "):
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1024):
        pass


async def hangs_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    return


def place(port: int, **changes: object) -> TwsPlace:
    values: dict[str, object] = {"enabled": True, "host": "127.0.0.1", "port": port, "client_id": 0, "others": ()}
    return TwsPlace(**{**values, **changes})  # type: ignore[arg-type]


async def tws_rows(where: TwsPlace, health: BrokerHealth | None = None) -> dict[str, Finding]:
    rows = await check_tws(where, health, Ledger(Source.TWS), 0, patience_s=PATIENCE_S)
    return {row.check: row for row in rows}


# -- who listens at the port of TWS -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("serve", "who", "words"),
    [
        (says(greeting(), hold=True), Answerer.TWS, ""),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Answerer.WEB, "HTTP/1.1 400 Bad Request"),
        (says(b"SSH-2.0-OpenSSH_9.6\r\n", hold=True), Answerer.OTHER, "SSH-2.0-OpenSSH_9.6"),
        (says(b"\0\0\0\x05abc\0\0", hold=True), Answerer.OTHER, "abc"),
        (web, Answerer.WEB, "HTTP/1.1 404 Not Found"),
        (silent, Answerer.SILENT, ""),
        (hangs_up, Answerer.HANGS_UP, ""),
    ],
)
async def test_whoever_answers_is_told_from_its_first_words(serve: Serve, who: Answerer, words: str) -> None:
    async with listening(serve) as port:
        look = await look_at("127.0.0.1", port, patience_s=PATIENCE_S)
    assert look.who is who
    assert words in look.said


async def test_a_greeting_that_comes_in_pieces_is_put_together() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)
        for byte in greeting("187"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async with listening(serve) as port:
        look = await look_at("127.0.0.1", port, patience_s=5.0)
    assert (look.who, look.version, look.time) == (Answerer.TWS, 187, "20261120 09:30:00 EST")


async def test_a_server_that_wants_tls_is_named() -> None:
    async with listening(silent, server_context(make_certificate())) as port:
        look = await look_at("127.0.0.1", port, patience_s=PATIENCE_S)
        rows = await tws_rows(place(port))
    assert look.who is Answerer.TLS
    assert rows["who answers"].state is State.FAIL
    assert "Client Portal" in rows["who answers"].cause


@pytest.mark.parametrize(
    ("serve", "words", "advice"),
    [
        (web, "A web server answers", "ibkr.tws.port"),
        (silent, "says nothing", "Look at TWS"),
        (hangs_up, "hangs up at once", "Trusted IPs"),
        (says(b"-ERR unknown command\r\n", hold=True), "it begins “-ERR unknown command”", "ibkr.tws.port"),
        (says(greeting("38"), hold=True), "too old", "Update TWS"),
    ],
)
async def test_something_else_on_the_port_of_tws_is_said_with_what_to_do(serve: Serve, words: str, advice: str) -> None:
    async with listening(serve) as port:
        rows = await tws_rows(place(port))
    assert rows["port"].state is State.OK
    assert rows["who answers"].state is State.FAIL
    assert words in rows["who answers"].cause
    assert advice in rows["who answers"].advice
    assert "session" not in rows


async def test_the_port_on_which_tws_does_answer_is_named() -> None:
    empty = free_port()
    async with listening(says(greeting(), hold=True)) as port:
        rows = await tws_rows(place(empty, others=(port,)))
        off = await tws_rows(place(empty, others=(port,), enabled=False))
    assert (rows["port"].state, rows["port"].cause) == (State.FAIL, f"Nothing listens at 127.0.0.1:{empty}.")
    assert f"ibkr.tws.port={port}" in rows["port"].advice
    assert str(port) in rows["other ports"].cause
    assert list(off) == ["port"]
    assert off["port"].state is State.OFF
    assert f"ibkr.tws.port={port}" in off["port"].advice


async def test_the_simulated_tws_answers_and_is_not_logged_in_to() -> None:
    async with TwsSim() as sim:
        rows = await tws_rows(place(sim.port))
        assert not list(sim.requests), "not even the start of the API"
    assert rows["who answers"].cause == "TWS or IB Gateway, API version 178."
    assert rows["clock"].state is State.OK, rows["clock"].cause
    assert rows["session"].state is State.UNKNOWN
    assert not [row for row in rows.values() if row.state is State.FAIL]


async def test_a_session_that_is_connected_is_believed_without_a_second_look() -> None:
    health = BrokerHealth(source=Source.TWS, state=LinkState.LIVE, connected_ns=0, server_version="178")
    rows = await tws_rows(place(free_port()), health)
    assert rows["port"].state is State.OK
    assert "Fathom is connected" in rows["port"].cause


async def test_a_session_that_is_down_is_shown_beside_an_own_look() -> None:
    health = BrokerHealth(source=Source.TWS, state=LinkState.BACKOFF, reason="refused")
    rows = await tws_rows(place(free_port()), health)
    assert rows["port"].state is State.FAIL
    assert rows["session"].cause == "Refused."


# -- the Client Portal Gateway ------------------------------------------------------------------------------------


def portal_place(url: str, pin: Path | None = None, **changes: object) -> PortalPlace:
    values: dict[str, object] = {"enabled": True, "url": url, "fingerprint": "", "pin_path": pin}
    return PortalPlace(**{**values, **changes})  # type: ignore[arg-type]


async def portal_rows(where: PortalPlace) -> dict[str, Finding]:
    rows = await check_portal(where, None, None, SystemClock().wall_ns(), patience_s=5.0)
    return {row.check: row for row in rows}


async def test_nothing_is_sent_before_the_certificate_is_trusted() -> None:
    async with PortalSim() as sim:
        rows = await portal_rows(portal_place(sim.url))
        assert sim.desk.counts["requests"] == 0
    assert rows["port"].state is State.OK
    assert rows["certificate"].state is State.FAIL
    assert rows["certificate"].cause.replace(":", "").lower().count(sim.fingerprint) == 1
    assert rows["login"].state is State.UNKNOWN


async def test_a_gateway_with_the_kept_certificate_is_asked_for_its_login(tmp_path: Path) -> None:
    pin = tmp_path / "gateway.json"
    async with PortalSim() as sim:
        PinStore(pin).put(Certificate.of(sim.certificate_pem))
        rows = await portal_rows(portal_place(sim.url, pin))
        by_setting = await portal_rows(portal_place(sim.url, fingerprint=sim.fingerprint))
        assert sim.order_requests == []
    assert {row.state for row in rows.values()} == {State.OK}
    assert "Build" in rows["who answers"].cause
    assert by_setting["login"].state is State.OK


async def test_a_gateway_nobody_is_logged_in_at_offers_its_page() -> None:
    async with PortalSim(logged_in=False) as sim:
        rows = await portal_rows(portal_place(sim.url, fingerprint=sim.fingerprint))
    assert rows["login"].state is State.FAIL
    assert rows["login"].link == sim.url
    assert sim.url in rows["login"].advice


async def test_a_rival_for_the_session_is_named() -> None:
    async with PortalSim(competing=True) as sim:
        rows = await portal_rows(portal_place(sim.url, fingerprint=sim.fingerprint))
        assert sim.session.competing, "it was not pushed out"
    assert rows["other logins"].state is State.FAIL


async def test_what_a_session_that_is_down_knows_is_said_once() -> None:
    health = BrokerHealth(source=Source.PORTAL, state=LinkState.BANNED, competing=True, needs="Log out elsewhere")
    async with PortalSim(competing=True) as sim:
        where = portal_place(sim.url, fingerprint=sim.fingerprint)
        rows = await check_portal(where, health, None, SystemClock().wall_ns(), patience_s=5.0)
    checks = [row.check for row in rows]
    assert len(checks) == len(set(checks))
    assert {"login", "other logins", "session", "account"} <= set(checks)


@pytest.mark.parametrize("kind", ["changed", "expired"])
async def test_a_certificate_that_is_not_the_kept_one_or_has_ended_is_refused(tmp_path: Path, kind: str) -> None:
    pin = tmp_path / "gateway.json"
    async with PortalSim(expired_certificate=kind == "expired") as sim:
        shown = Certificate.of(sim.certificate_pem)
        kept = shown if kind == "expired" else Certificate.of(make_certificate().certificate_pem)
        PinStore(pin).put(kept)
        rows = await portal_rows(portal_place(sim.url, pin))
        assert sim.desk.counts["requests"] == 0
    assert rows["certificate"].state is State.FAIL
    if kind == "changed":
        assert kept.fingerprint in rows["certificate"].cause
        assert shown.fingerprint in rows["certificate"].cause
    else:
        assert "expired on" in rows["certificate"].cause


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (web, "web server without TLS"),
        (says(greeting(), hold=True), "TWS or IB Gateway answers"),
        (silent, "does not speak TLS"),
    ],
)
async def test_something_else_on_the_port_of_the_gateway_is_named(serve: Serve, words: str) -> None:
    async with listening(serve) as port:
        where = portal_place(f"https://127.0.0.1:{port}")
        found = await check_portal(where, None, None, 0, patience_s=PATIENCE_S)
    rows = {row.check: row for row in found}
    assert rows["who answers"].state is State.FAIL
    assert words in rows["who answers"].cause


async def test_a_closed_port_an_address_elsewhere_and_a_gateway_that_is_off() -> None:
    port = free_port()
    rows = await portal_rows(portal_place(f"https://localhost:{port}"))
    assert rows["port"].cause == f"Nothing listens at localhost:{port}."
    elsewhere = await portal_rows(portal_place("https://gateway.example:5000"))
    assert (list(elsewhere), elsewhere["address"].state) == (["address"], State.FAIL)
    off = await portal_rows(portal_place(f"https://localhost:{port}", enabled=False))
    assert [row.state for row in off.values()] == [State.OFF]
    async with PortalSim() as sim:
        there = await portal_rows(portal_place(sim.url, enabled=False))
    assert there["port"].state is State.OFF
    assert "ibkr.portal.enabled=true" in there["port"].advice


# -- crypto venues ------------------------------------------------------------------------------------------------

BYBIT = next(host for host in venues.HOSTS if host.service == "Bybit")
HYPERLIQUID = next(host for host in venues.HOSTS if host.service == "Hyperliquid")
SPOT = venues.HOSTS[0]


async def ask(host: venues.VenueHost, url: str, bans: BanStore | None = None) -> dict[str, Finding]:
    settings = Settings()
    settings.override([f"{host.url_key}={url}"])
    now_ns = SystemClock().wall_ns()
    look = await venues.check_venue(host, settings, bans or BanStore(None), now_ns, PATIENCE_S)
    return {row.check: row for row in look.rows}


def now_ms() -> int:
    return SystemClock().wall_ns() // 1_000_000


@pytest.mark.parametrize(
    ("host", "path", "body"),
    [
        (venues.HOSTS[0], "/api/v3/time", lambda: {"serverTime": now_ms()}),
        (venues.HOSTS[1], "/fapi/v1/time", lambda: {"serverTime": now_ms()}),
        (BYBIT, "/v5/market/time", lambda: {"retCode": 0, "result": {"timeNano": str(now_ms() * 1_000_000)}}),
    ],
)
async def test_every_venue_is_asked_for_its_time(host: venues.VenueHost, path: str, body: Callable[[], object]) -> None:
    async with HttpServer().running() as server:
        server.answer = lambda _path: Reply(body=body())
        rows = await ask(host, server.url)
        assert server.paths == [path]
    assert (rows["reachable"].state, rows["clock"].state) == (State.OK, State.OK)
    assert rows["reachable"].took_ms is not None


async def test_hyperliquid_is_asked_by_post() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(next(line for line in head.lower().split(b"\r\n") if b"content-length" in line).split(b":")[1])
        asked.append(head.split(b"\r\n")[0] + b" " + await reader.readexactly(length))
        body = json.dumps({"time": now_ms() + 5_000}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with listening(serve) as port:
        rows = await ask(HYPERLIQUID, f"http://127.0.0.1:{port}")
    assert asked == [b'POST /info HTTP/1.1 {"type":"exchangeStatus"}']
    assert rows["clock"].state is State.WARN
    assert "ahead of" in rows["clock"].cause


@pytest.mark.parametrize(
    ("reply", "words", "advice"),
    [
        (Reply(451), "does not serve this country (HTTP 451)", "binance.spot.enabled=false"),
        (Reply(403), "(HTTP 403)", "binance.spot.rest_url"),
        (Reply(429), "slow down", "Wait"),
        (Reply(418), "banned this address", "Wait"),
        (Reply(503), "maintenance", "again later"),
        (Reply(404), "path", "binance.spot.rest_url right"),
        (Reply(body=b"<html>"), "not as Binance spot does", "binance.spot.rest_url right"),
        (Reply(body={"serverTime": "soon"}), "not as Binance spot does", "binance.spot.rest_url right"),
        (Reply(body=b'{"serverTime":1}', cut=True), "broke off its answer", "network up"),
        (None, "did not answer within", "firewall"),
    ],
)
async def test_a_venue_that_refuses_or_fails_is_said_in_words(reply: Reply | None, words: str, advice: str) -> None:
    async with HttpServer().running() as server:
        server.answer = lambda _path: reply
        rows = await ask(SPOT, server.url)
    assert rows["reachable"].state is State.FAIL
    assert words in rows["reachable"].cause
    assert advice in rows["reachable"].advice


async def test_names_closed_ports_certificates_and_addresses_are_told_apart() -> None:
    closed = await ask(SPOT, f"http://127.0.0.1:{free_port()}")
    assert "refused" in closed["reachable"].cause
    named = await ask(SPOT, "http://no-such-host.invalid")
    assert "cannot be resolved" in named["reachable"].cause
    wrong = await ask(SPOT, "data-api")
    assert "is no address" in wrong["reachable"].cause
    async with listening(silent, server_context(make_certificate())) as port:
        foreign = await ask(SPOT, f"https://127.0.0.1:{port}")
    assert "not trusted" in foreign["reachable"].cause
    assert "read along" in foreign["reachable"].advice


async def test_a_venue_that_has_banned_this_address_is_left_alone() -> None:
    async with HttpServer().running() as server:
        bans = BanStore(None)
        now_ns = SystemClock().wall_ns()
        bans.put(server.url.removeprefix("http://"), Ban(418, now_ns + NEVER), now_ns)
        rows = await ask(SPOT, server.url, bans)
        assert server.paths == []
    assert rows["reachable"].state is State.FAIL
    assert "60 min" in rows["reachable"].cause


# -- the data folder ----------------------------------------------------------------------------------------------


async def folder_rows(folder: Path, room: int = 50 * 2**30) -> dict[str, Finding]:
    return {row.check: row for row in await machine.check_folder(folder, lambda _folder: room)}


async def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    rows = await folder_rows(tmp_path)
    assert {row.state for row in rows.values()} == {State.OK}
    assert os.listdir(tmp_path) == []
    assert (await folder_rows(tmp_path / "new"))["writable"].cause.endswith("is made at the first start.")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
async def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / machine.PROBE_NAME).symlink_to("/dev/full")
    rows = await folder_rows(tmp_path)
    assert rows["writable"].state is State.FAIL
    assert "No space left" in rows["writable"].cause
    assert "Make room" in rows["writable"].advice


async def test_a_folder_where_a_file_is_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rows = await folder_rows(tmp_path / "file")
    assert rows["writable"].state is State.FAIL


@pytest.mark.parametrize(
    ("room", "state"), [(300 * 2**30, State.OK), (1 * 2**30, State.WARN), (50 * 2**20, State.FAIL)]
)
async def test_little_room_is_a_warning_and_none_a_failure(tmp_path: Path, room: int, state: State) -> None:
    assert (await folder_rows(tmp_path, room))["disk space"].state is state


async def test_everything_is_looked_at_at_once_on_one_machine(tmp_path: Path) -> None:
    async with HttpServer().running() as server, TwsSim() as tws, PortalSim() as gateway:
        server.answer = lambda path: Reply(
            body={"serverTime": now_ms(), "time": now_ms(), "result": {"timeNano": str(now_ms() * 1_000_000)}}
        )
        settings = Settings()
        urls = [f"{host.url_key}={server.url}" for host in venues.HOSTS]
        settings.override([*urls, "ibkr.tws.enabled=true", f"ibkr.tws.port={tws.port}", "ibkr.portal.enabled=true"])
        settings.override([f"ibkr.portal.url={gateway.url}", f"ibkr.portal.fingerprint={gateway.fingerprint}"])
        files = DoctorFiles(base=tmp_path, database=tmp_path / "history.sqlite", bans=tmp_path / "bans.json")
        findings = await Doctor(settings, files, SystemClock()).run()
        assert gateway.order_requests == []
    wrong = [row for row in findings if row.state is State.FAIL and row.service != "Hyperliquid"]
    assert wrong == []
    clock = next(row for row in findings if row.service == machine.CLOCK_SERVICE)
    assert clock.state is State.OK
    assert "Bybit" in clock.cause
    assert os.listdir(tmp_path) == []
