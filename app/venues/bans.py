"""From the venue's 429 and 418 answers to "no request to this host before ...", kept on disk across restarts.

The file is JSON: {"version": 1, "hosts": {"api.example": {"status": 418, "until_ns": 1767225600000000000}}}. Going on
to ask during a ban makes the venue prolong it (2 minutes up to 3 days), which is why a restart must not forget it.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from app.domain.units import NS_PER_S

_log = logging.getLogger("fathom.venues.bans")
_LONGEST_NS: Final = 4 * 24 * 3600 * NS_PER_S
"""No venue bans longer than 3 days: a later end is a wrong clock or a damaged file."""


@dataclass(frozen=True, slots=True)
class Ban:
    """Until when (UTC ns) a host must not be asked, and by which HTTP status it said so (429 pause, 418 ban)."""

    status: int
    until_ns: int


class _BanEntry(msgspec.Struct):
    status: int
    until_ns: int


class _BanFile(msgspec.Struct):
    version: int = 1
    hosts: dict[str, _BanEntry] = {}


class BanStore:
    """Bans per host. `path` None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._bans: dict[str, Ban] = {}

    def active(self, host: str, now_ns: int) -> Ban | None:
        """Return the ban of a host that has not ended, None when it may be asked."""
        ban = self._bans.get(host)
        if ban is None or ban.until_ns <= now_ns or ban.until_ns - now_ns > _LONGEST_NS:
            return None
        return ban

    def load(self) -> None:
        """Read the file; a missing or damaged one means no bans."""
        for host, entry in self._read().hosts.items():
            self._bans[host] = Ban(entry.status, entry.until_ns)

    def put(self, host: str, ban: Ban, now_ns: int) -> None:
        """Remember a ban, the longer one when there are two, here and on disk."""
        held = self.active(host, now_ns)
        if held is not None and held.until_ns >= ban.until_ns:
            return
        self._bans[host] = ban
        self._save(host, ban, now_ns)

    def _read(self) -> _BanFile:
        if self._path is None:
            return _BanFile()
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_BanFile)
        except FileNotFoundError:
            return _BanFile()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.warning("the list of bans %s cannot be read (%s); it is started anew", self._path, error)
            return _BanFile()

    def _save(self, host: str, ban: Ban, now_ns: int) -> None:
        if self._path is None:
            return
        kept = {name: entry for name, entry in self._read().hosts.items() if entry.until_ns > now_ns}
        kept[host] = _BanEntry(ban.status, ban.until_ns)
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(_BanFile(hosts=kept)))
            os.replace(new, self._path)
        except OSError as error:
            _log.warning("the list of bans %s cannot be written (%s); a restart will not know of it", self._path, error)
