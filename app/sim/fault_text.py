"""Turns the text of a fault, `NAME[:ARG[,ARG]][@SECONDS]`, into its name, its arguments and its time.

What faults there are and what arguments mean is each venue's own matter (`faults.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from app.domain.errors import FathomError


class Named(Protocol):
    """What the faults of all venues have in common."""

    @property
    def name(self) -> str:
        """The fault's name."""


FaultT = TypeVar("FaultT", bound=Named)


class FaultError(FathomError, ValueError):
    """A fault that cannot be understood or begun; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class TimedFault(Generic[FaultT]):
    """A fault and the seconds after the start at which it happens."""

    fault: FaultT
    at_s: float


def read_timed(text: str, read: Callable[[str], FaultT]) -> TimedFault[FaultT]:
    """Return the fault of `FAULT@SECONDS`; `read` makes a fault of what stands before the time."""
    head, at, seconds = text.rpartition("@")
    try:
        at_s = float(seconds)
    except ValueError:
        at_s = -1.0
    if not at or not 0.0 <= at_s < 1e9:
        raise FaultError(f"expected NAME[:ARG[,ARG]]@SECONDS, was {text!r}")
    return TimedFault(read(head), at_s)


def read_words(
    text: str, numbers_of: Mapping[str, tuple[str, ...]], key_of: Callable[[str], str]
) -> tuple[str, dict[str, object]]:
    """Return the name and the arguments of `NAME[:ARG[,ARG]]`; an ARG is `KEY=VALUE` or a value alone.

    Numbers alone are the fault's `numbers_of`, in order; `key_of` tells what any other word alone is.
    """
    name, _, tail = text.partition(":")
    check_name(name, numbers_of)
    numbers = list(numbers_of[name])
    arguments: dict[str, object] = {}
    for word in filter(None, tail.split(",")):
        key, equals, value = word.partition("=")
        if not equals:
            key, value = key_of(word), word
            if re.fullmatch(r"\d+(\.\d*)?", word):
                if not numbers:
                    raise FaultError(f"expected no (more) numbers, was {word!r}")
                key = numbers.pop(0)
        arguments[key] = value
    return name, arguments


def check_name(name: str, names: Mapping[str, object]) -> None:
    """Raise FaultError unless there is such a fault."""
    if name not in names:
        raise FaultError(f"expected one of {', '.join(names)}, was {name!r}")


def read_count(key: str, text: str, most: int, expected: str) -> int:
    """Return a whole number from 1 on; `expected` tells what it may be."""
    try:
        number = int(text)
        if not 1 <= number <= most:
            raise ValueError(expected)
    except ValueError as error:
        raise _unusable(key, text, error) from None
    return number


def read_seconds(key: str, text: str, least: float = 0.0) -> float:
    """Return seconds."""
    try:
        seconds = float(text)
        if not least <= seconds < 1e9:
            raise ValueError("0 or more")
    except ValueError as error:
        raise _unusable(key, text, error) from None
    return seconds


def read_kind(text: str, kinds: Collection[str], what: str) -> str:
    """Return a kind of `what` there is."""
    if text not in kinds:
        raise FaultError(f"expected a kind of {what} among {', '.join(kinds)}, was {text!r}")
    return text


def _unusable(key: str, text: str, error: ValueError) -> FaultError:
    return FaultError(f"expected a usable {key}, was {text!r} ({error})")
