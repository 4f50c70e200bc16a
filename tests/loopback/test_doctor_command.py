"""`main.py doctor` as a script uses it: one JSON document, an exit code, nothing that must not be passed on."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from http_server import HttpServer, Reply

from app.domain.clock import SystemClock
from app.services.doctor import SERVICES
from app.services.doctor_checks import venues
from app.sim.portal import PortalSim
from app.sim.tws import TwsSim

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Done:
    """How a command ended."""

    code: int | None
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    def row(self, service: str, check: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            row for row in self.document["findings"] if (row["service"], row["check"]) == (service, check)
        )
        return found


async def doctor(folder: Path, *arguments: str, settings: tuple[str, ...] = ()) -> Done:
    """Run the command to its end."""
    words = [word for setting in settings for word in ("--set", setting)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "main.py"), "doctor", *arguments, "--basedir", str(folder), *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    out, err = await process.communicate()
    return Done(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def venue_settings() -> AsyncIterator[tuple[str, ...]]:
    """Serve the time of Binance and Bybit; Hyperliquid, which is asked by POST, is off."""

    def answer(_path: str) -> Reply:
        now_ns = SystemClock().wall_ns()
        return Reply(body={"serverTime": now_ns // 1_000_000, "result": {"timeNano": str(now_ns)}})

    async with HttpServer().running() as server:
        server.answer = answer
        urls = [f"{host.url_key}={server.url}" for host in venues.HOSTS if host.service != "Hyperliquid"]
        yield (*urls, "hyperliquid.perp.enabled=false", "hyperliquid.spot.enabled=false")


async def test_all_is_well_and_the_exit_code_says_so(tmp_path: Path) -> None:
    async with venue_settings() as settings, TwsSim() as tws, PortalSim() as gateway:
        done = await doctor(
            tmp_path, "--json",
            settings=(
                *settings, "ibkr.tws.enabled=true", f"ibkr.tws.port={tws.port}",
                "ibkr.portal.enabled=true", f"ibkr.portal.url={gateway.url}",
                f"ibkr.portal.fingerprint={gateway.fingerprint}",
            ),
        )  # fmt: skip
        assert list(tws.requests) == [], "no login without --login"
        assert gateway.order_requests == []
    assert (done.code, done.err) == (0, "")
    assert done.document["ok"] is True
    assert [name for name in SERVICES if name not in {row["service"] for row in done.document["findings"]}] == []
    assert all(set(row) >= {"state", "cause", "advice", "took_ms"} for row in done.document["findings"])
    assert done.row("IBKR TWS", "who answers")["cause"] == "TWS or IB Gateway, API version 178."
    assert done.row("IBKR Client Portal", "login")["state"] == "ok"


async def test_with_login_a_session_tells_what_only_it_knows_and_no_account_is_named(tmp_path: Path) -> None:
    async with venue_settings() as settings, TwsSim() as tws:
        done = await doctor(
            tmp_path, "--json", "--login", settings=(*settings, "ibkr.tws.enabled=true", f"ibkr.tws.port={tws.port}")
        )
        assert tws.order_requests == []
    assert done.code == 0, done.out
    assert "DU•••67: paper trading" in done.row("IBKR TWS", "account")["cause"]
    assert done.row("IBKR TWS", "read-only")["cause"].startswith("TWS refuses orders")
    assert done.row("IBKR TWS", "market data")["cause"] == "1 live."
    assert done.row("IBKR TWS", "client id")["state"] == "ok"
    assert "DU1234567" not in done.out


async def test_what_is_switched_on_and_fails_makes_the_exit_code_one(tmp_path: Path) -> None:
    async with venue_settings() as settings, HttpServer().running() as web:
        port = web.url.rpartition(":")[2]
        done = await doctor(
            tmp_path,
            settings=(
                *settings, "ibkr.tws.enabled=true", f"ibkr.tws.port={port}",
                "redis.url=redis://me:hunter2@127.0.0.1:1/0",
                "database.url=postgresql+psycopg://me:hunter2@127.0.0.1:1/none",
            ),
        )  # fmt: skip
    assert (done.code, done.err) == (1, "")
    assert "FAIL    who answers" in done.out
    assert "FAIL    connection" in done.out
    assert "hunter2" not in done.out
    assert done.out.rstrip().endswith("that something does not work.")


async def test_a_wrong_setting_is_a_sentence(tmp_path: Path) -> None:
    done = await doctor(tmp_path, "--json", settings=("ibkr.tws.port=0",))
    assert done.code == 2
    assert "ibkr.tws.port" in done.document["error"]


@pytest.mark.skipif(sys.platform == "win32", reason="HOME does not name the user's folder there")
async def test_the_users_folder_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "anna"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    async with venue_settings() as settings:
        done = await doctor(home / "state", "--json", settings=settings)
    assert done.code == 0
    assert "~/state" in done.row("Data folder", "writable")["cause"]
    assert str(home) not in done.out
