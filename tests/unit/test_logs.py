"""No secret reaches a log line."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path

import pytest

from app import logs


@pytest.mark.parametrize(
    "text",
    [
        "connect postgresql://me:hunter2@db/x failed",
        "token=hunter2 refused",
        '{"password": "hunter2"}',
        "Authorization: hunter2",
        "api_key='hunter2'",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    assert "hunter2" not in logs.mask(text)


def test_account_numbers_are_masked_but_for_their_end() -> None:
    assert logs.mask("account U1234567 and DU7654321") == "account U***567 and DU***321"


def test_the_file_has_json_lines_for_the_user_only(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    raising = logging.raiseExceptions
    try:
        logs.set_up(tmp_path, "INFO")
        logging.getLogger("fathom.test").info("password=hunter2 and %s", "more")
        added = [handler for handler in root.handlers if handler not in before]
        for handler in added:
            handler.flush()
        lines = (tmp_path / "fathom.log").read_text().splitlines()
        assert json.loads(lines[-1])["text"] == "password=*** and more"
        if os.name == "posix":
            assert stat.S_IMODE((tmp_path / "fathom.log").stat().st_mode) == 0o600
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
        logging.getLogger("fathom").setLevel(logging.NOTSET)
        logging.raiseExceptions = raising
