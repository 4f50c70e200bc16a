"""The words of the connection doctor: what was looked at, how it is, why, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from app.domain.masking import masked


class State(StrEnum):
    """How a thing is. OFF: switched off in the settings. UNKNOWN: nothing can be said, the cause says why not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    OFF = "off"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row. cause: a plain sentence of what was found. advice: what to do, "" when nothing is to be done.

    took_ms: how long the look took, None when nothing had to be asked. link: an address the user may open, "" for none.
    """

    service: str
    check: str
    state: State
    cause: str
    advice: str = ""
    took_ms: float | None = None
    link: str = ""

    def masked(self, accounts: tuple[str, ...] = ()) -> Finding:
        """Return the row without account ids, user names, tokens and passwords."""
        return replace(self, cause=masked(self.cause, accounts=accounts), advice=masked(self.advice, accounts=accounts))

    def as_json(self) -> dict[str, Any]:
        """Return the row for scripts."""
        return {
            "service": self.service,
            "check": self.check,
            "state": self.state.value,
            "cause": self.cause,
            "advice": self.advice,
            "took_ms": None if self.took_ms is None else round(self.took_ms, 1),
        }


@dataclass(frozen=True, slots=True)
class Rows:
    """Makes the rows of one service."""

    service: str

    def row(
        self,
        check: str,
        state: State,
        cause: str,
        advice: str = "",
        *,
        took_ms: float | None = None,
        link: str = "",
    ) -> Finding:
        """Return a row of the service."""
        return Finding(
            service=self.service, check=check, state=state, cause=cause, advice=advice, took_ms=took_ms, link=link
        )

    def ok(self, check: str, cause: str, advice: str = "", *, took_ms: float | None = None) -> Finding:
        """Return a row about something that is well."""
        return self.row(check, State.OK, cause, advice, took_ms=took_ms)

    def warn(self, check: str, cause: str, advice: str, *, took_ms: float | None = None) -> Finding:
        """Return a row about something that works but should be looked at."""
        return self.row(check, State.WARN, cause, advice, took_ms=took_ms)

    def fail(self, check: str, cause: str, advice: str, *, took_ms: float | None = None, link: str = "") -> Finding:
        """Return a row about something that does not work."""
        return self.row(check, State.FAIL, cause, advice, took_ms=took_ms, link=link)

    def unknown(self, check: str, cause: str, advice: str = "") -> Finding:
        """Return a row about something of which nothing can be said."""
        return self.row(check, State.UNKNOWN, cause, advice)

    def off(self, check: str, cause: str, advice: str = "") -> Finding:
        """Return a row about something that is switched off."""
        return self.row(check, State.OFF, cause, advice)


def sentence(text: str) -> str:
    """Return words as a sentence: a capital at its head, a full stop at its end."""
    text = text.strip()
    if not text:
        return text
    return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.!?…' else '.'}"
