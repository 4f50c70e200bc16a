"""What only the user can do for a connection to a broker: log in, trust a certificate, take a session over, try again.

Nothing of it is done unasked; a certificate the user does not trust now is not asked about again until it changes or
the user wants to see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from app.domain.account import Source
from app.domain.broker_health import BrokerHealth
from app.domain.health import LinkState
from app.viewmodels.broker_light import broker_title


class Care(StrEnum):
    """What can be offered as a button; the value is its text."""

    LOGIN = "Open login page"
    TRUST = "Show certificate"
    TAKE_OVER = "Take over"
    WAKE = "Try now"


class CareDesk(Protocol):
    """The part of a desk that is needed here; trust and take_over are None where a source has no such thing."""

    @property
    def health(self) -> BrokerHealth:
        """Live state of the source."""
        ...

    @property
    def login_url(self) -> str:
        """Where the user logs in, "" when not in a browser."""
        ...

    @property
    def trust(self) -> Callable[[str], None] | None:
        """Accepts the certificate with that fingerprint."""
        ...

    @property
    def take_over(self) -> Callable[[], None] | None:
        """Pushes the competing login out."""
        ...

    def wake(self) -> None:
        """Try at once."""
        ...


@dataclass(frozen=True, slots=True)
class CertificateQuestion:
    """A certificate that waits for the user's word; old: the fingerprint trusted so far, "" at first use."""

    source: Source
    title: str
    address: str
    old: str
    new: str

    @property
    def changed(self) -> bool:
        """Whether another certificate was trusted before."""
        return bool(self.old)


@dataclass(frozen=True, slots=True)
class Need:
    """A sentence of what a source needs, with what can be offered."""

    source: Source
    title: str
    sentence: str
    offers: tuple[Care, ...]


_DOWN: Final = (LinkState.BACKOFF, LinkState.BANNED, LinkState.STALE)
NO_DESKS: Final[Mapping[Source, CareDesk]] = {}


class BrokerCare:
    """Offers and does what the user can do; `desks` gives the sources that are switched on."""

    def __init__(self, desks: Callable[[], Mapping[Source, CareDesk]] = lambda: NO_DESKS) -> None:
        self._desks = desks
        self._not_now: dict[Source, str] = {}

    # -- what is needed ------------------------------------------------------------------------------------------

    def needs(self) -> tuple[Need, ...]:
        """Return what the sources need of the user now, in words."""
        found = []
        for source, desk in self._desks().items():
            sentence = desk.health.needs
            if not sentence and desk.health.competing:
                sentence = "Another login of the same user has the live data."
            if sentence:
                found.append(Need(source, broker_title(desk.health), sentence, self.offers(source)))
        return tuple(found)

    def offers(self, source: Source) -> tuple[Care, ...]:
        """Return what makes sense to offer for a source now."""
        desk = self._desks().get(source)
        if desk is None:
            return ()
        health = desk.health
        if health.certificate_new:
            return (Care.TRUST,) if desk.trust is not None else ()
        found = []
        if desk.login_url and health.needs and not health.competing:
            found.append(Care.LOGIN)
        if health.competing and desk.take_over is not None:
            found.append(Care.TAKE_OVER)
        if health.state in _DOWN:
            found.append(Care.WAKE)
        return tuple(found)

    def login_url(self, source: Source) -> str:
        """Return where the user logs in, "" when there is no such page."""
        desk = self._desks().get(source)
        return "" if desk is None else desk.login_url

    # -- what is done --------------------------------------------------------------------------------------------

    def take_over(self, source: Source) -> None:
        """Push the competing login out, as the user asked."""
        desk = self._desks().get(source)
        if desk is not None and desk.take_over is not None:
            desk.take_over()

    def wake(self, source: Source) -> None:
        """Let the source try at once."""
        desk = self._desks().get(source)
        if desk is not None:
            desk.wake()

    # -- certificates --------------------------------------------------------------------------------------------

    def questions(self) -> tuple[CertificateQuestion, ...]:
        """Return the certificates to ask about: those that wait and were not put off."""
        found = []
        for source, desk in self._desks().items():
            health = desk.health
            fresh = health.certificate_new
            if fresh and desk.trust is not None and self._not_now.get(source) != fresh:
                question = CertificateQuestion(source, broker_title(health), health.address, health.certificate, fresh)
                found.append(question)
        return tuple(found)

    def trust(self, question: CertificateQuestion) -> bool:
        """Trust the certificate that was shown; False when it is not the one that waits (any more)."""
        desk = self._desks().get(question.source)
        if desk is None or desk.trust is None or desk.health.certificate_new != question.new:
            return False
        desk.trust(question.new)
        return True

    def not_now(self, question: CertificateQuestion) -> None:
        """Do not ask about this certificate again by itself."""
        self._not_now[question.source] = question.new

    def ask_again(self, source: Source) -> None:
        """Ask about the certificate after all."""
        self._not_now.pop(source, None)


def fingerprint_lines(fingerprint: str) -> tuple[str, ...]:
    """Return a SHA-256 in four lines of eight pairs, in groups of four, as people compare it."""
    pairs = [pair for pair in fingerprint.upper().replace(" ", "").split(":") if pair]
    if len(pairs) == 1:
        pairs = [pairs[0][at : at + 2] for at in range(0, len(pairs[0]), 2)]
    lines = []
    for at in range(0, len(pairs), 8):
        line = pairs[at : at + 8]
        lines.append("   ".join(" ".join(line[k : k + 4]) for k in range(0, len(line), 4)))
    return tuple(lines)
