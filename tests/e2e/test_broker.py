"""The program with both ways to a simulated broker: a whole session with a restart of TWS and a lost socket.

The account is compared with the simulator's own books; no order message may ever come over either wire.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import urllib.request
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import BINANCE_ONLY, Program, answer, run

from app.domain.account import Source, Tag
from app.domain.clock import SystemClock
from app.domain.errors import BadFrameError
from app.services.broker_replay import BrokerReplay
from app.services.desk import BrokerOutputs
from app.storage.recorder import Recording

pytestmark = pytest.mark.timeout(240)

ACCOUNT = "DU1234567"
SETTINGS = (
    *(word for word in BINANCE_ONLY if word not in ("--set", "demo.ibkr=off")),
    "binance.symbols=10",
    "demo.ibkr=both",
)
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Broker:
    """The control address of the simulated broker behind a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._base = ""

    def get(self, path: str) -> Any:
        """Return what the simulator answers, None while it does not."""
        if not self._base:
            self._base = self._find()
        try:
            with _direct.open(f"{self._base}{path}", timeout=20) as reply:
                return json.load(reply)
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def _find(self) -> str:
        child = self.program.simulator("ibkr")
        listening = (each for each in child.net_connections("tcp") if each.status == psutil.CONN_LISTEN)
        for port in sorted({each.laddr.port for each in listening}):
            base = f"http://127.0.0.1:{port}"
            try:
                with _direct.open(f"{base}/state", timeout=20) as reply:
                    if {"tws", "portal"} <= json.load(reply).keys():
                        return base
            except (OSError, http.client.HTTPException, ValueError):
                continue
        raise AssertionError("the simulated broker has no control address")

    def fault(self, name: str, **arguments: object) -> None:
        """Let something go wrong."""
        data = json.dumps({"name": name, **arguments}).encode()
        _direct.open(f"{self._base}/fault", data=data, timeout=20).close()

    def state(self) -> dict[str, Any]:
        """Return the counters of both simulators."""
        found: dict[str, Any] = self.program.until(lambda: self.get("/state"), "the broker's counters")
        return found


def rows(state: Path, query: str) -> list[tuple[Any, ...]]:
    """Return rows of the program's database."""
    file = state / "history.sqlite"
    if not file.is_file():
        return []
    with closing(sqlite3.connect(file)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the program with the broker's panels through a restart and a lost socket; keep what is left of it."""
    folder = tmp_path_factory.mktemp("broker")
    state, recording = folder / "state", folder / "run.rec"
    program = Program(state, "--record", recording, "--layout", "Broker", settings=SETTINGS)
    broker = Broker(program)
    try:
        program.until_live()
        program.until(lambda: broker.get("/state"), "the simulated broker")
        program.until(lambda: broker.state()["tws"]["lines"] > 20, "lines at TWS")
        program.until(lambda: broker.state()["portal"]["clients"] == 1, "a socket to the gateway")
        for source in Source:
            query = f"SELECT 1 FROM executions WHERE source = '{source.value}'"
            program.until(lambda query=query: rows(state, query), f"fills of {source}")
        program.until(lambda: rows(state, "SELECT 1 FROM orders WHERE source = 'portal' AND NOT fills_only"), "orders")
        before = {**broker.state(), **broker.get(f"/truth?account={ACCOUNT}")}
        broker.fault("tws/restart", duration=2)
        broker.fault("portal/drop")
        program.until(lambda: not broker.state()["tws"]["listening"], "TWS to go down")
        program.until(lambda: broker.state()["tws"]["lines"] >= before["tws"]["lines"], "every line again")
        program.until(lambda: broker.state()["portal"]["clients"] == 1, "the socket to the gateway again")
        known = len(rows(state, "SELECT 1 FROM executions WHERE source = 'tws'"))
        program.until(lambda: len(rows(state, "SELECT 1 FROM executions WHERE source = 'tws'")) > known, "a new fill")
        served = json.dumps([program.need("/api/status"), program.need("/health"), program.need("/api/rows?limit=500")])
        truth = broker.get(f"/truth?account={ACCOUNT}")
        after = broker.state()
        last = broker.get(f"/truth?account={ACCOUNT}")
        program.quit()
    finally:
        program.kill()
    return {
        "state": state,
        "recording": recording,
        "before": before,
        "after": after,
        "truth": truth,
        "last": last,
        "served": served,
        "log": "".join((*program.said, program.log())),
    }


def test_no_order_message_went_over_either_wire(whole: dict[str, Any]) -> None:
    after = whole["after"]
    assert after["tws"]["order_requests"] == []
    assert after["portal"]["order_requests"] == []
    assert sum(after["portal"]["rest"].values()) > 10
    assert after["portal"]["streams"]
    assert not after["portal"]["kicked_others"]


def test_after_a_restart_nothing_is_asked_for_twice(whole: dict[str, Any]) -> None:
    before, after = whole["before"], whole["after"]
    assert after["tws"]["clients"] == before["tws"]["clients"] == 1
    assert after["tws"]["lines"] <= 100
    assert after["portal"]["clients"] == 1


def test_no_fill_is_lost_or_told_twice(whole: dict[str, Any]) -> None:
    true_fills = whole["before"]["fills"]
    assert len(true_fills) > 5
    for source in Source:
        stored = rows(whole["state"], f"SELECT exec_id FROM executions WHERE source = '{source.value}'")
        counts = Counter(exec_id for (exec_id,) in stored)
        assert max(counts.values()) == 1
        assert set(true_fills) - counts.keys() == set(), source
        assert counts.keys() <= set(whole["last"]["fills"]) | set(whole["truth"]["fills"]), source
    assert rows(whole["state"], "SELECT 1 FROM executions WHERE commission IS NOT NULL")


def test_profit_and_loss_of_the_minute_is_kept_by_source(whole: dict[str, Any]) -> None:
    kept = rows(whole["state"], "SELECT source, account, net_liquidation FROM pnl_minutes")
    assert {(source, account) for source, account, _ in kept} == {("tws", ACCOUNT), ("portal", ACCOUNT)}
    true = whole["truth"]["values"]["NetLiquidation.USD"]
    assert all(figure == pytest.approx(true, rel=0.05) for _, _, figure in kept if figure is not None)


def test_neither_account_nor_session_leaves_the_program(whole: dict[str, Any]) -> None:
    assert ACCOUNT not in whole["served"]
    assert ACCOUNT not in whole["log"]
    recorded = [entry for entry in Recording(whole["recording"]) if entry.feed == Source.PORTAL.feed]
    assert not any("api={" in entry.raw for entry in recorded)
    assert "Cookie" not in whole["log"]


def test_the_recording_shows_the_account_again(whole: dict[str, Any]) -> None:
    recording = Recording(whole["recording"])
    assert recording.header["brokers"] == ["ibkr.tws", "ibkr.portal"]
    replay = BrokerReplay(recording, SystemClock(), BrokerOutputs(), 100)
    for entry in recording:
        if entry.feed == Source.PORTAL.feed:
            try:
                replay.feed(Source.PORTAL, entry.recv_ns, entry.kind, entry.argument, entry.raw)
            except BadFrameError as error:  # pragma: no cover
                pytest.fail(f"{entry.argument}: {error}")
    ledger = replay.brokerage.desks[Source.PORTAL].ledger
    true = whole["truth"]
    assert ledger.accounts == (ACCOUNT,)
    held = {con_id for _, con_id in ledger.positions}
    assert len(held ^ {each["con_id"] for each in true["positions"]}) <= 2, "positions may be a few seconds old"
    worth, _ = ledger.value(ACCOUNT, Tag.NET_LIQUIDATION)
    assert worth == pytest.approx(true["values"]["NetLiquidation.USD"], rel=0.05)
    assert ledger.orders.orders


def test_a_replay_opens_the_panels_of_the_broker(whole: dict[str, Any], tmp_path: Path) -> None:
    done = run(
        "--replay", whole["recording"], "--speed", "max", "--basedir", tmp_path, "--layout", "Broker",
        "--after", "6", "--measure", tmp_path / "measure.json", "--quit",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_finds_no_broker_where_none_runs(tmp_path: Path) -> None:
    closed = (
        "--set",
        "ibkr.tws.enabled=true",
        "--set",
        "ibkr.tws.port=1",
        "--set",
        "binance.spot.rest_url=http://127.0.0.1:1",
    )
    done = run("doctor", "--json", "--basedir", tmp_path, *closed)
    assert done.returncode == 1
    done.returncode = 0
    found = answer(done)
    assert not found["ok"]
    assert any("TWS" in row["service"] and row["state"] == "fail" for row in found["findings"])
