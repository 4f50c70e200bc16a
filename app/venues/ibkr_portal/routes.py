"""The only requests that may leave for the gateway: method and path, and how often each may be sent.

The gateway has no read-only mode and would take orders; this list is the guard (fact sheet, section 6). Every entry
reads, or keeps the own login and quote lines in order. Limits: section 7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.domain.errors import FatalFeedError

_ACCOUNT: Final = "[A-Za-z0-9]{3,24}"
_NUMBER: Final = "[0-9]{1,18}"


class ForbiddenRequestError(FatalFeedError):
    """A request that is not on the list was about to be made: a mistake of the program. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `count` requests in any `window_s` seconds, and at most `at_once` under way (0: any number)."""

    count: int
    window_s: float
    at_once: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """One request that is allowed. pattern: of the whole path. body: names a body may have."""

    name: str
    method: str
    pattern: re.Pattern[str]
    pace: Pace | None = None
    body: frozenset[str] = frozenset()


_SLOW: Final = Pace(1, 5.0)


def _get(pattern: str, pace: Pace | None = None) -> Route:
    return Route(f"GET {pattern}", "GET", re.compile(pattern), pace)


def _post(pattern: str, *body: str, pace: Pace | None = None) -> Route:
    return Route(f"POST {pattern}", "POST", re.compile(pattern), pace, frozenset(body))


ROUTES: Final[tuple[Route, ...]] = (
    # the login
    _post("/iserver/auth/status"),
    _post("/iserver/auth/ssodh/init", "publish", "compete"),
    _post("/tickle", pace=Pace(1, 1.0)),
    _get("/sso/validate", Pace(1, 60.0)),
    _get("/iserver/accounts"),
    # the account
    _get("/portfolio/accounts", _SLOW),
    _get("/portfolio/subaccounts", _SLOW),
    _get(f"/portfolio/{_ACCOUNT}/summary"),
    _get(f"/portfolio/{_ACCOUNT}/ledger"),
    _get(f"/portfolio/{_ACCOUNT}/positions/[0-9]{{1,4}}"),
    _post(f"/portfolio/{_ACCOUNT}/positions/invalidate"),
    _get(f"/portfolio2/{_ACCOUNT}/positions"),
    _get("/iserver/account/pnl/partitioned", _SLOW),
    # what was ordered and done
    _get("/iserver/account/orders", _SLOW),
    _get("/iserver/account/trades", _SLOW),
    # quotes
    _get("/iserver/marketdata/snapshot"),
    _get("/iserver/marketdata/history", Pace(50, 5.0, at_once=5)),
    _get("/iserver/marketdata/unsubscribeall"),
    _post("/iserver/marketdata/unsubscribe", "conid"),
    # contracts and lists
    _get("/trsrv/stocks"),
    _get("/trsrv/secdef"),
    _get("/iserver/secdef/search"),
    _get(f"/iserver/contract/{_NUMBER}/info-and-rules"),
    _get("/contract/trading-schedule"),
    _get("/iserver/watchlists"),
    _get("/iserver/watchlist"),
    _post("/iserver/scanner/run", "instrument", "type", "location", "filter", pace=Pace(1, 1.0)),
)


def route_of(method: str, path: str, body: Mapping[str, object] | None) -> Route:
    """Return the entry of a request. Raises ForbiddenRequestError when there is none."""
    for route in ROUTES:
        if route.method == method and route.pattern.fullmatch(path):
            if body is not None and (method != "POST" or not route.body.issuperset(body)):
                raise ForbiddenRequestError(f"expected no more than {sorted(route.body)} in the body of {path}")
            return route
    raise ForbiddenRequestError(f"expected a request that only reads, was {method} {path[:120]}")
