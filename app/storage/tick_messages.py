"""Ticks as JSON for other programs, and back into windows.

A tick is one object: `time` (UTC epoch ms), `u` (last update id), `seq` (so that equal ticks never collapse into one
member of a set), best prices and, per side and band, USD, coins, a letter for the coverage (N none, P partial, E exact)
and the unconfirmed share. NaN is null. Market words are SPOT and FUTURES.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from app.domain.coverage import Coverage
from app.domain.errors import StorageError
from app.domain.ids import Market
from app.indicators.groups import GROUPS, Group
from app.indicators.window import BANDS, DepthWindow
from app.storage.rows import GroupTick, TickBatch, TickWindow

TICKS_CHANNEL: Final = "ticks"
SNAPSHOTS_CHANNEL: Final = "snapshots"
INDICATORS_CHANNEL: Final = "indicators"

_LETTERS: Final = np.array([coverage.name[0] for coverage in Coverage])
_COVERAGE_OF: Final = {ord(coverage.name[0]): coverage.value for coverage in Coverage}

_Bands = list[list[float | None]]


def tick_key(symbol: str, market: Market) -> str:
    """Return the name of a symbol's sorted set and channel."""
    return f"tick:{symbol}:{market.label}"


def last_key(symbol: str, market: Market) -> str:
    """Return the name under which a symbol's newest tick is kept."""
    return f"last:{symbol}:{market.label}"


def group_key(group: Group, market: Market) -> str:
    """Return the name of a group's sorted set."""
    return f"group:{group.value}:{market.label}"


class TickMessage(msgspec.Struct, rename="camel"):
    """One tick of one symbol."""

    symbol: str
    market_type: str
    time: int
    u: int
    seq: int
    best: list[float | None]
    usd: _Bands
    coins: _Bands
    coverage: list[str]
    unconfirmed: _Bands


class GroupMessage(msgspec.Struct, rename={"market_type": "marketType"}):
    """One tick of one group."""

    category: str
    market_type: str
    time: int
    seq: int
    usd: _Bands
    coverage: list[str]
    unconfirmed: _Bands
    ratio_mean: list[float | None]
    vw_mid: float | None
    included: int
    total: int
    exact: list[list[int]]
    ratio_count: list[int]
    ratio_exact: list[int]


def _words(coverage: npt.NDArray[np.uint8]) -> list[list[str]]:
    """Return [k, 2] words of letters for [k, 2, 7] coverage."""
    return [["".join(side) for side in one] for one in _LETTERS[coverage].tolist()]


def encode_ticks(batch: TickBatch, seq: int) -> list[bytes]:
    """Return one message per symbol, numbered from `seq`."""
    label, time = batch.market.label, batch.ts_ms
    columns = zip(
        batch.symbols,
        batch.last_update_id.tolist(),
        batch.best.tolist(),
        batch.usd.tolist(),
        batch.coins.tolist(),
        _words(batch.coverage),
        batch.unconfirmed.round(6).tolist(),
        strict=True,
    )
    return [
        msgspec.json.encode(TickMessage(symbol, label, time, u, seq + k, best, usd, coins, words, shares))
        for k, (symbol, u, best, usd, coins, words, shares) in enumerate(columns)
    ]


def encode_groups(tick: GroupTick, seq: int) -> list[bytes]:
    """Return one message per group in the order of `GROUPS`, numbered from `seq`."""
    depth, label = tick.depth, tick.market.label
    words = _words(depth.coverage)
    return [
        msgspec.json.encode(
            GroupMessage(
                category=group.value,
                market_type=label,
                time=tick.ts_ms,
                seq=seq + k,
                usd=depth.usd[k].tolist(),
                coverage=words[k],
                unconfirmed=depth.unconfirmed[k].round(6).tolist(),
                ratio_mean=depth.ratio_mean[k].tolist(),
                vw_mid=float(depth.vw_mid[k]),
                included=int(depth.included[k]),
                total=int(depth.total[k]),
                exact=depth.exact[k].tolist(),
                ratio_count=depth.ratio_count[k].tolist(),
                ratio_exact=depth.ratio_exact[k].tolist(),
            )
        )
        for k, group in enumerate(GROUPS)
    ]


def _coverage(words: Sequence[Sequence[str]]) -> npt.NDArray[np.uint8]:
    text = "".join(side for one in words for side in one).translate(_COVERAGE_OF)
    return np.frombuffer(text.encode("latin-1"), np.uint8).reshape(-1, 2, BANDS).copy()


def _floats(values: Sequence[object], *shape: int) -> npt.NDArray[np.float64]:
    return np.array(values, np.float64).reshape(-1, *shape)


def decode_ticks(raws: Iterable[bytes]) -> TickWindow:
    """Return messages of one symbol, oldest first, as a window; raise StorageError when they are none."""
    try:
        ticks = [msgspec.json.decode(raw, type=TickMessage) for raw in raws]
        return TickWindow(
            ts_ms=np.array([tick.time for tick in ticks], np.int64),
            best=_floats([tick.best for tick in ticks], 2),
            usd=_floats([tick.usd for tick in ticks], 2, BANDS),
            coins=_floats([tick.coins for tick in ticks], 2, BANDS),
            coverage=_coverage([tick.coverage for tick in ticks]),
            unconfirmed=_floats([tick.unconfirmed for tick in ticks], 2, BANDS),
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise StorageError(f"A tick in Redis has not the expected form: {error}.") from error


def decode_groups(raws: Iterable[bytes]) -> DepthWindow:
    """Return messages of one group, oldest first, as depth over time; raise StorageError when they are none."""
    try:
        ticks = [msgspec.json.decode(raw, type=GroupMessage) for raw in raws]
        return DepthWindow(
            ts_ms=np.array([tick.time for tick in ticks], np.int64),
            usd=_floats([tick.usd for tick in ticks], 2, BANDS),
            coverage=_coverage([tick.coverage for tick in ticks]),
            unconfirmed=_floats([tick.unconfirmed for tick in ticks], 2, BANDS),
            ratio_mean=_floats([tick.ratio_mean for tick in ticks], BANDS),
            included=np.array([tick.included for tick in ticks], np.int64),
            ratio_count=np.array([tick.ratio_count for tick in ticks], np.int64).reshape(-1, BANDS),
            ratio_exact=np.array([tick.ratio_exact for tick in ticks], np.int64).reshape(-1, BANDS),
            exact=np.array([tick.exact for tick in ticks], np.int64).reshape(-1, 2, BANDS),
            total=ticks[-1].total if ticks else 1,
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise StorageError(f"A group tick in Redis has not the expected form: {error}.") from error
