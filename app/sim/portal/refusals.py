"""The error with which a route refuses a request."""

from __future__ import annotations

from typing import Any, Protocol


class Refusal(Exception):
    """An answer that is an error: its status and the text a client gets."""

    def __init__(self, status: int, text: str) -> None:
        """Take both."""
        super().__init__(status, text)
        self.status = status
        self.text = text


class Query(Protocol):
    """What a route is asked."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the path that vary."""

    @property
    def query(self) -> Any:
        """Last value of each name in the query."""

    @property
    def body(self) -> Any:
        """The body's object."""


def number_in(asked: Query, name: str) -> int:
    """Return a whole number of the query; refuse the request without one."""
    text = str(asked.query.get(name, ""))
    if not text.partition("@")[0].isdecimal():
        raise Refusal(400, f"Bad Request: {name} expected")
    return int(text.partition("@")[0])
