"""From the certificate the gateway shows to leave to talk to it: by the setting, the kept one, or the user's word."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from app.domain.account import Severity
from app.domain.broker_health import BrokerHealth
from app.domain.clock import Clock
from app.domain.health import LinkState
from app.venues.ibkr_portal.options import PortalOptions
from app.venues.ibkr_portal.reception import Reception
from app.venues.ibkr_portal.tls import (
    Certificate,
    Gateway,
    PinStore,
    Trust,
    explain_trust,
    fetch_certificate,
    hex_pairs,
    judge,
    same_fingerprint,
)

_WHY: Final = {
    Trust.FIRST: Severity.DEGRADED,
    Trust.CHANGED: Severity.FAILED,
    Trust.EXPIRED: Severity.FAILED,
    Trust.EARLY: Severity.FAILED,
}


class CertificateGate:
    """Lets only the trusted certificate pass."""

    def __init__(
        self, gateway: Gateway, options: PortalOptions, health: BrokerHealth, clock: Clock, reception: Reception
    ) -> None:
        self._gateway = gateway
        self._options = options
        self._health = health
        self._clock = clock
        self._reception = reception
        self._pins = PinStore(options.pin_path)
        self._granted = ""
        self._moved = asyncio.Event()
        self._told: tuple[Trust, str] | None = None
        self._complained = ""

    async def load(self) -> None:
        """Read the kept certificate."""
        await asyncio.to_thread(self._pins.load)
        self._complain()

    def trust(self, fingerprint: str) -> bool:
        """Take the user's word for the certificate that waits; return whether it is that one."""
        if not same_fingerprint(fingerprint, self._health.certificate_new):
            return False
        self._granted = hex_pairs(fingerprint)
        self._moved.set()
        return True

    def wake(self) -> None:
        """Look again at once."""
        self._moved.set()

    async def certificate(self) -> Certificate:
        """Return the certificate the gateway shows once it is trusted; meanwhile say what is missing. Raises LinkLost
        when nothing answers."""
        while True:
            seen = await fetch_certificate(self._gateway, self._options.open_timeout_s)
            trust = judge(seen, self._options.fingerprint, self._pins.pinned, self._clock.wall_ns())
            granted = trust in (Trust.FIRST, Trust.CHANGED) and same_fingerprint(self._granted, seen.fingerprint)
            if trust is Trust.TRUSTED or granted:
                await self._keep(seen)
                return seen
            self._refuse(trust, seen)
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.certificate_poll_s):
                    await self._moved.wait()

    async def _keep(self, seen: Certificate) -> None:
        self._granted, self._told = "", None
        pinned = self._pins.pinned
        if pinned is None or not same_fingerprint(pinned.fingerprint, seen.fingerprint):
            await asyncio.to_thread(self._pins.put, seen)
            self._complain()
        self._health.certificate, self._health.certificate_new = seen.fingerprint, ""

    def _refuse(self, trust: Trust, seen: Certificate) -> None:
        pinned = self._pins.pinned
        known = pinned.fingerprint if pinned is not None else hex_pairs(self._options.fingerprint)
        self._health.certificate = known
        self._health.certificate_new = seen.fingerprint if trust in (Trust.FIRST, Trust.CHANGED) else ""
        sentence = explain_trust(trust, seen, known, self._gateway.place)
        self._reception.show(LinkState.BANNED, sentence, sentence)
        if self._told != (trust, seen.fingerprint):
            self._told = (trust, seen.fingerprint)
            self._reception.notice(_WHY[trust], sentence, "Nothing is sent to the gateway until this is settled")

    def _complain(self) -> None:
        damage = self._pins.damage
        if damage and damage != self._complained:
            self._complained = damage
            self._reception.notice(Severity.DEGRADED, damage, "Trust the gateway's certificate again when asked")
