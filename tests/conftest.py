"""For every test: no garbage is collected on threads, and where the captures (recorded market data) are."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from app.garbage import collect_due

ROOT = Path(__file__).resolve().parent.parent
# pytest warns of a folder named .hypothesis that norecursedirs does not name, and warnings are errors here
set_hypothesis_home_dir(ROOT / ".pytest_cache" / "hypothesis")
# where nobody can look at a counterexample at once, the same examples are tried each time
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_configure() -> None:
    """Collect no garbage on threads (xdist's own is one): a Qt object destroyed there ends the process later."""
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Collect between two tests, on the main thread."""
    collect_due()


@pytest.fixture(scope="session")
def captures() -> Path:
    """Return the folder of captures named by FATHOM_CAPTURES, else the one beside the repository."""
    folder = Path(os.environ.get("FATHOM_CAPTURES") or ROOT.parent / "shared" / "captures")
    if not (folder / "SOURCES.md").is_file():
        pytest.skip(f"no captures in {folder}; FATHOM_CAPTURES can name their folder")
    return folder
