"""500 WebSocket clients of the local server at 5 frames a second of 100 instruments each, and what they cost.

The server runs in this process over a real board of 1,500 instruments that takes 3,000 updates a second; the clients
run in a child process on plain sockets, note when each frame has arrived and that none is missing. A second stretch has
a client that reads nothing. The peer of the ratio is the broadcast of `websockets` with its default compression: the
same payload, interval and number of clients. Run as `python -m tests.bench.bench_server`.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from websockets.asyncio.server import ServerConnection, broadcast, serve

from app.domain.clock import SystemClock
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.scanner.board import Board
from app.server.ports import Json
from app.server.service import LocalServer
from app.server.status import ServerOptions
from app.storage.ticks_memory import MemoryTickStore
from app.viewmodels.live_books import LiveBooks
from app.viewmodels.live_series import LiveSeries
from app.viewmodels.live_status import LiveStatus
from app.viewmodels.served import Served
from app.viewmodels.status import StatusModel

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 500
SYMBOLS = 100
INSTRUMENTS = 1500
UPDATES_PER_S = 3000
INTERVAL_S = 0.2
WARM_S = 3.0
MEASURED_S = 12.0
_STAMP = re.compile(rb'"price":([0-9.]+).*?"events":([0-9]+)')


# -- clients, in a child process -----------------------------------------------------------------------------------


class Reader(asyncio.Protocol):
    """One client: counts frames, and for those that carry stamps how long they took and whether one is missing."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = bytearray()
        self._open = False
        self._last = 0
        self.opened = asyncio.get_running_loop().create_future()
        self.lost = 0
        self.frames = 0
        self.delays_ms: list[float] = []

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("refused"))

    def data_received(self, data: bytes) -> None:
        now_ms = time.monotonic_ns() / 1e6
        buffer = self._buffer
        buffer += data
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in buffer[:20]:
                self.opened.set_exception(ConnectionError(buffer[:60].decode()))
                return
            del buffer[: end + 4]
            self._open = True
            self.opened.set_result(None)
        while len(buffer) >= 10:
            size, start = buffer[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(buffer[2:4]), 4
            elif size == 127:
                size, start = int.from_bytes(buffer[2:10]), 10
            if len(buffer) < start + size:
                return
            if buffer[0] & 0x0F == 1:
                self._take(bytes(buffer[start : start + min(size, 800)]), now_ms)
            del buffer[: start + size]

    def _take(self, head: bytes, now_ms: float) -> None:
        self.frames += 1
        found = _STAMP.search(head) if b"market_data" in head[:40] else None
        if found is None:
            return
        number = int(found[2])
        if self._last and number != self._last + 1:
            self.lost += 1
        self._last = number
        self.delays_ms.append(now_ms - float(found[1]))

    def reset(self) -> None:
        self.lost = self.frames = 0
        self.delays_ms.clear()


async def _clients(port: int, path: str, token: str, count: int, *, deflate: bool) -> None:
    loop = asyncio.get_running_loop()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        f"Authorization: Bearer {token}",
        *(["Sec-WebSocket-Extensions: permessage-deflate"] if deflate else []),
    ]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    readers = []
    for _ in range(count):
        _, reader = await loop.create_connection(lambda: Reader(request), "127.0.0.1", port)
        await reader.opened
        readers.append(reader)
    print("ready", flush=True)
    while (await asyncio.to_thread(sys.stdin.readline)).strip() == "go":
        for reader in readers:
            reader.reset()
        await asyncio.to_thread(sys.stdin.readline)
        delays = sorted(delay for reader in readers for delay in reader.delays_ms)
        report = {
            "frames": sum(reader.frames for reader in readers),
            "fewest": min(reader.frames for reader in readers),
            "lost": sum(reader.lost for reader in readers),
            "p50_ms": delays[len(delays) // 2] if delays else None,
            "p99_ms": delays[int(len(delays) * 0.99)] if delays else None,
            "max_ms": delays[-1] if delays else None,
        }
        print(json.dumps(report), flush=True)


class Child:
    """The clients' process."""

    def __init__(self, port: int, path: str, token: str, count: int, *, deflate: bool = False) -> None:
        arguments = [str(port), path, token, str(count), "deflate" if deflate else "plain"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_server", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def line(self) -> str:
        assert self._process.stdout is not None
        return await asyncio.to_thread(self._process.stdout.readline)

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.to_thread(self._process.wait)
        assert self._process.stdout is not None
        self._process.stdout.close()


# -- the server, in this process -----------------------------------------------------------------------------------


class StampedData(Served):
    """Served rows whose first says when it was built, and in which tick of the server."""

    tick_number: Callable[[], int]

    def rows(self, rows: Sequence[int]) -> list[Json]:
        listed = super().rows(rows)
        if rows and rows[0] == 0:
            listed[0] |= {"price": time.monotonic_ns() / 1e6, "events": self.tick_number()}
        return listed


def _stamped_data() -> tuple[StampedData, Board]:
    board, clock, status = Board(), SystemClock(), LiveStatus([])
    for n in range(INSTRUMENTS):
        board.row(Market.BINANCE_SPOT, f"C{n}USDT")
    ticks = MemoryTickStore({})
    data = StampedData(
        LiveBooks({}, clock), LiveSeries({}, ticks, None), status, ticks, clock, StatusModel(clock), version="0"
    )
    data.table = board
    return data, board


class Feeder:
    """Updates the board as venues do; `spent_s` is the processor time that took, which is not the server's."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._step = 0
        self.spent_s = 0.0

    async def run(self) -> None:
        batch = UPDATES_PER_S // 20
        while True:
            await asyncio.sleep(0.05)
            begun = time.thread_time()
            self._step += 1
            updates = []
            for k in range(batch):
                n = (self._step * batch + k) % INSTRUMENTS if k >= SYMBOLS // 4 else (self._step % 4) + 4 * k
                if k == batch - 1:
                    n = 0  # it carries the stamps, so it is in every frame
                price = round(100.0 + n + (self._step % 97) / 100, 2)
                values = {
                    Field.LAST: price,
                    Field.PREVIOUS: 100.0 + n,
                    Field.VOLUME: 1e7 + self._step,
                    Field.HIGH: price + 1.5,
                    Field.LOW: price - 1.5,
                    Field.BID: price - 0.01,
                    Field.ASK: price + 0.01,
                }
                updates.append(TickerUpdate(f"C{n}USDT", 0, {int(key): value for key, value in values.items()}))
            now_ns = time.time_ns()
            self._board.apply(Market.BINANCE_SPOT, updates, now_ns)
            if self._step % 4 == 0:
                self._board.refresh(now_ns)
            self.spent_s += time.thread_time() - begun


class LagProbe:
    """How late a timer of 5 ms comes."""

    def __init__(self) -> None:
        self.lags_ms: list[float] = []

    async def run(self) -> None:
        while True:
            due = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            self.lags_ms.append((time.perf_counter() - due) * 1000)


async def _frozen(port: int, token: str) -> socket.socket:
    """Return a client that has asked for rows and never reads."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", port))
    request = (
        f"GET /ws/realtime/binance?limit={SYMBOLS} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    )
    await loop.sock_sendall(raw, request.encode())
    return raw


async def _stretch(child: Child, feeder: Feeder | None, seconds: float) -> dict[str, Any]:
    """Measure for a while; return what the clients and this process saw."""
    probe = LagProbe()
    child.say("go")
    await asyncio.sleep(0.3)
    task = asyncio.create_task(probe.run())
    spent = feeder.spent_s if feeder is not None else 0.0
    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    used = time.process_time() - cpu - ((feeder.spent_s - spent) if feeder is not None else 0.0)
    wall = time.perf_counter() - begun
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    child.say("stop")
    report: dict[str, Any] = json.loads(await child.line())
    lags = sorted(probe.lags_ms)
    return report | {"cpu_pct": 100 * used / wall, "lag_p99_ms": lags[int(len(lags) * 0.99)], "lag_max_ms": lags[-1]}


async def _probe_cost(seconds: float) -> float:
    """Return what the probe and an idle loop cost by themselves, in percent of a core."""
    task = asyncio.create_task(LagProbe().run())
    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    share = 100 * (time.process_time() - cpu) / (time.perf_counter() - begun)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return share


async def _ours() -> dict[str, Any]:
    data, board = _stamped_data()
    token = secrets.token_urlsafe(32)
    server = LocalServer(data, ServerOptions(port=0, token=token, max_clients=CLIENTS + 10), SystemClock())
    data.tick_number = lambda: server._hub.tick
    feeder = Feeder(board)
    feeding = asyncio.create_task(feeder.run())
    if not await server.start():
        raise RuntimeError(server.status.error)
    port = int(server.address.rpartition(":")[2])
    names = ",".join(f"C{n}USDT" for n in range(SYMBOLS))
    child = Child(port, f"/ws/realtime/binance?symbols={names}", token, CLIENTS)
    process = psutil.Process()
    try:
        assert await child.line() == "ready\n"
        await asyncio.sleep(WARM_S)
        rss = process.memory_info().rss
        before = server.status
        healthy = await _stretch(child, feeder, MEASURED_S)
        after = server.status
        frame_bytes = (after.bytes - before.bytes) / max(1, after.frames - before.frames)
        raw = await _frozen(port, token)
        frozen = await _stretch(child, feeder, MEASURED_S)
        dropped = dict(server.status.dropped)
        raw.close()
        grown = process.memory_info().rss - rss
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await child.end()
        await server.stop()
    return {
        "healthy": healthy,
        "frozen": frozen,
        "dropped": dropped,
        "rss_mib": grown / 1048576,
        "frame_bytes": frame_bytes,
    }


async def _peer(frame_bytes: int) -> dict[str, Any]:
    """Return what the usual way costs: websockets' broadcast, compressing for each client."""
    _, board = _stamped_data()
    connections: set[ServerConnection] = set()

    async def attend(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()
        connections.discard(connection)

    text = json.dumps({"type": "market_data", "data": _payload(board, frame_bytes)})

    async def send() -> None:
        due = time.monotonic()
        number = 0
        while True:
            due = max(due + INTERVAL_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            number += 1
            broadcast(connections, text.replace('"marker": 0', f'"marker": {number}'))

    async with serve(attend, "127.0.0.1", 0, open_timeout=30) as server:
        port = int(next(iter(server.sockets)).getsockname()[1])
        child = Child(port, "/", "none", CLIENTS, deflate=True)
        sending = asyncio.create_task(send())
        try:
            assert await child.line() == "ready\n"
            await asyncio.sleep(WARM_S)
            return await _stretch(child, None, MEASURED_S)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await child.end()


def _payload(board: Board, size: int) -> list[dict[str, object]]:
    """Return rows like ours that come to about so many bytes."""
    rows: list[dict[str, object]] = [{"marker": 0}]
    while len(json.dumps(rows)) < size:
        n = len(rows)
        rows.append(
            {
                "symbol": board.symbols[n],
                "price": 100.0 + n / 7,
                "volume_24h": 1e7 + n * 13.7,
                "change_24h": (n % 11) - 5.5,
                "high_24h": 101.5 + n / 7,
                "low_24h": 98.5 + n / 7,
                "bid": 99.99 + n / 7,
                "ask": 100.01 + n / 7,
                "timestamp": 1_790_000_000_000 + n,
            }
        )
    return rows


def run() -> list[dict[str, object]]:
    """Measure and return rows of name, value, unit, target, note."""

    async def both() -> tuple[float, dict[str, Any], dict[str, Any]]:
        probe = await _probe_cost(3.0)
        ours = await _ours()
        return probe, ours, await _peer(int(ours["frame_bytes"]))

    probe, ours, peer = asyncio.run(both())
    healthy, frozen = ours["healthy"], ours["frozen"]
    cpu = healthy["cpu_pct"] - probe
    expected = MEASURED_S / INTERVAL_S
    load = f"{CLIENTS} clients, {SYMBOLS} instruments, {ours['frame_bytes'] / 1000:.1f} kB every {INTERVAL_S} s"
    ratio = (peer["cpu_pct"] - probe) / peer["frames"] / (cpu / healthy["frames"])
    usual = f"default compression; fewest {peer['fewest']} of {expected:.0f} frames"
    return [
        _row("delivery p50", healthy["p50_ms"], "ms", "", load),
        _row("delivery p99", healthy["p99_ms"], "ms", "< 50", f"longest {healthy['max_ms']:.1f} ms"),
        _row("share of one core", cpu, "%", "< 8", f"without the {probe:.1f} % of the probe, and without the feed"),
        _row("frames lost", healthy["lost"] + frozen["lost"], "", "0", f"fewest {healthy['fewest']} of {expected:.0f}"),
        _row("event loop late, p99", healthy["lag_p99_ms"], "ms", "< 30", f"longest {healthy['lag_max_ms']:.1f} ms"),
        _row("memory grown in both stretches", ours["rss_mib"], "MiB", "flat", f"{2 * MEASURED_S:.0f} s"),
        _row("delivery p99 beside a frozen client", frozen["p99_ms"], "ms", "", f"dropped: {ours['dropped']}"),
        _row("share of one core beside a frozen client", frozen["cpu_pct"] - probe, "%", "", ""),
        _row("websockets broadcast, share of one core", peer["cpu_pct"] - probe, "%", "", usual),
        _row("websockets broadcast, event loop late, p99", peer["lag_p99_ms"], "ms", "", ""),
        _row("websockets broadcast / ours, processor time a frame", ratio, "x", ">= 10", ""),
    ]


def _row(name: str, value: float, unit: str, target: str, note: str) -> dict[str, object]:
    return {"name": name, "value": round(float(value), 2), "unit": unit, "target": target, "note": note}


def main() -> None:
    """Print the table; with arguments be the clients' process."""
    if len(sys.argv) > 1:
        port, path, token, count, mode = sys.argv[1:]
        asyncio.run(_clients(int(port), path, token, int(count), deflate=mode == "deflate"))
        return
    for item in run():
        print(f"{item['name']:<44} {item['value']:>10} {item['unit']:<6} {item['target']:<8} {item['note']}")


if __name__ == "__main__":
    main()
