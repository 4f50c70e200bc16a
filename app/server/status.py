"""What the Server panel shows, and how a server is told to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from app.settings.store import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How to serve. token "": the one in `token_file`, or a new one each time when there is no file. names: further
    host names clients may use. page: folder of the page. port 0: any free one."""

    host: str = "127.0.0.1"
    port: int = 8765
    interval_s: float = 0.2
    allow_lan: bool = False
    max_clients: int = 64
    share_account: bool = False
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    names: tuple[str, ...] = ()
    page: Path | None = None

    @classmethod
    def of(cls, settings: Settings, *, token_file: Path | None, page: Path | None) -> Self:
        """Return what the settings under `server.` say."""
        return cls(
            host=settings.text("server.host"),
            port=settings.whole("server.port"),
            interval_s=settings.number("server.interval"),
            allow_lan=settings.flag("server.allow_lan"),
            max_clients=settings.whole("server.max_clients"),
            share_account=settings.flag("server.share_account"),
            token=settings.text("server.token"),
            token_file=token_file,
            names=tuple(name.strip() for name in settings.text("server.names").split(",") if name.strip()),
            page=page,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """One WebSocket client. since_ns: UTC ns; rate: frames a second over the last second; unsent: bytes it has yet to
    read; lag_ms: how long it has been behind, else the last ping's round trip, None before the first; conflated: ticks
    that were left out because it was behind."""

    address: str
    path: str
    since_ns: int
    subscriptions: int
    frames: int
    bytes: int
    rate: float
    unsent: int
    lag_ms: float | None
    conflated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """The server at this moment.

    address: host and port; links: addresses with the token, the first to be copied or shown as QR code ("" and () while
    it is off). error: why it does not run, "" when it does or was never started. warning: what everybody should know
    while it runs. dropped and refused: how often, by reason.
    """

    running: bool = False
    address: str = ""
    links: tuple[str, ...] = field(default=(), repr=False)
    error: str = ""
    warning: str = ""
    clients: tuple[ClientInfo, ...] = ()
    frames: int = 0
    bytes: int = 0
    dropped: tuple[tuple[str, int], ...] = ()
    refused: tuple[tuple[str, int], ...] = ()
