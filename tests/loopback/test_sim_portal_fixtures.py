"""Answers of the simulated gateway have every key that recordings of the real one have, and of the same kind."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.sim_portal_rig import AAPL, ACCOUNT, MSFT, SPY, Rig, rig_of

# Not told of a stock by the simulator, as no other answer of the real gateway has them.
_UNTOLD = {"isMultiplex"}


def recorded(captures: Path, name: str) -> Any:
    folder = captures / "ibkr_client_portal"
    found = json.loads((folder / name).read_text(encoding="utf-8"))
    return found["Response"]["Body"]


def missing(real: Any, ours: Any, place: str = "") -> list[str]:
    """Return the places where the recording has a key that we lack, or a value of another kind."""
    if isinstance(real, dict):
        if not isinstance(ours, dict):
            return [f"{place}: no object"]
        return [
            found
            for key, value in real.items()
            if key not in _UNTOLD
            for found in (missing(value, ours[key], f"{place}.{key}") if key in ours else [f"{place}.{key}"])
        ]
    if isinstance(real, list):
        if not isinstance(ours, list):
            return [f"{place}: no array"]
        return missing(real[0], ours[0], f"{place}[0]") if real and ours else []
    kinds = (bool, str, int | float)
    if real is None or ours is None:
        return []
    same = any(isinstance(real, kind) and isinstance(ours, kind) for kind in kinds)
    return [] if same else [f"{place}: {real!r} is not {ours!r}"]


async def answer(rig: Rig, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    found = await rig.http.request(method, path, json=body)
    assert found.status_code == 200, found.text
    return found.json()


REQUESTS: list[tuple[str, str, str, dict[str, Any] | None]] = [
    ("Session/GET-auth-status.json", "POST", "/iserver/auth/status", {}),
    ("Portfolio/GET-portfolio-accounts.json", "GET", "/portfolio/accounts", None),
    ("Portfolio/GET-portfolio-subaccounts.json", "GET", "/portfolio/subaccounts", None),
    ("Portfolio/GET-portfolio-ledger.json", "GET", f"/portfolio/{ACCOUNT}/ledger", None),
    ("Portfolio/GET-portfolio-positions-page0.json", "GET", f"/portfolio/{ACCOUNT}/positions/0", None),
    ("Portfolio/GET-portfolio2-positions.json", "GET", f"/portfolio2/{ACCOUNT}/positions", None),
    ("Portfolio/GET-portfolio-position-by-conid.json", "GET", f"/portfolio/{ACCOUNT}/position/{SPY}", None),
    ("Portfolio/POST-portfolio-invalidate.json", "POST", f"/portfolio/{ACCOUNT}/positions/invalidate", {}),
    ("Orders/GET-live-orders-empty.json", "GET", "/iserver/account/orders", None),
    ("Orders/GET-trades-empty.json", "GET", "/iserver/account/trades", None),
    ("MarketData/GET-history.json", "GET", f"/iserver/marketdata/history?conid={SPY}&period=1d&bar=1min", None),
    ("MarketData/GET-unsubscribeall.json", "GET", "/iserver/marketdata/unsubscribeall", None),
    ("MarketData/GET-scanner-params.json", "GET", "/iserver/scanner/params", None),
    ("Scanner/GET-scanner-params.json", "GET", "/iserver/scanner/params", None),
    (
        "MarketData/POST-scanner-run.json",
        "POST",
        "/iserver/scanner/run",
        {"instrument": "STK", "type": "TOP_PERC_GAIN"},
    ),
    ("Contracts/GET-secdef-search.json", "GET", "/iserver/secdef/search?symbol=SPY", None),
    ("Contracts/POST-secdef-search.json", "POST", "/iserver/secdef/search", {"symbol": "AAPL"}),
    ("Contracts/GET-trsrv-stocks.json", "GET", "/trsrv/stocks?symbols=AAPL", None),
    ("Contracts/GET-trsrv-secdef.json", "GET", f"/trsrv/secdef?conids={SPY}", None),
    ("Contracts/GET-contract-info.json", "GET", f"/iserver/contract/{SPY}/info", None),
    ("Contracts/GET-contract-info-and-rules.json", "GET", f"/iserver/contract/{AAPL}/info-and-rules", None),
    ("Contracts/GET-exchangerate.json", "GET", "/iserver/exchangerate?source=USD&target=EUR", None),
    ("Watchlists/GET-watchlist-by-id.json", "GET", "/iserver/watchlist?id=101", None),
]


@pytest.mark.parametrize(("name", "method", "path", "body"), REQUESTS, ids=[name for name, *_ in REQUESTS])
async def test_an_answer_has_all_that_the_recorded_one_has(
    captures: Path, name: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    real = recorded(captures, f"ibkr_conduit/{name}")
    async with rig_of() as rig:
        await rig.begin()
        assert missing(real, await answer(rig, method, path, body)) == []


async def test_the_trading_schedule_has_days_as_recorded(captures: Path) -> None:
    real = recorded(captures, "ibkr_conduit/Contracts/GET-trading-schedule.json")
    async with rig_of() as rig:
        ours = await rig.read("/contract/trading-schedule", conid=SPY)
    assert ours["exchange_time_zone"] == real["exchange_time_zone"]
    for day in ours["schedules"].values():
        assert missing(next(iter(real["schedules"].values())), day) == []


async def test_the_summary_and_the_ledger_have_all_keys_of_the_long_recordings(captures: Path) -> None:
    async with rig_of() as rig:
        await rig.begin()
        summary = recorded(captures, "ibkr_conduit_full_recordings/portfolio-summary.json")
        assert missing(summary, await rig.read(f"/portfolio/{ACCOUNT}/summary")) == []
        ledger = recorded(captures, "ibkr_conduit_full_recordings/portfolio-ledger.json")
        assert missing(ledger, await rig.read(f"/portfolio/{ACCOUNT}/ledger")) == []


async def test_the_status_of_an_order_has_all_that_the_recorded_one_has(captures: Path) -> None:
    real = recorded(captures, "ibkr_conduit/Orders/GET-order-status.json")
    async with rig_of() as rig:
        await rig.begin()
        for order in rig.sim.world.orders:
            assert missing(real, await rig.read(f"/iserver/account/order/status/{order.perm_id}")) == []


async def test_rows_of_orders_and_trades_have_the_keys_of_the_broker_s_own_examples(captures: Path) -> None:
    raw = gzip.decompress((captures / "ibkr_client_portal" / "ibkr-web-api-openapi.json.gz").read_bytes())
    paths = json.loads(raw)["paths"]

    def example(path: str) -> Any:
        content = paths[path]["get"]["responses"]["200"]["content"]["application/json"]
        return next(iter(content["examples"].values()))["value"]

    filled_only = {"totalCashSize", "taxOptimizerId"}  # of orders by cash amount, and of tax lots
    async with rig_of() as rig:
        await rig.begin()
        await rig.read("/iserver/account/orders")
        rows = (await rig.read("/iserver/account/orders"))["orders"]
        filled = next(row for row in rows if row["status"] == "Filled")
        known = set(example("/iserver/account/orders")["orders"][0]) - filled_only
        assert known <= set(filled)
        trades = await rig.read("/iserver/account/trades", days=1)
        assert set(example("/iserver/account/trades")[0]) <= set(trades[0])
        accounts = await rig.read("/iserver/accounts")
        assert set(example("/iserver/accounts")) <= set(accounts)
        lists = await rig.read("/iserver/watchlists")
        assert missing(example("/iserver/watchlists"), lists) == []
        schedule = await rig.read("/trsrv/secdef/schedule", assetClass="STK", symbol="MSFT")
        assert set(example("/trsrv/secdef/schedule")[0]) <= set(schedule[0])
        tickle = (await rig.post("/tickle")).json()
        assert {"session", "ssoExpires", "collission", "userId", "hmds", "iserver"} == set(tickle)
        pnl = example("/iserver/account/pnl/partitioned")["upnl"]
        assert set(next(iter(pnl.values()))) <= set(
            (await rig.read("/iserver/account/pnl/partitioned"))["upnl"][f"{ACCOUNT}.Core"]
        )


async def test_frames_have_the_keys_of_live_ones(captures: Path) -> None:
    lines = (captures / "ibkr_client_portal" / "cp_live_frames.jsonl").read_text(encoding="utf-8").splitlines()
    live: dict[str, list[set[str]]] = {}
    for line in lines:
        entry = json.loads(line)
        live.setdefault(entry["kind"], []).append(set(json.loads(entry["raw"])))
    async with rig_of() as rig, rig.ready() as socket:
        await rig.begin()
        await rig.read("/iserver/marketdata/snapshot", conids=SPY, fields="31,84")
        await socket.send(f'smd+{MSFT}+{{"fields":["31","87","6509"]}}', "spl+{}")
        await socket.catch_up()
        rig.run(3.0)
        await socket.catch_up()
        snapshot = (await rig.read("/iserver/marketdata/snapshot", conids=SPY, fields="31,84"))[0]
        assert live["snapshot"][0] <= set(snapshot)
        first = set(socket.of(f"smd+{MSFT}")[0])
        second = set().union(*(set(frame) for frame in socket.of(f"smd+{MSFT}")))
        for keys in live["smd"]:
            assert keys <= first | second
        spl = socket.of("spl")[0]
        assert live["spl"][0] == set(spl)
