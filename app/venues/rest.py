"""From a path to the body of the venue's answer: the HTTP shell of every venue, which never asks more than it may.

Each request is weighed against the budget of its host. HTTP 429 and 418 (or what a venue uses instead) stop every
request to that host until the time the venue names, across restarts; failures of the network or the venue stop it for
a pause that grows. Whatever goes wrong becomes a `RestError` with a sentence, and a count.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from app import __version__
from app.domain.clock import Clock
from app.domain.errors import FatalFeedError, RetryableFeedError
from app.domain.health import FeedHealth, LinkState
from app.domain.units import NS_PER_MS, NS_PER_S
from app.venues.backoff import Backoff, BackoffPolicy
from app.venues.bans import Ban, BanStore
from app.venues.explain import explain_failure, explain_status, place
from app.venues.limiter import WeightBudget

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line per request
_MAX_BODY: Final = 64 * 2**20
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_PAUSE_429_S: Final = 60.0
_PAUSE_418_S: Final = 120.0
_PAUSE_403_S: Final = 300.0
_LONGEST_PAUSE_S: Final = 3 * 24 * 3600.0
_EDGE_S: Final = 0.25
_USED_WEIGHT: Final = "x-mbx-used-weight-1m"
_UNKNOWN_SYMBOL: Final = -1121


class RestError(RetryableFeedError):
    """A request brought no usable answer. `status`: HTTP status, `code`: the venue's own number, None: none came."""

    def __init__(self, reason: str, *, status: int | None = None, code: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code


class HostStoppedError(RestError):
    """The host must not be asked now (429, 418, or a pause after failures)."""


class RequestRefusedError(RestError):
    """The venue understood the request and refused it; asking the same again cannot help."""


class UnknownSymbolError(RequestRefusedError):
    """The venue does not know the symbol (any more)."""


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


_refusal = msgspec.json.Decoder(_Refusal, strict=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a venue says in the body of an answer with HTTP status 200: its number and words, and what follows.

    stop_s: the host must not be asked for so long. fails: pause as after a failure of the venue. Else the request was
    understood and refused.
    """

    code: int
    words: str
    stop_s: float = 0.0
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """What an HTTP status means at a venue: after how long it is asked again (or Retry-After), how that is shown."""

    pause_s: float
    state: LinkState
    reason: str = ""


DEFAULT_STOPS: Final[Mapping[int, Stop]] = {
    429: Stop(_PAUSE_429_S, LinkState.BACKOFF),
    418: Stop(_PAUSE_418_S, LinkState.BANNED),
}
Examine = Callable[[Mapping[str, str], bytes], Verdict | None]
"""From headers and body of an answer with status 200 to the venue's refusal, None when it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """How to ask a venue that does not take a GET of the path: with a POST to one address.

    body_of: from the path to what is sent. means_unknown: from status and body to whether it does not know the symbol.
    """

    address: str
    body_of: Callable[[str], bytes]
    means_unknown: Callable[[int, bytes], bool]


class RestClient:
    """Requests to one host. `venue_offset_ms`: the venue's clock minus ours, once measured."""

    def __init__(
        self,
        base_url: str,
        health: FeedHealth,
        clock: Clock,
        bans: BanStore,
        *,
        weight_limit: int,
        timeout_s: float = 10.0,
        backoff: BackoffPolicy | None = None,
        random: Random | None = None,
        stops: Mapping[int, Stop] = DEFAULT_STOPS,
        examine: Examine | None = None,
        posting: Posting | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FatalFeedError(f"expected a REST address beginning with http:// or https://, was {base_url!r}")
        self.host = place(base_url)
        self.budget = WeightBudget(weight_limit)
        self.venue_offset_ms = 0.0
        self._url = base_url.rstrip("/")
        self._local = parts.hostname in _LOOPBACK
        self._health = health
        self._clock = clock
        self._bans = bans
        self._timeout_s = timeout_s
        self._backoff = Backoff(backoff or BackoffPolicy(), random)
        self._stops = stops
        self._examine = examine
        self._posting = posting
        self._client: httpx.AsyncClient | None = None
        self._stopped_until_ns = 0
        self._stopped_why = ""
        self.refresh()

    # -- permission ----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the counters on screen up to the present: a new minute, the end of a ban."""
        health = self._health
        self.budget.minute_of(self._venue_ms())
        health.rest_weight_used, health.rest_weight_limit = self.budget.used, self.budget.limit
        stopped_s = self.stopped_s()
        if stopped_s > 0.0:
            return
        if health.rest_state in (LinkState.BANNED, LinkState.BACKOFF):
            health.rest_state, health.rest_retry_at_ns = LinkState.CONNECTING, None

    def stopped_s(self) -> float:
        """Return for how many seconds the host must not be asked at all, 0 when it may."""
        now_ns = self._clock.wall_ns()
        ban = self._bans.active(self.host, now_ns)
        if ban is not None and ban.until_ns > self._stopped_until_ns:
            self._show_stop(ban.until_ns, *self._shown(ban.status))
        return max(0.0, (self._stopped_until_ns - now_ns) / NS_PER_S)

    def wait_s(self, weight: int, share: float) -> float:
        """Return 0 when a request may leave now inside that share of the weight limit, else the time to wait."""
        stopped_s = self.stopped_s()
        return stopped_s if stopped_s > 0.0 else self.budget.wait_s(weight, share, self._venue_ms())

    async def get(self, path: str, weight: int, share: float) -> bytes:
        """Wait for permission, then ask. Raises RestError."""
        pause_s = self.wait_s(weight, share)
        while pause_s > 0.0:
            await asyncio.sleep(min(pause_s, 5.0))  # what others spend meanwhile changes the time to wait
            pause_s = self.wait_s(weight, share)
        return await self.send(path, weight)

    # -- requests ------------------------------------------------------------------------------------------------

    async def send(self, path: str, weight: int) -> bytes:
        """Ask at once and return the body. Raises RestError; while asking is forbidden at once (HostStoppedError)."""
        if self.stopped_s() > 0.0:
            raise HostStoppedError(self._stopped_why)
        health = self._health
        minute = self.budget.spend(weight, self._venue_ms())
        health.rest_requests += 1
        health.rest_weight_used = self.budget.used
        if health.rest_state is LinkState.IDLE:
            health.rest_state = LinkState.CONNECTING
        try:
            status, headers, body = await self._exchange(path)
        except (httpx.HTTPError, OSError, TimeoutError, ImportError) as error:
            self.budget.settle(weight, minute, None, self._venue_ms())
            reason = explain_failure(error, self._url, self._timeout_s)
            self._pause(reason)
            raise RestError(reason) from None
        used = _number(headers.get(_USED_WEIGHT))
        self.budget.settle(weight, minute, None if used is None else int(used), self._venue_ms())
        health.rest_weight_used = self.budget.used
        if self._posting is not None and self._posting.means_unknown(status, body):
            raise self._refused(UnknownSymbolError, f"{self.host} knows nothing of what was asked for", status)
        if status != 200:
            raise self._on_refusal(status, headers, body)
        if body[:64].lstrip()[:1] not in (b"{", b"["):
            reason = f"{self.host} answered something that is not JSON; it begins {_sample(body)}"
            self._pause(reason)
            raise RestError(reason, status=status)
        verdict = self._examine(headers, body) if self._examine is not None else None
        if verdict is not None:
            raise self._on_verdict(verdict)
        self._backoff.reset()
        if self.stopped_s() == 0.0:
            health.rest_state, health.rest_reason, health.rest_retry_at_ns = LinkState.LIVE, "", None
        return body

    async def _exchange(self, path: str) -> tuple[int, httpx.Headers, bytes]:
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=self._timeout_s,
                limits=httpx.Limits(max_connections=8, max_keepalive_connections=4),
                headers={"User-Agent": f"Fathom/{__version__}", "Accept": "application/json"},
                follow_redirects=False,
                trust_env=not self._local,  # proxies of this computer lead away from it
            )
        method, address, body, headers = "GET", path, None, {}
        if self._posting is not None:
            method, address, body = "POST", self._posting.address, self._posting.body_of(path)
            headers = {"Content-Type": "application/json"}
        answer = self._client.stream(method, self._url + address, content=body, headers=headers)
        async with asyncio.timeout(self._timeout_s), answer as response:
            parts = []
            size = 0
            async for part in response.aiter_bytes():
                size += len(part)
                if size > _MAX_BODY:
                    raise httpx.DecodingError("the answer is larger than 64 MiB")
                parts.append(part)
            return response.status_code, response.headers, b"".join(parts)

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # -- what went wrong -----------------------------------------------------------------------------------------

    def _on_refusal(self, status: int, headers: httpx.Headers, body: bytes) -> RestError:
        reason = self._shown(status)[1]
        if status in self._stops:
            pause_s = _number(headers.get("retry-after"))
            if pause_s is None:
                pause_s = self._stops[status].pause_s
            self._stop(status, min(pause_s, _LONGEST_PAUSE_S), reason)
            return RestError(reason, status=status)
        if status in (403, 451):
            self._health.rest_errors += 1
            self._hold(_PAUSE_403_S, reason)
            return RestError(reason, status=status)
        if 400 <= status < 500:
            code, said = _said(body)
            text = f"{self.host} refused the request: {said}" if said else reason
            kind = UnknownSymbolError if code == _UNKNOWN_SYMBOL else RequestRefusedError
            return self._refused(kind, text, status, code)
        self._pause(reason)
        return RestError(reason, status=status)

    def _refused(
        self, kind: type[RequestRefusedError], reason: str, status: int, code: int | None = None
    ) -> RequestRefusedError:
        """Count a request that was understood and refused: the host itself is well."""
        self._health.rest_errors += 1
        self._health.rest_state, self._health.rest_reason = LinkState.LIVE, ""
        return kind(reason, status=status, code=code)

    def _on_verdict(self, verdict: Verdict) -> RestError:
        reason = f"{self.host} refused the request: {verdict.words} ({verdict.code})"
        if verdict.fails:
            self._pause(reason)
            return RestError(reason, status=200, code=verdict.code)
        if verdict.stop_s > 0.0:
            self._health.rest_errors += 1
            self._hold(verdict.stop_s + _EDGE_S, reason)
            return HostStoppedError(reason, status=200, code=verdict.code)
        return self._refused(RequestRefusedError, reason, 200, verdict.code)

    def _shown(self, status: int) -> tuple[LinkState, str]:
        """Return how a refusal by that status is shown, and its sentence."""
        stop = self._stops.get(status)
        state = LinkState.BACKOFF if stop is None else stop.state
        if stop is not None and stop.reason:
            return state, f"{self.host} {stop.reason} (HTTP {status})"
        return state, explain_status(status, self.host)

    def _stop(self, status: int, pause_s: float, reason: str) -> None:
        """Stop the host by order of the venue; remembered across restarts."""
        self._health.rest_errors += 1
        now_ns = self._clock.wall_ns()
        until_ns = now_ns + int((pause_s + _EDGE_S) * NS_PER_S)
        self._bans.put(self.host, Ban(status, until_ns), now_ns)
        state = self._shown(status)[0]
        if until_ns >= self._stopped_until_ns or state is LinkState.BANNED:
            self._show_stop(max(until_ns, self._stopped_until_ns), state, reason)

    def _pause(self, reason: str) -> None:
        """Stop the host for a while after a failure; failures of requests that left together count once."""
        self._health.rest_errors += 1
        if self.stopped_s() == 0.0:
            self._hold(self._backoff.failed(), reason)

    def _hold(self, pause_s: float, reason: str) -> None:
        until_ns = self._clock.wall_ns() + int(pause_s * NS_PER_S)
        if until_ns > self._stopped_until_ns:
            self._show_stop(until_ns, LinkState.BACKOFF, reason)

    def _show_stop(self, until_ns: int, state: LinkState, reason: str) -> None:
        self._stopped_until_ns, self._stopped_why = until_ns, reason
        health = self._health
        health.rest_state, health.rest_reason, health.rest_retry_at_ns = state, reason, until_ns

    def _venue_ms(self) -> float:
        return self._clock.wall_ns() / NS_PER_MS + self.venue_offset_ms


def _said(body: bytes) -> tuple[int | None, str]:
    """Return the venue's error number and words out of the body of a refusal."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        refusal = _refusal.decode(body)
        return refusal.code, "".join(letter for letter in refusal.msg if letter.isprintable())[:160]
    return None, ""


def _number(text: str | None) -> float | None:
    """Return a header's number, None when it is absent or no sane number."""
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if 0.0 <= value < 1e9 else None


def _sample(body: bytes) -> str:
    return repr(body[:60].decode("utf-8", "replace"))
