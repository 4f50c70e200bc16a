"""Counters and words for the health of one connection to a broker; the session writes, screens read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from app.domain.account import Notice, Source
from app.domain.health import LinkState

NOTICES_KEPT = 200


@dataclass(frozen=True, slots=True)
class NoticeSeen:
    """A notice with its time of receipt (UTC ns)."""

    ts_ns: int
    notice: Notice


@dataclass(slots=True, kw_only=True)
class BrokerHealth:
    """State of one source. Times are UTC ns, None: never.

    state: LIVE only when account data flows; STALE while the source is connected but its own link to the broker is
    down (1100, sts false); BACKOFF between tries; BANNED while something only the user can mend keeps it out (then
    `needs` says what). needs: "" or a sentence of what the user must do ("Log in at https://localhost:5000").
    paper: judged by account id and port together, None: not known; paper_why says from what. read_only: what the probe
    found: True (the API refuses orders), False (it would take them; Fathom has none to give), None (not known).
    orders_known: whether working orders can be seen; orders_reason says why not. farms: state of each data farm by
    name, True OK, False broken, None inactive until asked. competing: another login uses the live data.
    certificate: SHA-256 of the gateway's certificate as hex pairs; certificate_new: one that waits for the user's word.
    """

    source: Source
    address: str = ""
    state: LinkState = LinkState.IDLE
    reason: str = ""
    needs: str = ""
    since_ns: int | None = None
    connected_ns: int | None = None
    last_message_ns: int | None = None
    retry_at_ns: int | None = None
    messages: int = 0
    bad_messages: int = 0
    reconnects: int = 0
    latency_ms: float | None = None
    clock_offset_ms: float | None = None
    server_version: str = ""
    client_id: int | None = None
    accounts: tuple[str, ...] = ()
    paper: bool | None = None
    paper_why: str = ""
    read_only: bool | None = None
    orders_known: bool = False
    orders_reason: str = "not asked yet"
    farms: dict[str, bool | None] = field(default_factory=dict)
    competing: bool = False
    session_until_ns: int | None = None
    certificate: str = ""
    certificate_new: str = ""
    lines_open: int = 0
    lines_limit: int = 0
    notices: deque[NoticeSeen] = field(default_factory=lambda: deque(maxlen=NOTICES_KEPT))
    notices_revision: int = 0

    def note(self, ts_ns: int, notice: Notice) -> None:
        """Keep a notice."""
        self.notices.append(NoticeSeen(ts_ns, notice))
        self.notices_revision += 1
