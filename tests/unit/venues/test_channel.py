"""What a stream channel makes of frames: acknowledgements, data, silence, notices."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.venues.binance.channel import StreamChannel
from app.venues.binance.shard import event_time_ms
from app.venues.explain import LinkLost
from app.venues.limiter import RateLimit

DEPTH = b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1672515782136,"s":"BTCUSDT","U":1,"u":2}}'
QUOTE = b'{"stream":"btcusdt@bookTicker","data":{"u":2,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}}'


class HeldClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000_000

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def pass_s(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)

    @property
    def s(self) -> float:
        return self.now_ns / 1e9


class Peer:
    """Keeps what a channel sends."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))


def channel(names: int = 2, clock: HeldClock | None = None) -> StreamChannel:
    listed = [f"s{number}usdt@depth@100ms" for number in range(names)]
    return StreamChannel(listed, RateLimit(50, 1.0), clock or HeldClock(), 3.0)


async def confirmed(subject: StreamChannel) -> Peer:
    """Begin a channel and acknowledge everything it asks for."""
    peer = Peer()
    task = asyncio.create_task(subject.begin(peer.send))
    await asyncio.sleep(0)
    for request in list(peer.sent):
        subject.inspect(json.dumps({"result": None, "id": request["id"]}).encode())
    await task
    return peer


async def test_names_go_out_in_frames_of_200_and_each_needs_its_own_acknowledgement() -> None:
    subject, peer = channel(450), Peer()
    task = asyncio.create_task(subject.begin(peer.send))
    await asyncio.sleep(0)
    sizes = [len(request["params"]) for request in peer.sent]  # type: ignore[arg-type] # a list in JSON
    assert sizes == [200, 200, 50]
    for number in (1, 2, 2):
        subject.inspect(b'{"result":null,"id":%d}' % number)
    await asyncio.sleep(0)
    assert not task.done()
    subject.inspect(b'{"result":null,"id":3}')
    await task


async def test_it_is_ready_only_with_acknowledgement_and_depth_data() -> None:
    subject = channel()
    subject.inspect(DEPTH)
    assert not subject.ready
    await confirmed(subject)
    assert subject.ready
    other = channel()
    await confirmed(other)
    other.inspect(QUOTE)
    assert not other.ready
    other.inspect(DEPTH)
    assert other.ready


@pytest.mark.parametrize(
    "answer",
    [b'{"code":2,"msg":"Invalid request: too many"}', b'{"error":{"code":2,"msg":"Invalid request: too many"},"id":1}'],
)
async def test_a_refused_subscription_ends_the_connection_with_the_venues_words(answer: bytes) -> None:
    subject = channel()
    task = asyncio.create_task(subject.begin(Peer().send))
    await asyncio.sleep(0)
    with pytest.raises(LinkLost, match="too many"):
        subject.inspect(answer)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_quotes_without_depth_updates_are_a_complaint_but_silence_of_both_is_not() -> None:
    clock = HeldClock()
    subject = channel(clock=clock)
    assert subject.silence(clock.s) is None
    await confirmed(subject)
    clock.pass_s(2.9)
    subject.inspect(QUOTE)
    assert subject.silence(clock.s) is None
    clock.pass_s(0.2)
    assert "no depth update" in (subject.silence(clock.s) or "")
    subject.inspect(DEPTH)
    assert subject.silence(clock.s) is None
    clock.pass_s(5.0)
    assert subject.silence(clock.s) is None
    subject.inspect(QUOTE)
    assert subject.silence(clock.s) == "quotes come, but no depth update came for 5.0 s"


@pytest.mark.parametrize(
    "notice",
    [
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
        b'{"e":"serverShutdown","E":1770123456789}',
    ],
)
async def test_a_shutdown_notice_is_recognised_in_both_forms(notice: bytes) -> None:
    subject = channel()
    await confirmed(subject)
    subject.inspect(notice)
    assert subject.shutdown_announced
    assert not subject.ready


@pytest.mark.parametrize("raw", [b"", b"{", b'{"stream":"', b"\xff\xfe", b"[" * 300, b'{"id":"x"}', b'{"id":99}'])
async def test_nonsense_is_left_to_the_decoder(raw: bytes) -> None:
    subject = channel()
    task = asyncio.create_task(subject.begin(Peer().send))
    await asyncio.sleep(0)
    subject.inspect(raw)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_event_time_is_read_out_of_depth_frames_only() -> None:
    assert event_time_ms(DEPTH) == 1672515782136
    assert event_time_ms(QUOTE) is None
    assert event_time_ms(DEPTH.replace(b'"E":1672515782136,', b"")) is None
    assert event_time_ms(DEPTH.replace(b"1672515782136", b'"soon"')) is None
