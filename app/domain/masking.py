"""What may be shown or logged of account ids, and of texts that people pass on: no ids, names, tokens, passwords."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

DOTS: Final = "•••"

_ACCOUNT: Final = re.compile(r"\b(?:D[A-Z]?|U|F|I)\d{5,10}[A-Z]?\b")
_USER_INFO: Final = re.compile(r"(?<=://)[^\s/]*@")
_SECRET: Final = re.compile(
    r"(?i)((?:token|secret|password|passwd|pwd|api[_-]?key|signature)\"?\s*[=:]\s*"
    r"|(?:session|sessionid|sid)(?:\s*=\s*|\"\s*:\s*))"
    r"(\"[^\"]*\"|[^\s&\",;}]+)"
)
_HEADER: Final = re.compile(r"(?im)\b((?:set-cookie|cookie|authorization)\s*:\s*)[^\r\n]+")
_BEARER: Final = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}")
_HOMES: Final = re.compile(r"(?i)((?:/home/|/Users/|\b[A-Z]:\\(?:Users|Documents and Settings)\\))[^/\\\s:;,'\"]+")


def masked_account(account: str) -> str:
    """Return what may be seen of an account id: "DU1234567" becomes "DU•••67"."""
    letters = re.match(r"[A-Za-z]{0,2}", account)
    head = letters.group() if letters is not None else ""
    return f"{head}{DOTS}{account[-2:]}" if len(account) - len(head) >= 4 else f"{head}{DOTS}"


def masked(text: str, *, accounts: Iterable[str] = (), home: Path | None = None) -> str:
    """Return a text without account ids (these, and whatever looks like one), user names in paths and addresses,
    tokens and passwords. home: the folder written as "~", None: that of this process. Doing it twice changes
    nothing."""
    for account in sorted(filter(None, accounts), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(account)}(?!\w)", masked_account(account), text)
    text = _ACCOUNT.sub(lambda found: masked_account(found.group()), text)
    text = _USER_INFO.sub(f"{DOTS}@", text)
    text = _BEARER.sub(rf"\1{DOTS}", text)
    text = _HEADER.sub(rf"\1{DOTS}", text)
    text = _SECRET.sub(rf"\1{DOTS}", text)
    folder = str(home if home is not None else _home())
    if len(folder) > 2:
        text = re.sub(rf"{re.escape(folder)}(?![\w.-])", "~", text)
    return _HOMES.sub(rf"\1{DOTS}", text)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # neither HOME nor a user entry
        return Path("/")
