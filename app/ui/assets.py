"""Finds files of `resources/` in a checkout, an installed wheel or a frozen bundle."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def resource_root() -> Path:
    """Return the folder that holds icons and themes; raise FileNotFoundError when the installation lacks it."""
    here = Path(__file__).resolve()
    frozen = getattr(sys, "_MEIPASS", None)
    candidates = [Path(frozen) / "resources"] if frozen else []
    candidates += [here.parents[1] / "_resources", here.parents[2] / "resources"]
    for folder in candidates:
        if (folder / "themes").is_dir():
            return folder
    raise FileNotFoundError(f"expected the resources folder at one of {', '.join(map(str, candidates))}")


def resource(*parts: str) -> Path:
    """Return the path of one resource, e.g. `resource("icons", "ladder.svg")`."""
    return resource_root().joinpath(*parts)
