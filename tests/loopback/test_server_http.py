"""Every address of the local server by plain HTTP, its page files, and how it starts or says why not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import httpx
import pytest

from app.domain.clock import SystemClock
from app.domain.ids import Market
from app.server.auth import usable_token
from app.server.service import LocalServer
from app.server.status import ServerOptions
from app.settings.store import Settings
from tests.loopback.server_rig import TOKEN, hear, serving
from tests.loopback.server_stand_in import StandInData


async def test_health_says_what_runs() -> None:
    async with serving() as rig, httpx.AsyncClient(base_url=rig.origin, headers=rig.bearer) as http:
        body = (await http.get("/health")).json()
        assert (body["status"], body["program"], body["mode"], body["read_only"]) == ("ok", "Fathom", "DEMO", True)
        assert body["interval_ms"] == 50


@pytest.mark.parametrize("path", ["/ws/realtime/status", "/api/ws/status"])
async def test_the_servers_own_status_counts_symbols_and_connections(path: str) -> None:
    async with serving() as rig, rig.client("/ws/realtime/bybit") as client:
        await hear(client)
        body = (await rig.get(path)).json()
        assert body["workers_running"] is True
        assert body["symbols"] == {"binance": 10, "bybit": 5}
        assert body["active_connections"] == 1
        assert body["frames_sent"] == 1


async def test_the_programs_status_shows_feeds_and_mode() -> None:
    async with serving() as rig:
        body = (await rig.get("/api/status")).json()
        assert (body["type"], body["mode"], body["notes"]) == ("status", "DEMO", [])
        assert [feed["feed"] for feed in body["feeds"]] == ["binance.spot", "binance.usdm", "bybit.linear"]


async def test_ticks_of_the_last_seconds() -> None:
    async with serving() as rig:
        body = (await rig.get("/api/ticks/btcusdt?marketType=FUTURES&last=2")).json()
        assert (body["symbol"], body["venue"], body["marketType"], body["last"]) == ("BTCUSDT", "binance", "FUTURES", 2)
        assert body["count"] == len(body["data"]) == 2
        assert body["data"][0]["bid_coverage"][0] == "exact"


async def test_a_snapshot_with_as_many_levels_as_asked() -> None:
    async with serving() as rig:
        body = (await rig.get("/api/snapshots/ETHUSDT?levels=5")).json()
        assert (body["symbol"], len(body["bids"]), len(body["asks"])) == ("ETHUSDT", 5, 5)
        assert body["bid_usd"][-1] is None
        assert body["age_ms"] >= 0


@pytest.mark.parametrize(("name", "lines"), [("avg", 1), ("bid-ask", 28), ("totals", 21), ("delta", 5)])
async def test_indicators_of_the_total(name: str, lines: int) -> None:
    async with serving() as rig:
        body = (await rig.get(f"/api/indicators/{name}?category=TOTAL&marketType=SPOT")).json()
        assert (body["indicator"], body["category"], body["marketType"]) == (name, "TOTAL", "SPOT")
        assert len(body["lines"]) == lines
        assert {"key", "label", "value", "coverage", "unconfirmed"} == set(body["lines"][0])
        assert "points" not in body


async def test_one_depth_of_an_indicator_over_time() -> None:
    async with serving() as rig:
        base = "/api/indicators/delta?category=ethusdt&venue=bybit&marketType=FUTURES&depth=5"
        body = (await rig.get(base + "&last=30")).json()
        assert (body["category"], body["venue"], body["depth"]) == ("ETHUSDT", "bybit", 5)
        assert [line["key"] for line in body["lines"]] == ["delta:5"]
        points = body["points"]
        assert len(points["times"]) == len(points["lines"][0]["values"]) == len(points["lines"][0]["coverage"]) == 30
        assert len((await rig.get(base + "&minutes=240")).json()["points"]["times"]) == 240
        rig.data.history_away = True
        answer = await rig.get(base + "&minutes=240")
        assert (answer.status, answer.json()["error"]) == (503, "history_away")


async def test_validation_gives_what_the_numbers_rest_on() -> None:
    async with serving() as rig:
        assert (await rig.get("/api/validation/BTCUSDT?marketType=SPOT")).json()["facts"] == {"last_update_id": 7}


async def test_rows_can_be_polled() -> None:
    async with serving() as rig:
        body = (await rig.get("/api/rows?venue=all&symbols=BTCUSDT,ETHUSDT&marketType=ALL")).json()
        assert body["count"] == 6
        assert {(row["venue"], row["marketType"]) for row in body["data"]} == {
            ("binance", "SPOT"),
            ("binance", "FUTURES"),
            ("bybit", "FUTURES"),
        }
        assert (await rig.get("/api/rows?limit=3")).json()["count"] == 3


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/ticks/NOPE", 404, "unknown_symbol"),
        ("/api/ticks/BTCUSDT?venue=kraken", 404, "unknown_venue"),
        ("/api/ticks/BTCUSDT?venue=hyperliquid", 404, "unknown_symbol"),
        ("/api/ticks/BTCUSDT?marketType=OPTIONS", 400, "unknown_market"),
        ("/api/ticks/BTCUSDT?last=0", 400, "bad_number"),
        ("/api/ticks/BTCUSDT?last=121", 400, "bad_number"),
        ("/api/ticks/BTCUSDT?last=nan", 400, "bad_number"),
        ("/api/ticks/BTCUSDT?last=1_0", 400, "bad_number"),
        ("/api/ticks/", 400, "bad_request"),
        ("/api/ticks/" + "A" * 65, 400, "bad_request"),
        ("/api/ticks/%ff", 400, "bad_request"),
        ("/api/snapshots/BTCUSDT?levels=0", 400, "bad_number"),
        ("/api/snapshots/BTCUSDT?levels=2.5", 400, "bad_number"),
        ("/api/snapshots/BTCUSDT?levels=1001", 400, "bad_number"),
        ("/api/indicators/rsi", 404, "unknown_indicator"),
        ("/api/indicators/delta?depth=7", 400, "unknown_depth"),
        ("/api/indicators/delta?depth=60", 400, "unknown_depth"),
        ("/api/indicators/delta?depth=x", 400, "bad_number"),
        ("/api/indicators/avg?category=BTCUSDT", 400, "unknown_category"),
        ("/api/indicators/delta?category=", 400, "unknown_category"),
        ("/api/indicators/delta?category=NOPE", 404, "unknown_category"),
        ("/api/indicators/delta?minutes=1441", 400, "bad_number"),
        ("/api/validation/NOPE", 404, "unknown_symbol"),
        ("/api/rows?limit=1001", 400, "bad_number"),
        ("/api/rows?symbols=NOPE", 404, "unknown_symbol"),
        ("/api/nothing", 404, "not_found"),
        ("/api/status?" + "&".join(f"a{n}=1" for n in range(40)), 400, "bad_request"),
        ("/api/status?a=%ff", 400, "bad_request"),
        ("/ws", 426, "upgrade_required"),
        ("/ws/realtime/binance", 426, "upgrade_required"),
        ("/api/status?" + "a" * 2048, 414, "too_long"),
    ],
)
async def test_what_there_is_not_is_said_clearly(path: str, status: int, code: str) -> None:
    async with serving() as rig:
        answer = await rig.get(path)
        assert (answer.status, answer.json()["error"]) == (status, code)
        assert answer.json()["message"]
        assert answer.headers["content-type"] == "application/json"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    (folder / "parts").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "index.html").write_text("<!doctype html>page")
    (folder / "app.js").write_text("export {}")
    (folder / "parts" / "look.css").write_text("body {}")
    (folder / ".hidden.js").write_text("hidden")
    (folder / "tool.py").write_text("hidden")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    return folder


async def test_the_page_is_served_without_a_token_and_may_load_its_own_files_only(page: Path) -> None:
    async with serving(page=page) as rig:
        for path, kind in (("/", "text/html"), ("/?view=avg", "text/html"), ("/app.js", "text/javascript")):
            answer = await rig.get(path, token=False)
            assert answer.status == 200
            assert answer.headers["content-type"].startswith(kind)
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert f"connect-src 'self' ws://127.0.0.1:{rig.port};" in policy
            assert not any(name.startswith("access-control") for name in answer.headers)
        assert (await rig.get("/parts/look.css", token=False)).body == b"body {}"
        assert (await rig.get("/", method="HEAD", token=False)).body == b""


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/parts/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..\\secret.txt",
        "//secret.txt",
        "//etc/passwd",
        "/out.txt",
        "/.hidden.js",
        "/tool.py",
        "/parts",
        "/parts/",
        "/app.js/",
        "/nothing.js",
        "/app.js%00.txt",
    ],
)
async def test_nothing_but_the_pages_files_can_be_had(page: Path, path: str) -> None:
    async with serving(page=page) as rig:
        for token in (True, False):
            answer = await rig.get(path, token=token)
            assert (answer.status, answer.json()["error"]) == (404, "not_found")


def server_with(**options: object) -> tuple[LocalServer, dict[str, str | None]]:
    notes: dict[str, str | None] = {}
    chosen = {"port": 0, "token": TOKEN, **options}
    made = ServerOptions(**chosen)  # type: ignore[arg-type] # checked by the dataclass
    return LocalServer(StandInData(), made, SystemClock(), on_note=notes.__setitem__), notes


async def test_a_port_in_use_is_a_sentence_and_another_try_works() -> None:
    async with serving() as rig:
        server, notes = server_with(port=rig.port)
        assert not await server.start()
        assert not server.status.running
        assert server.status.error == notes["server"]
        assert f"port {rig.port} is in use" in server.status.error
    assert await server.start()
    assert server.status.error == ""
    assert notes["server"] is None
    await server.stop()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "192.0.2.1"}, "server.allow_lan"),
        ({"host": ""}, "server.host is empty"),
        ({"host": "192.0.2.1", "allow_lan": True}, "no address 192.0.2.1"),
        ({"token": "short"}, "server.token"),
        ({"token": "with a space and more"}, "server.token"),
    ],
)
async def test_a_server_that_cannot_start_says_why(options: dict[str, object], words: str) -> None:
    server, notes = server_with(**options)
    assert not await server.start()
    assert words in server.status.error
    assert notes["server"] == server.status.error
    await server.run()  # comes back at once
    await server.stop()


async def test_listening_beyond_this_machine_warns_and_answers_to_that_address_only() -> None:
    every_address = ".".join("0" * 4)
    async with serving(host=every_address, allow_lan=True, names=("Depth.Example",)) as rig:
        assert "can be reached from the network" in rig.server.status.warning
        assert rig.notes["server"] == rig.server.status.warning
        assert (await rig.get("/health")).status == 200
        assert (await rig.get("/health", host=f"depth.example:{rig.port}")).status == 200
        assert (await rig.get("/health", host=f"evil.example:{rig.port}")).status == 403
        assert (await rig.get("/health", host=f"192.0.2.1:{rig.port}")).status == 403
        links = rig.server.status.links
        assert links[-1] == f"http://127.0.0.1:{rig.port}/?token={TOKEN}"
    assert rig.notes["server"] is None


async def test_the_token_is_kept_in_a_file_of_the_user_and_can_be_renewed(tmp_path: Path) -> None:
    file = tmp_path / "server.token"
    server, _ = server_with(token="", token_file=file)
    assert await server.start()
    first = server.status.links[0].rpartition("=")[2]
    assert usable_token(first)
    assert len(first) >= 43
    assert file.read_text() == first
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await server.stop()
    again, _ = server_with(token="", token_file=file)
    assert await again.start()
    assert again.status.links[0].rpartition("=")[2] == first
    await again.renew_token()
    second = again.status.links[0].rpartition("=")[2]
    assert second != first
    assert file.read_text() == second
    async with httpx.AsyncClient(base_url=f"http://{again.address}") as http:
        for token, status in ((first, 401), (second, 200)):
            assert (await http.get("/health", headers={"Authorization": f"Bearer {token}"})).status_code == status
    await again.stop()


async def test_without_a_file_each_start_has_its_own_token() -> None:
    tokens = set()
    for _ in range(2):
        server, _ = server_with(token="")
        assert await server.start()
        tokens.add(server.status.links[0])
        await server.stop()
    assert len(tokens) == 2


def test_settings_become_options() -> None:
    settings = Settings()
    assert not settings.flag("server.enabled")
    assert ServerOptions.of(settings, token_file=None, page=None) == ServerOptions()
    settings.override(["server.port=9000", "server.interval=1.0", "server.names=a.example, b.example"])
    options = ServerOptions.of(settings, token_file=Path("t"), page=Path("p"))
    assert (options.port, options.interval_s, options.names) == (9000, 1.0, ("a.example", "b.example"))


async def test_the_status_lists_clients_with_what_they_take() -> None:
    async with serving() as rig, rig.client("/ws/realtime/binance?symbols=BTCUSDT") as client:
        await hear(client)
        (info,) = rig.server.status.clients
        assert (info.address, info.path, info.subscriptions) == ("127.0.0.1", "/ws/realtime/binance", 1)
        assert info.frames == 1
        assert info.bytes > 100
        assert info.since_ns > 0
        rig.data.move(Market.BINANCE_SPOT, "BTCUSDT", 2.0)
        await hear(client, "market_data")
        (info,) = rig.server.status.clients
        assert (info.frames, info.unsent, info.conflated) == (2, 0, 0)
        assert rig.server.status.frames == 2
    await rig.until(lambda: not rig.server.status.clients)
    assert rig.server.status.frames == 2
