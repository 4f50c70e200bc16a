"""What a driver raises, as a sentence for the screen and a word that tells what can be done about it."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from app.domain.errors import StorageError
from app.settings.store import mask_url


class Trouble(StrEnum):
    """Why the database does not take work.

    AWAY: it cannot be reached. LOCKED and FULL: it can still be read. CORRUPT: the file is damaged. WRONG: waiting
    does not help, a setting must be changed (it is tried again all the same).
    """

    AWAY = "away"
    LOCKED = "locked"
    FULL = "full"
    CORRUPT = "corrupt"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Problem:
    """A trouble and the sentence for the screen."""

    trouble: Trouble
    sentence: str

    @property
    def readable(self) -> bool:
        """Whether what is stored can still be read."""
        return self.trouble in (Trouble.LOCKED, Trouble.FULL)


_SAYINGS: Final[tuple[tuple[tuple[str, ...], Trouble, str], ...]] = (
    (("disk is full", "no space left", "disk full"), Trouble.FULL, "The disk of the database {where} is full."),
    (("disk i/o error",), Trouble.FULL, "The disk of the database {where} reports an error."),
    (("not a database", "malformed"), Trouble.CORRUPT, "The database file {where} is damaged."),
    (("is locked", "busy", "lock timeout"), Trouble.LOCKED, "Another program locks the database {where}."),
    (("authentication failed", "no password supplied"), Trouble.WRONG, "{where} refuses the user or the password."),
    (("unable to open database file", "readonly database"), Trouble.WRONG, "{where} cannot be opened for writing."),
)


def classify(error: Exception, url: str) -> Problem:
    """Return what an error of SQLAlchemy, of a driver or of the file system means."""
    said = str(getattr(error, "orig", None) or error).strip()
    words = (said.splitlines()[0].rstrip(".: ") if said else type(error).__name__)[:200]
    where = mask_url(url)
    if isinstance(error, StorageError):
        return Problem(Trouble.WRONG, str(error))
    if isinstance(error, ArgumentError | NoSuchModuleError | ModuleNotFoundError):
        return Problem(Trouble.WRONG, f"The database URL {where} cannot be used: {words}.")
    if isinstance(error, TimeoutError):
        return Problem(Trouble.AWAY, f"The database {where} does not answer.")
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return Problem(
            Trouble.FULL if full else Trouble.WRONG, f"{where} cannot be written: {error.strerror or words}."
        )
    low = said.lower()
    for marks, trouble, sentence in _SAYINGS:
        if any(mark in low for mark in marks):
            return Problem(trouble, sentence.format(where=where))
    if isinstance(error, DBAPIError) and "fatal:" in low and "does not exist" in low:
        return Problem(Trouble.WRONG, f"The database {where} does not exist there: {words}.")
    return Problem(Trouble.AWAY, f"The database {where} cannot be reached: {words}.")
