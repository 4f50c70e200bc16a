"""The one time zone in which the whole program shows times: UTC or the machine's own."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final

from PySide6.QtCore import QObject, Signal

ZONES: Final = ("utc", "local")


class ZoneNotifier(QObject):
    """Tells when the zone has changed; the argument is its name, "utc" or "local"."""

    changed = Signal(str)


_name = "utc"
_notifier: ZoneNotifier | None = None


def notifier() -> ZoneNotifier:
    """Return the object whose `changed` signal announces another zone."""
    global _notifier
    if _notifier is None:
        _notifier = ZoneNotifier()
    return _notifier


def name() -> str:
    """Return "utc" or "local"."""
    return _name


def current() -> tzinfo:
    """Return the zone in force."""
    return UTC if _name == "utc" else local()


def local() -> tzinfo:
    """Return the machine's zone with its present offset."""
    return datetime.now().astimezone().tzinfo or UTC


def label() -> str:
    """Return the zone's short name for the screen: "UTC", "CET"."""
    return "UTC" if _name == "utc" else datetime.now(local()).tzname() or "local"


def choose(zone: str) -> None:
    """Show all times in "utc" or "local" from now on; raise ValueError for another name."""
    global _name
    if zone not in ZONES:
        raise ValueError(f"expected a zone of {' or '.join(ZONES)}, was {zone!r}")
    if zone != _name:
        _name = zone
        notifier().changed.emit(zone)
