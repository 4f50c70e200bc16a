"""From a fresh socket to acknowledged, delivering streams: Binance's SUBSCRIBE frames and what tells that they work.

An accepted SUBSCRIBE does not prove that data will come (web-socket-streams.md; seen since the futures URLs were
split), so a channel is ready only once depth updates have arrived, and it complains when they stop while quotes go on.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from app.domain.clock import Clock
from app.domain.units import NS_PER_S
from app.venues.binance.messages import Probe
from app.venues.explain import LinkLost
from app.venues.limiter import RateLimit, wait_turn
from app.venues.link import Send

NAMES_PER_FRAME: Final = 200
_DATA: Final = b'{"stream":"'
_NAME_AT: Final = len(_DATA)
_NAME_END: Final = 96
_NOTICE: Final = b"!"
_QUOTE_PATIENCE: Final = 10.0
"""Quotes move only with the top of a book: their silence counts after so many times the patience with depth."""
_REFUSED_PAUSE_S: Final = 5.0
_HOPELESS: Final = 8
"""So many refusals and nothing accepted: it is not about single names."""

_probe = msgspec.json.Decoder(Probe, strict=False)


class StreamChannel:
    """The streams of one connection (`app.venues.link.Channel`). `silent_after_s`: longest pause of depth updates."""

    def __init__(self, names: Sequence[str], control: RateLimit, clock: Clock, silent_after_s: float) -> None:
        self.ready = False
        self.shutdown_announced = False
        self._names = tuple(names)
        self._control = control
        self._clock = clock
        self._silent_after_s = silent_after_s
        self._wants_quotes = any(name.endswith("@bookTicker") for name in names)
        self.refused: dict[str, str] = {}
        """Names the venue does not take, with its words."""
        self._asked = 0
        self._answer: asyncio.Future[str | None] | None = None
        self._confirmed = False
        self._confirmed_s = 0.0
        self._depth_ns = 0
        self._quote_ns = 0

    async def begin(self, send: Send) -> None:
        """Subscribe in frames the venue takes, one after the other, each acknowledged. Raises LinkLost.

        A frame that is refused is halved until the names at fault are found; those are left out (`refused`).
        """
        waiting = deque(
            self._names[start : start + NAMES_PER_FRAME] for start in range(0, len(self._names), NAMES_PER_FRAME)
        )
        accepted, refusals, said = 0, 0, "no reason given"
        while waiting:
            names = waiting.popleft()
            words = await self._ask(names, send)
            if words is None:
                accepted += len(names)
                continue
            refusals, said = refusals + 1, words
            if refusals >= _HOPELESS and not accepted:
                break
            if len(names) == 1:
                self.refused[names[0]] = words
            else:
                middle = len(names) // 2
                waiting += (names[:middle], names[middle:])
        if not accepted:
            raise LinkLost(f"the venue refused the subscription: {said}", _REFUSED_PAUSE_S)
        self._confirmed = True
        self._confirmed_s = self._now_s()
        self.ready = self._depth_ns > 0

    async def _ask(self, names: Sequence[str], send: Send) -> str | None:
        """Subscribe to names and return the venue's words when it refuses."""
        self._asked += 1
        self._answer = asyncio.get_running_loop().create_future()
        await wait_turn(self._control, self._now_s)
        request = {"method": "SUBSCRIBE", "params": names, "id": self._asked}
        await send(json.dumps(request, separators=(",", ":")))
        try:
            return await self._answer
        finally:
            self._answer = None

    def inspect(self, raw: bytes) -> None:
        """See a frame: note when data came, settle acknowledgements, recognise the shutdown notice."""
        if raw.startswith(_DATA) and raw[_NAME_AT : _NAME_AT + 1] != _NOTICE:
            self._note_data(raw.find(b"@depth", _NAME_AT, _NAME_END) > 0)
        else:
            self._inspect_other(raw)

    def _note_data(self, is_depth: bool) -> None:
        if is_depth:
            self._depth_ns = self._clock.monotonic_ns()
            self.ready = self._confirmed
        else:
            self._quote_ns = self._clock.monotonic_ns()

    def silence(self, now_s: float) -> str | None:
        """Return what is wrong when one kind of stream flows and the other does not."""
        if not self._confirmed:
            return None
        depth_silent_s = now_s - max(self._depth_ns / NS_PER_S, self._confirmed_s)
        quote_silent_s = now_s - max(self._quote_ns / NS_PER_S, self._confirmed_s)
        patience_s = self._silent_after_s
        if depth_silent_s >= patience_s and self._quote_ns and quote_silent_s <= patience_s:
            if not self._depth_ns:
                return (
                    f"the subscription was confirmed, quotes come, but no depth update came for {depth_silent_s:.1f} s"
                )
            return f"quotes come, but no depth update came for {depth_silent_s:.1f} s"
        patience_s *= _QUOTE_PATIENCE
        depth_flows = self._depth_ns > 0 and depth_silent_s <= self._silent_after_s
        if self._wants_quotes and depth_flows and quote_silent_s >= patience_s:
            return f"depth updates come, but no quote came for {quote_silent_s:.1f} s"
        return None

    def _inspect_other(self, raw: bytes) -> None:
        """See an answer, a notice, or data of a server that writes JSON with spaces or without the wrapper."""
        try:
            answer = _probe.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # counted where frames are decoded
        name = answer.stream or ""
        if answer.e == "serverShutdown" or name.endswith("!serverShutdown"):
            self.shutdown_announced = True
            return
        if name or answer.e is not None:
            self._note_data("@depth" in name or answer.e == "depthUpdate")
            return
        if self._answer is None or self._answer.done():
            return
        if answer.error is not None or answer.code is not None:
            said = answer.msg if answer.error is None else answer.error.get("msg")
            self._answer.set_result("".join(letter for letter in str(said) if letter.isprintable())[:160])
        elif answer.id == self._asked:
            self._answer.set_result(None)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
