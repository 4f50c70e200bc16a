"""From bytes to wire structs, with every way they can be malformed as a `BadFrameError`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from app.domain.errors import BadFrameError
from app.venues.ibkr_portal.messages import Frame

T = TypeVar("T")

MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class Topic(NamedTuple):
    """A frame by its topic: `smd+265598` is kind "smd" with argument "265598"; without a topic the kind is ""."""

    kind: str
    argument: str
    frame: Frame


def parse(raw: bytes | Raw, kind: type[T], what: str) -> T:
    """Return bytes as that struct. Raises BadFrameError."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        read: T = decoder.decode(raw)
    except MALFORMED as error:
        raise BadFrameError(f"expected {what}, was {str(error)[:200]}") from None
    return read


def parse_frame(raw: bytes) -> Topic:
    """Return a WebSocket frame with its topic taken apart. Raises BadFrameError."""
    frame = parse(raw, Frame, "a frame with a topic")
    kind, _, argument = frame.topic.partition("+")
    return Topic(kind, argument, frame)


class Rows(Sequence[T]):
    """Rows of a list, each read for itself, so that one that is malformed does not lose the rest: `bad` counts them."""

    def __init__(self, rows: Sequence[bytes | Raw], kind: type[T]) -> None:
        self.bad = 0
        self._read: list[T] = []
        for row in rows:
            try:
                self._read.append(parse(row, kind, "a row"))
            except BadFrameError:
                self.bad += 1

    def __len__(self) -> int:
        return len(self._read)

    def __getitem__(self, at: Any) -> Any:
        return self._read[at]

    def __iter__(self) -> Iterator[T]:
        return iter(self._read)


def rows_of(raw: bytes | Raw, kind: type[T], what: str) -> Rows[T]:
    """Return the rows of a list. Raises BadFrameError when it is none."""
    return Rows(parse(raw, list[Raw], what), kind)
