"""Saved scans and the layout state of the scanner: from and to JSON values; what does not fit is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.scanner.columns import BY_KEY

DEFAULT_COLUMNS: Final[tuple[str, ...]] = (
    "symbol",
    "venue",
    "market",
    "last",
    "change_24h",
    "volume_24h",
    "high_24h",
    "low_24h",
    "bid",
    "ask",
    "spread_bp",
    "funding",
    "open_interest_usd",
    "delta",
    "events",
    "age",
)
STOCK_COLUMNS: Final = (*DEFAULT_COLUMNS[:5], "session", "gap", *DEFAULT_COLUMNS[5:])
"""The usual columns where there are stocks."""
MAX_SCANS: Final = 50
MAX_NAME: Final = 40
MAX_TEXT: Final = 1000
MAX_FAVOURITES: Final = 2000


@dataclass(frozen=True, slots=True)
class Sorting:
    """A column and whether it runs downwards."""

    key: str = "volume_24h"
    descending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a saved scan brings back: columns, sorting and filter."""

    columns: tuple[str, ...]
    sorting: Sorting
    filter: str

    def to_json(self) -> dict[str, object]:
        """Return the scan as JSON values."""
        return {"columns": list(self.columns), "sort": sorting_to_json(self.sorting), "filter": self.filter}


def scan_of(value: object) -> Scan | None:
    """Return the scan in JSON values, None when they are none."""
    if not isinstance(value, dict):
        return None
    text = value.get("filter")
    return Scan(
        columns=columns_of(value.get("columns")) or DEFAULT_COLUMNS,
        sorting=sorting_of(value.get("sort")) or Sorting(),
        filter=text[:MAX_TEXT] if isinstance(text, str) else "",
    )


def scans_of(value: object) -> dict[str, Scan]:
    """Return all scans that fit, by name."""
    found: dict[str, Scan] = {}
    if isinstance(value, dict):
        for name, entry in value.items():
            scan = scan_of(entry)
            if isinstance(name, str) and scan is not None and (known := scan_name(name)) and len(found) < MAX_SCANS:
                found[known] = scan
    return found


def scan_name(text: str) -> str:
    """Return a name as it is kept: printable, one line, not too long; "" when nothing is left."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:MAX_NAME]


def columns_of(value: object) -> tuple[str, ...]:
    """Return the known column keys of a list, each once; the symbol is always among them."""
    keys = (
        tuple(dict.fromkeys(key for key in value if isinstance(key, str) and key in BY_KEY))
        if (isinstance(value, list | tuple))
        else ()
    )
    return keys if not keys or "symbol" in keys else ("symbol", *keys)


def sorting_to_json(sorting: Sorting) -> list[object]:
    """Return a sorting as JSON values."""
    return [sorting.key, sorting.descending]


def sorting_of(value: object) -> Sorting | None:
    """Return a sorting from JSON values, None when they are none."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and value[0] in BY_KEY:
        return Sorting(value[0], value[1] is True)
    return None


def texts_of(value: object, most: int) -> list[str]:
    """Return the texts of a list, at most so many."""
    return [item for item in value if isinstance(item, str)][:most] if isinstance(value, list) else []


def widths_of(value: object) -> dict[str, int]:
    """Return column widths in pixels by key, only sensible ones."""
    if not isinstance(value, dict):
        return {}
    return {
        key: width
        for key, width in value.items()
        if key in BY_KEY and isinstance(width, int) and not isinstance(width, bool) and 24 <= width <= 600
    }
