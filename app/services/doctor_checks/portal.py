"""Looks at the Client Portal Gateway: port, certificate, login, and what the running session knows of it.

Nothing is sent to a gateway whose certificate is not the trusted one; the only request is that for the state of the
login (section 1 of the gateway's protocol), which changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from app.domain.broker_health import BrokerHealth
from app.domain.clock import SystemClock
from app.domain.errors import FatalFeedError
from app.domain.health import LinkState
from app.portfolio.ledger import Ledger
from app.services.doctor_checks.broker_rows import is_connected, session_rows
from app.services.doctor_checks.finding import Finding, Rows, sentence
from app.services.doctor_checks.wire_looks import Answerer, Look, look_at, speaks_tls
from app.settings.store import Settings
from app.venues.bans import BanStore
from app.venues.explain import LinkLost
from app.venues.ibkr_portal.http import PenaltyError, PortalError, PortalHttp
from app.venues.ibkr_portal.options import PortalOptions
from app.venues.ibkr_portal.tls import (
    Certificate,
    Gateway,
    PinStore,
    Trust,
    fetch_certificate,
    judge,
    pinned_context,
)

SERVICE: Final = "IBKR Client Portal"
_SOON_S: Final = 30 * 24 * 3600.0
_START: Final = (
    "Start the Client Portal Gateway (bin/run.sh root/conf.yaml); its port is listenPort in root/conf.yaml, ours is "
    "ibkr.portal.url. On macOS port 5000 often belongs to AirPlay: use 5001."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPlace:
    """Where the gateway is looked for, and which certificate is trusted: by its fingerprint, or kept in a file."""

    enabled: bool
    url: str
    fingerprint: str
    pin_path: Path | None
    bans_path: Path | None = None

    @classmethod
    def of(cls, settings: Settings, pin_path: Path | None, bans_path: Path | None) -> PortalPlace:
        """Return the place the settings name."""
        return cls(
            enabled=settings.flag("ibkr.portal.enabled"),
            url=settings.text("ibkr.portal.url"),
            fingerprint=settings.text("ibkr.portal.fingerprint"),
            pin_path=pin_path,
            bans_path=bans_path,
        )


async def check_portal(
    place: PortalPlace, health: BrokerHealth | None, ledger: Ledger | None, now_ns: int, *, patience_s: float = 3.0
) -> list[Finding]:
    """Return the rows of the Client Portal Gateway."""
    rows = Rows(SERVICE)
    try:
        gateway = Gateway.of(place.url)
    except FatalFeedError as error:
        advice = "Set ibkr.portal.url, for example to https://localhost:5000."
        return [rows.fail("address", sentence(str(error)), advice)] if place.enabled else [_off(rows)]
    began = time.perf_counter()
    if not await speaks_tls(gateway.host, gateway.port, patience_s):
        if not place.enabled:
            return [_off(rows)]
        look = await look_at(gateway.host, gateway.port, patience_s=patience_s)
        return _with_session(rows, _no_gateway(rows, gateway, look), health, ledger, now_ns)
    took_ms = (time.perf_counter() - began) * 1000
    if not place.enabled:
        advice = "To use it, set ibkr.portal.enabled=true."
        return [rows.off("port", f"Switched off in the settings. A TLS server answers at {gateway.place}.", advice)]
    found = [rows.ok("port", f"{gateway.place} is open and speaks TLS.", took_ms=took_ms)]
    try:
        seen = await fetch_certificate(gateway, patience_s)
    except LinkLost as lost:
        found.append(rows.fail("certificate", sentence(str(lost)), _START))
        return _with_session(rows, found, health, ledger, now_ns)
    store = PinStore(place.pin_path)
    await asyncio.to_thread(store.load, keep=True)
    trust = judge(seen, place.fingerprint, store.pinned, now_ns)
    found.append(certificate_row(rows, seen, trust, _known(place, store), now_ns))
    if is_connected(health):
        return _with_session(rows, found, health, ledger, now_ns)
    if trust is not Trust.TRUSTED:
        found.append(rows.unknown("login", "Not asked: nothing is sent while the certificate is not trusted."))
    else:
        bans = BanStore(place.bans_path)
        await asyncio.to_thread(bans.load)
        found += await _login(rows, gateway, seen, bans, patience_s)
    return _with_session(rows, found, health, ledger, now_ns)


def _off(rows: Rows) -> Finding:
    return rows.off("port", "Switched off in the settings, and no gateway answers on this machine.")


def _with_session(
    rows: Rows, found: list[Finding], health: BrokerHealth | None, ledger: Ledger | None, now_ns: int
) -> list[Finding]:
    """Return the rows of an own look with those of the session that are not among them."""
    if health is None or health.state in (LinkState.IDLE, LinkState.STOPPED):
        return found
    seen = {row.check for row in found}
    return [*found, *(row for row in session_rows(rows, health, ledger, now_ns) if row.check not in seen)]


def _no_gateway(rows: Rows, gateway: Gateway, look: Look) -> list[Finding]:
    where = gateway.place
    match look.who:
        case Answerer.NOBODY:
            return [rows.fail("port", f"Nothing listens at {where}.", _START, took_ms=look.took_ms)]
        case Answerer.UNREACHABLE:
            return [rows.fail("port", f"{where} cannot be reached: {look.said}.", _START, took_ms=look.took_ms)]
        case Answerer.TWS:
            words = f"TWS or IB Gateway answers at {where}, not the Client Portal Gateway."
        case Answerer.WEB:
            words = f"A web server without TLS answers at {where} ({look.said or 'no status'})."
        case Answerer.OTHER:
            words = f"Something else answers at {where}; it begins “{look.said}”."
        case _:
            words = f"Something accepts connections at {where} but does not speak TLS."
    return [
        rows.ok("port", f"{where} is open.", took_ms=look.took_ms),
        rows.fail("who answers", words, _START),
    ]


# -- certificate ------------------------------------------------------------------------------------------------------


def _known(place: PortalPlace, store: PinStore) -> str:
    return place.fingerprint or (store.pinned.fingerprint if store.pinned is not None else "")


def certificate_row(rows: Rows, seen: Certificate, trust: Trust, known: str, now_ns: int) -> Finding:
    """Return what is to be said of the certificate a gateway shows; known: the fingerprint trusted before."""
    dates = f"valid {seen.not_before:%d %b %Y} to {seen.not_after:%d %b %Y}"
    match trust:
        case Trust.TRUSTED:
            left_s = seen.not_after.timestamp() - now_ns / 1e9
            words = f"The trusted one ({dates})"
            if left_s < _SOON_S:
                advice = "It is refused once it has ended: install a current gateway, then trust its new certificate."
                return rows.warn("certificate", f"{words}; it ends in {left_s / 86400:.0f} days.", advice)
            return rows.ok("certificate", f"{words}.")
        case Trust.FIRST:
            return rows.fail(
                "certificate",
                f"Not trusted yet ({dates}). Its fingerprint is {seen.fingerprint}.",
                "Compare it with what your browser shows at the gateway's page, then trust it in the window.",
            )
        case Trust.CHANGED:
            return rows.fail(
                "certificate",
                f"It has CHANGED: trusted was {known}, now it is {seen.fingerprint}. Nothing is sent.",
                "If the gateway was installed anew, trust the new one in the window; else something took its port.",
            )
        case Trust.EXPIRED:
            return rows.fail(
                "certificate",
                f"It expired on {seen.not_after:%d %b %Y}. Nothing is sent.",
                "Install a current gateway, or name a new certificate in root/conf.yaml (sslCert, sslPwd).",
            )
        case _:
            return rows.fail(
                "certificate",
                f"It is valid only from {seen.not_before:%d %b %Y %H:%M} UTC.",
                "Look at the date and time of this machine.",
            )


# -- login ------------------------------------------------------------------------------------------------------------


async def _login(rows: Rows, gateway: Gateway, seen: Certificate, bans: BanStore, patience_s: float) -> list[Finding]:
    """Ask whether somebody is logged in, by the session's own guarded client and its certificate."""
    began = time.perf_counter()
    context = await asyncio.to_thread(pinned_context, seen)
    options = PortalOptions(request_timeout_s=patience_s)
    http = PortalHttp(gateway, context, options, SystemClock(), bans, lambda _path, _raw: None)
    status, body = 200, b""
    try:
        body = await http.post("/iserver/auth/status")
    except PortalError as error:
        if error.status is None or isinstance(error, PenaltyError):
            return [rows.fail("login", sentence(error.reason), "Look at the gateway's own window or log.")]
        status = error.status
    finally:
        await http.close()
    took_ms = (time.perf_counter() - began) * 1000
    return login_rows(rows, gateway.login_url, status, body, took_ms)


def login_rows(rows: Rows, login_url: str, status: int, body: bytes, took_ms: float) -> list[Finding]:
    """Return what the gateway's answer about the login means."""
    page = f"Open {login_url} in a browser and log in, with the second factor."
    if status == 401:
        return [
            rows.fail("login", "Nobody is logged in at the gateway (HTTP 401).", page, took_ms=took_ms, link=login_url)
        ]
    said: Any = None
    if status == 200:
        try:
            said = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            said = None
    if not isinstance(said, dict) or "authenticated" not in said:
        words = f"The server answered with HTTP {status}, but not as the gateway does."
        return [rows.fail("login", words, "Is ibkr.portal.url that of the Client Portal Gateway?", took_ms=took_ms)]
    found = [rows.ok("who answers", _version(said))]
    if said.get("competing") is True:
        found.append(
            rows.fail(
                "other logins",
                "Another login of the same user holds the brokerage session.",
                "Log out there, or use a second user name. Fathom does not push it out unasked.",
            )
        )
    if said["authenticated"] is True:
        found.append(rows.ok("login", "Logged in, and the brokerage session is open.", took_ms=took_ms))
    elif said.get("connected") is True:
        words = "Logged in, but the brokerage session is not open: positions come, quotes and orders do not."
        found.append(rows.warn("login", words, "Fathom opens it when it connects, unless another login has it."))
    else:
        words = "Nobody is logged in at the gateway."
        found.append(rows.fail("login", words, page, took_ms=took_ms, link=login_url))
    return found


def _version(said: dict[str, Any]) -> str:
    info = said.get("serverInfo")
    version = info.get("serverVersion") if isinstance(info, dict) else None
    if isinstance(version, str) and version:
        return f"The Client Portal Gateway, {''.join(letter for letter in version if letter.isprintable())[:60]}."
    return "The Client Portal Gateway."
