"""Turns the health of a broker's connection into the card of the Feeds panel: facts, what is needed, what was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.domain.account import Severity, Source
from app.domain.broker_health import BrokerHealth, NoticeSeen
from app.domain.masking import masked
from app.viewmodels.broker_care import Care
from app.viewmodels.broker_light import BrokerLight, broker_light

NOTICES_SHOWN: Final = 4
_LIGHTS: Final = {
    Severity.INFO: "grey",
    Severity.RESTORED: "green",
    Severity.DEGRADED: "amber",
    Severity.FAILED: "amber",
    Severity.CONFLICT: "red",
    Severity.LOST: "red",
}


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """What the source said: when last (UTC ns), how often, its code and words, and what they mean."""

    ts_ns: int
    light: str
    code: int
    text: str
    advice: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRow:
    """One way to a broker. rate: messages per second, None before two readings. retry_in_ns None: no try is due."""

    source: Source
    light: BrokerLight
    address: str
    version: str
    client_id: int | None
    rate: float | None
    messages: int
    bad_messages: int
    retry_in_ns: int | None
    clock_offset_ms: float | None
    read_only: bool | None
    orders_known: bool
    orders_reason: str
    certificate: str
    offers: tuple[Care, ...]
    notices: tuple[NoticeRow, ...]


def broker_row(health: BrokerHealth, now_ns: int, rate: float | None, offers: tuple[Care, ...]) -> BrokerRow:
    """Return the card of a source at a moment (UTC ns)."""
    retry_ns = None if health.retry_at_ns is None else health.retry_at_ns - now_ns
    return BrokerRow(
        source=health.source,
        light=broker_light(health, now_ns),
        address=health.address,
        version=health.server_version,
        client_id=health.client_id,
        rate=rate,
        messages=health.messages,
        bad_messages=health.bad_messages,
        retry_in_ns=retry_ns if retry_ns is not None and retry_ns > 0 else None,
        clock_offset_ms=health.clock_offset_ms,
        read_only=health.read_only,
        orders_known=health.orders_known,
        orders_reason=health.orders_reason,
        certificate=health.certificate,
        offers=offers,
        notices=notice_rows(health),
    )


def notice_rows(health: BrokerHealth, shown: int = NOTICES_SHOWN) -> tuple[NoticeRow, ...]:
    """Return the newest notices, newest first, one row for those that say the same."""
    newest: dict[tuple[int, str], NoticeSeen] = {}
    times: dict[tuple[int, str], int] = {}
    for seen in reversed(health.notices):
        key = (seen.notice.code, seen.notice.text)
        newest.setdefault(key, seen)
        times[key] = times.get(key, 0) + 1
    return tuple(
        NoticeRow(
            seen.ts_ns,
            _LIGHTS[seen.notice.severity],
            seen.notice.code,
            masked(seen.notice.text, accounts=health.accounts),
            masked(seen.notice.advice, accounts=health.accounts),
            times[key],
        )
        for key, seen in list(newest.items())[:shown]
    )
