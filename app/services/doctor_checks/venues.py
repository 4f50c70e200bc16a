"""Asks each crypto venue that is switched on for its time: can it be reached, how fast, how far off is our clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from app import __version__
from app.domain.units import NS_PER_S
from app.services.doctor_checks.broker_rows import skew_row
from app.services.doctor_checks.finding import Finding, Rows, sentence
from app.settings.store import Settings
from app.venues.bans import BanStore
from app.venues.explain import explain_failure, explain_status, place

SLOW_MS: Final = 1500.0
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_BIGGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueHost:
    """One REST host: how its time is asked for and read (ms since 1970). settings: the switches of its markets."""

    service: str
    url_key: str
    switches: tuple[str, ...]
    path: str
    body: bytes | None
    time_ms: Callable[[Any], float]


HOSTS: Final = (
    VenueHost(
        service="Binance spot",
        url_key="binance.spot.rest_url",
        switches=("binance.spot.enabled",),
        path="/api/v3/time",
        body=None,
        time_ms=lambda said: float(said["serverTime"]),
    ),
    VenueHost(
        service="Binance futures",
        url_key="binance.usdm.rest_url",
        switches=("binance.usdm.enabled",),
        path="/fapi/v1/time",
        body=None,
        time_ms=lambda said: float(said["serverTime"]),
    ),
    VenueHost(
        service="Bybit",
        url_key="bybit.rest_url",
        switches=("bybit.spot.enabled", "bybit.linear.enabled"),
        path="/v5/market/time",
        body=None,
        time_ms=lambda said: int(said["result"]["timeNano"]) / 1e6,
    ),
    VenueHost(
        service="Hyperliquid",
        url_key="hyperliquid.rest_url",
        switches=("hyperliquid.perp.enabled", "hyperliquid.spot.enabled"),
        path="/info",
        body=b'{"type":"exchangeStatus"}',
        time_ms=lambda said: float(said["time"]),
    ),
)


@dataclass(frozen=True, slots=True)
class VenueLook:
    """Rows of a venue, and its clock minus ours in ms (None: it told no time)."""

    rows: list[Finding]
    offset_ms: float | None = None


async def check_venue(host: VenueHost, settings: Settings, bans: BanStore, now_ns: int, patience_s: float) -> VenueLook:
    """Ask one venue for its time; one that has banned this address is not asked."""
    rows, url = Rows(host.service), settings.text(host.url_key).rstrip("/")
    if not any(settings.flag(switch) for switch in host.switches):
        return VenueLook([rows.off("reachable", "Switched off in the settings.")])
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        words = f"{host.url_key} is no address: expected https://HOST, was {url!r}."
        return VenueLook([rows.fail("reachable", words, f"Set {host.url_key}, or take it out of the settings.")])
    ban = bans.active(place(url), now_ns)
    if ban is not None:
        minutes = max(1, round((ban.until_ns - now_ns) / NS_PER_S / 60))
        words = f"{place(url)} told us to stay away (HTTP {ban.status}) for another {minutes} min; it was not asked."
        return VenueLook([rows.fail("reachable", words, "Wait: asking on would only make it longer.")])
    client = await _client(local=parts.hostname in _LOOPBACK, secure=parts.scheme == "https", patience_s=patience_s)
    try:
        return await _ask(client, host, rows, url, patience_s)
    finally:
        await client.aclose()


async def _client(*, local: bool, secure: bool, patience_s: float) -> httpx.AsyncClient:
    """Return a client; reading the list of trusted authorities takes long and is done off the loop."""
    verify = await asyncio.to_thread(httpx.create_ssl_context) if secure else True
    headers = {"User-Agent": f"Fathom/{__version__}", "Accept": "application/json"}
    make = httpx.AsyncClient
    if secure:
        return make(verify=verify, headers=headers, timeout=patience_s, trust_env=not local)
    return await asyncio.to_thread(make, headers=headers, timeout=patience_s, trust_env=not local)


async def _ask(client: httpx.AsyncClient, host: VenueHost, rows: Rows, url: str, patience_s: float) -> VenueLook:
    began = time.perf_counter()
    method = "GET" if host.body is None else "POST"
    headers = {} if host.body is None else {"Content-Type": "application/json"}
    try:
        async with asyncio.timeout(patience_s):
            sent_ns = time.time_ns()
            answer = await client.request(method, url + host.path, content=host.body, headers=headers)
            came_ns = time.time_ns()
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ImportError) as error:
        took_ms = (time.perf_counter() - began) * 1000
        reason = explain_failure(error, url, patience_s)
        return VenueLook([rows.fail("reachable", sentence(reason), _advice(error, host), took_ms=took_ms)])
    took_ms = (time.perf_counter() - began) * 1000
    if answer.status_code != 200:
        words = sentence(explain_status(answer.status_code, place(url)))
        return VenueLook([rows.fail("reachable", words, _status_advice(answer.status_code, host), took_ms=took_ms)])
    try:
        told_ms = host.time_ms(msgspec.json.decode(answer.content[:_BIGGEST]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError, IndexError):
        words = f"{place(url)} answers, but not as {host.service} does."
        return VenueLook([rows.fail("reachable", words, f"Is {host.url_key} right?", took_ms=took_ms)])
    offset_ms = told_ms - (sent_ns + came_ns) / 2e6
    if took_ms > SLOW_MS:
        words = f"{place(url)} answers slowly ({took_ms:.0f} ms)."
        reach = rows.warn("reachable", words, "Books will be late: look at the line and at the load.", took_ms=took_ms)
    else:
        reach = rows.ok("reachable", f"{place(url)} answers.", took_ms=took_ms)
    return VenueLook([reach, skew_row(rows, offset_ms, host.service)], offset_ms)


def _advice(error: BaseException, host: VenueHost) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "Try again; if it lasts, a firewall may swallow the way there."
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "Something between here and the venue may read along, or the date of this machine is wrong."
    return f"Is the network up, and {host.url_key} right?"


def _status_advice(status: int, host: VenueHost) -> str:
    if status in (403, 451):
        return f"Switch the venue off ({host.switches[0]}=false), or name an address that serves you ({host.url_key})."
    if status in (418, 429):
        return "Wait: the venue counts requests by address, other programs' too."
    return f"Try again later; is {host.url_key} right?" if status >= 500 or status == 404 else "Try again later."
