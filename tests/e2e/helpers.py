"""Start the program as a person would, in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 75.0
TOKEN = "a-token-for-these-tests"
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ENVIRONMENT = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}

BINANCE_ONLY = (
    *(
        word
        for key in ("bybit.spot", "bybit.linear", "hyperliquid.perp", "hyperliquid.spot")
        for word in ("--set", f"{key}.enabled=false")
    ),
    "--set",
    "demo.ibkr=off",
)
"""Arguments that leave one venue: what these tests look at is the program, not how many venues it follows."""


def run(*arguments: str | Path, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=ENVIRONMENT,
        cwd=ROOT,
        check=False,
    )


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start the program and return the process."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
    )


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON document a command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Program:
    """One run of the demo with its local server; without a broker unless the settings name one."""

    def __init__(self, folder: Path, *arguments: str | Path, settings: tuple[str, ...] = ()) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        served = ("server.enabled=true", f"server.port={self.port}", f"server.token={TOKEN}")
        values = (*served, "demo.ibkr=off", *settings)
        assignments = [word for value in values for word in ("--set", value)]
        self.process: subprocess.Popen[str] = start("--demo", "--basedir", folder, *assignments, *arguments)
        self.said = ("", "")

    def get(self, path: str) -> Any:
        """Return what the server answers, None while it does not."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        try:
            with _direct.open(request, timeout=20) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{path}: {error.code} {error.read()[:300]!r}") from None
        except OSError:
            return None

    def need(self, path: str) -> Any:
        """Return what the server answers, waiting for it."""
        return self.until(lambda: self.get(path), f"an answer to {path}")

    def feeds(self) -> dict[str, dict[str, Any]]:
        """Return what the program says of its feeds, by their names."""
        status = self.get("/api/status")
        return {} if status is None else {feed["feed"]: feed for feed in status["feeds"]}

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the condition's first true value."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            assert self.process.poll() is None, f"the program ended: {self.process.communicate()}"
            found = condition()
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"{what} did not come: {self.feeds()}\n{self.log()[-3000:]}")

    def until_live(self) -> dict[str, dict[str, Any]]:
        """Wait until every feed is green with all its books."""

        def live() -> dict[str, dict[str, Any]] | None:
            feeds = self.feeds()
            whole = feeds and all(
                feed["light"] == "green" and feed["books_primed"] == feed["books_total"] for feed in feeds.values()
            )
            return feeds if whole else None

        found: dict[str, dict[str, Any]] = self.until(live, "live feeds")
        return found

    def simulator(self, venue: str) -> psutil.Process:
        """Return the child that plays a venue."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next(child for child in children if ["sim", venue] == words_of(child)[:2])

    def control(self, venue: str, fault: str = "") -> Any:
        """Let something go wrong at a venue, or return what its simulator counts."""
        listening = (each for each in self.simulator(venue).net_connections("tcp") if each.status == psutil.CONN_LISTEN)
        for port in sorted({each.laddr.port for each in listening}):
            base = f"http://127.0.0.1:{port}"
            try:
                with _direct.open(f"{base}/state", timeout=20) as reply:
                    state = json.load(reply)
                if fault:
                    data = json.dumps({"name": fault}).encode()
                    _direct.open(f"{base}/fault", data=data, timeout=20).close()
            except (OSError, http.client.HTTPException, ValueError):
                continue  # the venue's own address: there is no such path
            return state
        return None

    def top(self, venue: str, kind: str, symbol: str) -> tuple[Any, ...]:
        """Return what moves in a book that is followed."""
        book = self.need(f"/api/snapshots/{symbol}?venue={venue}&marketType={kind}&levels=20")
        return book["last_update_id"], book["bids"], book["asks"]

    def until_moved(self, *books: tuple[str, str, str]) -> None:
        """Wait until each of these books has changed."""
        before = {book: self.top(*book) for book in books}
        for book in books:
            self.until(lambda book=book: self.top(*book) != before[book], f"a change of {book}")

    def alerts(self) -> dict[str, Any]:
        """Return the file of alerts."""
        document: dict[str, Any] = json.loads((self.folder / "alerts.json").read_text())
        return document

    def stood_still(self) -> bool:
        """Tell whether this machine kept the program from running for seconds: it then connects anew."""
        connection = sqlite3.connect(self.folder / "history.sqlite")
        notices = connection.execute("SELECT count(*) FROM feed_events WHERE text LIKE '%stood still%'").fetchone()
        connection.close()
        return bool(notices[0])

    def log(self) -> str:
        """Return the program's log."""
        file = self.folder / "logs" / "fathom.log"
        return file.read_text() if file.is_file() else ""

    def quit(self) -> None:
        """End the program, if it still runs, and see that it ended well."""
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.said = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.said
        text = "".join((*self.said, self.log()))
        where = text.find("Traceback")
        assert where < 0, text[max(0, where - 300) : where + 3000]
        assert "still alive" not in text

    def kill(self) -> None:
        """End the program in any case."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def words_of(process: psutil.Process) -> list[str]:
    """Return `sim`, the venue and the rest of a simulator's command line, nothing of another process."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return []
    return words[words.index("sim") :] if "sim" in words else []
