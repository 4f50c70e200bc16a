"""The snapshot queue against a small HTTP server: order, limits, repeats, and symbols that vanish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from app.domain.health import FeedHealth, LinkHealth
from app.domain.ids import FeedId, Market, Venue
from app.venues.bans import BanStore
from app.venues.binance.api import open_api
from app.venues.binance.polling import DepthByRest
from app.venues.binance.priming import PrimingOptions, SnapshotQueue, covers_book
from app.venues.binance.shard import Shard
from app.venues.binance.urls import BinanceEndpoints
from app.venues.feed import Urgency
from app.venues.polling import Poller
from tests.loopback.http_server import HttpServer, MovedClock, Reply

SYMBOLS = tuple(f"S{number}USDT" for number in range(8))
QUICK = PrimingOptions(first_full=2, repeat_pause_s=0.05, repeat_cap_s=0.1)


def body(levels: int) -> dict[str, object]:
    rows = [[str(number + 1), "1"] for number in range(levels)]
    return {"lastUpdateId": 5, "bids": rows, "asks": rows}


class Taker:
    """Keeps what the queue hands over."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.answered: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.unknown: list[str] = []

    def on_asked(self, path: str) -> None:
        query = parse_qs(urlsplit(path).query)
        self.asked.append((query["symbol"][0], int(query["limit"][0])))

    def on_answer(self, path: str, raw: bytes) -> None:
        self.answered.append(parse_qs(urlsplit(path).query)["symbol"][0])

    def on_failed(self, path: str, reason: str) -> None:
        self.failed.append((parse_qs(urlsplit(path).query)["symbol"][0], reason))

    def on_unknown(self, symbol: str, reason: str) -> None:
        self.unknown.append(symbol)


class NoSink:
    """A shard that never opens hands nothing over."""


class Bench:
    """A queue, its server, and what came of it."""

    def __init__(self, server: HttpServer, options: PrimingOptions, market: Market) -> None:
        self.server = server
        self.health = FeedHealth(feed=FeedId(Venue.BINANCE, market))
        self.taker = Taker()
        self.clock = clock = MovedClock()
        clock.move_s(61.0 - clock.wall_ns() / 1e9 % 60.0)  # early in a minute, so that no test sees two
        at = BinanceEndpoints("", server.url, "", server.url)
        self.api = open_api(market, at, self.health, clock, BanStore(None))
        self.queue = SnapshotQueue(self.api, SYMBOLS, self.taker, self.health, clock, options)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.005)

    async def idle(self) -> None:
        """Wait until nothing is queued or asked for."""
        await self.until(lambda: self.health.snapshots_queued == 0)


@asynccontextmanager
async def bench(options: PrimingOptions = QUICK, market: Market = Market.BINANCE_SPOT) -> AsyncIterator[Bench]:
    """Run a queue until the block ends."""
    async with HttpServer().running() as server:
        server.answer = lambda _path: Reply(body=body(3))
        subject = Bench(server, options, market)
        task = asyncio.create_task(subject.queue.run())
        try:
            yield subject
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await subject.api.close()


async def test_the_first_pass_goes_in_order_the_first_symbols_at_full_depth() -> None:
    async with bench(PrimingOptions(in_flight=1, first_full=2)) as b:
        b.queue.release(SYMBOLS)
        assert b.health.snapshots_queued == len(SYMBOLS)
        await b.idle()
        assert b.taker.asked == [(symbol, 5000 if rank < 2 else 500) for rank, symbol in enumerate(SYMBOLS)]
        assert b.health.rest_weight_used == 2 * 250 + 6 * 25


async def test_cut_off_books_are_deepened_after_every_book_has_its_first_snapshot() -> None:
    async with bench(PrimingOptions(in_flight=2, first_full=0, repeat_pause_s=0.01), Market.BINANCE_USDM) as b:
        b.server.answer = lambda path: Reply(body=body(500 if "S3USDT" in path or "S5USDT" in path else 499))
        b.queue.release(SYMBOLS)
        await b.idle()
        assert sorted(b.taker.asked[:8]) == [(symbol, 500) for symbol in SYMBOLS]
        assert sorted(b.taker.asked[8:]) == [("S3USDT", 1000), ("S5USDT", 1000)]


async def test_the_most_urgent_reason_counts_and_a_symbol_waits_only_once() -> None:
    async with bench(PrimingOptions(in_flight=1, first_full=0)) as b:
        b.queue.pause()
        b.queue.release(SYMBOLS)
        b.queue.request("S6USDT", Urgency.RESYNC)
        b.queue.request("S7USDT", Urgency.REFRESH)
        b.queue.request("S7USDT", Urgency.VISIBLE)
        b.queue.request("S7USDT", Urgency.DEEPEN)
        await asyncio.sleep(0.05)
        assert b.taker.asked == []
        b.queue.resume()
        await b.idle()
        assert b.taker.asked[:3] == [("S7USDT", 1000), ("S6USDT", 1000), ("S0USDT", 500)]
        assert len(b.taker.asked) == len(SYMBOLS)


async def test_no_more_than_four_leave_at_once_and_one_per_symbol() -> None:
    async with bench() as b:
        b.server.answer = lambda _path: None
        b.queue.release(SYMBOLS[:1])
        await b.until(lambda: len(b.server.paths) == 1)
        b.queue.request("S0USDT", Urgency.RESYNC)
        await asyncio.sleep(0.05)
        assert len(b.server.paths) == 1
        b.queue.release(SYMBOLS[1:])
        await b.until(lambda: len(b.server.paths) == 4)
        await asyncio.sleep(0.05)
        assert len(b.server.paths) == 4
        assert len(set(b.taker.asked)) == 4


async def test_an_answer_that_comes_after_its_streams_were_lost_is_not_handed_over() -> None:
    async with bench(PrimingOptions(in_flight=1)) as b:
        gate: list[str] = []

        def lose(path: str) -> Reply:
            gate.append(path)
            b.queue.hold(SYMBOLS)
            return Reply(body=body(3))

        b.server.answer = lose
        b.queue.release(SYMBOLS)
        await b.until(lambda: bool(b.taker.failed))
        assert b.taker.failed == [("S0USDT", "the streams were lost before the snapshot came")]
        assert b.taker.answered == []
        b.queue.request("S1USDT", Urgency.VISIBLE)
        await b.idle()
        assert len(gate) == 1


async def test_an_unknown_symbol_is_dropped_once_and_the_others_are_primed() -> None:
    async with bench() as b:
        gone = Reply(400, {"code": -1121, "msg": "Invalid symbol."})
        b.server.answer = lambda path: gone if "S2USDT" in path else Reply(body=body(3))
        b.queue.release(SYMBOLS)
        await b.idle()
        assert b.taker.unknown == ["S2USDT"]
        assert b.taker.failed == []
        assert sorted(b.taker.answered) == sorted(set(SYMBOLS) - {"S2USDT"})
        b.queue.request("S2USDT", Urgency.VISIBLE)
        await b.idle()
        assert b.taker.unknown == ["S2USDT"]


async def test_failures_are_reported_and_tried_again_until_the_venue_answers() -> None:
    async with bench() as b:
        left = [503, 500, 502]
        b.server.answer = lambda _path: Reply(left.pop()) if left else Reply(body=body(3))
        b.queue.release(("S0USDT",))
        await b.until(lambda: b.taker.answered == ["S0USDT"])
        assert [symbol for symbol, _ in b.taker.failed] == ["S0USDT"] * 3
        assert "HTTP 502" in b.taker.failed[0][1]
        assert b.health.rest_errors == 3


async def test_requests_that_repeat_for_one_symbol_wait_longer_each_time() -> None:
    async with bench(PrimingOptions(repeat_pause_s=40.0, repeat_cap_s=500.0)) as b:
        b.queue.release(("S0USDT",))
        await b.idle()
        for number, pause_s in enumerate((40.0, 80.0, 160.0), start=1):
            b.queue.request("S0USDT", Urgency.RESYNC)
            b.clock.move_s(pause_s - 5.0)
            b.queue.resume()  # looks again
            await asyncio.sleep(0.03)
            assert len(b.taker.answered) == number
            b.clock.move_s(5.0)
            b.queue.resume()
            await b.idle()
            assert len(b.taker.answered) == number + 1
        b.clock.move_s(1000.0)
        b.queue.request("S0USDT", Urgency.RESYNC)
        await b.idle()
        b.clock.move_s(41.0)
        b.queue.request("S0USDT", Urgency.RESYNC)
        await b.idle()
        assert len(b.taker.answered) == 6


async def test_snapshots_that_only_deepen_leave_the_rest_of_the_minute_to_broken_books() -> None:
    async with bench(PrimingOptions(first_full=0, repeat_pause_s=0.01)) as b:
        b.api.rest.budget.limit = 500
        b.queue.release(SYMBOLS[:4])
        await b.idle()
        b.api.rest.budget.spend(150, b.api.rest._venue_ms())
        b.queue.request("S0USDT", Urgency.DEEPEN)
        await asyncio.sleep(0.1)
        assert b.health.snapshots_queued == 1
        b.queue.request("S1USDT", Urgency.RESYNC)
        await b.until(lambda: b.taker.answered.count("S1USDT") == 2)
        assert b.taker.answered.count("S0USDT") == 1


class PollLog:
    """Keeps what a poller hands over."""

    def __init__(self) -> None:
        self.suspended: set[str] = set()
        self.polled: list[str] = []

    def stamp(self) -> int:
        return 0

    def on_polled(self, path: str, raw: bytes) -> None:
        self.polled.append(parse_qs(urlsplit(path).query)["symbol"][0])

    def on_unknown(self, symbol: str, reason: str) -> None:
        self.suspended.add(symbol)


async def test_polling_takes_turns_drops_unknown_symbols_and_discards_answers_once_streams_are_back() -> None:
    async with bench() as b:
        owner = PollLog()
        link = LinkHealth(name="spot 1", feed=b.health.feed)
        shard = Shard(Market.BINANCE_SPOT, SYMBOLS[:4], link, b.health, NoSink(), b.clock, owner)  # type: ignore[arg-type]
        shard.watch.down_since_ns = b.clock.monotonic_ns() - 10**10
        turns = 0

        def answer(path: str) -> Reply:
            nonlocal turns
            turns += 1
            if "S1USDT" in path:
                return Reply(400, {"code": -1121, "msg": "Invalid symbol."})
            if turns == 8:
                shard.watch.down_since_ns = None
            return Reply(body=body(3))

        b.server.answer = answer
        poller = Poller(DepthByRest(b.api, 0.6, owner.on_unknown), owner, after_s=0.1)
        b.api.rest.budget.limit = 60_000
        poller.prefer("S2USDT")
        task = asyncio.create_task(poller.run([shard]))
        await b.until(lambda: turns == 8)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert owner.polled == ["S0USDT", "S2USDT", "S3USDT", "S0USDT", "S2USDT", "S3USDT"]
        assert owner.suspended == {"S1USDT"}
        assert turns == 8


@pytest.mark.parametrize(
    ("bids", "asks", "limit", "whole"),
    [(3, 3, 4, True), (4, 3, 4, False), (3, 4, 4, False), (0, 0, 5, True), (5, 5, 5, False)],
)
def test_a_book_is_whole_when_both_sides_are_shorter_than_asked_for(
    bids: int, asks: int, limit: int, whole: bool
) -> None:
    sides = {"bids": body(bids)["bids"], "asks": body(asks)["asks"]}
    reply = Reply(body={"lastUpdateId": 1, "E": 2, **sides}).body
    assert covers_book(reply, limit) is whole
    turned = Reply(body={"asks": sides["asks"], "bids": sides["bids"], "lastUpdateId": 1}).body
    assert covers_book(turned, limit) is whole


def test_a_body_without_sides_is_not_taken_for_a_whole_book() -> None:
    assert not covers_book(b"<html>", 100)
