"""From a fresh socket to acknowledged, delivering streams: Binance's SUBSCRIBE frames and what tells that they work.

An accepted SUBSCRIBE does not prove that data will come (web-socket-streams.md; seen since the futures URLs were
split), so a channel is ready only once depth updates have arrived, and it complains when they stop while quotes go on.
"""

from __future__ import annotations

import asyncio
import json
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
_REFUSED_PAUSE_S: Final = 5.0

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
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._confirmed = False
        self._confirmed_s = 0.0
        self._depth_ns = 0
        self._other_ns = 0

    async def begin(self, send: Send) -> None:
        """Subscribe in frames the venue takes and wait until each is acknowledged. Raises LinkLost."""
        loop = asyncio.get_running_loop()
        for number, start in enumerate(range(0, len(self._names), NAMES_PER_FRAME), start=1):
            names = self._names[start : start + NAMES_PER_FRAME]
            self._answers[number] = loop.create_future()
            await wait_turn(self._control, self._now_s)
            await send(json.dumps({"method": "SUBSCRIBE", "params": names, "id": number}, separators=(",", ":")))
        await asyncio.gather(*self._answers.values())
        self._answers.clear()
        self._confirmed = True
        self._confirmed_s = self._now_s()
        self.ready = self._depth_ns > 0

    def inspect(self, raw: bytes) -> None:
        """See a frame: note when data came, settle acknowledgements, recognise the shutdown notice."""
        if raw.startswith(_DATA) and raw[_NAME_AT : _NAME_AT + 1] != _NOTICE:
            if raw.find(b"@depth", _NAME_AT, _NAME_END) > 0:
                self._depth_ns = self._clock.monotonic_ns()
                self.ready = self._confirmed
            else:
                self._other_ns = self._clock.monotonic_ns()
            return
        if len(raw) < 400:
            self._inspect_control(raw)

    def silence(self, now_s: float) -> str | None:
        """Return what is wrong when quotes flow but depth updates do not."""
        if not self._confirmed:
            return None
        depth_s = max(self._depth_ns / NS_PER_S, self._confirmed_s)
        silent_s = now_s - depth_s
        if silent_s < self._silent_after_s or self._other_ns / NS_PER_S < now_s - self._silent_after_s:
            return None
        if not self._depth_ns:
            return f"the subscription was confirmed, quotes come, but no depth update came for {silent_s:.1f} s"
        return f"quotes come, but no depth update came for {silent_s:.1f} s"

    def _inspect_control(self, raw: bytes) -> None:
        if b"serverShutdown" in raw:
            self.shutdown_announced = True
            return
        if not self._answers:
            return
        try:
            answer = _probe.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # counted where frames are decoded
        if answer.error is not None or answer.code is not None:
            said = answer.msg if answer.error is None else answer.error.get("msg")
            raise LinkLost(f"the venue refused the subscription: {str(said)[:160]}", _REFUSED_PAUSE_S)
        waiting = self._answers.get(answer.id) if isinstance(answer.id, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
