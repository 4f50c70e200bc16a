"""What storing costs: a minute into the database, a day out of it, ticks into Redis and into memory.

A day of 200 symbols (two blocks of 100, 1,440 minutes, half of the bands with unconfirmed shares) is written minute by
minute, into our wide rows and, by plain sqlite3, into rows of one depth each: the peer. Then both are read in turn.
Redis gets ticks at 2,000 a second for some seconds, from our sink and by awaiting every command. Servers are real ones
of this machine. Run as `python -m tests.bench.bench_storage`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from redis.asyncio import Redis

from app.domain.clock import SystemClock
from app.domain.ids import Market, Venue
from app.indicators.groups import GROUPS, Group
from app.indicators.window import DepthWindow
from app.storage.database import Database, sqlite_url
from app.storage.history import History
from app.storage.rows import GroupMinutes, MinuteBlock, SymbolMinutes, TickBatch
from app.storage.tick_messages import encode_ticks, tick_key
from app.storage.ticks_memory import MemoryTickStore
from app.storage.ticks_redis import RedisTickSink

sys.path.insert(0, str(Path(__file__).parents[1] / "loopback"))
from servers import PostgresServer, RedisServer  # shared with the tests over real servers

SYMBOLS = tuple(f"COIN{i}USDT" for i in range(100))
MINUTES = 1_440
WRITES = 240
READS = 40
TICKS_PER_S = 2_000
SECONDS = 6.0
DAY_END_MS = MINUTES * 60_000

Row = dict[str, object]


def row(name: str, value: float, unit: str, target: str = "", note: str = "") -> Row:
    return {"name": name, "value": float(value), "unit": unit, "target": target, "note": note}


def block(market: Market) -> MinuteBlock:
    """Return a minute of 100 symbols and all groups."""
    rng = np.random.default_rng(1)
    n, g = len(SYMBOLS), len(GROUPS)
    shares = np.where(rng.random((n, 2, 7)) < 0.5, 0.0, rng.random((n, 2, 7)))
    best = rng.uniform(1, 100, n)
    symbols = SymbolMinutes(
        minute_ms=0,
        market=market,
        symbols=SYMBOLS,
        usd=rng.uniform(1e3, 1e9, (n, 2, 7)),
        coins=rng.uniform(1, 1e6, (n, 2, 7)),
        threshold=rng.uniform(1, 100, (n, 2, 7)),
        exact=rng.integers(0, 2, (n, 2, 7)).astype(np.float64),
        unconfirmed=shares,
        best_bid=best,
        best_ask=best * 1.001,
        mid=best * 1.0005,
        spread=best * 0.001,
        samples=np.full(n, 300),
        partial=False,
    )
    counts = np.full((g, 7), n)
    groups = GroupMinutes(
        minute_ms=0,
        market=market,
        groups=tuple(group.value for group in GROUPS),
        usd=rng.uniform(1e3, 1e9, (g, 2, 7)),
        unconfirmed=rng.random((g, 2, 7)),
        ratio_mean=rng.random((g, 7)),
        vw_mid=rng.random(g),
        included=counts[:, 0],
        total=counts[:, 0],
        exact=np.full((g, 2, 7), n),
        ratio_count=counts,
        ratio_exact=counts,
        samples=np.full(g, 300),
        partial=False,
    )
    return MinuteBlock(symbols=symbols, groups=groups)


def at_minute(blocks: list[MinuteBlock], minute: int) -> list[tuple[MinuteBlock, str]]:
    ms = minute * 60_000
    return [
        (MinuteBlock(symbols=replace(b.symbols, minute_ms=ms), groups=replace(b.groups, minute_ms=ms)), f"part{minute}")
        for b in blocks
    ]


# -- minutes -----------------------------------------------------------------------------------------------------

_LONG_COLUMNS = 16


def long_rows(blocks: list[tuple[MinuteBlock, str]]) -> list[tuple[object, ...]]:
    """Return one tuple per symbol, market, depth and minute with the quantities that ours keeps."""
    rows: list[tuple[object, ...]] = []
    for one, _ in blocks:
        s = one.symbols
        bands = np.stack((s.usd, s.coins, s.exact, s.unconfirmed), axis=1).reshape(len(s.symbols), 8, 7)
        per_depth = np.swapaxes(bands, 1, 2).tolist()
        tops = np.stack((s.best_bid, s.best_ask, s.mid, s.spread), axis=1).tolist()
        rows += [
            (symbol, s.market.value, depth, s.minute_ms, *tops[k], *per_depth[k][depth])
            for k, symbol in enumerate(s.symbols)
            for depth in range(7)
        ]
    return rows


def open_long(path: Path) -> sqlite3.Connection:
    """Return the peer: plain sqlite3 with the same journal and durability."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-16000", "wal_autocheckpoint=4000"):
        connection.execute(f"PRAGMA {pragma}")
    columns = ", ".join(f"c{i}" for i in range(_LONG_COLUMNS - 4))
    connection.execute(
        f"CREATE TABLE m (symbol, market, depth, minute, {columns}, PRIMARY KEY (symbol, market, depth, minute)) "
        "WITHOUT ROWID"
    )
    return connection


def write_long(connection: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    connection.execute("BEGIN")
    connection.executemany(f"INSERT OR REPLACE INTO m VALUES ({', '.join('?' * _LONG_COLUMNS)})", rows)
    connection.execute("COMMIT")


def read_long(connection: sqlite3.Connection, symbol: str) -> DepthWindow:
    """Return the day of one symbol from rows of one depth each."""
    found = connection.execute(
        "SELECT minute, c4, c5, c8, c9, c10, c11 FROM m WHERE symbol = ? AND market = ? AND minute < ? "
        "ORDER BY depth, minute",
        (symbol, "spot", DAY_END_MS),
    ).fetchall()
    cube = np.array(found, np.float64).reshape(7, -1, 7).transpose(1, 2, 0)
    coverage = np.where(cube[:, 3:5] >= 1.0, np.uint8(2), np.uint8(1))
    return DepthWindow.of_coin(cube[:, 0, 0].astype(np.int64), cube[:, 1:3], coverage, cube[:, 5:7])


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def percentile(seconds: list[float], share: float) -> float:
    return 1e3 * sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]


def median_ms(seconds: list[float]) -> float:
    return 1e3 * statistics.median(seconds)


async def minutes_in_sqlite(folder: Path) -> list[Row]:
    blocks = [block(market) for market in Venue.BINANCE.markets]
    database = Database(sqlite_url(folder / "wide.sqlite"))
    database.open()
    peer = open_long(folder / "long.sqlite")
    ours: list[float] = []
    theirs: list[float] = []
    unwritten: list[tuple[object, ...]] = []
    for minute in range(MINUTES):
        moment = at_minute(blocks, minute)
        rows = long_rows(moment)
        if minute < MINUTES - WRITES:  # only the last ones, into full tables, are compared
            database.write_minutes(moment)
            unwritten += rows
            if minute % 60 == 59:
                write_long(peer, sorted(unwritten))
                unwritten.clear()
            continue
        ours.append(timed(lambda moment=moment: database.write_minutes(moment)))  # type: ignore[misc]
        theirs.append(timed(lambda rows=rows: write_long(peer, rows)))  # type: ignore[misc]
    database.close()
    history = History(sqlite_url(folder / "wide.sqlite"), folder / "spool", SystemClock())
    await history.open()
    read: dict[str, list[float]] = {"ours": [], "peer": [], "group": []}
    for k in range(READS):
        symbol = SYMBOLS[k]
        began = time.perf_counter()
        window = await history.read_coin(Market.BINANCE_SPOT, symbol, 0, DAY_END_MS)
        read["ours"].append(time.perf_counter() - began)
        began = time.perf_counter()
        other = read_long(peer, symbol)
        read["peer"].append(time.perf_counter() - began)
        np.testing.assert_array_equal(window.usd, other.usd)
        np.testing.assert_array_equal(window.coverage, other.coverage)
        began = time.perf_counter()
        await history.read_group(Market.BINANCE_SPOT, Group.TOTAL, 0, DAY_END_MS, len(SYMBOLS))
        read["group"].append(time.perf_counter() - began)
    await history.close()
    peer.close()
    mib = (folder / "wide.sqlite").stat().st_size / 2**20
    long_mib = (folder / "long.sqlite").stat().st_size / 2**20
    return [
        row(
            "minute of 200 symbols x 7 depths written, p50",
            median_ms(ours),
            "ms",
            "< 10",
            "200 wide rows, 10 group rows",
        ),
        row("  the same, p99", percentile(ours, 0.99), "ms", "", "with the checkpoints"),
        row(
            "  plain sqlite3, 1,400 long rows, p50",
            median_ms(theirs),
            "ms",
            "",
            "peer: executemany of ready rows, no groups",
        ),
        row("24 h of one symbol read, p50", median_ms(read["ours"]), "ms", "< 10", "to DepthWindow, thread included"),
        row("  the same, p90", percentile(read["ours"], 0.9), "ms"),
        row("  plain sqlite3 long rows, p50", median_ms(read["peer"]), "ms", "", "peer, same quantities, no thread"),
        row("  ours / peer", statistics.median(read["ours"]) / statistics.median(read["peer"]), "x"),
        row("24 h of one group read, p50", median_ms(read["group"]), "ms", "< 10"),
        row("one day on disk", mib, "MiB", "", f"peer {long_mib:.0f} MiB"),
    ]


def minutes_in_postgres() -> list[Row]:
    server = PostgresServer()
    try:
        server.start()
        database = Database(server.url("postgres"))
        database.open()
        blocks = [block(market) for market in Venue.BINANCE.markets]
        writes = [
            timed(lambda moment=moment: database.write_minutes(moment))  # type: ignore[misc]
            for moment in (at_minute(blocks, minute) for minute in range(MINUTES // 2))
        ]
        reads = [
            timed(lambda k=k: database.read_symbol(Market.BINANCE_SPOT, SYMBOLS[k], 0, DAY_END_MS))
            for k in range(READS)
        ]  # type: ignore[misc]
        database.close()
    finally:
        server.remove()
    return [
        row("PostgreSQL: minute written, p50", median_ms(writes), "ms", "< 10", "COPY and one upsert"),
        row("PostgreSQL: 12 h of one symbol read, p50", median_ms(reads), "ms"),
    ]


# -- ticks -------------------------------------------------------------------------------------------------------


def batch(rows: npt.NDArray[np.int64], ts_ms: int, market: Market) -> TickBatch:
    rng = np.random.default_rng(2)
    k = rows.size
    return TickBatch(
        ts_ms=ts_ms,
        market=market,
        rows=rows,
        symbols=tuple(SYMBOLS[i] for i in rows.tolist()),
        best=rng.uniform(1, 2, (k, 2)),
        usd=rng.uniform(1, 1e9, (k, 2, 7)),
        coins=rng.uniform(1, 1e6, (k, 2, 7)),
        coverage=np.full((k, 2, 7), 2, np.uint8),
        unconfirmed=np.zeros((k, 2, 7)),
        last_update_id=np.arange(k),
    )


def phases() -> list[TickBatch]:
    """Return the batches of one round: four phases of 25 symbols on two markets, as the engines give them."""
    return [batch(np.arange(phase, 100, 4), 0, market) for phase in range(4) for market in Venue.BINANCE.markets]


async def paced(give: Callable[[TickBatch], object]) -> tuple[float, float]:
    """Give batches at 2,000 ticks/s for some seconds; return ticks per second reached and CPU share of this process."""
    batches = phases()
    cpu, began = time.process_time(), time.perf_counter()
    given = 0
    while time.perf_counter() - began < SECONDS:
        one = replace(batches[given // 25 % len(batches)], ts_ms=time.time_ns() // 1_000_000)
        result = give(one)
        if asyncio.iscoroutine(result):
            await result
        given += 25
        await asyncio.sleep(max(0.0, began + given / TICKS_PER_S - time.perf_counter()))
    seconds = time.perf_counter() - began
    return given / seconds, 100 * (time.process_time() - cpu) / seconds


async def ticks_in_redis(folder: Path) -> list[Row]:
    server = RedisServer(folder)
    server.start()
    try:
        sink = RedisTickSink(server.url)
        task = asyncio.create_task(sink.run())
        while sink.health.state != "ok":  # noqa: ASYNC110 # a plain attribute
            await asyncio.sleep(0.01)
        rate, cpu = await paced(sink.put)
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        idle, base = await paced(lambda _batch: None)
        async with Redis.from_url(server.url) as client:

            async def one_by_one(given: TickBatch) -> None:
                for symbol, body in zip(given.symbols, encode_ticks(given, 0), strict=True):
                    key = tick_key(symbol, given.market)
                    await client.zadd(key, {body: given.ts_ms})
                    await client.publish(key, body)

            slow_rate, slow_cpu = await paced(one_by_one)
    finally:
        server.kill()
    assert idle > 0
    return [
        row("2,000 ticks/s into Redis", cpu, "% core", "<= 8", f"{rate:,.0f} ticks/s, set + last + 3 channels"),
        row("  of which the pacing of this benchmark", base, "% core"),
        row("  set + 1 channel, awaited one by one", slow_cpu, "% core", "", f"{slow_rate:,.0f} ticks/s reached"),
        row("  dropped", sink.health.dropped, "ticks", "0", f"{sink.health.written:,} written"),
    ]


def ticks_in_memory() -> list[Row]:
    store = MemoryTickStore(dict.fromkeys(Market, SYMBOLS))
    rows = np.arange(0, 100, 2)
    batches = [batch(rows, ms, Market.BINANCE_SPOT) for ms in range(0, 1_000 * 200, 200)]
    puts = [timed(lambda one=one: store.put(one)) for one in batches]  # type: ignore[misc]
    reads = [timed(lambda: store.coin_window(Market.BINANCE_SPOT, SYMBOLS[2])) for _ in range(100)]
    return [
        row("50 symbols into the memory store, p50", 1e3 * median_ms(puts), "us", "<= 100"),
        row("  two minutes of one symbol out of it, p50", 1e3 * median_ms(reads), "us"),
        row("  memory of 200 symbols", store.nbytes() / 2**20, "MiB"),
    ]


def run() -> list[Row]:
    """Measure everything; see the module's text."""
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as name:
        folder = Path(name)
        rows = ticks_in_memory()
        rows += asyncio.run(minutes_in_sqlite(folder))
        rows += minutes_in_postgres()
        rows += asyncio.run(ticks_in_redis(folder))
    return rows


if __name__ == "__main__":
    for each in run():
        print(f"{each['name']:<52}{each['value']:>10.4g} {each['unit']:<8}{each['target']:<8}{each['note']}")
