"""From an answer or frame of the gateway to the same without what proves or names the login. Pure.

The session value of /tickle is as good as a password for as long as the login lasts (fact sheet, section 8).
"""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = (
    "session",
    "sessionId",
    "success",
    "username",
    "userName",
    "userId",
    "USER_ID",
    "USER_NAME",
    "PAPER_USER_NAME",
    "CREDENTIAL",
    "IP",
    "MAC",
    "hardware_info",
    "submitter",
    "accountTitle",
    "displayName",
)
_QUOTED: Final = tuple(f'"{name}"'.encode() for name in _NAMES)
_SECRET: Final = re.compile(
    rb'("(?:' + "|".join(_NAMES).encode() + rb')"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|-?[0-9][0-9.eE+-]*)', re.DOTALL
)


def blanked(raw: bytes) -> bytes:
    """Return the text with the value of every name that must not be recorded or logged emptied."""
    if not any(name in raw for name in _QUOTED):
        return raw
    return _SECRET.sub(rb'\1""', raw)
