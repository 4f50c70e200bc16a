"""Every setting of the program in one table, by key."""

from __future__ import annotations

from typing import Final

from app.domain.errors import SettingsError
from app.settings.brokers import BROKERS
from app.settings.program import PROGRAM
from app.settings.scanning import SCANNING
from app.settings.setting import Setting, Value
from app.settings.venues import VENUES

__all__ = ["BY_KEY", "SETTINGS", "Setting", "Value", "setting"]

SETTINGS: Final[tuple[Setting, ...]] = (*VENUES, *PROGRAM, *SCANNING, *BROKERS)

BY_KEY: Final[dict[str, Setting]] = {setting.key: setting for setting in SETTINGS}


def setting(key: str) -> Setting:
    """Return the setting of that key; raise SettingsError with the nearest keys when there is none."""
    found = BY_KEY.get(key)
    if found is None:
        section = key.partition(".")[0]
        near = [name for name in BY_KEY if name.startswith(section)] or list(BY_KEY)
        raise SettingsError(f"unknown setting {key!r}; known are {', '.join(near)}")
    return found
