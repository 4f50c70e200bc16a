"""GET requests into JSON answers and page files. Nothing here changes anything or is readable to other origins."""

from __future__ import annotations

import http
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.http11 import Response

from app.domain.errors import StorageError
from app.domain.ids import Market
from app.server import wire
from app.server.conversation import check_indicator, find_book
from app.server.hub import portfolio_fields, status_fields
from app.server.ports import Json, ServerData
from app.server.target import Target
from app.server.wire import RequestError

MAX_ROWS: Final = 1000
_MAX_FILE_BYTES: Final = 4_000_000
_FILE_NAME: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
_MEDIA: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_COMMON: Final = {
    "Connection": "close",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CLOSED_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


def respond(
    status: int, body: bytes, media: str, *, head: bool = False, more: dict[str, str] | None = None, policy: str = ""
) -> Response:
    """Return an answer that ends the connection and that no other page may read, frame or guess the type of."""
    headers = Headers(_COMMON)
    headers["Content-Type"] = media
    headers["Content-Length"] = str(len(body))
    headers["Content-Security-Policy"] = policy or _CLOSED_POLICY
    headers["Cache-Control"] = "no-cache" if policy else "no-store"
    for name, value in (more or {}).items():
        headers[name] = value
    return Response(status, http.HTTPStatus(status).phrase, headers, b"" if head else body)


def respond_error(error: RequestError, *, head: bool = False) -> Response:
    """Return an error as JSON."""
    more = {405: {"Allow": "GET, HEAD"}, 426: {"Upgrade": "websocket"}, 503: {"Retry-After": "5"}}.get(error.status)
    body = wire.encode({"error": error.code, "message": str(error)})
    return respond(error.status, body, "application/json", head=head, more=more)


def page_policy(host: str) -> str:
    """Return what the page may load: its own files, and data of this server."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self' ws://{host}; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'"
    )


class PageFiles:
    """The files of the page, below one folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder.resolve()

    def answer(self, path: str, host: str, *, head: bool) -> Response:
        """Return a file; raise RequestError (404) for anything that is not one of the page's."""
        name = path.lstrip("/") or "index.html"
        missing = RequestError("not_found", "there is nothing at this address", 404)
        if self._folder is None or path.startswith("//") or _FILE_NAME.fullmatch(name) is None:
            raise missing
        file = (self._folder / name).resolve()
        media = _MEDIA.get(file.suffix)
        if media is None or not file.is_relative_to(self._folder) or not file.is_file():
            raise missing
        try:
            if file.stat().st_size > _MAX_FILE_BYTES:
                raise missing
            body = file.read_bytes()
        except OSError:
            raise missing from None
        return respond(200, body, media, head=head, policy=page_policy(host))


class Api:
    """The JSON behind each address. `figures` gives the server's own numbers."""

    def __init__(self, data: ServerData, figures: Callable[[], Json], *, share_account: bool) -> None:
        self._data = data
        self._figures = figures
        self._share_account = share_account
        self._plain: dict[str, Callable[[Target], Json]] = {
            "/health": self._health,
            "/ws/realtime/status": self._server_status,
            "/api/ws/status": self._server_status,
            "/api/status": lambda _target: {"type": "status", **status_fields(self._data)},
            "/api/rows": self._rows,
            "/api/portfolio": lambda _target: portfolio_fields(self._data if self._share_account else None),
        }
        self._named: dict[str, Callable[[str, Target], Json | Awaitable[Json]]] = {
            "/api/ticks/": self._ticks,
            "/api/snapshots/": self._snapshot,
            "/api/indicators/": self._indicator,
            "/api/validation/": self._validation,
        }

    def serves(self, path: str) -> bool:
        """Whether an address gives data, for which a token is needed."""
        return path in self._plain or path.startswith(("/api/", "/ws"))

    async def answer(self, target: Target) -> Json:
        """Return the data of an address; raise RequestError when there is none."""
        plain = self._plain.get(target.path)
        if plain is not None:
            return plain(target)
        for prefix, named in self._named.items():
            if target.path.startswith(prefix):
                try:
                    name = unquote(target.path[len(prefix) :], errors="strict").strip()
                except UnicodeDecodeError:
                    name = ""
                if not 0 < len(name) <= 64:
                    raise RequestError("bad_request", "expected a name of 1 to 64 characters")
                found = named(name, target)
                return found if isinstance(found, dict) else await found
        raise RequestError("not_found", "there is nothing at this address", 404)

    # -- the program ---------------------------------------------------------------------------------------------

    def _health(self, target: Target) -> Json:
        figures = self._figures()
        return {
            "status": "ok",
            **self._data.about(),
            "time": self._data.now_ms(),
            "uptime_s": figures["uptime_s"],
            "interval_ms": figures["interval_ms"],
            "read_only": True,
        }

    def _server_status(self, target: Target) -> Json:
        counts = {venue.value: count for venue, count in self._data.symbol_counts().items()}
        return {**self._figures(), "symbols": counts, "time": self._data.now_ms()}

    # -- numbers -------------------------------------------------------------------------------------------------

    def _rows(self, target: Target) -> Json:
        numbers = row_numbers(self._data, target, target.query.get("venue"), target.whole("limit", 100, 1, MAX_ROWS))
        return {"count": len(numbers), "time": self._data.now_ms(), "data": self._data.rows(numbers)}

    def _market(self, target: Target) -> Market:
        return wire.read_market(target.query.get("venue"), target.query.get("marketType"))

    def _ticks(self, symbol: str, target: Target) -> Json:
        key = find_book(self._data, self._market(target), symbol)
        last_s = target.number("last", 60.0, 0.1, 120.0)
        ticks = self._data.ticks(key, last_s)
        return {**_place(key.market), "symbol": key.symbol, "last": last_s, "count": len(ticks), "data": ticks}

    def _snapshot(self, symbol: str, target: Target) -> Json:
        key = find_book(self._data, self._market(target), symbol)
        return self._data.snapshot(key, target.whole("levels", 20, 1, 1000))

    def _validation(self, symbol: str, target: Target) -> Json:
        return self._data.validation(find_book(self._data, self._market(target), symbol))

    async def _indicator(self, name: str, target: Target) -> Json:
        query = target.query
        depth = target.number("depth", 0.0, 0.0, 100.0) if "depth" in query else None
        key = wire.read_indicator(
            name, query.get("category", "TOTAL"), query.get("venue"), query.get("marketType"), depth
        )
        check_indicator(self._data, key)
        answer = self._data.indicator(key)
        if "minutes" in query:
            minutes = target.whole("minutes", 60, 1, 1440)
            try:
                answer["points"] = await self._data.indicator_minutes(key, minutes)
            except StorageError as error:
                raise RequestError("history_away", f"the stored minutes cannot be read now: {error}", 503) from None
        elif "last" in query:
            answer["points"] = self._data.indicator_points(key, target.number("last", 120.0, 0.1, 120.0))
        return answer


def row_numbers(data: ServerData, target: Target, venue: str | None, limit: int) -> list[int]:
    """Return the rows a query names: its `symbols`, else the `limit` most traded; raise RequestError for none."""
    market_type = target.query.get("marketType")
    markets = wire.read_markets(venue, market_type)
    symbols = target.words("symbols")
    if not symbols:
        return data.top_rows(markets, limit)
    found: dict[int, None] = {}
    for symbol in symbols:
        rows = [row for row in (data.find_row(market, symbol) for market in markets) if row is not None]
        if not rows:
            raise RequestError("unknown_symbol", f"no market here lists {symbol[:40]!r}", 404)
        found.update(dict.fromkeys(rows if market_type else rows[:1]))
    return list(found)


def _place(market: Market) -> Json:
    return {"venue": market.venue.value, "marketType": market.kind.value}
