"""The address of a request, taken apart and checked: path, query, numbers and lists in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlencode

from app.server import wire
from app.server.wire import RequestError

MAX_TARGET: Final = 2048
_NUMBER: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Target:
    """A request's path, and its query with the last value of each name."""

    path: str
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Target:
        """Return the parts of a request target; raise RequestError for one that is too long or none."""
        if len(text) > MAX_TARGET:
            raise RequestError("too_long", f"expected an address of at most {MAX_TARGET} characters", 414)
        path, _, query = text.partition("?")
        if not path.startswith("/"):
            raise RequestError("bad_request", "expected a path")
        try:
            values = parse_qs(query, keep_blank_values=True, max_num_fields=30, errors="strict")
        except (ValueError, UnicodeDecodeError):
            raise RequestError("bad_request", "expected a query of at most 30 fields in UTF-8") from None
        return cls(path, {name: found[-1] for name, found in values.items()})

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Return a number of the query; raise RequestError when it is none or out of bounds."""
        text = self.query.get(name)
        if text is None:
            return default
        if _NUMBER.fullmatch(text) is None or not low <= float(text) <= high:
            raise RequestError("bad_number", f"{name}: expected {low:g} to {high:g}, was {text[:20]!r}")
        return float(text)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number of the query; raise RequestError when it is none or out of bounds."""
        value = self.number(name, default, low, high)
        if value != int(value):
            raise RequestError("bad_number", f"{name}: expected a whole number, was {value:g}")
        return int(value)

    def words(self, name: str) -> list[str]:
        """Return a list separated by commas; raise RequestError when it is too long."""
        found = [word.strip() for word in self.query.get(name, "").split(",") if word.strip()]
        if len(found) > wire.MAX_SUBSCRIPTIONS:
            raise RequestError("too_many", f"{name}: expected at most {wire.MAX_SUBSCRIPTIONS}, was {len(found)}")
        return found

    def without(self, name: str) -> str:
        """Return the target without one field of the query."""
        rest = urlencode({key: value for key, value in self.query.items() if key != name})
        return f"{self.path}?{rest}" if rest else self.path
