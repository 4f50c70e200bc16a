"""Nothing but reading requests can leave for the gateway: by trying, and by inspection of the code."""

from __future__ import annotations

import ast
import asyncio
import gzip
import inspect
import json
import re
import ssl
from pathlib import Path
from typing import Any

import pytest

import app.venues.ibkr_portal
from app.domain.clock import SystemClock
from app.venues.bans import BanStore
from app.venues.ibkr_portal import protocol
from app.venues.ibkr_portal.http import PortalHttp
from app.venues.ibkr_portal.options import PortalOptions
from app.venues.ibkr_portal.routes import ROUTES, ForbiddenRequestError, route_of
from app.venues.ibkr_portal.tls import Gateway

PACKAGE = Path(inspect.getfile(app.venues.ibkr_portal)).parent
MAY_POST = {
    "/iserver/auth/status",
    "/iserver/auth/ssodh/init",
    "/tickle",
    "/iserver/scanner/run",
    "/iserver/marketdata/unsubscribe",
    "/portfolio/U1234567/positions/invalidate",
}
WRITING = [
    ("POST", "/iserver/account/U1234567/orders"),
    ("POST", "/iserver/account/U1234567/orders/whatif"),
    ("POST", "/iserver/account/U1234567/order/922048212"),
    ("DELETE", "/iserver/account/U1234567/order/922048212"),
    ("POST", "/iserver/reply/0a1b2c"),
    ("POST", "/iserver/questions/suppress"),
    ("POST", "/iserver/questions/suppress/reset"),
    ("POST", "/iserver/account"),
    ("POST", "/iserver/account/U1234567/alert"),
    ("DELETE", "/iserver/account/U1234567/alert/1"),
    ("POST", "/iserver/watchlist"),
    ("DELETE", "/iserver/watchlist"),
    ("POST", "/logout"),
    ("GET", "/md/regsnapshot"),
    ("GET", "/portfolio/../iserver/account/orders"),
    ("POST", "/portfolio/U1234567/positions/invalidate/../../../iserver/account/U1234567/orders"),
    ("GET", "/iserver/accounts\n"),
    ("GET", "/iserver/accounts?x=1"),
    ("get", "/iserver/accounts"),
]


class Listener:
    """A port that counts who comes."""

    def __init__(self) -> None:
        self.came = 0
        self.server: asyncio.Server

    async def __aenter__(self) -> Listener:
        self.server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def _on_client(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        writer.close()

    def client(self) -> PortalHttp:
        """Return a client of this port."""
        port = self.server.sockets[0].getsockname()[1]
        context = ssl.create_default_context()
        options = PortalOptions(request_timeout_s=2.0)
        gateway = Gateway("127.0.0.1", port)
        return PortalHttp(gateway, context, options, SystemClock(), BanStore(None), lambda _path, _body: None)


def documented(captures: Path) -> list[tuple[str, str]]:
    """Return method and path of everything that is not a GET in the broker's own description of its interface."""
    raw = (captures / "ibkr_client_portal" / "ibkr-web-api-openapi.json.gz").read_bytes()
    paths: dict[str, Any] = json.loads(gzip.decompress(raw))["paths"]
    found = []
    for path, methods in paths.items():
        filled = re.sub(r"\{(?i:accountId)\}", "U1234567", path)
        filled = re.sub(r"\{[^}]*\}", "12345", filled)
        found += [
            (method.upper(), filled)
            for method in methods
            if method.upper() in ("POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
        ]
    return found


async def test_every_documented_write_is_refused_before_anything_is_sent(captures: Path) -> None:
    listed = documented(captures)
    assert len(listed) > 60
    assert {path for method, path in listed if method == "POST"} >= MAY_POST
    async with Listener() as listener:
        client = listener.client()
        refused = []
        for method, path in listed + WRITING:
            if method == "POST" and path in MAY_POST:
                continue
            with pytest.raises(ForbiddenRequestError):
                await client._ask(method, path, None, {} if method == "POST" else None, "")
            refused.append((method, path))
        assert ("POST", "/iserver/account/U1234567/orders") in refused
        assert ("DELETE", "/iserver/account/U1234567/order/12345") in refused
        assert (client.requests, listener.came) == (0, 0)
        await client.close()


def test_the_list_holds_exactly_these_posts_and_else_only_gets() -> None:
    assert {route.method for route in ROUTES} == {"GET", "POST"}
    posts = [route for route in ROUTES if route.method == "POST"]
    assert all(any(route.pattern.fullmatch(path) for path in MAY_POST) for route in posts)
    assert len(posts) == len(MAY_POST)
    for route in ROUTES:
        for _method, path in WRITING:
            if (route.method, path) != ("GET", "/iserver/watchlist"):
                assert not (route.pattern.fullmatch(path) and route.method != "GET"), (route.name, path)


@pytest.mark.parametrize(("method", "path"), WRITING)
def test_what_writes_is_not_on_the_list(method: str, path: str) -> None:
    with pytest.raises(ForbiddenRequestError):
        route_of(method, path, None)


def test_bodies_hold_nothing_but_the_names_they_may() -> None:
    route_of("POST", "/iserver/auth/ssodh/init", {"publish": True, "compete": False})
    with pytest.raises(ForbiddenRequestError):
        route_of("POST", "/iserver/scanner/run", {"type": "TOP_PERC_GAIN", "orders": []})
    with pytest.raises(ForbiddenRequestError):
        route_of("GET", "/iserver/accounts", {"acctId": "U1"})


def sources() -> dict[str, ast.Module]:
    """Return the package's modules, parsed."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imports(tree: ast.Module) -> set[str]:
    """Return the first words of all imported modules."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_only_one_module_holds_an_http_client_and_none_a_socket_of_its_own() -> None:
    with_http = {name for name, tree in sources().items() if imports(tree) & {"httpx", "urllib3", "requests", "http"}}
    assert with_http == {"http.py"}
    assert {name for name, tree in sources().items() if "websockets" in imports(tree)} == set()
    assert {name for name, tree in sources().items() if imports(tree) & {"socket", "ssl"}} == {"http.py", "tls.py"}
    assert {name for name, tree in sources().items() if "ib_async" in imports(tree)} == set()


def test_the_client_is_asked_only_where_the_list_is() -> None:
    """`stream`, the one call of the client, stands in one function, which only `_send` calls, after `route_of`."""
    tree = sources()["http.py"]
    owners: dict[str, set[str]] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    owners.setdefault(node.attr, set()).add(function.name)
    assert owners["stream"] == {"_exchange"}
    assert owners["_exchange"] == {"_send"}
    assert owners["_send"] == {"_send_in_turn"}
    assert owners["_send_in_turn"] == {"tickle", "_ask"}
    assert owners["put"] == {"_punish"}  # of the penalties that are kept
    assert owners.keys() & {"post", "delete", "patch", "request", "send", "build_request"} == set()


def test_the_socket_is_told_only_subscriptions() -> None:
    """Every text that is sent comes out of `protocol`, and none of its topics can trade (fact sheet, section 3)."""
    texts = [
        protocol.TIC,
        protocol.ORDERS,
        protocol.ORDERS_END,
        protocol.TRADES,
        protocol.TRADES_END,
        protocol.PNL,
        protocol.PNL_END,
        protocol.summary("U1"),
        protocol.summary_end("U1"),
        protocol.ledger("U1", ("USD",)),
        protocol.ledger_end("U1"),
        protocol.quotes_end(1),
    ]
    topics = {text[:3] for text in texts} | {"smd"}
    assert topics == {"tic", "sor", "uor", "str", "utr", "spl", "upl", "ssd", "usd", "sld", "uld", "umd", "smd"}
    senders: dict[str, list[str]] = {}
    for name, tree in sources().items():
        for node in ast.walk(tree):
            is_send = isinstance(node, ast.Call) and (
                (isinstance(node.func, ast.Name) and node.func.id == "send")
                or (isinstance(node.func, ast.Attribute) and node.func.attr in ("send", "_send") and name != "http.py")
            )
            if is_send and isinstance(node, ast.Call):
                senders.setdefault(name, []).append(ast.unparse(node.args[0]))
    assert {name: sorted(texts) for name, texts in senders.items()} == {
        "keepalive.py": ["TIC"],
        "lines.py": ["protocol.quotes(contract.con_id, contract.sec_type)", "protocol.quotes_end(con_id)"],
        "streams.py": ["end", "text"],
    }
