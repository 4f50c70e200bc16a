"""Settings of books, stores, the local server and the window."""

from __future__ import annotations

from typing import Final

from app.settings.setting import Setting

PROGRAM: Final[tuple[Setting, ...]] = (
    Setting(
        key="books.sample_ms",
        kind=int,
        default=200,
        unit="ms",
        low=100,
        high=1000,
        help="interval of depth ticks; symbols on screen are sampled every 50 ms besides (multiples of 50)",
    ),
    Setting(
        key="books.unconfirmed_hours",
        kind=float,
        default=24.0,
        unit="h",
        low=0.1,
        high=720.0,
        help="levels not confirmed for this long are dropped",
    ),
    Setting(
        key="books.remember",
        kind=bool,
        default=True,
        help="save the books at exit and put them, unconfirmed, beneath the first snapshots at the next start",
    ),
    Setting(
        key="redis.url",
        kind=str,
        default="",
        secret=True,
        help="also publish ticks to this Redis, e.g. redis://127.0.0.1:6379/0 (empty: memory only)",
    ),
    Setting(
        key="database.url",
        kind=str,
        default="",
        secret=True,
        help="SQLAlchemy URL of the minute history, e.g. postgresql+psycopg://user:password@host/name "
        "(empty: SQLite in the program's folder)",
    ),
    Setting(
        key="database.spool_mb",
        kind=int,
        default=256,
        unit="MB",
        low=1,
        high=4096,
        help="how much is kept on disk while the database is away",
    ),
    Setting(
        key="server.enabled",
        kind=bool,
        default=False,
        help="serve what this program shows to browsers and scripts on one port",
    ),
    Setting(
        key="server.host",
        kind=str,
        default="127.0.0.1",
        help="address the local server listens on; one that other machines can reach needs server.allow_lan",
    ),
    Setting(
        key="server.port",
        kind=int,
        default=8765,
        low=0,
        high=65535,
        help="port of the local server (0: any free one)",
    ),
    Setting(
        key="server.interval",
        kind=float,
        default=0.2,
        unit="s",
        low=0.1,
        high=1.0,
        help="how often clients are sent what has changed",
    ),
    Setting(
        key="server.allow_lan",
        kind=bool,
        default=False,
        help="let the local server listen where other machines can reach it; the token is not encrypted on the way",
    ),
    Setting(
        key="server.names",
        kind=str,
        default="",
        help="further host names, separated by commas, under which clients may call the local server",
    ),
    Setting(
        key="server.max_clients",
        kind=int,
        default=64,
        unit="clients",
        low=1,
        high=1000,
        help="how many clients may be connected at a time",
    ),
    Setting(
        key="server.share_account",
        kind=bool,
        default=False,
        help="let clients of the local server see account data as well",
    ),
    Setting(
        key="server.token",
        kind=str,
        default="",
        secret=True,
        help="what clients have to show, 16 letters or more (empty: one is made and kept in the program's folder)",
    ),
    Setting(
        key="ui.theme", kind=str, default="dark", choices=("dark", "light"), help="colours of the window at first start"
    ),
    Setting(
        key="log.level",
        kind=str,
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="least severe line that goes to the log file",
    ),
)
