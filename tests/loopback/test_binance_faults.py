"""Every fault of a stream through session and engine over real sockets: it is counted, healed, and the books are true.

Nothing false is published meanwhile: no crossed book, and no band called EXACT that the venue's whole book contradicts.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.domain.coverage import Coverage
from app.domain.ids import Market, Venue
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.services.pipeline import EngineOutputs
from app.storage.rows import GroupTick, TickBatch
from tests.loopback.binance_rig import PAIRS, Rig, running, simulated

MARKETS = pytest.mark.parametrize("market", Venue.BINANCE.markets)


class Published:
    """Every tick that left the engine."""

    def __init__(self) -> None:
        self.ticks = 0
        self.crossed = 0

    def put(self, batch: TickBatch) -> None:
        self.ticks += len(batch.symbols)
        self.crossed += int((batch.best[:, BID] > batch.best[:, ASK]).sum())

    def put_groups(self, tick: GroupTick) -> None:
        assert tick.depth.included.max() <= len(PAIRS)


def watch(rig: Rig) -> Published:
    published = Published()
    outputs: EngineOutputs = rig.engine.outputs
    rig.engine.outputs = replace(outputs, ticks=(published,))
    return published


def expect_true_bands(rig: Rig) -> int:
    """Hold every EXACT band against the venue's whole book; return how many there were."""
    assert rig.sim is not None
    checked = 0
    for index, row in enumerate(rig.engine.rows):
        truth = rig.sim.truth(rig.market, row.symbol)
        rig.engine.table.measure(index, row.sync.book, row.sync.last_id, 1)
        for side, levels, sign in ((BID, truth.bids, -1), (ASK, truth.asks, 1)):
            best = float(levels[0][0])
            for band, depth in enumerate(DEPTHS_PCT):
                if rig.engine.table.coverage[index, side, band] != Coverage.EXACT:
                    continue
                edge = best * (1 + sign * depth / 100)
                inside = [(float(p), float(q)) for p, q in levels if sign * float(p) <= sign * edge + 1e-9 * best]
                expected = sum(p * q for p, q in inside)
                assert rig.engine.table.usd[index, side, band] == pytest.approx(expected, rel=1e-9), (row.symbol, depth)
                checked += 1
    return checked


STREAM_FAULTS = {
    "gap": {},
    "burst": {"duration": 0.5},
    "reorder": {},
    "duplicate": {},
    "crossed": {},
    "garbage malformed": {},
    "garbage truncated": {},
    "garbage nan": {},
    "garbage negative": {},
    "garbage text": {},
    "garbage unknown": {},
}
COUNTED = {"gap": "gaps", "reorder": "gaps", "duplicate": "dropped", "garbage nan": "bad_frames"}


@MARKETS
@pytest.mark.parametrize("fault", STREAM_FAULTS)
async def test_a_fault_of_one_symbol_ends_with_true_books(market: Market, fault: str) -> None:
    name, _, kind = fault.partition(" ")
    arguments: dict[str, object] = {"market": market.value, **STREAM_FAULTS[fault]}
    if name != "burst":
        arguments["symbol"] = None
    if kind:
        arguments["kind"] = kind
    async with simulated() as sim, running(sim, market) as rig:
        published = watch(rig)
        await rig.until_live()
        if "symbol" in arguments:
            arguments["symbol"] = rig.symbols[0]
        applied = rig.health.applied
        sim.fault(name, **arguments)
        await rig.until(lambda: rig.health.applied > applied + 60, "updates after the fault")
        await asyncio.sleep(0.3)
        await rig.until_live()
        await rig.expect_true_books()
        sim.pause()
        assert expect_true_bands(rig) >= 2 * len(rig.symbols)
        assert published.ticks > 0
        assert published.crossed == 0
        if fault in COUNTED:
            assert getattr(rig.health, COUNTED[fault]) >= 1, "every fault is counted"
        assert rig.link.reconnects == 0, "one symbol's trouble does not cost the connection"


@MARKETS
async def test_a_snapshot_older_than_the_stream_is_asked_for_again(market: Market) -> None:
    async with simulated() as sim, running(sim, market) as rig:
        await rig.until_live()
        sim.fault("lagged_snapshot", market=market.value, duration=1.5)
        sim.fault("gap", market=market.value, symbol=rig.symbols[0])
        await rig.until(lambda: rig.health.gaps > 0, "the gap")
        await rig.until_live()
        await rig.expect_true_books()
        sim.pause()
        assert expect_true_bands(rig) > 0


async def test_one_markets_trouble_never_touches_the_other() -> None:
    async with simulated() as sim, running(sim, Market.BINANCE_SPOT) as spot:
        await spot.until_live()
        async with running(sim, Market.BINANCE_USDM) as futures:
            await futures.until_live()
            sim.fault("refuse", market="usdm", duration=1.0)
            sim.fault("drop", market="usdm")
            applied = spot.health.applied
            await spot.until(lambda: spot.health.applied > applied + 100, "spot going on")
            await futures.until_live(rounds=2)
            await futures.expect_true_books()
        assert spot.link.reconnects == 0
        assert spot.health.gaps == 0
        await spot.expect_true_books()
