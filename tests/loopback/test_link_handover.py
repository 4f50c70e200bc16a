"""Planned replacement of a connection: the successor delivers before the predecessor is closed, without a hole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from stream_server import SHUTDOWN, StreamServer, until
from test_link_losses import QUICK, link_to

from app.domain.health import LinkState

AGED = replace(QUICK, planned_age_s=0.3)


@pytest.fixture
async def server() -> AsyncIterator[StreamServer]:
    async with StreamServer().running() as server:
        yield server


def assert_no_hole(numbers: list[int]) -> None:
    """Dropping what was already known, as the books do, leaves every number once and in order."""
    newest, kept = numbers[0] - 1, []
    for number in numbers:
        if number > newest:
            kept.append(number)
            newest = number
    assert kept == list(range(kept[0], kept[-1] + 1))


async def test_a_connection_near_its_age_limit_is_replaced_without_a_hole(server: StreamServer) -> None:
    async with link_to(server.url, AGED) as run:
        await run.live()
        await until(lambda: run.health.reconnects >= 3)
        await run.live(20)
        assert run.diary.downs == []
        assert run.diary.entries == ["up", "frames"]
        assert run.health.state is LinkState.LIVE
        assert_no_hole(run.diary.numbers)
        await until(lambda: len(server.clients) <= 2)
    assert any("planned, before its age limit" in notice for notice in run.diary.notices)
    assert any("has taken over" in notice for notice in run.diary.notices)


async def test_an_announced_shutdown_is_answered_by_a_second_connection_first(server: StreamServer) -> None:
    async with link_to(server.url) as run:
        await run.live()
        old = server.clients[0]
        await server.say(SHUTDOWN)
        await until(lambda: any("has taken over" in notice for notice in run.diary.notices))
        await until(lambda: old not in server.clients)
        await run.live(10)
        assert run.diary.downs == []
        assert run.health.reconnects == 1
        assert_no_hole(run.diary.numbers)


async def test_when_the_old_connection_dies_during_the_overlap_the_new_one_takes_over_at_once(
    server: StreamServer,
) -> None:
    async with link_to(server.url, replace(QUICK, overlap_s=30.0)) as run:
        await run.live()
        old = server.clients[0]
        await server.say(SHUTDOWN)
        await until(lambda: len(server.clients) == 2 and run.diary.channels[-1].ready)
        await old.close(1001)
        await run.live(10)
        assert run.diary.downs == []
        assert_no_hole(run.diary.numbers)


async def test_a_successor_that_cannot_be_had_leaves_the_old_connection_alone(server: StreamServer) -> None:
    async with link_to(server.url, AGED) as run:
        await run.live()
        server.refusal = (503, {})
        await until(lambda: sum("second connection failed" in notice for notice in run.diary.notices) >= 2)
        await run.live(5)
        assert run.diary.downs == []
        server.refusal = None
        await until(lambda: any("has taken over" in notice for notice in run.diary.notices))
        assert run.diary.downs == []
        assert_no_hole(run.diary.numbers)


async def test_a_successor_that_stays_silent_is_closed_and_tried_again(server: StreamServer) -> None:
    async with link_to(server.url, AGED) as run:
        await run.live()
        server.gives_data_to_new = False
        await until(lambda: any("it delivered nothing" in notice for notice in run.diary.notices))
        await run.live(5)
        server.gives_data_to_new = True
        await until(lambda: any("has taken over" in notice for notice in run.diary.notices))
        assert run.diary.downs == []
        assert_no_hole(run.diary.numbers)


async def test_a_link_is_cancelled_cleanly_in_the_middle_of_a_replacement(server: StreamServer) -> None:
    async with link_to(server.url, replace(QUICK, overlap_s=30.0)) as run:
        await run.live()
        await server.say(SHUTDOWN)
        await until(lambda: len(run.diary.channels) == 2 and run.diary.channels[-1].ready)
    await until(lambda: not server.clients)
