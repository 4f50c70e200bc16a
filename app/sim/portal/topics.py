"""Reads what a client sends over the gateway's WebSocket: `topic+target+{arguments}` is text, not a JSON object.

`smd+265598@ARCA+{"fields":["31"]}`, `sor+{}`, `utr`, `upl{}`, `umh+18` and `tic` are all of that form.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_FORM = re.compile(r"(?P<topic>[a-z]{3})(?:\+(?P<target>[^{}]+?))?\+?(?P<arguments>\{.*\})?", re.DOTALL)
TOPICS = frozenset("smd umd smh umh sbd ubd sor uor str utr spl upl ssd usd sld uld".split())  # noqa: SIM905 # a list


class TopicError(ValueError):
    """A message that cannot be read; the text goes to the client."""


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """A message taken apart. target: what stands between topic and arguments."""

    topic: str
    target: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def texts(self, name: str) -> list[str]:
        """Return a list of texts among the arguments, empty without one."""
        found = self.arguments.get(name)
        return [str(each) for each in found] if isinstance(found, list) else []


def read_topic(text: str) -> TopicMessage:
    """Return the parts of a message; raise TopicError for an unknown topic or unreadable arguments."""
    found = _FORM.fullmatch(text.strip())
    if found is None or found["topic"] not in TOPICS:
        raise TopicError(f"Unknown topic: {text[:40]}")
    arguments: Any = {}
    if found["arguments"]:
        try:
            arguments = json.loads(found["arguments"])
        except ValueError:
            raise TopicError(f"Invalid arguments of {found['topic']}") from None
    return TopicMessage(found["topic"], (found["target"] or "").strip("+"), arguments)
