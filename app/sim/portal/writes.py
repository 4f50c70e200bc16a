"""Recognises requests that would change something at the broker, so that the simulator can fail loudly.

Whatever is neither GET nor known to only read counts as such a request.
"""

from __future__ import annotations

import logging
import re

log = logging.getLogger("fathom.sim.portal")

_READING_POSTS = re.compile(
    r"/iserver/auth/status|/iserver/auth/ssodh/init|/iserver/reauthenticate|/tickle|/logout"
    r"|/portfolio/[^/]+/positions/invalidate|/iserver/marketdata/unsubscribe|/iserver/scanner/run"
    r"|/iserver/secdef/search|/iserver/contract/rules|/pa/(performance|allperiods|transactions)"
)
_COSTLY_GETS = re.compile(r"/md/regsnapshot")  # each call costs money


class OrderWatch:
    """Keeps every request that must never come."""

    def __init__(self) -> None:
        """Start with none."""
        self.order_requests: list[str] = []

    def stops(self, method: str, path: str) -> bool:
        """Record and report a request that would write; return whether it was one."""
        if method in ("GET", "HEAD"):
            writes = _COSTLY_GETS.fullmatch(path) is not None
        else:
            writes = method != "POST" or _READING_POSTS.fullmatch(path.rstrip("/")) is None
        if writes:
            self.order_requests.append(f"{method} {path}")
            log.critical("a request that could trade or change the account came in: %s %s", method, path)
        return writes
