"""The two logins of the gateway: the browser's opens /portfolio, the brokerage session opens /iserver.

Turns what happens (login, requests, silence, another program with the same user, maintenance) into what is answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

USER = "fathomdemo"
USER_ID = 123456789
MAC = "02:00:00:00:00:01"
SERVER_INFO = {"serverName": "SimN19053", "serverVersion": "Build 10.44.1d, Mar 3, 2026 1:55:32 PM"}
_SSO_LIFE_MS = 24 * 3600 * 1000


@dataclass(slots=True)
class GatewaySession:
    """State of the one session a gateway has. `now_s` gives monotonic seconds, `idle_s` is how long it may be quiet."""

    now_s: Callable[[], float]
    seed: int
    idle_s: float
    logged_in: bool = True
    established: bool = True
    competing: bool = False
    maintenance: bool = False
    held_down: bool = False
    kicked_others: int = 0
    ended_for_idleness: int = 0
    logins: int = 0
    accounts_asked: bool = False
    portfolio_asked: bool = False
    orders_asked: bool = False
    orders_primed: bool = False
    orders_filtered: bool = False
    looked_up: set[int] = field(default_factory=set)
    _last_s: float = 0.0

    def __post_init__(self) -> None:
        self._last_s = self.now_s()

    @property
    def value(self) -> str:
        """The session value that /tickle tells and WebSockets show; a new login makes a new one."""
        return hashlib.sha256(f"{self.seed}/{self.logins}".encode()).hexdigest()[:32]

    @property
    def authenticated(self) -> bool:
        """Whether /iserver can be used now."""
        return self.logged_in and self.established and not (self.competing or self.maintenance or self.held_down)

    @property
    def connected(self) -> bool:
        """Whether the gateway reaches the broker's servers."""
        return self.logged_in and not self.maintenance

    def touch(self) -> None:
        """Note a request."""
        self._last_s = self.now_s()

    def check_idle(self) -> bool:
        """End the brokerage session when there was no request for too long; return whether that happened now."""
        if not self.established or self.now_s() - self._last_s <= self.idle_s:
            return False
        self.end_brokerage()
        self.ended_for_idleness += 1
        return True

    def end_brokerage(self) -> None:
        """End the brokerage session only, and what was prepared in it."""
        self.established = False
        self.accounts_asked = self.orders_asked = self.orders_primed = self.orders_filtered = False
        self.looked_up.clear()

    def login(self) -> None:
        """Log in as a person does in the browser; a brokerage session comes with it, unless another one holds it."""
        self.logged_in = True
        self.logins += 1
        self.portfolio_asked = False
        self.end_brokerage()
        self.established = True
        self.touch()

    def logout(self) -> None:
        """End everything."""
        self.logged_in = self.portfolio_asked = False
        self.end_brokerage()

    def compete(self) -> None:
        """Let another program with the same user take the brokerage session."""
        self.competing = True
        self.end_brokerage()

    def open_brokerage(self, *, compete: bool) -> None:
        """Open the brokerage session; the other one is thrown out only when the caller says `compete`."""
        if self.maintenance:
            return
        if self.competing:
            if not compete:
                return
            self.competing = False
            self.kicked_others += 1
        self.established = True
        self.touch()

    def auth_status(self) -> dict[str, object]:
        """Return what /iserver/auth/status says."""
        return {
            "authenticated": self.authenticated,
            "established": self.authenticated,
            "competing": self.competing,
            "connected": self.connected,
            "message": "",
            "MAC": MAC,
            "serverInfo": dict(SERVER_INFO),
            "hardware_info": f"sim00001|{MAC}",
            "fail": "",
        }

    def short_status(self) -> dict[str, object]:
        """Return the arguments of an `sts` frame."""
        return {
            "authenticated": self.authenticated,
            "competing": self.competing,
            "message": "",
            "fail": "",
            "serverName": SERVER_INFO["serverName"],
            "serverVersion": SERVER_INFO["serverVersion"],
            "username": USER,
        }

    def tickle(self) -> dict[str, object]:
        """Return what /tickle says."""
        status = {key: self.auth_status()[key] for key in ("authenticated", "established", "competing", "connected")}
        return {
            "session": self.value,
            "ssoExpires": _SSO_LIFE_MS,
            "collission": False,
            "userId": USER_ID,
            "hmds": {"error": "no bridge"},
            "iserver": {"authStatus": {**status, "message": "", "MAC": MAC, "serverInfo": dict(SERVER_INFO)}},
        }

    def validation(self, epoch_ms: int) -> dict[str, object]:
        """Return what /sso/validate says."""
        return {
            "USER_ID": USER_ID,
            "USER_NAME": USER,
            "RESULT": True,
            "AUTH_TIME": epoch_ms,
            "SF_ENABLED": False,
            "IS_FREE_TRIAL": False,
            "CREDENTIAL": USER,
            "IP": "127.0.0.1",
            "EXPIRES": _SSO_LIFE_MS,
            "QUALIFIED_FOR_MOBILE_AUTH": None,
            "LANDING_APP": "UNIVERSAL",
            "IS_MASTER": False,
            "lastAccessed": epoch_ms,
            "LOGIN_TYPE": 2,
            "PAPER_USER_NAME": USER,
            "features": {"env": "PROD", "wlms": True, "realtime": True, "bond": True, "optionChains": True},
            "region": "NJ",
        }
