"""No code path can emit an order: by what the code names, by what may leave each socket, by what the library has.

The other half of the proof, whole sessions watched on the wire of both simulators, is in tests/e2e/test_broker.py and
in the loopback tests of both sessions.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ib_async
import pytest
from ib_async.client import Client

from app.venues import broker
from app.venues.ibkr_portal.routes import ROUTES, ForbiddenRequestError, route_of
from app.venues.ibkr_tws.readonly import ReadOnlyTws
from app.venues.ibkr_tws.wire import READING, ReadOnlyClient, WriteRefused, check
from app.venues.ibkr_tws.wrapper import ReadingWrapper

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for path in sorted((ROOT / "app").rglob("*.py")) if "sim" not in path.relative_to(ROOT / "app").parts]
VERBS = re.compile(
    r"(place|cancel|modify|submit|transmit|replace|preview|whatif)_?(all_?)?order|(reqglobal|global)_?cancel|"
    r"exercise_?option|bracket_?order|(market|limit|stop|stop_?limit)_?order$|one_?cancels_?all",
    re.IGNORECASE,
)
WRITING = {
    "placeOrder": 3,
    "cancelOrder": 4,
    "reqAutoOpenOrders": 15,
    "exerciseOptions": 21,
    "reqGlobalCancel": 58,
    "replaceFA": 19,
}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in SOURCES:
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def names_in(tree: ast.AST) -> Iterator[str]:
    """Return every name that code in the tree defines, imports, reads or could reach through a text."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Constant(value=str() as text) if text.isidentifier():
                yield text


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_no_name_in_the_program_says_to_place_change_or_cancel_an_order() -> None:
    found = [f"{path}: {name}" for path, tree in trees() for name in names_in(tree) if VERBS.search(name)]
    assert found == []
    assert VERBS.search("placeOrder")
    assert VERBS.search("cancel_order")
    assert VERBS.search("LimitOrder")


def test_the_library_that_could_is_known_to_one_package_only() -> None:
    users = {path for path, tree in trees() if any(name.partition(".")[0] == "ib_async" for name in imported(tree))}
    assert users
    assert {path for path in users if not path.startswith("app/venues/ibkr_tws/")} == set()


def test_only_the_guarded_socket_and_the_guarded_client_are_built() -> None:
    clients = {"ib_async.IB", "ib_async.Client", "httpx.AsyncClient", "httpx.Client"}
    named = {
        path: {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & clients
        for path, tree in trees()
    }
    assert {path: names for path, names in named.items() if names} == {
        "app/services/doctor_checks/venues.py": {"httpx.AsyncClient"},  # asks Binance, Bybit and Hyperliquid only
        "app/venues/ibkr_portal/http.py": {"httpx.AsyncClient"},
        "app/venues/ibkr_tws/readonly.py": {"ib_async.IB"},  # as the base of a class with the guarded client
        "app/venues/ibkr_tws/wrapper.py": {"ib_async.IB"},  # as a type
        "app/venues/rest.py": {"httpx.AsyncClient"},
    }


def test_the_facade_and_the_port_of_sessions_have_reading_verbs_only() -> None:
    for kind in (ReadOnlyTws, broker.BrokerSession):
        public = [name for name in dir(kind) if not name.startswith("_")]
        assert public
        assert [name for name in public if VERBS.search(name) or "order" in name.lower()] == [
            name for name in ("completed_orders", "open_orders") if name in public
        ]
        assert not hasattr(kind, "__getattr__")


# -- TWS: what the library would send --------------------------------------------------------------------------------


def message_numbers() -> dict[str, set[int]]:
    """Return the numbers of the messages that each function of the library's client begins, read from its source."""
    tree = ast.parse(inspect.getsource(ib_async.client))
    kind = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Client")
    found: dict[str, set[int]] = {}
    for function in kind.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        numbers = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.send" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, int):
                    numbers.add(first.value)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "fields":
                numbers |= {
                    each.value
                    for each in ast.walk(node.value)
                    if isinstance(each, ast.Constant) and type(each.value) is int and each.value > 0
                } & {WRITING.get(function.name, 0)}
        if numbers:
            found[function.name] = numbers
    return found


def test_of_the_librarys_messages_only_reading_ones_may_leave() -> None:
    numbers = message_numbers()
    assert {name: set(numbers[name]) for name in WRITING if name in numbers} == {
        name: {number} for name, number in WRITING.items() if name in numbers
    }
    assert {"placeOrder", "cancelOrder", "exerciseOptions", "reqGlobalCancel"} <= numbers.keys()
    allowed = {name for name, sent in numbers.items() if sent & READING}
    assert {name for name in allowed if not re.match(r"(req|cancel)[A-Z]|startApi$", name)} == set()
    assert not allowed & WRITING.keys()
    assert not any("Order" in name for name in allowed - {"reqAllOpenOrders", "reqCompletedOrders"})
    assert READING.isdisjoint(WRITING.values())


@pytest.mark.parametrize("number", range(250))
def test_a_message_of_another_number_is_stopped(number: int) -> None:
    if number in READING:
        check(str(number))
    else:
        with pytest.raises(WriteRefused):
            check(str(number))


@pytest.mark.parametrize("number", ["", "x", "-3", "3 ", "٣", "16x", "1.0"])
def test_a_message_that_does_not_begin_with_a_number_is_stopped(number: str) -> None:
    with pytest.raises(WriteRefused):
        check(number)


class Wire:
    """Stands where the socket would be and keeps what would leave."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)


class Silent:
    """A listener nobody talks to."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing was expected, came {name}")


async def test_every_writing_call_of_the_library_ends_before_the_socket() -> None:
    front = ib_async.IB()
    wrapper = ReadingWrapper(front, Silent())
    client: Any = ReadOnlyClient(wrapper)
    wire = Wire()
    client.conn.transport = wire
    client.connState = Client.CONNECTED
    client._serverVersion = 178
    contract = ib_async.Stock("AAPL", "SMART", "USD")
    calls: dict[str, tuple[Any, ...]] = {
        "placeOrder": (1, contract, ib_async.LimitOrder("BUY", 1, 100.0)),
        "cancelOrder": (1,),
        "reqGlobalCancel": (),
        "exerciseOptions": (1, contract, 1, 1, "DU1", 1),
        "reqAutoOpenOrders": (True,),
    }
    for name, arguments in calls.items():
        with pytest.raises(WriteRefused):
            getattr(client, name)(*arguments)
    assert wire.sent == []
    client.reqCurrentTime()
    assert len(wire.sent) == 1
    client.conn.transport = None


# -- Client Portal: what may be requested ------------------------------------------------------------------------------

WRITES = [
    ("POST", "/iserver/account/U123/order"),
    ("POST", "/iserver/account/U123/orders"),
    ("POST", "/iserver/account/U123/orders/whatif"),
    ("POST", "/iserver/account/U123/order/1"),
    ("DELETE", "/iserver/account/U123/order/1"),
    ("POST", "/iserver/reply/abc"),
    ("POST", "/iserver/questions/suppress"),
    ("POST", "/iserver/questions/suppress/reset"),
    ("POST", "/iserver/account"),
    ("POST", "/iserver/account/U123/alert"),
    ("DELETE", "/iserver/account/U123/alert/1"),
    ("POST", "/iserver/watchlist"),
    ("DELETE", "/iserver/watchlist"),
    ("POST", "/logout"),
    ("GET", "/md/regsnapshot"),
    ("GET", "/iserver/account/orders/../U123/orders"),
    ("PUT", "/iserver/account/orders"),
    ("POST", "/iserver/account/orders"),
    ("DELETE", "/iserver/account/orders"),
    ("POST", "/portfolio/U123/positions/invalidate/../../../iserver/account/U123/orders"),
    ("POST", "/iserver/scanner/run\n/iserver/account/U123/orders"),
    ("post", "/tickle"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_request_that_writes_is_not_on_the_list(method: str, path: str) -> None:
    with pytest.raises(ForbiddenRequestError):
        route_of(method, path, {} if method == "POST" else None)


def test_what_is_posted_keeps_the_login_and_the_quotes_in_order_or_asks() -> None:
    posted = {route.pattern.pattern: route.body for route in ROUTES if route.method == "POST"}
    assert {route.method for route in ROUTES} == {"GET", "POST"}
    assert {re.sub(r"\[[^]]*\]\{[0-9,]+\}", "*", pattern) for pattern in posted} == {
        "/iserver/auth/status",
        "/iserver/auth/ssodh/init",
        "/tickle",
        "/portfolio/*/positions/invalidate",
        "/iserver/marketdata/unsubscribe",
        "/iserver/scanner/run",
    }
    assert frozenset().union(*posted.values()) == {
        "publish",
        "compete",
        "conid",
        "instrument",
        "type",
        "location",
        "filter",
    }
