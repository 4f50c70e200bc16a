"""Log lines to a rotating file (5 x 5 MB, for the user's eyes only), warnings to the terminal; secrets are masked."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import re
import sys
import time
from pathlib import Path
from typing import Final

_SECRET = re.compile(
    r"(?i)((?:password|passwd|token|secret|api[_-]?key|authorization)[\"']?\s*[=:]\s*[\"']?)([^\s\"'&,}]+)"
)
_URL_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^:/@\s]*:)([^@/\s]+)(@)")
_ACCOUNT = re.compile(r"\b([DU]U?)\d{3,}(\d{3})\b")
_MAX_BYTES: Final = 5 * 1024 * 1024


def mask(text: str) -> str:
    """Return the text with passwords, tokens and account numbers masked."""
    text = _SECRET.sub(r"\1***", text)
    text = _URL_PASSWORD.sub(r"\1***\3", text)
    return _ACCOUNT.sub(r"\1***\2", text)


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a masked JSON line."""
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "area": record.name,
            "text": mask(record.getMessage()),
        }
        if record.exc_info:
            entry["trace"] = mask(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


class PlainLine(logging.Formatter):
    """What the terminal shows: a sentence, never a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return level and masked text."""
        return f"{record.levelname.lower()}: {mask(record.getMessage())}"


class _PrivateFile(logging.handlers.RotatingFileHandler):
    def _open(self):  # type: ignore[no-untyped-def] # the base class gives a private text type
        stream = super()._open()
        if os.name == "posix":
            os.chmod(self.baseFilename, 0o600)
        return stream


def set_up(folder: Path | None, level: str) -> None:
    """Send the program's log to `folder` (None: nowhere) and its warnings to standard error."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    logging.getLogger("fathom").setLevel(level)
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(PlainLine())
    root.addHandler(terminal)
    logging.raiseExceptions = False  # a full disk must not print tracebacks for each line
    if folder is None:
        return
    try:
        file = _PrivateFile(folder / "fathom.log", maxBytes=_MAX_BYTES, backupCount=4, encoding="utf-8", delay=False)
    except OSError as error:
        logging.getLogger("fathom").warning("no log file: %s", error.strerror or error)
        return
    file.setFormatter(JsonLines())
    root.addHandler(file)
