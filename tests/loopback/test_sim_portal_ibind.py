"""A client that was not written for it uses the simulated gateway: PyPI `ibind`, over REST and WebSocket, with TLS.

ibind works in threads; the gateway runs in the test's loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from app.sim.portal import PortalSim
from tests.loopback.sim_portal_rig import AAPL, ACCOUNT, FREE, MSFT, SPY

PATIENCE_S = 20.0


@pytest.fixture(name="ibind")
def _ibind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the library, without its files of logs and its handlers of signals."""
    monkeypatch.setenv("IBIND_LOG_TO_FILE", "false")
    monkeypatch.setenv("IBIND_LOGS_DIR", str(tmp_path))
    # its reading thread looks that often whether it shall end; with the usual 10 s it may outlast a shutdown
    monkeypatch.setenv("IBIND_WS_PING_INTERVAL", "2")
    ibind = import_module("ibind")
    import_module("ibind.support.logs").ibind_logs_initialize(log_to_console=False, log_to_file=False)
    before = set(threading.enumerate())
    yield ibind
    left = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio")]
    assert left == []


@pytest.fixture(name="sim")
async def _sim() -> AsyncIterator[PortalSim]:
    async with PortalSim(seed=3, limits=FREE, rate=8.0, account_push_s=1.0, heartbeat_s=1.0, bytes_every=5) as sim:
        yield sim


@pytest.fixture(name="pem")
def _pem(sim: PortalSim, tmp_path: Path) -> str:
    path = tmp_path / "gateway.pem"
    path.write_text(sim.certificate_pem, encoding="ascii")
    return str(path)


def client_of(ibind: Any, sim: PortalSim, pem: str) -> Any:
    return ibind.IbkrClient(
        account_id=ACCOUNT, url=f"{sim.url}/v1/api/", cacert=pem, use_oauth=False, auto_register_shutdown=False
    )


def troubles(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("ibind") and record.levelno >= logging.WARNING
    ]


async def test_ibind_reads_everything_over_rest(
    ibind: Any, sim: PortalSim, pem: str, caplog: pytest.LogCaptureFixture
) -> None:
    def read() -> dict[str, Any]:
        client = client_of(ibind, sim, pem)
        try:
            assert client.check_health() is True
            assert client.initialize_brokerage_session(compete=False).data["authenticated"] is True
            found = {
                "accounts": client.receive_brokerage_accounts().data,
                "portfolio": client.portfolio_accounts().data,
                "summary": client.portfolio_summary().data,
                "ledger": client.get_ledger().data,
                "positions": client.positions().data,
                "live": client.positions2().data,
                "first": client.live_orders().data,
                "orders": client.live_orders().data,
                "trades": client.trades(days="1").data,
                "pnl": client.account_profit_and_loss().data,
                "conid": client.stock_conid_by_symbol("AAPL").data,
                "search": client.search_contract_by_symbol("SPY").data,
                "history": client.marketdata_history_by_conid(str(AAPL), bar="1d", period="1m").data,
                "many": client.marketdata_history_by_conids([str(AAPL), str(SPY)], period="1w", bar="1d"),
                "schedule": client.trading_schedule_by_symbol("STK", "AAPL").data,
                "scan": client.market_scanner("STK", "TOP_PERC_GAIN", "STK.US.MAJOR").data,
                "lists": client.get_all_watchlists().data,
                "rate": client.currency_exchange_rate("EUR", "USD").data,
                "secdef": client.security_definition_by_conid([str(AAPL)]).data,
            }
            months = found["search"][0]["sections"][1]["months"].split(";")
            found["strikes"] = client.search_strikes_by_conid(str(SPY), "OPT", months[0]).data
            fields = ["31", "84", "86", "7283"]
            client.live_marketdata_snapshot([str(AAPL), str(MSFT)], fields)
            threading.Event().wait(0.8)
            found["snapshot"] = client.live_marketdata_snapshot([str(AAPL), str(MSFT)], fields).data
            client.marketdata_unsubscribe_all()
            client.invalidate_backend_portfolio_cache()
            client.tickle()
            client.logout()
            return found
        finally:
            client.close()

    with caplog.at_level(logging.INFO, logger="ibind"):
        found = await asyncio.to_thread(read)
    assert found["accounts"]["accounts"] == [ACCOUNT]
    assert found["portfolio"][0]["accountId"] == ACCOUNT
    assert found["summary"]["netliquidation"]["amount"] > 0.0
    assert set(found["ledger"]) == {"USD", "EUR", "BASE"}
    assert len(found["positions"]) == len(found["live"]) > 10
    assert (found["first"]["snapshot"], found["orders"]["snapshot"]) == (False, True)
    assert found["orders"]["orders"]
    assert found["trades"]
    assert found["conid"] == {"AAPL": AAPL}
    assert found["search"][0]["conid"] == str(SPY)
    assert found["strikes"]["call"]
    assert len(found["history"]["data"]) == 21
    assert {row["conid"] for row in found["snapshot"]} == {AAPL, MSFT}
    assert all(float(row["84"]) < float(row["86"]) for row in found["snapshot"])
    assert troubles(caplog) == []
    assert sim.order_requests == []
    assert sim.session.logged_in is False


async def test_ibind_streams_everything_over_its_websocket(
    ibind: Any, sim: PortalSim, pem: str, caplog: pytest.LogCaptureFixture
) -> None:
    wishes: Any = import_module("ibind.ibkr_ws.ibkr_subscriptions")
    streaming: Any = import_module("ibind.ibkr_ws.ibkr_ws_client")
    seen: dict[str, list[Any]] = defaultdict(list)
    logged: list[str] = []

    class Sink:
        def emit(self, event: Any) -> None:
            seen[type(event).__name__].append(event)

    def stream(done: threading.Event) -> tuple[bool, list[Any]]:
        client = client_of(ibind, sim, pem)
        streams = streaming.IbkrWsClient(
            account_id=ACCOUNT,
            url=f"{sim.url.replace('https', 'wss')}/v1/api/ws",
            ibkr_client=client,
            use_oauth=False,
            cacert=pem,
            sink=Sink(),
            cycle_interval=0.05,
        )
        try:
            client.receive_brokerage_accounts()
            client.live_orders(force=True)
            client.live_orders()
            assert streams.start()
            subscriptions = [
                wishes.MarketDataSubscription(conid=str(AAPL), fields=["31", "84", "86", "87"]),
                wishes.MarketDataSubscription(conid=str(MSFT), fields=["31", "84", "86"]),
                wishes.MarketHistorySubscription(conid=str(SPY), period="2h", bar="5min", outside_rth=False),
                wishes.OrdersSubscription(),
                wishes.TradesSubscription(realtime_updates_only=False, days=1),
                wishes.PnlSubscription(),
                wishes.AccountSummarySubscription(account_id=ACCOUNT),
                wishes.AccountLedgerSubscription(account_id=ACCOUNT),
            ]
            failed = streams.wait_all([streams.subscribe(each) for each in subscriptions], timeout_each=PATIENCE_S)
            assert done.wait(PATIENCE_S)
            assert streams.tic() is not None
            failed += streams.wait_all([streams.unsubscribe(each) for each in subscriptions], timeout_each=PATIENCE_S)
            # before the end, as it calls its own goodbye an error when the other side repeats the code (RFC 6455)
            logged.extend(troubles(caplog))
            return streams.is_authenticated(), failed
        finally:
            streams.shutdown()
            client.close()

    def complete() -> bool:
        orders = sum(len(event.data["args"]) for event in seen["Orders"])
        return (
            len(seen["MarketData"]) >= 10
            and len(seen["Trades"]) >= 3
            and len(seen["Pnl"]) >= 2
            and len(seen["AccountSummary"]) >= 2
            and len(seen["AccountLedger"]) >= 3
            and orders > len(sim.world.orders) + 3
            and bool(seen["MarketHistory"])
        )

    with caplog.at_level(logging.INFO, logger="ibind"):
        done = threading.Event()
        running = asyncio.create_task(asyncio.to_thread(stream, done))
        completed = await eventually(lambda: running.done() or complete())
        done.set()
        authenticated, failed = await running
    assert completed, {name: len(found) for name, found in seen.items()}
    assert authenticated
    assert failed == []
    assert {event.conid for event in seen["MarketData"]} == {str(AAPL), str(MSFT)}
    assert {"last_price", "bid_price", "ask_price"} <= set(seen["MarketData"][0].data) | set(seen["MarketData"][1].data)
    assert seen["AccountSummary"][0].data["NetLiquidation"]["monetaryValue"] > 0.0
    assert seen["AuthenticationStatus"][0].authenticated is True
    assert not seen["IbkrError"]
    assert not seen["GenericIbkrEvent"]
    assert logged == []
    assert sim.order_requests == []
    assert sim.state()["lines"] == 0


async def eventually(condition: Callable[[], bool]) -> bool:
    """Let the loop turn until something is so, or for a long while; return whether it came to be so."""
    for _ in range(int(PATIENCE_S * 50)):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False
