"""What a stream channel makes of frames: acknowledgements, data, silence, notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

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
    return await answered(subject, lambda _names: None)


async def answered(subject: StreamChannel, refusal: Callable[[list[str]], str | None]) -> Peer:
    """Begin a channel and answer each of its frames: refused with the words that `refusal` returns, or accepted."""

    class Venue(Peer):
        async def send(self, text: str) -> None:
            await super().send(text)
            words = refusal(self.sent[-1]["params"])  # type: ignore[arg-type] # a list in JSON
            answer = {"id": self.sent[-1]["id"], "result": None}
            if words is not None:
                answer = {"id": self.sent[-1]["id"], "error": {"code": 2, "msg": words}}
            asyncio.get_running_loop().call_soon(subject.inspect, json.dumps(answer).encode())

    venue = Venue()
    await subject.begin(venue.send)
    return venue


async def test_names_go_out_in_frames_of_200_one_after_the_acknowledgement_of_the_other() -> None:
    subject, peer = channel(450), Peer()
    subject.inspect(DEPTH)
    task = asyncio.create_task(subject.begin(peer.send))
    for number, size in ((1, 200), (2, 200), (3, 50)):
        await asyncio.sleep(0)
        assert [len(request["params"]) for request in peer.sent][number - 1 :] == [size]  # type: ignore[arg-type]
        subject.inspect(b'{"result":null,"id":%d}' % (number - 1))  # a late repetition
        assert not subject.ready
        subject.inspect(b'{"result":null,"id":%d}' % number)
        await asyncio.sleep(0)
    await task
    assert subject.ready
    names = [name for request in peer.sent for name in request["params"]]  # type: ignore[attr-defined]
    assert names == [f"s{number}usdt@depth@100ms" for number in range(450)]


@pytest.mark.parametrize(
    "depth",
    [
        b'{"stream": "btcusdt@depth@100ms", "data": {"e": "depthUpdate", "E": 1672515782136, "s": "BTCUSDT"}}',
        b'{"data":{"e":"depthUpdate","E":1672515782136,"s":"BTCUSDT"},"stream":"btcusdt@depth@100ms"}',
        b' { "e" : "depthUpdate", "E" : 1672515782136, "s" : "BTCUSDT" }',
    ],
)
async def test_data_is_known_however_a_stand_in_for_the_venue_writes_its_json(depth: bytes) -> None:
    subject = channel()
    await confirmed(subject)
    subject.inspect(b'{"stream": "btcusdt@bookTicker", "data": {"u": 2, "s": "BTCUSDT"}}')
    assert not subject.ready
    subject.inspect(depth)
    assert subject.ready
    assert not subject.shutdown_announced


async def test_a_name_the_venue_refuses_is_found_and_left_out() -> None:
    subject = channel(100)
    bad = {"s41usdt@depth@100ms", "s97usdt@depth@100ms"}
    venue = await answered(subject, lambda names: "no such stream" if bad & set(names) else None)
    assert subject.refused == dict.fromkeys(bad, "no such stream")
    assert len(venue.sent) < 40
    subject.inspect(DEPTH)
    assert subject.ready


async def test_a_venue_that_refuses_whatever_is_asked_is_given_up_with_its_words() -> None:
    for names in (2, 100):
        asked: list[int] = []

        def refuse(batch: list[str], asked: list[int] = asked) -> str:
            asked.append(len(batch))
            return "too many\x00 streams"

        with pytest.raises(LinkLost, match="the venue refused the subscription: too many streams") as caught:
            await answered(channel(names), refuse)
        assert caught.value.wait_s > 0.0
        assert len(asked) <= 8


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


async def test_a_refusal_without_a_number_belongs_to_the_frame_that_waits() -> None:
    subject = channel(1)
    task = asyncio.create_task(subject.begin(Peer().send))
    await asyncio.sleep(0)
    subject.inspect(b'{"code":2,"msg":"Invalid request"}')
    with pytest.raises(LinkLost, match="Invalid request"):
        await task


async def test_depth_updates_without_quotes_are_a_complaint_after_ten_times_as_long() -> None:
    clock = HeldClock()
    subject = StreamChannel(["a@depth@100ms", "a@bookTicker"], RateLimit(50, 1.0), clock, 3.0)
    await confirmed(subject)
    for _ in range(11):
        subject.inspect(DEPTH)
        assert subject.silence(clock.s) is None
        clock.pass_s(2.7)
    subject.inspect(DEPTH)
    clock.pass_s(0.4)
    assert subject.silence(clock.s) == "depth updates come, but no quote came for 30.1 s"
    subject.inspect(QUOTE)
    assert subject.silence(clock.s) is None
    depth_only = channel(clock=clock)
    await confirmed(depth_only)
    clock.pass_s(100.0)
    depth_only.inspect(DEPTH)
    assert depth_only.silence(clock.s) is None


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
    assert event_time_ms(DEPTH.replace(b":", b": ")) == 1672515782136
    assert event_time_ms(QUOTE) is None
    assert event_time_ms(DEPTH.replace(b'"E":1672515782136,', b"")) is None
    assert event_time_ms(DEPTH.replace(b"1672515782136", b'"soon"')) is None
