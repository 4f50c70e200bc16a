"""Node as an independent client of the local server: the package `ws`, and Node's own WebSocket where it has one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_serving import Served, serving

CLIENT = Path(__file__).parent / "node" / "client.mjs"
WS_VERSION = "8.18.3"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as program:
        yield program


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("no Node on this machine")
    return found


@pytest.fixture(scope="module")
def modules(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install `ws` into a folder of its own, without running anything of it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine")
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
    settings = {"npm_config_fetch_retries": "0", "npm_config_fetch_timeout": "15000", "npm_config_cache": str(folder)}
    try:
        done = subprocess.run(
            [*command, f"ws@{WS_VERSION}"],
            **{"capture_output": True, "text": True, "check": False, "timeout": 60},
            env={**os.environ, **settings},
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry does not answer")
    if done.returncode:
        pytest.skip(f"npm could not install ws: {done.stderr.strip().splitlines()[:1]}")
    return folder / "node_modules"


def talk(node: list[str], served: Served, *arguments: str, modules: Path | None = None) -> Any:
    """Run the client and return what it got."""
    environment = {**os.environ, **({"NODE_PATH": str(modules)} if modules else {})}
    done = subprocess.run(
        [*node, str(CLIENT), served.url.replace("http", "ws"), served.token, *arguments],
        **{"capture_output": True, "text": True, "check": False, "timeout": 60},
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_understood(said: Any) -> None:
    rows = said["rows"]
    assert rows["initial"]["venue"] == "binance"
    assert rows["initial"]["count"] == 2
    assert {row["symbol"] for row in rows["initial"]["data"]} == {"BTCUSDT", "ETHUSDT"}
    fields = {"symbol", "price", "volume_24h", "change_24h", "high_24h", "low_24h", "bid", "ask", "timestamp"}
    assert all(fields <= row.keys() for row in rows["initial"]["data"])
    assert {row["symbol"] for row in rows["later"]["data"]} <= {"BTCUSDT", "ETHUSDT"}
    assert rows["later"]["time"] >= rows["initial"]["time"]
    assert rows["pong"]["type"] == "pong"
    assert rows["code"] == 1000
    named = said["subscriptions"]
    book = {"symbol": "BTCUSDT", "venue": "binance", "marketType": "SPOT"}
    assert named["subscribed"]["symbols"] == [book]
    assert {key: named["tick"][key] for key in book} == book
    assert len(named["tick"]["bid_usd"]) == len(named["tick"]["bid_coverage"]) == 7
    assert named["indicator"]["category"] == "TOTAL"
    assert named["indicator"]["lines"][0]["coverage"] == "exact"
    assert named["error"]["code"] == "unknown_symbol"
    assert named["error"]["id"] == "wrong"
    assert named["unsubscribed"]["symbols"] == []
    assert named["code"] == 1000


def test_the_package_ws_understands_the_server(node: str, served: Served, modules: Path) -> None:
    assert_understood(talk([node], served, modules=modules))


def test_nodes_own_websocket_understands_the_server(node: str, served: Served) -> None:
    for flags in ([], ["--experimental-websocket"]):  # Node 22 has it, Node 20 behind a flag
        command = [node, *flags, "-p", "typeof WebSocket"]
        probe = subprocess.run(command, capture_output=True, text=True, check=False)
        if probe.stdout.strip() == "function":
            assert_understood(talk([node, *flags, "--no-warnings"], served, "builtin"))
            return
    pytest.skip("this Node has no WebSocket of its own; 22 and later have")
