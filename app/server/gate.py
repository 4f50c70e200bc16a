"""Every request passes here before anything else: 403 for other names and origins, 401 without the token, then either
an answer, or the way to a WebSocket."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from app.server import wire
from app.server.auth import FAILURE_PAUSE_S, Access
from app.server.client import Client
from app.server.http import Api, PageFiles, respond, respond_error, row_numbers
from app.server.limits import Admission
from app.server.ports import ServerData
from app.server.target import Target
from app.server.wire import RequestError

SOCKET_PATH: Final = "/ws"
ROWS_PREFIX: Final = "/ws/realtime/"
DEFAULT_ROWS: Final = 100


class Gate:
    """Answers requests of one server. on_refused takes the reason's code and the caller's address."""

    def __init__(
        self,
        data: ServerData,
        api: Api,
        files: PageFiles,
        access: Access,
        admission: Admission,
        *,
        now_ns: Callable[[], int],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self._data = data
        self._api = api
        self._files = files
        self._access = access
        self._admission = admission
        self._now_ns = now_ns
        self._on_refused = on_refused

    async def process(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the HTTP answer, or None to go on to the WebSocket handshake."""
        assert isinstance(connection, Client)
        head = request.method == "HEAD"
        try:
            host = self._access.check_host(request.headers, connection.caller)
            self._access.check_origin(request.headers, host)
            target = Target.of(request.path)
            if request.method not in ("GET", "HEAD"):
                raise RequestError("bad_method", f"expected GET or HEAD, was {request.method[:20]!r}", 405)
            if _wants_socket(request):
                await self._admit(connection, request, target)
                return None
            return await self._answer(connection, request, target, host, head=head)
        except RequestError as error:
            if error.status in (401, 403, 503):
                self._admission.refused[error.code] += 1
                self._on_refused(error.code, connection.caller.address)
            if error.status == 401:
                await asyncio.sleep(FAILURE_PAUSE_S)
            return respond_error(error, head=head)

    # -- WebSocket -----------------------------------------------------------------------------------------------

    async def _admit(self, client: Client, request: Request, target: Target) -> None:
        """Let a client in; the token may still follow as its first message. Raises RequestError."""
        self._access.check_site(request.headers)
        if not is_socket_path(target.path):
            raise RequestError("not_found", "there is no WebSocket at this address", 404)
        known = self._access.knows(request.headers, client.caller.port)
        if not known and "Authorization" in request.headers:
            raise RequestError("wrong_token", "the token is not the one of this server", 401)
        refusal = self._admission.refusal(client.caller.address, is_local=client.is_local)
        if refusal is not None:
            raise RequestError("full", refusal, 503)
        if known:
            rows_wanted(self._data, target)  # an unknown venue or symbol is answered before the upgrade
            client.known = True
            client.identified()
        client.enter(target, self._now_ns())

    # -- HTTP ----------------------------------------------------------------------------------------------------

    async def _answer(self, client: Client, request: Request, target: Target, host: str, *, head: bool) -> Response:
        port = client.caller.port
        if not self._api.serves(target.path):
            if target.path == "/" and "token" in target.query:
                return self._take_token(target, port, head=head)
            return self._files.answer(target.path, host, head=head)
        self._access.check_site(request.headers)
        if not self._access.knows(request.headers, port):
            given = "Authorization" in request.headers
            code, text = ("wrong_token", "the token is not the one of this server") if given else _NO_TOKEN
            raise RequestError(code, text, 401)
        if is_socket_path(target.path) and target.path != "/ws/realtime/status":
            raise RequestError("upgrade_required", "this address speaks WebSocket only", 426)
        return respond(200, wire.encode(await self._api.answer(target)), "application/json", head=head)

    def _take_token(self, target: Target, port: int, *, head: bool) -> Response:
        if not self._access.is_token(target.query["token"]):
            raise RequestError("wrong_token", "the token in this link is not the one of this server", 401)
        place = target.without("token")
        more = {"Location": place, "Set-Cookie": self._access.cookie_header(port)}
        body = f'<!doctype html><title>Fathom</title><a href="{html.escape(place)}">Go on</a>'.encode()
        return respond(303, body, "text/html; charset=utf-8", head=head, more=more)


_NO_TOKEN: Final = ("token_required", "open the link of the Server panel, or send Authorization: Bearer with its token")


def is_socket_path(path: str) -> bool:
    """Whether an address is one for WebSocket clients."""
    return path == SOCKET_PATH or (path.startswith(ROWS_PREFIX) and path.count("/") == 3)


def rows_wanted(data: ServerData, target: Target) -> list[int] | None:
    """Return the rows a WebSocket was opened for, None where messages will tell; raise RequestError."""
    if target.path == SOCKET_PATH:
        return None
    venue = target.path.removeprefix(ROWS_PREFIX)
    limit = target.whole("limit", DEFAULT_ROWS, 1, wire.MAX_SUBSCRIPTIONS)
    return row_numbers(data, target, venue, limit)[: wire.MAX_SUBSCRIPTIONS]


def _wants_socket(request: Request) -> bool:
    words = ",".join(request.headers.get_all("Upgrade")).lower().split(",")
    return request.method == "GET" and "websocket" in (word.strip() for word in words)
