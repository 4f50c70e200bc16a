"""Looks at this machine: may the program write its folder, how much room is left, is the clock right."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Final

from app.services.doctor_checks.broker_rows import SKEW_FAIL_MS, SKEW_WARN_MS, skew_words
from app.services.doctor_checks.finding import Finding, Rows
from app.services.doctor_checks.threads import in_thread

FOLDER_SERVICE: Final = "Data folder"
CLOCK_SERVICE: Final = "System clock"
PROBE_NAME: Final = "doctor.probe"
LOW_BYTES: Final = 2 * 2**30
TOO_LOW_BYTES: Final = 200 * 2**20
_PROBE_BYTES: Final = 64 * 1024
_APART_MS: Final = 1000.0

FreeBytes = Callable[[Path], int]


def free_bytes(folder: Path) -> int:
    """Return the room left for this user on the disk of a folder."""
    return shutil.disk_usage(folder).free


async def check_folder(folder: Path, free: FreeBytes = free_bytes) -> list[Finding]:
    """Return whether the folder can be written, and how much room is left."""
    return await in_thread(lambda: _look_at_folder(folder, free), "data folder")


def _look_at_folder(folder: Path, free: FreeBytes) -> list[Finding]:
    rows = Rows(FOLDER_SERVICE)
    if not folder.exists():
        parent = next((above for above in folder.parents if above.exists()), None)
        if parent is None or not os.access(parent, os.W_OK):
            advice = "Choose another folder with --basedir, or make this one writable."
            return [rows.fail("writable", f"{folder} is not there and cannot be made.", advice)]
        return [rows.ok("writable", f"{folder} is made at the first start."), space_row(rows, parent, free)]
    began = time.perf_counter()
    problem = write_probe(folder)
    took_ms = (time.perf_counter() - began) * 1000
    if problem:
        advice = "Make room on that disk." if "space" in problem.lower() else "Make the folder writable for you."
        found = rows.fail("writable", f"{folder} cannot be written: {problem}.", advice, took_ms=took_ms)
    else:
        found = rows.ok("writable", f"{folder} can be written.", took_ms=took_ms)
    return [found, space_row(rows, folder, free)]


def write_probe(folder: Path, name: str = PROBE_NAME) -> str:
    """Write a small file and take it away again; return why that failed, "" when it did not."""
    probe = folder / name
    try:
        with probe.open("wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return ""


def space_row(rows: Rows, folder: Path, free: FreeBytes, check: str = "disk space") -> Finding:
    """Return how much room is left on the disk of a folder."""
    try:
        room = free(folder)
    except OSError as error:
        return rows.unknown(check, f"The disk of {folder} does not tell its room: {error.strerror or error}.")
    words = f"{room / 2**30:.1f} GiB free"
    if room < TOO_LOW_BYTES:
        return rows.fail(check, f"Only {words}: minutes and recordings will soon be lost.", "Make room on that disk.")
    if room < LOW_BYTES:
        return rows.warn(check, f"{words}; a day of minutes and a recording need some.", "Make room on that disk.")
    return rows.ok(check, f"{words}.")


def clock_row(offsets_ms: Mapping[str, float]) -> Finding:
    """Return what the clocks of several venues (their time minus ours) say of this machine's.

    One venue's clock alone may be the wrong one, so their median counts.
    """
    rows = Rows(CLOCK_SERVICE)
    if not offsets_ms:
        return rows.unknown("offset", "No venue told its time, so the clock cannot be compared.")
    middle = median(offsets_ms.values())
    names = ", ".join(offsets_ms)
    words = f"The time of {names} is {skew_words(middle)} this machine's."
    if abs(middle) >= SKEW_FAIL_MS:
        return rows.fail("offset", words, "Switch on automatic time on this machine: stamps and ages are wrong now.")
    if abs(middle) >= SKEW_WARN_MS:
        return rows.warn("offset", words, "Let this machine set its time by itself (NTP).")
    apart = [name for name, offset in offsets_ms.items() if abs(offset - middle) >= _APART_MS]
    if apart:
        return rows.ok("offset", words, f"The clock of {', '.join(apart)} differs from the others.")
    return rows.ok("offset", words)
