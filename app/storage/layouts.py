"""Keeps window layouts in one JSON file: schema version, Qt blobs as base64, atomic write with one backup.

A file that cannot be read is renamed with the date and reported; the caller then uses its default.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.settings.files import set_aside, write_atomic

_log = logging.getLogger("fathom.storage.layouts")

SCHEMA: Final = 1
MAX_BYTES: Final = 8 * 1024 * 1024

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelRecord:
    """One open panel: its kind, a number telling instances apart, and its own state."""

    kind: str
    instance: int
    state: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutRecord:
    """One arrangement: the panels that are open and the dock manager's blob (empty: not known)."""

    panels: tuple[PanelRecord, ...]
    docks: bytes = b""


@dataclass(slots=True, kw_only=True)
class LayoutDocument:
    """Everything the file holds. options: JSON values by name (theme, zone, lock, favourites, ...)."""

    layouts: dict[str, LayoutRecord] = field(default_factory=dict)
    active: str = ""
    geometry: bytes = b""
    options: JsonObject = field(default_factory=dict)


class _Malformed(Exception):
    pass


class LayoutStore:
    """Reads and writes the layout file of one profile."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """Return where the layouts are kept."""
        return self._path

    def load(self) -> tuple[LayoutDocument | None, str | None]:
        """Return the stored document (None: use the default) and a sentence for the user when something was wrong."""
        try:
            if self._path.stat().st_size > MAX_BYTES:
                raise _Malformed(f"expected at most {MAX_BYTES} bytes")
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None, None
        except OSError as error:
            return None, f"The layout file could not be read ({error.strerror}); the default layout is used."
        except _Malformed as error:
            return self._set_aside(str(error))
        try:
            return _decode(json.loads(text.decode("utf-8"))), None
        except (_Malformed, ValueError, RecursionError) as error:
            return self._set_aside(str(error))

    def _set_aside(self, reason: str) -> tuple[LayoutDocument | None, str]:
        _log.warning("layout file %s is not usable: %s", self._path, reason)
        aside = set_aside(self._path)
        if aside is None:
            return None, "The layout file is damaged and could not be renamed; the default layout is used."
        return None, f"The layout file was damaged; it was kept as {aside.name} and the default layout is used."

    def save(self, document: LayoutDocument) -> None:
        """Write the document atomically, keeping the previous file as .bak; raise OSError when that fails."""
        text = json.dumps(_encode(document), indent=1, allow_nan=False, ensure_ascii=False)
        write_atomic(self._path, text.encode())


def _encode(document: LayoutDocument) -> JsonObject:
    return {
        "schema": SCHEMA,
        "active": document.active,
        "geometry": base64.b64encode(document.geometry).decode("ascii"),
        "options": document.options,
        "layouts": {
            name: {
                "docks": base64.b64encode(layout.docks).decode("ascii"),
                "panels": [
                    {"kind": panel.kind, "instance": panel.instance, "state": panel.state} for panel in layout.panels
                ],
            }
            for name, layout in document.layouts.items()
        },
    }


def _decode(data: object) -> LayoutDocument:
    root = _mapping(data, "the file")
    schema = root.get("schema")
    if schema != SCHEMA:
        raise _Malformed(f"expected schema {SCHEMA}, was {schema!r}")
    layouts = {
        name: LayoutRecord(
            docks=_blob(_mapping(entry, name).get("docks", "")),
            panels=tuple(_panel(item) for item in _sequence(_mapping(entry, name).get("panels"), name)),
        )
        for name, entry in _mapping(root.get("layouts"), "layouts").items()
    }
    active = root.get("active", "")
    if not isinstance(active, str):
        raise _Malformed(f"expected a layout name, was {active!r}")
    return LayoutDocument(
        layouts=layouts,
        active=active,
        geometry=_blob(root.get("geometry", "")),
        options=dict(_mapping(root.get("options", {}), "options")),
    )


def _panel(item: object) -> PanelRecord:
    entry = _mapping(item, "a panel")
    kind, instance = entry.get("kind"), entry.get("instance")
    if not isinstance(kind, str) or not isinstance(instance, int) or isinstance(instance, bool) or instance < 1:
        raise _Malformed(f"expected a panel's kind and instance, was {kind!r} and {instance!r}")
    return PanelRecord(kind=kind, instance=instance, state=dict(_mapping(entry.get("state", {}), kind)))


def _mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _Malformed(f"expected an object for {what}, was {type(value).__name__}")
    return value


def _sequence(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise _Malformed(f"expected a list for {what}, was {type(value).__name__}")
    return value


def _blob(value: object) -> bytes:
    if not isinstance(value, str):
        raise _Malformed(f"expected base64 text, was {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _Malformed(f"expected base64 text: {error}") from None
