"""Rules of the house that no type checker knows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "app").rglob("*.py"))


def _lines_with(pattern: str, *, but: tuple[str, ...] = ()) -> list[str]:
    found = []
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        if name in but:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


def test_there_is_code_to_look_at() -> None:
    assert len(SOURCES) > 150


@pytest.mark.parametrize(
    ("pattern", "but"),
    [
        (r"\.exec\(|QMessageBox\.(information|warning|question|critical|about)", ("app/ui/dialogs/ask.py",)),
        (r"processEvents", ()),
        (r"\bpickle\b|(?<!\.)\beval\(|yaml\.load", ()),
        (r"verify\s*=\s*False|CERT_NONE", ()),
        (r"check_hostname\s*=\s*False", ("app/venues/ibkr_portal/tls.py",)),  # one pinned certificate stands for all
        (r"0\.0\.0\.0", ()),
    ],
)
def test_what_is_banned_is_nowhere(pattern: str, but: tuple[str, ...]) -> None:
    assert _lines_with(pattern, but=but) == []


def test_view_models_and_services_work_without_qt() -> None:
    code = (
        "import sys\n"
        "for name in ('PySide6', 'pyqtgraph', 'qasync', 'PySide6QtAds'):\n"
        "    sys.modules[name] = None\n"
        "import importlib, pkgutil\n"
        "for package in ('app.viewmodels', 'app.services', 'app.storage', 'app.venues', 'app.sim', 'app.commands'):\n"
        "    module = importlib.import_module(package)\n"
        "    for found in pkgutil.walk_packages(module.__path__, package + '.'):\n"
        "        importlib.import_module(found.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_tracked_text_names_a_package_host_or_a_machines_path() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    host = "|".join(("pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.org"))
    bad = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".png", ".svg") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if re.search(host, text) or str(ROOT) + "/" in text:
            bad.append(name)
    assert bad == []
