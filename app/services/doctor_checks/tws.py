"""Looks at TWS and IB Gateway: which ports are open, who answers there, and what the running session knows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from app.domain.broker_health import BrokerHealth
from app.domain.units import NS_PER_S
from app.portfolio.ledger import Ledger
from app.services.doctor_checks.broker_rows import is_connected, session_rows, skew_row
from app.services.doctor_checks.finding import Finding, Rows
from app.services.doctor_checks.wire_looks import Answerer, Look, look_at
from app.settings.store import Settings

SERVICE: Final = "IBKR TWS"
PORTS: Final[Mapping[int, str]] = {
    7496: "TWS live",
    7497: "TWS paper",
    4001: "IB Gateway live",
    4002: "IB Gateway paper",
}
"""Ports as shipped; the user may have changed them, so a port alone proves nothing."""
OLDEST_VERSION: Final = 157
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_START: Final = (
    "Start TWS or IB Gateway and log in; in TWS tick Enable ActiveX and Socket Clients (Global Configuration > API > "
    "Settings), and compare the socket port there with ibkr.tws.port."
)
_QUARTER_S: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TwsPlace:
    """Where TWS is looked for. others: further ports that are tried."""

    enabled: bool
    host: str
    port: int
    client_id: int
    others: tuple[int, ...]

    @classmethod
    def of(cls, settings: Settings) -> TwsPlace:
        """Return the place the settings name; other ports are tried on this machine only."""
        host, port = settings.text("ibkr.tws.host"), settings.whole("ibkr.tws.port")
        return cls(
            enabled=settings.flag("ibkr.tws.enabled"),
            host=host,
            port=port,
            client_id=settings.whole("ibkr.tws.client_id"),
            others=tuple(other for other in PORTS if other != port) if host in _LOOPBACK else (),
        )


async def check_tws(
    place: TwsPlace,
    health: BrokerHealth | None,
    ledger: Ledger | None,
    now_ns: int,
    *,
    patience_s: float = 2.0,
) -> list[Finding]:
    """Return the rows of TWS. A session that is connected is believed; else the ports are looked at."""
    rows = Rows(SERVICE)
    if health is not None and is_connected(health):
        return [*_through_session(rows, place, health), *session_rows(rows, health, ledger, now_ns)]
    looks = await asyncio.gather(
        *(look_at(place.host, port, patience_s=patience_s) for port in (place.port, *place.others))
    )
    if not place.enabled:
        return [_switched_off(rows, looks)]
    found = [_port(rows, place, looks), *_answerer(rows, place, looks[0]), *_others(rows, looks[1:])]
    if health is not None:
        return [*found, *session_rows(rows, health, ledger, now_ns)]
    return [*found, *_not_logged_in(rows, place, looks[0])]


def _through_session(rows: Rows, place: TwsPlace, health: BrokerHealth) -> list[Finding]:
    where = health.address or f"{place.host}:{place.port}"
    version = f", API version {health.server_version}" if health.server_version else ""
    return [
        rows.ok("port", f"{where} is open; Fathom is connected through it."),
        rows.ok("who answers", f"TWS or IB Gateway{version}."),
    ]


def _switched_off(rows: Rows, looks: Sequence[Look]) -> Finding:
    there = [look for look in looks if look.who is Answerer.TWS]
    if not there:
        return rows.off("port", "Switched off in the settings, and no TWS or IB Gateway answers on this machine.")
    named = ", ".join(_named(look.port) for look in there)
    advice = f"To use it, set ibkr.tws.enabled=true and ibkr.tws.port={there[0].port}."
    return rows.off("port", f"Switched off in the settings. TWS or IB Gateway answers at port {named}.", advice)


def _named(port: int) -> str:
    return f"{port} (usually {PORTS[port]})" if port in PORTS else str(port)


def _port(rows: Rows, place: TwsPlace, looks: Sequence[Look]) -> Finding:
    look, where = looks[0], f"{place.host}:{place.port}"
    if look.who not in (Answerer.NOBODY, Answerer.UNREACHABLE):
        usual = PORTS.get(place.port)
        words = (
            f"{where} is open, the usual port of {usual}."
            if usual
            else f"{where} is open (not one of the usual ports)."
        )
        return rows.ok("port", words, took_ms=look.took_ms)
    elsewhere = [other for other in looks[1:] if other.who is Answerer.TWS]
    advice = _START
    if elsewhere:
        named = ", ".join(_named(other.port) for other in elsewhere)
        advice = f"TWS or IB Gateway answers at port {named}: set ibkr.tws.port={elsewhere[0].port}."
    if look.who is Answerer.NOBODY:
        return rows.fail("port", f"Nothing listens at {where}.", advice, took_ms=look.took_ms)
    return rows.fail("port", f"{where} cannot be reached: {look.said}.", advice, took_ms=look.took_ms)


def _answerer(rows: Rows, place: TwsPlace, look: Look) -> list[Finding]:
    where, check = f"{place.host}:{place.port}", "who answers"
    right = "Set ibkr.tws.port to the socket port shown in TWS (Global Configuration > API > Settings)."
    match look.who:
        case Answerer.NOBODY | Answerer.UNREACHABLE:
            return []
        case Answerer.TWS if look.version < OLDEST_VERSION:
            words = f"TWS or IB Gateway with API version {look.version}, which is too old."
            return [rows.fail(check, words, "Update TWS: version 157 (API 9.72) or later is needed.")]
        case Answerer.TWS:
            words = f"TWS or IB Gateway, API version {look.version}."
            return [rows.ok(check, words, took_ms=look.took_ms)]
        case Answerer.WEB:
            words = f"A web server answers at {where}, not TWS ({look.said or 'no status'})."
        case Answerer.TLS:
            words = f"A server that wants TLS answers at {where}, as the Client Portal Gateway does; TWS does not."
        case Answerer.SILENT:
            words = f"Something accepts connections at {where} but says nothing."
            right = "Look at TWS: it may ask in a window whether to accept the connection, or hang. Else: " + right
        case Answerer.HANGS_UP:
            words = f"Something at {where} hangs up at once."
            right = "TWS does so to a machine that is not among its Trusted IPs, or when 32 programs are connected."
        case _:
            words = f"Something else answers at {where}; it begins “{look.said}”."
    return [rows.fail(check, words, right, took_ms=look.took_ms)]


def _others(rows: Rows, looks: Sequence[Look]) -> list[Finding]:
    if not looks:
        return []
    there = [_named(look.port) for look in looks if look.who is Answerer.TWS]
    if there:
        return [rows.ok("other ports", f"TWS or IB Gateway answers at {', '.join(there)} too.")]
    names = ", ".join(str(look.port) for look in looks)
    return [rows.ok("other ports", f"No TWS or IB Gateway at {names}.")]


def _not_logged_in(rows: Rows, place: TwsPlace, look: Look) -> list[Finding]:
    if look.who is not Answerer.TWS or look.version < OLDEST_VERSION:
        return []
    own = f"Client id {place.client_id}" if place.client_id else "One between 100 and 999 is chosen once and kept"
    found = [
        rows.unknown("client id", f"{own}; whether it is free shows when Fathom logs in."),
        rows.unknown(
            "session",
            "Not logged in: this look stops at the handshake.",
            "Read-only probe, account, data farms and lines are shown by the window's doctor, or by --login.",
        ),
    ]
    offset_ms = skew_ms(look.time, look.at_ns)
    if offset_ms is None:
        return [*found, rows.unknown("clock", f"The time TWS tells cannot be read: “{look.time}”.")]
    return [*found, skew_row(rows, offset_ms, "TWS (told in whole seconds)")]


def skew_ms(text: str, now_ns: int) -> float | None:
    """Return how far TWS's clock is ahead of ours, in ms, out of "20261120 09:30:00 EST"; None for another text.

    The name of the zone is not trusted (abbreviations are ambiguous): zones differ by whole quarters of an hour, so
    only what is left of such quarters counts. TWS tells whole seconds: its half second is added.
    """
    try:
        told = datetime.strptime(" ".join(text.split()[:2]), "%Y%m%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    ahead_s = (told - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1) + 0.5 - now_ns / NS_PER_S
    return ((ahead_s + _QUARTER_S / 2) % _QUARTER_S - _QUARTER_S / 2) * 1000
