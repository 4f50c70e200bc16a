"""Files that are whole or not there: atomic replacement with one backup, and setting a damaged file aside."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path


def write_atomic(path: Path, data: bytes, *, backup: bool = True) -> None:
    """Replace a file in one step, its previous content staying as `<name>.bak`; raise OSError when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if backup and path.exists():
            kept = path.with_name(path.name + ".bak")
            spare = path.with_name(path.name + ".bak.new")
            spare.write_bytes(path.read_bytes())
            os.replace(spare, kept)
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def set_aside(path: Path) -> Path | None:
    """Rename a damaged file with the date (UTC); return its new name, None when it could not be renamed."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.stem}.{stamp}.broken{path.suffix}")
    try:
        os.replace(path, aside)
    except OSError:
        return None
    return aside
