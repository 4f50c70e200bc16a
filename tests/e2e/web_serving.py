"""Starts the program that the page is tested with, and pages of strangers."""

from __future__ import annotations

import contextlib
import http.server
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent / "web_program.py"


class Served:
    """The running program. url without, link with the token."""

    def __init__(self, port: int = 0, token: str = "") -> None:
        command = [sys.executable, str(PROGRAM), "--port", str(port), *(["--token", token] if token else [])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.end()
            raise RuntimeError("the program ended at once")
        said = json.loads(line)
        self.url: str = said["url"]
        self.link: str = said["link"]
        self.token: str = said["token"]

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self.url.rpartition(":")[2])

    def tell(self, line: str) -> None:
        """Give it an order, see web_program."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def freeze(self) -> None:
        """Stop it in its tracks: its connections stay open and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it and wait for that."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=20)


@contextlib.contextmanager
def serving(port: int = 0, token: str = "") -> Iterator[Served]:
    """Run the program for a while."""
    served = Served(port, token)
    try:
        yield served
    finally:
        served.end()


@contextlib.contextmanager
def strangers_page() -> Iterator[int]:
    """Serve an empty page of another origin; gives its port."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>another site</title><body></body>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
