"""From the health of a running session with the broker to the doctor's rows; nothing is asked of the broker for it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from app.domain.account import Severity, Source
from app.domain.broker_health import BrokerHealth
from app.domain.health import LinkState
from app.domain.masking import masked_account
from app.domain.quotes import DataKind, QuoteField
from app.domain.units import NS_PER_S
from app.portfolio.ledger import Ledger
from app.services.doctor_checks.finding import Finding, Rows, State, sentence

SKEW_WARN_MS: Final = 1000.0
SKEW_FAIL_MS: Final = 30_000.0
_SILENT_NS: Final = 60 * NS_PER_S
_SUBSCRIPTIONS: Final = (
    "Subscribe to the exchange's data in IBKR's Client Portal (Settings > Market Data Subscriptions); data shared with "
    "a paper login must be switched on there too."
)
_BUSY: Final = (LinkState.CONNECTING, LinkState.SYNCING, LinkState.POLLING)
_CONNECTED: Final = (LinkState.LIVE, LinkState.STALE, LinkState.SYNCING, LinkState.POLLING)


def is_connected(health: BrokerHealth | None) -> bool:
    """Tell whether the program's own session has the source on the line."""
    return health is not None and health.state in _CONNECTED and health.connected_ns is not None


def session_rows(rows: Rows, health: BrokerHealth, ledger: Ledger | None, now_ns: int) -> list[Finding]:
    """Return what the program's own session knows of a source at a moment (UTC ns)."""
    found = [_session(rows, health, now_ns), _account(rows, health)]
    if health.source is Source.TWS:
        found.append(_client_id(rows, health))
        found.append(_read_only(rows, health))
    found.append(_orders(rows, health))
    if health.source is Source.TWS or health.farms:
        found.append(_farms(rows, health))
    found += [_rivals(rows, health), _entitlements(rows, health, ledger), _lines(rows, health), _clock(rows, health)]
    return found


def _session(rows: Rows, health: BrokerHealth, now_ns: int) -> Finding:
    state = health.state
    if health.needs:
        return rows.fail("session", sentence(health.reason or "The session waits for you"), sentence(health.needs))
    if state is LinkState.LIVE:
        words = "Connected"
        if health.connected_ns is not None:
            words += f" for {_span(now_ns - health.connected_ns)}"
        if health.reconnects:
            words += f", {health.reconnects} reconnect{'s' if health.reconnects > 1 else ''}"
        quiet_ns = None if health.last_message_ns is None else now_ns - health.last_message_ns
        if quiet_ns is not None and quiet_ns > _SILENT_NS:
            return rows.warn(
                "session", f"{words}, but silent for {_span(quiet_ns)}.", "Wait for the watch to connect anew."
            )
        if health.session_until_ns is not None:
            ends = datetime.fromtimestamp(health.session_until_ns / NS_PER_S, UTC)
            return rows.ok("session", f"{words}; the login ends at {ends:%H:%M} UTC on {ends:%d %B}.")
        return rows.ok("session", f"{words}.")
    if state in _BUSY:
        cause = sentence(health.reason or "The session is being opened")
        return rows.warn("session", cause, "Wait a moment and run the doctor again.")
    if state is LinkState.STALE:
        reason = health.reason or f"{health.source.full_name} has lost its own link to IBKR"
        return rows.fail("session", sentence(reason), "It comes back by itself; IBKR restarts its servers every night.")
    if state in (LinkState.BACKOFF, LinkState.BANNED):
        return rows.fail("session", sentence(health.reason or "The connection failed"), _retry(health, now_ns))
    return rows.off("session", "The session has not been started.")


def _retry(health: BrokerHealth, now_ns: int) -> str:
    if health.retry_at_ns is None or health.retry_at_ns <= now_ns:
        return "It is tried again by itself."
    return f"It is tried again by itself in {_span(health.retry_at_ns - now_ns)}."


def _account(rows: Rows, health: BrokerHealth) -> Finding:
    if not health.accounts:
        return rows.unknown("account", "No account has been named yet.")
    names = ", ".join(masked_account(account) for account in health.accounts)
    why = f" ({health.paper_why})" if health.paper_why else ""
    if health.paper is None:
        advice = "Look at the account id and the port: ids of paper accounts begin with D."
        return rows.warn("account", f"{names}: paper or live cannot be told{why}.", advice)
    kind = "paper trading" if health.paper else "live money"
    return rows.ok("account", f"{names}: {kind}{why}.")


def _client_id(rows: Rows, health: BrokerHealth) -> Finding:
    in_use = any(seen.notice.code == 326 for seen in health.notices)
    if health.client_id is None:
        return rows.unknown("client id", "None has been used yet.")
    if in_use:
        cause = f"Client id {health.client_id}; another program used the one tried before."
        return rows.ok("client id", cause, "Give Fathom an id of its own with ibkr.tws.client_id.")
    return rows.ok("client id", f"Client id {health.client_id}.")


def _read_only(rows: Rows, health: BrokerHealth) -> Finding:
    if health.read_only is None:
        return rows.unknown("read-only", "Not probed yet. Fathom has no order to give in any case.")
    if health.read_only:
        return rows.ok("read-only", "TWS refuses orders of every program (Read-Only API is on).")
    return rows.ok(
        "read-only",
        "TWS would take orders of other programs; Fathom has none to give.",
        "To make TWS refuse them too, tick Read-Only API (API > Settings); working orders are then not shown.",
    )


def _orders(rows: Rows, health: BrokerHealth) -> Finding:
    if health.orders_known:
        return rows.ok("orders", "Working orders can be seen.")
    if health.state is not LinkState.LIVE:
        return rows.unknown("orders", sentence(health.orders_reason or "Not asked yet"))
    return rows.warn(
        "orders",
        sentence(health.orders_reason or "Working orders cannot be seen"),
        "Executions are shown all the same; the Client Portal Gateway shows working orders too.",
    )


def _farms(rows: Rows, health: BrokerHealth) -> Finding:
    if not is_connected(health):
        return rows.unknown("data farms", "Not known while there is no session.")
    if not health.farms:
        return rows.unknown("data farms", "Nothing has been said of them yet.")
    broken = sorted(name for name, is_well in health.farms.items() if is_well is False)
    idle = sum(is_well is None for is_well in health.farms.values())
    if broken:
        words = f"Broken: {', '.join(broken)}. Their data does not come."
        return rows.fail("data farms", words, "IBKR mends them; if it lasts, log TWS in anew.")
    working = sum(is_well is True for is_well in health.farms.values())
    tail = f", {idle} idle until asked" if idle else ""
    return rows.ok("data farms", f"{working} of {len(health.farms)} working{tail}.")


def _rivals(rows: Rows, health: BrokerHealth) -> Finding:
    if health.competing:
        return rows.fail(
            "other logins",
            "Another login of the same user has the live data.",
            "Log out there, or use a second user name. Fathom does not push it out unasked.",
        )
    if health.state is not LinkState.LIVE:
        return rows.unknown("other logins", "Not known while there is no session.")
    return rows.ok("other logins", "No other login uses the live data.")


def _entitlements(rows: Rows, health: BrokerHealth, ledger: Ledger | None) -> Finding:
    counts: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for quote in list(ledger.quotes.values()) if ledger is not None else ():
        if quote.refused:
            refusals[quote.refused] += 1
            continue
        kind = quote[QuoteField.KIND]
        if kind in (1, 2, 3, 4):
            counts[DataKind(int(kind)).word] += 1
    said = Counter(seen.notice.code for seen in health.notices if seen.notice.code in _DATA_CODES)
    if not counts and not refusals and not said:
        return rows.unknown("market data", "No quote has been asked for yet.")
    words = [f"{number} {word}" for word, number in counts.most_common()]
    refused = sum(refusals.values())
    if refused:
        words.append(f"{refused} refused ({refusals.most_common(1)[0][0].rstrip('.')})")
    words += [f"notice {code}: {_DATA_CODES[code]}" for code, _ in said.most_common(2) if not refused]
    cause = sentence(", ".join(words))
    if counts["live"] and not refused and not counts["delayed"] and not said:
        return rows.ok("market data", cause)
    if counts or refused or said:
        worse = not counts and refused > 0
        return rows.row("market data", State.FAIL if worse else State.WARN, cause, _SUBSCRIPTIONS)
    return rows.ok("market data", cause)


_DATA_CODES: Final = {
    354: "not subscribed",
    10089: "partly not subscribed, delayed shown",
    10090: "partly not subscribed",
    10167: "not subscribed, delayed shown",
    10168: "not subscribed, delayed data is off",
    10186: "not subscribed, delayed data is off",
}


def _lines(rows: Rows, health: BrokerHealth) -> Finding:
    if not health.lines_limit:
        return rows.unknown("lines", "Not known yet.")
    words = f"{health.lines_open} of {health.lines_limit} market data lines in use"
    over = sum(seen.notice.code == 101 for seen in health.notices)
    if over:
        return rows.warn(
            "lines",
            f"{words}; IBKR refused more {over} time{'s' if over > 1 else ''}.",
            "Other windows of the same user take lines as well: lower ibkr.lines, or buy a Quote Booster.",
        )
    if health.lines_open >= health.lines_limit:
        return rows.warn(
            "lines", f"{words}: all.", "What matters less waits for a free line; ibkr.lines sets the limit."
        )
    return rows.ok("lines", f"{words}.")


def _clock(rows: Rows, health: BrokerHealth) -> Finding:
    return skew_row(rows, health.clock_offset_ms, f"IBKR {health.source.full_name}")


def skew_row(rows: Rows, offset_ms: float | None, whose: str, took_ms: float | None = None) -> Finding:
    """Return how far another clock is ahead of this machine's (ms)."""
    if offset_ms is None:
        return rows.unknown("clock", f"{whose} has not told its time yet.")
    words = f"The clock of {whose} is {skew_words(offset_ms)} this machine's"
    if abs(offset_ms) >= SKEW_FAIL_MS:
        return rows.fail("clock", f"{words}.", "Switch on automatic time on this machine.", took_ms=took_ms)
    if abs(offset_ms) >= SKEW_WARN_MS:
        return rows.warn("clock", f"{words}.", "Let this machine set its time by itself (NTP).", took_ms=took_ms)
    return rows.ok("clock", f"{words}.", took_ms=took_ms)


def skew_words(offset_ms: float) -> str:
    """Return an offset in words: "12 ms ahead of", "3.2 s behind"."""
    size = abs(offset_ms)
    span = f"{size / 1000:.1f} s" if size >= 1000 else f"{size:.0f} ms"
    return f"{span} {'behind' if offset_ms < 0 else 'ahead of'}"


def last_words(health: BrokerHealth) -> str:
    """Return the newest grave thing the source said, "" when there is none."""
    grave = (Severity.LOST, Severity.CONFLICT, Severity.FAILED, Severity.DEGRADED)
    found = next((seen.notice for seen in reversed(health.notices) if seen.notice.severity in grave), None)
    return "" if found is None else found.advice or found.text


def _span(span_ns: int) -> str:
    seconds = max(0, span_ns) // NS_PER_S
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
