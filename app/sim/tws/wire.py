"""Frames of the TWS socket protocol: a length of four bytes (big end first), then fields that each end with a NUL.

Numbers are text; what is not set is an empty field, or the biggest double where TWS sends that.
"""

from __future__ import annotations

import asyncio
import struct

UNSET_DOUBLE = "1.7976931348623157E308"
UNSET_INT = "2147483647"
UNSET_LONG = "9223372036854775807"
MOST_FRAME_BYTES = 1 << 20
GREETING = b"API\0"

Field = str | int | float | bool | None


class BadFrame(ValueError):
    """What a client sent is no frame of this protocol."""


def field_text(value: Field) -> str:
    """Return a field as text; None is empty, whole floats keep no fraction."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def frame(*fields: Field) -> bytes:
    """Return a message with its length."""
    body = "\0".join(map(field_text, fields)).encode() + b"\0"
    return struct.pack(">I", len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next message without its length; raise BadFrame for one that is too big, IncompleteReadError at the
    end."""
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if length > MOST_FRAME_BYTES:
        raise BadFrame(f"expected a message of at most {MOST_FRAME_BYTES} bytes, was {length}")
    return await reader.readexactly(length)


def fields_of(body: bytes) -> list[str]:
    """Return the fields of a message."""
    parts = body.decode(errors="backslashreplace").split("\0")
    return parts[:-1] if parts[-1] == "" else parts


def money(value: float) -> str:
    """Return an amount with two decimals."""
    return f"{value:.2f}"


def price(value: float) -> str:
    """Return a price or rate with at most eight decimals, never in scientific form."""
    text = f"{value:.8f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
