"""Minute blocks and tick batches of random numbers for storage tests."""

from __future__ import annotations

import numpy as np

from app.domain.ids import Market
from app.indicators.groups import GROUPS
from app.storage.rows import GroupMinutes, MinuteBlock, SymbolMinutes, TickBatch

MINUTE_MS = 1_700_000_040_000


def minute_block(
    rng: np.random.Generator,
    *,
    minute_ms: int = MINUTE_MS,
    market: Market = Market.BINANCE_SPOT,
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "SOLUSDT"),
    samples: int = 300,
    partial: bool = False,
    exact: float = 1.0,
) -> MinuteBlock:
    """Return a block with random volumes."""
    n, g = len(symbols), len(GROUPS)
    best_bid = rng.uniform(10, 20, n)
    return MinuteBlock(
        symbols=SymbolMinutes(
            minute_ms=minute_ms,
            market=market,
            symbols=symbols,
            usd=rng.uniform(1e3, 1e9, (n, 2, 7)),
            coins=rng.uniform(1, 1e6, (n, 2, 7)),
            threshold=rng.uniform(1, 20, (n, 2, 7)),
            exact=np.full((n, 2, 7), exact),
            unconfirmed=rng.uniform(0, 0.5, (n, 2, 7)) if exact < 1 else np.zeros((n, 2, 7)),
            best_bid=best_bid,
            best_ask=best_bid + 0.01,
            mid=best_bid + 0.005,
            spread=np.full(n, 0.01),
            samples=np.full(n, samples),
            partial=partial,
        ),
        groups=GroupMinutes(
            minute_ms=minute_ms,
            market=market,
            groups=tuple(group.value for group in GROUPS),
            usd=rng.uniform(1e3, 1e9, (g, 2, 7)),
            unconfirmed=np.zeros((g, 2, 7)),
            ratio_mean=rng.uniform(0.5, 2, (g, 7)),
            vw_mid=rng.uniform(10, 20, g),
            included=np.full(g, n),
            total=np.full(g, n),
            exact=np.full((g, 2, 7), n if exact >= 1 else 0),
            ratio_count=np.full((g, 7), n),
            ratio_exact=np.full((g, 7), n if exact >= 1 else 0),
            samples=np.full(g, samples),
            partial=partial,
        ),
    )


def tick_batch(rng: np.random.Generator, ts_ms: int, symbols: tuple[str, ...], market: Market) -> TickBatch:
    """Return one random tick of each symbol."""
    k = len(symbols)
    return TickBatch(
        ts_ms=ts_ms,
        market=market,
        rows=np.arange(k),
        symbols=symbols,
        best=rng.uniform(1, 2, (k, 2)),
        usd=rng.uniform(1, 1e9, (k, 2, 7)),
        coins=rng.uniform(1, 1e6, (k, 2, 7)),
        coverage=rng.integers(0, 3, (k, 2, 7)).astype(np.uint8),
        unconfirmed=np.zeros((k, 2, 7)),
        last_update_id=np.arange(k),
    )
