"""What a session looks after besides its streams: spread, refused names, what counts as followed, the clock."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from app.domain.health import FeedEventKind, LinkState
from app.domain.ids import Market
from tests.loopback.binance_rig import Rig, endpoints, quick, running, simulated, started, universe_of


@asynccontextmanager
async def fussy_streams(refused: set[str]) -> AsyncIterator[Server]:
    """Serve streams that move by themselves; a frame that names a refused symbol is refused as a whole."""

    async def attend(client: ServerConnection) -> None:
        names: list[str] = []

        async def publish() -> None:
            number = 0
            while True:
                number += 1
                for name in names:
                    symbol, _, kind = name.partition("@")
                    if kind.startswith("depth"):
                        data = {"e": "depthUpdate", "E": 1, "s": symbol.upper(), "U": number, "u": number}
                        await client.send(json.dumps({"stream": name, "data": {**data, "b": [], "a": []}}))
                await asyncio.sleep(0.02)

        publisher = asyncio.create_task(publish(), name="server of fussy streams")
        with suppress(ConnectionClosed):
            async for message in client:
                request = json.loads(message)
                if any(name.partition("@")[0] in refused for name in request["params"]):
                    error = {"code": 2, "msg": "Invalid request: unknown stream"}
                    await client.send(json.dumps({"error": error, "id": request["id"]}))
                else:
                    names += request["params"]
                    await client.send(json.dumps({"result": None, "id": request["id"]}))
        publisher.cancel()
        await asyncio.wait((publisher,))

    async with serve(attend, "127.0.0.1", 0, close_timeout=0.2) as server:
        yield server


async def test_symbols_are_dealt_to_two_connections_at_least() -> None:
    async with simulated() as sim, running(sim, options=quick(connections=2)) as rig:
        await rig.until_live()
        assert [(link.name, link.streams) for link in rig.health.links] == [("spot 1", 4), ("spot 2", 2)]
        await rig.expect_true_books()
    async with simulated() as sim, running(sim, options=quick(connections=9)) as rig:
        await rig.until_live()
        assert [link.streams for link in rig.health.links] == [2, 2, 2]


async def test_a_symbol_whose_streams_are_refused_is_left_out_and_the_others_live_on_the_same_connection() -> None:
    refused = {"adausdt"}
    async with simulated() as sim, fussy_streams(refused) as streams:
        rig = Rig(Market.BINANCE_SPOT, await universe_of(sim), sim)
        at = replace(endpoints(sim), spot_ws=f"ws://127.0.0.1:{streams.sockets[0].getsockname()[1]}")
        async with started(rig, at, quick(listing_every_s=0.2)):
            await rig.until(lambda: rig.link.state is LinkState.LIVE, "a live link")
            await rig.until(lambda: rig.health.books_total == 2 == rig.health.books_primed, "the two other books")
            assert rig.texts(FeedEventKind.NOTICE) == [
                "ADAUSDT: the venue refuses its streams (Invalid request: unknown stream); "
                "it is left out until it trades again"
            ]
            requests = rig.health.rest_requests
            await rig.until(lambda: rig.health.rest_requests >= requests + 3, "some looks at the listing")
            assert "up" not in rig.sink.of("ADAUSDT")
            refused.clear()
            rig.sink.log.clear()
            for connection in list(streams.connections):
                connection.transport.abort()
            await rig.until(lambda: "answer" in rig.sink.of("ADAUSDT"), "the snapshot of the symbol that came back")
            assert rig.health.books_total == 3


async def test_a_delisted_symbol_no_longer_counts_as_one_to_prime() -> None:
    async with simulated() as sim, running(sim, options=quick(listing_every_s=0.2)) as rig:
        await rig.until_live()
        await rig.until(lambda: rig.health.books_primed == 3, "three books")
        sim.fault("delist", market="spot", symbol="ADAUSDT")
        await rig.until(lambda: rig.health.books_total == 2 == rig.health.books_primed, "two books of two")
        assert rig.health.state is LinkState.LIVE


async def test_after_sleep_the_clock_is_right_again_and_every_connection_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A laptop on Linux: while it sleeps the monotonic clock stands still and the wall clock goes on."""
    true_time_ns = time.time_ns
    async with simulated() as sim, running(sim, Market.BINANCE_USDM) as rig:
        await rig.until_live()
        monkeypatch.setattr(time, "time_ns", lambda: true_time_ns() + 3600 * 10**9)
        assert rig.clock.drift_ns() > 3599 * 10**9
        await rig.until_live(rounds=2)
        await rig.until(lambda: abs(rig.clock.drift_ns()) < 10**9, "the right time")
        assert any("jumped forward by 3600 s" in text for text in rig.texts(FeedEventKind.DISCONNECTED))
        assert any("jumped forward by 3600 s" in text for text in rig.texts(FeedEventKind.NOTICE))
        await rig.until(lambda: (rig.health.clock_offset_ms or 0.0) < -3_500_000.0, "the venue's clock measured anew")
        await rig.expect_true_books()


async def test_a_clock_set_back_is_told_and_stamps_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    true_time_ns = time.time_ns
    async with simulated() as sim, running(sim) as rig:
        await rig.until_live()
        monkeypatch.setattr(time, "time_ns", lambda: true_time_ns() - 600 * 10**9)
        await rig.until_live(rounds=2)
        await rig.until(lambda: any("go on as before" in t for t in rig.texts(FeedEventKind.NOTICE)), "a notice")
        await rig.expect_true_books()
