"""Recorded answers and frames of the real Client Portal Gateway pass through the intake, and mean what they say."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.domain.account import (
    BASE,
    AccountPnl,
    AccountsSeen,
    AccountValue,
    DetailsSeen,
    PositionsListed,
    ScanSeen,
    Tag,
)
from app.domain.contracts import SecType, Session
from app.domain.orders import ExecutionSeen, OrderSeen, OrdersListed, OrderStatus, Side
from app.domain.quotes import DataKind, QuoteField
from app.venues.ibkr_portal import answers
from app.venues.ibkr_portal.intake import PortalIntake, Taken
from app.venues.ibkr_portal.protocol import LoginHolds, LoginSeen, SessionSeen

NOW_NS = 1_775_170_000_000_000_000
ACCOUNT = "U1234567"
T = TypeVar("T")


@pytest.fixture
def folder(captures: Path) -> Path:
    """Return the folder of the gateway's captures."""
    return captures / "ibkr_client_portal"


def recorded(folder: Path, name: str) -> tuple[str, bytes]:
    """Return path and body of a recorded answer."""
    told = json.loads((folder / name).read_text(encoding="utf-8"))
    return told["Request"]["Path"], json.dumps(told["Response"]["Body"]).encode()


def take(folder: Path, name: str, intake: PortalIntake | None = None, query: str = "") -> Taken:
    """Give a recorded answer to an intake that must find no fault with any row of it."""
    intake = intake or PortalIntake()
    path, body = recorded(folder, f"ibkr_conduit/{name}")
    taken = intake.on_rest(NOW_NS, path + query, body)
    assert (intake.bad_rows, intake.ignored) == (0, 0)
    return taken


def one(rows: list[Any], kind: type[T]) -> T:
    """Return the only one of its kind."""
    (found,) = [row for row in rows if isinstance(row, kind)]
    return found


def figures(events: list[Any]) -> dict[tuple[str, str], float | None]:
    """Return the figures of an account by tag and currency."""
    return {(event.tag, event.currency): event.value for event in events if isinstance(event, AccountValue)}


# -- frames ------------------------------------------------------------------------------------------------------------


def frames(folder: Path) -> list[tuple[str, str]]:
    """Return kind and text of the quoted frames."""
    lines = (folder / "cp_live_frames.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["kind"], row["raw"]) for row in map(json.loads, lines)]


@pytest.mark.parametrize("form", [str, str.encode])
def test_quoted_frames_mean_what_they_say_as_text_and_as_bytes(folder: Path, form: Any) -> None:
    intake = PortalIntake()
    taken = [intake.on_frame(NOW_NS, form(raw)) for kind, raw in frames(folder) if kind != "snapshot"]
    quotes = [update for each in taken for update in each.quotes]
    assert [(update.con_id, update.event_ns, dict(update.values)) for update in quotes] == [
        (
            265598,
            1615299902126_000_000,
            {QuoteField.LAST: 118.75, QuoteField.HALTED: 0.0, QuoteField.KIND: DataKind.LIVE},
        ),
        (
            265598,
            1615300714892_000_000,
            {
                QuoteField.LAST: 119.46,
                QuoteField.HALTED: 0.0,
                QuoteField.KIND: DataKind.LIVE,
                QuoteField.VOLUME: 12_200_000.0,
            },
        ),
        (
            495512572,
            1678284754734_000_000,
            {QuoteField.LAST: 3989.5, QuoteField.HALTED: 0.0, QuoteField.KIND: DataKind.LIVE},
        ),
    ]
    events = [event for each in taken for event in each.events]
    assert events[0] == AccountPnl("DU0000001", -58.28, 4600.0, None)
    assert figures(events) == {
        (Tag.NET_LIQUIDATION, BASE): 1_020_000.0,
        (Tag.EXCESS_LIQUIDITY, BASE): 1_010_000.0,
    }
    assert (intake.ignored, intake.bad_rows, intake.fields.unreadable) == (0, 0, 0)


def test_a_quoted_snapshot_has_a_bid_and_no_ask(folder: Path) -> None:
    (raw,) = [raw for kind, raw in frames(folder) if kind == "snapshot"]
    taken = PortalIntake().on_rest(NOW_NS, "/iserver/marketdata/snapshot?conids=756733&fields=31,84", f"[{raw}]")
    (update,) = taken.quotes
    assert update.con_id == 756733
    assert dict(update.values) == {
        QuoteField.LAST: 655.05,
        QuoteField.HALTED: 0.0,
        QuoteField.BID: 655.05,
        QuoteField.KIND: DataKind.DELAYED,
    }


# -- the session -------------------------------------------------------------------------------------------------------


def test_the_state_of_the_session(folder: Path) -> None:
    (news,) = take(folder, "Session/GET-auth-status.json").news
    assert news == SessionSeen(True, False, True, "", "Build 10.44.1d, Mar 3, 2026 1:55:32 PM")


# -- the account -------------------------------------------------------------------------------------------------------


def test_the_ledger_tells_cash_by_currency(folder: Path) -> None:
    told = figures(take(folder, "Portfolio/GET-portfolio-ledger.json").events)
    assert told[Tag.CASH_BALANCE, "USD"] == 971_869.6
    assert told[Tag.CASH_BALANCE, BASE] == 971_869.6
    assert told[Tag.EXCHANGE_RATE, "USD"] == 1.0
    assert (Tag.EXCHANGE_RATE, BASE) not in told
    assert told[Tag.UNREALIZED_PNL, "USD"] == 151.57
    assert told[Tag.STOCK_VALUE, "USD"] == 30_613.4
    assert told["NetLiquidationByCurrency", "USD"] == 1_005_165.5


def test_the_whole_recording_of_a_ledger(folder: Path) -> None:
    path, body = recorded(folder, "ibkr_conduit_full_recordings/portfolio-ledger.json")
    intake = PortalIntake()
    told = figures(intake.on_rest(NOW_NS, path, body).events)
    assert told[Tag.SETTLED_CASH, "USD"] == 971_869.6
    assert told[Tag.UNREALIZED_PNL, BASE] == 168.5
    assert told["AccruedCash", "USD"] == 2682.45
    assert intake.currencies == {ACCOUNT: ("USD", BASE)}
    assert intake.bad_rows == 0


def test_the_whole_recording_of_a_summary(folder: Path) -> None:
    path, body = recorded(folder, "ibkr_conduit_full_recordings/portfolio-summary.json")
    intake = PortalIntake()
    told = figures(intake.on_rest(NOW_NS, path, body).events)
    assert intake.bad_rows == 0
    assert told[Tag.NET_LIQUIDATION, "USD"] == 1_005_160.4375
    assert told[Tag.BUYING_POWER, "USD"] == 3_979_303.5
    assert told[Tag.AVAILABLE_FUNDS, "USD"] == told[Tag.EXCESS_LIQUIDITY, "USD"] == 994_825.875
    assert told[Tag.INITIAL_MARGIN, "USD"] == told[Tag.MAINTENANCE_MARGIN, "USD"] == 7652.08984375
    assert told[Tag.TOTAL_CASH, "USD"] == 971_869.625
    assert told[Tag.GROSS_POSITION_VALUE, "USD"] == 30_608.369140625
    assert told[Tag.EQUITY_WITH_LOAN, "USD"] == 1_002_478.0
    assert told[Tag.CUSHION, ""] == 1.0
    assert told[Tag.LEVERAGE, ""] == 0.03
    assert told[Tag.DAY_TRADES_REMAINING, ""] is None  # -1: as many as you like
    assert not [tag for tag, _ in told if tag.endswith(("-s", "-c", "-p"))]
    assert "accountcode" not in {tag for tag, _ in told}


def test_portfolio_accounts_name_the_base_currency(folder: Path) -> None:
    intake = PortalIntake()
    take(folder, "Portfolio/GET-portfolio-accounts.json", intake)
    taken = intake.on_frame(NOW_NS, '{"topic":"spl","args":{"U1234567.Core":{"dpl":1.0,"nl":2.0}}}')
    assert AccountValue(ACCOUNT, Tag.NET_LIQUIDATION, "USD", 2.0) in taken.events


def test_an_answer_without_profit_and_loss_is_no_fault(folder: Path) -> None:
    assert take(folder, "Portfolio/GET-iserver-account-pnl-partitioned.json").events == []


def test_positions_of_both_kinds_of_answers(folder: Path) -> None:
    intake = PortalIntake()
    listed = one(take(folder, "Portfolio/GET-portfolio-positions-page0.json", intake).events, PositionsListed)
    assert [(each.contract.con_id, each.quantity, each.market_price) for each in listed.positions] == [
        (320227571, 3.0, 584.6799927)
    ]
    listed = one(take(folder, "Portfolio/GET-portfolio2-positions.json", intake).events, PositionsListed)
    assert listed.account == ACCOUNT
    qqq, spy = listed.positions
    assert (qqq.contract.symbol, qqq.contract.sec_type, qqq.contract.multiplier) == ("QQQ", SecType.STOCK, 1.0)
    assert (spy.contract.con_id, spy.contract.symbol, spy.contract.currency) == (756733, "SPY", "USD")
    assert (spy.quantity, spy.average_cost) == (44.0, 652.4747727272727)
    assert (spy.market_price, spy.market_value) == (655.8945922851562, 28859.362060546875)
    assert (spy.unrealised, spy.realised, spy.daily) == (150.47206054687558, 0.0, None)


# -- orders and contracts ----------------------------------------------------------------------------------------------


def test_empty_lists_of_orders_and_trades(folder: Path) -> None:
    taken = take(folder, "Orders/GET-live-orders-empty.json")
    assert taken.events == []  # not a snapshot yet: nothing may be concluded from it
    assert take(folder, "Orders/GET-trades-empty.json").events == []


def test_a_contract_with_its_hours(folder: Path) -> None:
    intake = PortalIntake()
    take(folder, "Contracts/GET-contract-info-and-rules.json", intake)
    event = one(take(folder, "Contracts/GET-trading-schedule.json", intake, "?conid=265598").events, DetailsSeen)
    details = event.details
    assert (details.contract.symbol, details.contract.name) == ("AAPL", "APPLE INC")
    assert (details.contract.trading_class, details.tick_size, details.industry) == ("NMS", 0.01, "Computers")
    assert details.zone == "US/Eastern"
    assert details.liquid == (
        Session(1_775_136_600_000_000_000, 1_775_160_000_000_000_000),
        Session(1_775_482_200_000_000_000, 1_775_505_600_000_000_000),
    )
    assert details.trading[0] == Session(1_775_116_800_000_000_000, 1_775_174_400_000_000_000)


def test_a_contract_without_rules_and_a_definition_describe_the_same(folder: Path) -> None:
    intake = PortalIntake()
    event = one(take(folder, "Contracts/GET-contract-info.json", intake).events, DetailsSeen)
    assert event.details.tick_size is None
    take(folder, "Contracts/GET-trsrv-secdef.json", intake)
    contract = intake.contracts.get(756733)
    assert contract is not None
    assert (contract.symbol, contract.name, contract.primary_exchange) == ("SPY", "SPDR S&P 500 ETF TRUST", "ARCA")
    assert (contract.multiplier, contract.strike, contract.sec_type) == (1.0, 0.0, SecType.STOCK)
    assert intake.contracts.missing() == []


def test_stocks_of_a_symbol_have_the_american_one_first(folder: Path) -> None:
    _path, body = recorded(folder, "ibkr_conduit/Contracts/GET-trsrv-stocks.json")
    assert answers.stock_ids(body, "AAPL") == [265598, 38708077, 273982664, 532640894]


def test_indices_are_found_by_search(folder: Path) -> None:
    _path, body = recorded(folder, "ibkr_conduit/Contracts/GET-secdef-search.json")
    assert answers.search_ids(body, "SPY", SecType.STOCK) == [756733, 38709152]
    assert answers.search_ids(body, "SPY", SecType.INDEX) == []


@pytest.mark.parametrize("name", ["MarketData/POST-scanner-run.json", "Scanner/POST-scanner-run.json"])
def test_rows_of_a_scanner(folder: Path, name: str) -> None:
    seen = one(take(folder, name, query="?scan=gainers&rows=2").events, ScanSeen)
    assert seen.scan == "gainers"
    assert [(each.con_id, each.symbol, each.primary_exchange) for each in seen.contracts] == [
        (706149062, "GV", "NASDAQ.SCM"),
        (863831941, "SKYQ", "NASDAQ.SCM"),
    ]


def test_bars_of_a_history(folder: Path) -> None:
    _path, body = recorded(folder, "ibkr_conduit/MarketData/GET-history.json")
    bars = answers.daily_bars(body, 2, "US/Eastern")
    assert [(bar.day, bar.close) for bar in bars] == [("20260402", 646.63)]


def test_rows_of_a_watchlist(folder: Path) -> None:
    intake = PortalIntake()
    take(folder, "Watchlists/GET-watchlist-by-id.json", intake, "?id=99999")
    _path, body = recorded(folder, "ibkr_conduit/Watchlists/GET-watchlist-by-id.json")
    assert answers.watchlist_rows(body) == ("Capture Test", [756733])
    contract = intake.contracts.get(756733)
    assert contract is not None
    assert contract.symbol == "SPY"


# -- examples of the published document --------------------------------------------------------------------------------


def examples(folder: Path, path: str, method: str) -> list[Any]:
    """Return the examples of an answer in the broker's own description of its interface."""
    document = json.loads(gzip.decompress((folder / "ibkr-web-api-openapi.json.gz").read_bytes()))

    def resolved(node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            target: Any = document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    content = resolved(document["paths"][path][method]["responses"]["200"])["content"]["application/json"]
    named = resolved(content.get("examples") or content["example"])
    return [resolved(example)["value"] for example in named.values()]


def test_the_documents_example_of_an_order(folder: Path) -> None:
    (body,) = examples(folder, "/iserver/account/orders", "get")
    intake = PortalIntake()
    taken = intake.on_rest(NOW_NS, "/iserver/account/orders", json.dumps(body))
    order = one(taken.events, OrderSeen).order
    assert (order.account, order.order_id, order.side) == (ACCOUNT, "1370093238", Side.BUY)
    assert (order.quantity, order.filled, order.remaining) == (2806.46, 2499.99, 0.0)
    assert (order.status, order.order_type, order.limit_price) == (OrderStatus.FILLED, "Limit", 0.9)
    assert (order.average_price, order.updated_ns, order.time_in_force) == (0.8908, 1_714_061_006_000_000_000, "DAY")
    assert (order.contract.con_id, order.contract.sec_type) == (15016138, SecType.CASH)
    assert one(taken.events, OrdersListed) == OrdersListed(known=True, reason="", order_ids=frozenset())


def test_the_documents_example_of_a_trade(folder: Path) -> None:
    (body,) = examples(folder, "/iserver/account/trades", "get")
    taken = PortalIntake().on_rest(NOW_NS, "/iserver/account/trades?days=7", json.dumps(body))
    fill = one(taken.events, ExecutionSeen).execution
    assert (fill.exec_id, fill.order_id, fill.account) == ("0000e0d5.6576fd38.01.01", "17437897932", ACCOUNT)
    assert (fill.side, fill.quantity, fill.price, fill.commission) == (Side.SELL, 5.0, 192.26, 1.01)
    assert (fill.time_ns, fill.exchange) == (1_702_317_649_000_000_000, "ISLAND")
    assert (fill.contract.con_id, fill.contract.symbol) == (265598, "AAPL")


def test_the_documents_example_of_accounts_and_of_tickle(folder: Path) -> None:
    (body,) = examples(folder, "/iserver/accounts", "get")
    taken = PortalIntake().on_rest(NOW_NS, "/iserver/accounts", json.dumps(body))
    assert taken.events == [AccountsSeen((ACCOUNT,))]
    assert taken.news == [LoginSeen(True)]
    good, failed = examples(folder, "/tickle", "post")
    news = PortalIntake().on_rest(NOW_NS, "/tickle", json.dumps(good)).news
    assert news[0] == LoginHolds(NOW_NS + 460_311_000_000)
    assert news[1] == SessionSeen(True, False, True, "", "Build 10.25.0p, Dec 5, 2023 5:48:12 PM")
    assert PortalIntake().on_rest(NOW_NS, "/tickle", json.dumps(failed)).news == []


def test_the_documents_example_of_profit_and_loss(folder: Path) -> None:
    full, empty = examples(folder, "/iserver/account/pnl/partitioned", "get")
    path = "/iserver/account/pnl/partitioned"
    assert PortalIntake().on_rest(NOW_NS, path, json.dumps(empty)).events == []
    taken = PortalIntake().on_rest(NOW_NS, path, json.dumps(full))
    assert one(taken.events, AccountPnl) == AccountPnl(ACCOUNT, -12510.0, 256000.0, None)


# -- all of them -------------------------------------------------------------------------------------------------------


def test_no_recorded_answer_is_refused(folder: Path) -> None:
    """Answers there is no use for are passed over; none may be taken for malformed."""
    intake = PortalIntake()
    names = sorted(folder.glob("ibkr_conduit*/**/*.json"))
    assert len(names) > 60
    for name in names:
        path, body = recorded(folder, str(name.relative_to(folder)))
        taken = intake.on_rest(NOW_NS, path, body)
        for event in taken.events:
            if isinstance(event, AccountValue) and event.value is not None:
                assert math.isfinite(event.value), name
    assert intake.bad_rows == 0
    assert intake.fields.unreadable == 0
