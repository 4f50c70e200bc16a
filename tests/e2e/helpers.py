"""Start the program as a person would, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}


def run(*arguments: str | Path, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=ENVIRONMENT,
        cwd=ROOT,
        check=False,
    )


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start the program and return the process."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
    )


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON document a command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
