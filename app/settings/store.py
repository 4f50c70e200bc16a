"""The values in force: defaults, beneath the settings file, beneath the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from app.domain.errors import SettingsError
from app.settings.files import set_aside, write_atomic
from app.settings.schema import BY_KEY, SETTINGS, Value, setting

VERSION: Final = 1
_MAX_BYTES: Final = 1_000_000


class Settings:
    """Values by key. `notes` are sentences for the user about what was wrong with the file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._stored: dict[str, Value] = {}
        self._unknown: dict[str, Any] = {}
        self._overrides: dict[str, Value] = {}
        self.notes: list[str] = []
        if path is not None:
            self._load(path)

    def _load(self, path: Path) -> None:
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ValueError(f"expected at most {_MAX_BYTES} bytes")
            document = json.loads(path.read_bytes().decode("utf-8"))
            if not isinstance(document, dict) or not isinstance(document.get("values"), dict):
                raise ValueError("expected an object with values")
            if document.get("version") != VERSION:
                raise ValueError(f"expected version {VERSION}, was {document.get('version')!r}")
        except FileNotFoundError:
            return
        except OSError as error:
            self.notes.append(f"The settings could not be read ({error.strerror}); defaults are used.")
            return
        except (ValueError, RecursionError):
            aside = set_aside(path)
            where = f"kept as {aside.name}" if aside is not None else "left where it is"
            self.notes.append(f"The settings file was damaged; it was {where} and defaults are used.")
            return
        for key, value in document["values"].items():
            if key not in BY_KEY:
                self._unknown[key] = value  # of a newer version: kept as it is
                continue
            try:
                self._stored[key] = BY_KEY[key].check(value)
            except SettingsError as error:
                self.notes.append(f"A setting was out of order and its default is used: {error}.")

    def override(self, assignments: Iterable[str]) -> None:
        """Take `key=value` texts from the command line; they are not saved. Raises SettingsError."""
        for assignment in assignments:
            key, sign, text = assignment.partition("=")
            if not sign:
                raise SettingsError(f"expected key=value, was {assignment!r}")
            self._overrides[key.strip()] = setting(key.strip()).parse(text)

    def override_values(self, values: Mapping[str, Value]) -> None:
        """Set values for this run only. Raises SettingsError."""
        for key, value in values.items():
            self._overrides[key] = setting(key).check(value)

    def get(self, key: str) -> Value:
        """Return the value in force."""
        known = setting(key)
        return self._overrides.get(key, self._stored.get(key, known.default))

    def text(self, key: str) -> str:
        """Return a text setting."""
        return str(self.get(key))

    def whole(self, key: str) -> int:
        """Return a whole-number setting."""
        return int(self.get(key))

    def number(self, key: str) -> float:
        """Return a number setting."""
        return float(self.get(key))

    def flag(self, key: str) -> bool:
        """Return a yes-or-no setting."""
        return bool(self.get(key))

    def set(self, key: str, value: Value) -> None:
        """Change a value for good; `save` writes it. Raises SettingsError."""
        self._stored[key] = setting(key).check(value)
        self._overrides.pop(key, None)

    def save(self) -> None:
        """Write the file atomically; raise OSError when that fails."""
        if self._path is None:
            return
        document = {"version": VERSION, "values": {**self._unknown, **self._stored}}
        write_atomic(self._path, json.dumps(document, indent=1, sort_keys=True).encode())

    def describe(self) -> list[dict[str, Any]]:
        """Return every key with its type, default, unit, bounds, help and value; passwords are masked."""
        return [
            {
                "key": s.key,
                "type": s.kind.__name__,
                "default": s.default,
                "value": mask(str(self.get(s.key))) if s.secret else self.get(s.key),
                "unit": s.unit,
                "low": s.low,
                "high": s.high,
                "choices": list(s.choices),
                "help": s.help,
            }
            for s in SETTINGS
        ]


def mask(secret: str) -> str:
    """Return what may be shown of a secret: a URL without its password, nothing of anything else."""
    return mask_url(secret) if "://" in secret or not secret else "***"


def mask_url(url: str) -> str:
    """Return a URL without its password."""
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
    except ValueError:
        return "***"
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, f"{parts.username or ''}:***@{host}{port}", parts.path, parts.query, ""))
