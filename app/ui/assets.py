"""Finds files of `resources/` for the screens."""

from __future__ import annotations

from pathlib import Path

from app.paths import resources


def resource(*parts: str) -> Path:
    """Return the path of one resource, e.g. `resource("icons", "ladder.svg")`."""
    return resources().joinpath(*parts)
