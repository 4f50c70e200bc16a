"""How this program starts itself again as a child: from a source tree, an installation or a frozen bundle."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command_line(*arguments: str) -> list[str]:
    """Return the command that runs the program with these arguments."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    return [sys.executable, "-m", "app.cli", *arguments]


def child_environment() -> dict[str, str]:
    """Return this environment, with the program's own folder on the module path."""
    root = str(Path(__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{known}" if known else root}
