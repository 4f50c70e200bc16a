"""Where the Client Portal Gateway is and how often it is asked what. Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from app.venues.backoff import BackoffPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalOptions:
    """Limits and habits of a session.

    url: scheme, host and port. fingerprint: SHA-256 of the certificate that is trusted without asking, "" none.
    pin_path: file of the certificate the user has trusted (None: kept in memory). bans_path: file that keeps the
    gateway's penalties across restarts (None: in memory). lines_limit: market data lines that may be open at once.
    pace_scale: stretches the pauses between requests to the same address (1: as documented).
    """

    url: str = "https://localhost:5000"
    fingerprint: str = ""
    pin_path: Path | None = None
    bans_path: Path | None = None
    lines_limit: int = 100

    open_timeout_s: float = 10.0
    request_timeout_s: float = 15.0
    close_timeout_s: float = 1.0
    established_within_s: float = 30.0
    """After how long a socket without a word that the login holds is given up."""
    silence_s: float = 30.0
    """The gateway beats its heart every 10 s."""
    tick_s: float = 0.5
    sleep_gap_s: float = 5.0

    tickle_every_s: float = 60.0
    tic_every_s: float = 30.0
    login_poll_s: float = 4.0
    """How often it is asked whether the user has logged in."""
    certificate_poll_s: float = 30.0
    """How often a gateway whose certificate is not trusted is looked at again."""
    smd_renew_s: float = 480.0
    """Streams of quotes end by themselves after 10 minutes."""
    quote_within_s: float = 10.0
    """After how long a quote that never came is asked for anew."""
    positions_every_s: float = 5.0
    account_every_s: float = 30.0
    """Summary, ledger and the list of accounts."""
    reconcile_every_s: float = 60.0
    """Orders and trades over REST, beside their streams."""
    scan_every_s: float = 30.0
    trades_days: int = 7
    pace_scale: float = 1.1
    requests_per_s: int = 5
    """The gateway allows 10 and shuts the door for ten minutes at the eleventh; what comes late arrives in a bunch."""
    penalty_s: float = 600.0
    """How long HTTP 429 stops everything when the gateway does not say."""
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
