"""From a request that is on the list to the bytes of its answer: the only way out to the gateway over HTTP.

Requests wait for their turn (10 a second, and the limits of their own address), and while the gateway has put this
computer into its penalty box nothing leaves. Whatever goes wrong becomes a `PortalError` with a sentence. The session
value stays in here; answers are handed on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import msgspec

from app import __version__
from app.domain.clock import Clock
from app.domain.units import NS_PER_S
from app.venues.bans import Ban, BanStore
from app.venues.broker import BrokerError
from app.venues.explain import explain_failure, explain_status, retry_after_s
from app.venues.ibkr_portal.options import PortalOptions
from app.venues.ibkr_portal.routes import ROUTES, Route, route_of
from app.venues.ibkr_portal.secrets import blanked
from app.venues.ibkr_portal.tls import Gateway
from app.venues.limiter import RateLimit, wait_turn

_log = logging.getLogger("fathom.portal")
logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line per request
_MAX_BODY: Final = 16 * 2**20
_SECOND: Final = 1.1
"""Requests are spread a little wider than allowed: they do not travel evenly."""
_AT_ONCE: Final = 4
"""Requests under way at most: after a stall of this machine no more than these arrive together."""
_SESSION: Final = re.compile(r"[A-Za-z0-9._=+/-]{1,256}")
_NO_SESSION: Final = ("no bridge", "not authenticated", "not logged in")

OnAnswer = Callable[[str, bytes], None]
"""Takes path with query, and the body without secrets, of every answer that may be used."""


class PortalError(BrokerError):
    """A request brought no usable answer. status: HTTP status, None: none came."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class NotLoggedInError(PortalError):
    """The user has to log in in the browser (401)."""


class NoSessionError(PortalError):
    """The login holds, but the gateway has no brokerage session ("no bridge")."""


class PenaltyError(PortalError):
    """Too much was asked (429): nothing may be asked before `until_ns` (UTC ns)."""

    def __init__(self, reason: str, until_ns: int) -> None:
        super().__init__(reason, 429)
        self.until_ns = until_ns


class TransientError(PortalError):
    """It may work when asked again after a pause (500, 503, a broken connection)."""


class _Said(msgspec.Struct):
    error: Any = None


class _Tickled(msgspec.Struct):
    session: str = ""


_said = msgspec.json.Decoder(_Said)
_tickled = msgspec.json.Decoder(_Tickled)


class PortalHttp:
    """Requests to one gateway. requests, errors: counts."""

    def __init__(
        self,
        gateway: Gateway,
        context: ssl.SSLContext,
        options: PortalOptions,
        clock: Clock,
        bans: BanStore,
        on_answer: OnAnswer,
    ) -> None:
        """Prepare; nothing is sent yet. context: TLS settings under which only the trusted certificate passes."""
        self.requests = 0
        self.errors = 0
        self._gateway = gateway
        self._context = context
        self._options = options
        self._clock = clock
        self._bans = bans
        self._on_answer = on_answer
        self._session = ""
        self._client: httpx.AsyncClient | None = None
        self._all = RateLimit(options.requests_per_s, _SECOND)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._own: dict[str, RateLimit] = {}
        self._under_way: dict[str, asyncio.Semaphore] = {}
        self._free_s: dict[str, float] = {}
        """From when (monotonic) the next request may go to an address that takes one in its window."""
        for route in ROUTES:
            if route.pace is not None:
                self._own[route.name] = RateLimit(route.pace.count, route.pace.window_s * options.pace_scale)
                at_once = 1 if route.pace.count == 1 else route.pace.at_once
                if at_once:
                    self._under_way[route.name] = asyncio.Semaphore(at_once)

    # -- requests ------------------------------------------------------------------------------------------------

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Ask and return the body. Raises PortalError; ForbiddenRequestError when it is not on the list."""
        return await self._ask("GET", path, query, None, "")

    async def post(self, path: str, body: Mapping[str, object] | None = None, *, told_as: str = "") -> bytes:
        """Ask by POST. told_as: what the answer is called for a recording where the path alone does not say it."""
        return await self._ask("POST", path, None, {} if body is None else body, told_as)

    async def tickle(self) -> None:
        """Keep the login alive and learn the session value for the WebSocket. Raises PortalError."""
        raw = await self._send_in_turn(route_of("POST", "/tickle", {}), "/tickle", {})
        try:
            session = _tickled.decode(raw).session
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            session = ""
        if _SESSION.fullmatch(session):
            self._session = session
        self._on_answer("/tickle", blanked(raw))

    def socket_headers(self) -> dict[str, str]:
        """Return what the handshake of the WebSocket is signed with; must not be logged."""
        kept = [] if self._client is None else [f"{item.name}={item.value}" for item in self._client.cookies.jar]
        if self._session:
            kept = [cookie for cookie in kept if not cookie.startswith("api=")]
            kept.append(f'api={{"session":"{self._session}"}}')
        headers = {"User-Agent": f"Fathom/{__version__}"}
        if kept:
            headers["Cookie"] = "; ".join(kept)
        return headers

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, object] | None, told_as: str
    ) -> bytes:
        route = route_of(method, path, body)
        asked = f"{path}?{urlencode(query)}" if query else path
        raw = blanked(await self._send_in_turn(route, asked, body))
        self._on_answer(told_as or asked, raw)
        return raw

    async def _send_in_turn(self, route: Route, asked: str, body: Mapping[str, object] | None) -> bytes:
        self._refuse_during_penalty()
        async with self._at_once(route):
            own = self._own.get(route.name)
            if own is not None:
                await wait_turn(own, self._now_s)
            if (pause_s := self._free_s.get(route.name, 0.0) - self._now_s()) > 0.0:
                await asyncio.sleep(pause_s)
            async with self._places:
                await wait_turn(self._all, self._now_s)
                self._refuse_during_penalty()
                try:
                    return await self._send(route.method, asked, body)
                finally:
                    self._pause_after(route)

    def _pause_after(self, route: Route) -> None:
        """Count the pause from the answer: when the request arrived is not known, only that it was before."""
        if route.pace is not None and route.pace.count == 1:
            self._free_s[route.name] = self._now_s() + route.pace.window_s * self._options.pace_scale

    @contextlib.asynccontextmanager
    async def _at_once(self, route: Route) -> AsyncIterator[None]:
        held = self._under_way.get(route.name)
        if held is None:
            yield
            return
        async with held:
            yield

    async def _send(self, method: str, asked: str, body: Mapping[str, object] | None) -> bytes:
        timeout_s = self._options.request_timeout_s
        self.requests += 1
        try:
            status, headers, raw = await self._exchange(method, asked, body, timeout_s)
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            self.errors += 1
            raise TransientError(explain_failure(error, self._gateway.login_url, timeout_s)) from None
        if status != 200:
            self.errors += 1
            if status == 429:
                _log.warning("the gateway refuses %s %s: too much was asked", method, asked.partition("?")[0])
            raise self._refusal(status, headers, raw)
        said = _error_in(raw)
        if said:
            self.errors += 1
            raise _judge_words(said, None)
        if raw[:64].lstrip()[:1] not in (b"{", b"["):
            self.errors += 1
            raise PortalError(f"{self._gateway.place} answered something that is not JSON: is it the gateway?", status)
        return raw

    async def _exchange(
        self, method: str, asked: str, body: Mapping[str, object] | None, timeout_s: float
    ) -> tuple[int, httpx.Headers, bytes]:
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=self._context,
                timeout=timeout_s,
                limits=httpx.Limits(max_connections=8, max_keepalive_connections=4),
                headers={"User-Agent": f"Fathom/{__version__}", "Accept": "application/json"},
                follow_redirects=False,
                trust_env=False,  # proxies of this computer lead away from it
            )
        url = self._gateway.rest_url + asked
        answer = self._client.stream(method, url, json=body) if method == "POST" else self._client.stream(method, url)
        async with asyncio.timeout(timeout_s), answer as response:
            parts = []
            size = 0
            async for part in response.aiter_bytes():
                size += len(part)
                if size > _MAX_BODY:
                    raise httpx.DecodingError("the answer is larger than 16 MiB")
                parts.append(part)
            return response.status_code, response.headers, b"".join(parts)

    async def close(self) -> None:
        """Close the connections and forget the session value; a later request opens new ones."""
        self._session = ""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # -- what went wrong -----------------------------------------------------------------------------------------

    def _refusal(self, status: int, headers: httpx.Headers, raw: bytes) -> PortalError:
        place = self._gateway.place
        said = _error_in(raw)
        if status == 429:
            pause_s = retry_after_s(headers.get("retry-after"), self._options.penalty_s)
            return self._punish(pause_s)
        if status == 401 or 300 <= status < 400:
            return NotLoggedInError(f"the gateway at {place} is not logged in", status)
        if said and _means_no_session(said):
            return _judge_words(said, status)
        if status in (500, 502, 503, 504):
            more = f": {said}" if said else ""
            return TransientError(f"{explain_status(status, place)}{more}", status)
        return PortalError(f"{place} refused the request: {said}" if said else explain_status(status, place), status)

    def _punish(self, pause_s: float) -> PenaltyError:
        now_ns = self._clock.wall_ns()
        until_ns = now_ns + int(pause_s * NS_PER_S)
        self._bans.put(self._gateway.place, Ban(429, until_ns), now_ns)
        return PenaltyError(_penalty_words(until_ns), until_ns)

    @property
    def penalty_until_ns(self) -> int | None:
        """Return until when (UTC ns) nothing may be asked, None when it may."""
        ban = self._bans.active(self._gateway.place, self._clock.wall_ns())
        return None if ban is None else ban.until_ns

    def _refuse_during_penalty(self) -> None:
        until_ns = self.penalty_until_ns
        if until_ns is not None:
            raise PenaltyError(_penalty_words(until_ns), until_ns)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S


def _penalty_words(until_ns: int) -> str:
    until = datetime.fromtimestamp(until_ns // NS_PER_S, UTC)
    return f"IBKR asks to slow down (HTTP 429): nothing is asked before {until:%H:%M:%S} UTC"


def _error_in(raw: bytes) -> str:
    """Return the words of an answer {"error": ...}, "" for any other."""
    if b'"error"' not in raw[:4096] or not raw.lstrip().startswith(b"{"):
        return ""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        error = _said.decode(raw).error
        if isinstance(error, str):
            return "".join(letter for letter in error if letter.isprintable())[:160]
    return ""


def _means_no_session(said: str) -> bool:
    return any(phrase in said.lower() for phrase in _NO_SESSION)


def _judge_words(said: str, status: int | None) -> PortalError:
    if _means_no_session(said):
        return NoSessionError(f"the gateway has no brokerage session now ({said})", status)
    return PortalError(f"the gateway refused the request: {said}", status)
