"""What the gateway allows in a time, and what it answers beyond: 429, and a penalty box for the whole address.

Limits as in IBKR's "pacing limitations"; windows slide. Endpoints have their own limits, which bring no penalty.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

# (pattern of METHOD path without the base, calls, seconds). The clients that exist ask /tickle twice in a row when they
# connect, which the gateway bears, so its "1 a second" is an average here.
_OWN_LIMITS: tuple[tuple[re.Pattern[str], int, float], ...] = tuple(
    (re.compile(pattern), calls, seconds)
    for pattern, calls, seconds in (
        (r"GET /iserver/account/orders", 1, 5.0),
        (r"GET /iserver/account/trades/?", 1, 5.0),
        (r"GET /iserver/account/pnl/partitioned", 1, 5.0),
        (r"GET /portfolio/accounts", 1, 5.0),
        (r"GET /portfolio/subaccounts2?", 1, 5.0),
        (r"GET /iserver/marketdata/snapshot", 10, 1.0),
        (r"GET /iserver/scanner/params", 1, 900.0),
        (r"POST /iserver/scanner/run", 1, 1.0),
        (r"\w+ /fyi/.*", 1, 1.0),
        (r"POST /pa/.*", 1, 900.0),
        (r"(GET|POST) /tickle", 5, 5.0),
        (r"GET /sso/validate", 1, 60.0),
    )
)
# who keeps the pause exactly may arrive a little early
_MERCY = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalLimits:
    """What the gateway allows; `own_scale` shortens the windows of endpoints (0: no limits of their own)."""

    requests_per_s: int = 10
    penalty_s: float = 600.0
    own_scale: float = 1.0
    histories: int = 5
    market_data_lines: int = 100


@dataclass(slots=True)
class Pacing:
    """Counts requests of the one address that talks to the gateway. `now_s` gives monotonic seconds."""

    limits: PortalLimits
    now_s: Callable[[], float]
    penalty_until_s: float = 0.0
    refused: int = 0
    refused_in_penalty: int = 0
    _recent: deque[float] = field(default_factory=deque)
    _own: dict[int, deque[float]] = field(default_factory=dict)

    def admit(self, method: str, path: str) -> bool:
        """Count a request; return whether it may be answered."""
        now = self.now_s()
        if now < self.penalty_until_s:
            self.refused_in_penalty += 1
            return False
        if not _add(self._recent, now, 1.0, self.limits.requests_per_s):
            self.refused += 1
            self.punish(self.limits.penalty_s)
            return False
        for place, (pattern, calls, seconds) in enumerate(_OWN_LIMITS):
            if pattern.fullmatch(f"{method} {path}"):
                window_s = seconds * self.limits.own_scale * _MERCY
                if not _add(self._own.setdefault(place, deque()), now, window_s, calls):
                    self.refused += 1
                    return False
        return True

    def punish(self, seconds: float) -> None:
        """Answer 429 to everything for some seconds."""
        self.penalty_until_s = self.now_s() + seconds

    def pardon(self) -> None:
        """Forget the penalty and every count."""
        self.penalty_until_s = 0.0
        self._recent.clear()
        self._own.clear()


def _add(times: deque[float], now: float, window_s: float, limit: int) -> bool:
    while times and times[0] <= now - window_s:
        times.popleft()
    if len(times) >= limit:
        return False
    times.append(now)
    return True
