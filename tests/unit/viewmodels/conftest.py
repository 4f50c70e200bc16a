"""Lets these tests use the in-memory sources that the panels' tests use too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "ui"))
