"""From a gateway that answers to a brokerage session, in the documented order (fact sheet, section 1).

State of the session, opening it where the login allows it, accounts, session value. A login of another program with
the same user is never thrown out unless the user has asked for that.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from app.domain.account import Severity
from app.domain.broker_health import BrokerHealth
from app.domain.health import LinkState
from app.domain.units import NS_PER_S
from app.venues.ibkr_portal.http import NoSessionError, NotLoggedInError, PortalHttp
from app.venues.ibkr_portal.protocol import SessionSeen
from app.venues.ibkr_portal.reception import Reception

_NEW_YORK: Final = ZoneInfo("America/New_York")
_BEGINS: Final = timedelta(hours=0, minutes=45)
_ENDS: Final = timedelta(hours=2)


class Login:
    """Asks for a session until there is one. `take_over`: throw the other login out at the next try, once."""

    def __init__(self, health: BrokerHealth, reception: Reception, login_url: str, poll_s: float) -> None:
        self.seen: SessionSeen | None = None
        self.take_over = False
        self._health = health
        self._reception = reception
        self._url = login_url
        self._poll_s = poll_s
        self._moved = asyncio.Event()
        self._tries = 0

    def wake(self) -> None:
        """Ask at once."""
        self._moved.set()

    def on_state(self, seen: SessionSeen) -> None:
        """Take what any answer says of the session."""
        self.seen = seen
        if seen.version:
            self._health.server_version = seen.version
        competing = bool(seen.competing)
        if competing and not self._health.competing:
            self._reception.notice(Severity.CONFLICT, "another login of your user has the brokerage session", _CONFLICT)
        elif self._health.competing and seen.competing is False:
            self._reception.notice(Severity.RESTORED, "no other login of your user competes any more", "Nothing to do")
        if seen.competing is not None:
            self._health.competing = competing

    async def open(self, http: PortalHttp) -> None:
        """Return when there is a session. Raises PortalError when the gateway does not answer, or not usably."""
        self._tries = 0
        while True:
            text = await self._try(http)
            if text is None:
                self.take_over = False
                break
            self._reception.show(LinkState.STALE, *text)
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._moved.wait()
        await http.get("/iserver/accounts")
        await http.get("/portfolio/accounts")
        await http.tickle()

    async def _try(self, http: PortalHttp) -> tuple[str, str] | None:
        """Ask once; return None when there is a session, else reason and what the user must do."""
        self.seen = None
        try:
            await http.post("/iserver/auth/status")
            if self._has_session():
                return None
            if self._may_open():
                take_over, self.take_over = self.take_over, False
                await http.post("/iserver/auth/ssodh/init", {"publish": True, "compete": take_over})
                if self._has_session():
                    return None
                await http.post("/iserver/auth/status")
                if self._has_session():
                    return None
        except (NotLoggedInError, NoSessionError) as error:
            return error.reason, self.needs()
        return self.reason(), self.needs()

    def _has_session(self) -> bool:
        return self.seen is not None and bool(self.seen.authenticated)

    def _may_open(self) -> bool:
        """Tell whether to ask for a session now: at the first try, at every fourth after it, and when the user says."""
        if self.seen is None or not self.seen.connected:
            return False
        self._tries += 1
        return self.take_over or self._tries % 4 == 1

    def reason(self) -> str:
        """Return why there is no session."""
        seen = self.seen
        if seen is not None and seen.competing:
            return "another login of your user has the brokerage session"
        if is_maintenance(self._reception.stamp()):
            return "IBKR's nightly maintenance (about 01:00 in New York): the session comes back by itself"
        if seen is not None and seen.connected is False:
            return "the gateway does not reach IBKR's servers (maintenance, or the network)"
        said = f" ({seen.text})" if seen is not None and seen.text else ""
        return f"the gateway has no brokerage session{said}"

    def needs(self) -> str:
        """Return what the user can do about it."""
        if self.seen is not None and self.seen.competing:
            return _CONFLICT
        log_in = f"Log in at {self._url} in the browser"
        return f"{log_in}, if it has not come back after 02:00" if is_maintenance(self._reception.stamp()) else log_in


_CONFLICT: Final = (
    "End TWS, IB Gateway or the mobile app that uses the same user name, or take the session over here;"
    " Fathom does not do so by itself"
)


def is_maintenance(now_ns: int) -> bool:
    """Tell whether it is about 01:00 in New York, when the servers of the Americas are restarted."""
    now = datetime.fromtimestamp(now_ns // NS_PER_S, _NEW_YORK)
    into_day = timedelta(hours=now.hour, minutes=now.minute)
    return _BEGINS <= into_day <= _ENDS
