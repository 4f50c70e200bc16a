"""The local server: one port for HTTP and WebSocket, one loop that gives every client what changed, a status to show.

A server that cannot start says why in a sentence; it never takes the program with it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from app.domain.clock import Clock
from app.domain.health import FeedEvent, FeedEventKind
from app.server import auth, wire
from app.server.client import Client
from app.server.conversation import Conversation
from app.server.gate import Gate, rows_wanted
from app.server.http import Api, PageFiles
from app.server.hub import Hub
from app.server.launch import check_options, hosts, token_of, why_not
from app.server.limits import Admission, Limits
from app.server.ports import Json, ServerData
from app.server.pump import Pump
from app.server.status import ServerOptions, ServerStatus
from app.server.wire import RequestError

_log = logging.getLogger("fathom.server")
# its own lines tell every request; at DEBUG they would hold tokens and cookies
_library_log = logging.getLogger("fathom.server.connections")
_library_log.setLevel(logging.CRITICAL)

_CLOSE_S: Final = 1.0
_PING_S: Final = 20.0
_TELL_EVERY_S: Final = 60.0


class LocalServer:
    """Serves `data` to other programs of the user. on_event takes rare facts, on_note a standing sentence or None.

    `options` may be replaced while it is stopped. limits: other than those that follow from options.max_clients.
    """

    def __init__(
        self,
        data: ServerData,
        options: ServerOptions,
        clock: Clock,
        on_event: Callable[[FeedEvent], None] = lambda _event: None,
        on_note: Callable[[str, str | None], None] = lambda _topic, _text: None,
        *,
        limits: Limits | None = None,
    ) -> None:
        self._data = data
        self.options = options
        self.limits = limits
        self._clock = clock
        self._on_event = on_event
        self._on_note = on_note
        self._admission = Admission(Limits())
        self._hub = Hub(data)
        self._peers: set[Client] = set()
        self._pump = Pump(self._hub, self._on_failed)
        self._gone_frames = 0
        self._gone_bytes = 0
        self._conversation: Conversation | None = None
        self._server: Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._token = ""
        self._port = 0
        self._started_s = 0.0
        self._error = ""
        self._warning = ""
        self._told: dict[str, float] = {}

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> bool:
        """Begin to serve; False when that is not possible, the reason being in `status.error` and told as a note."""
        if self._server is not None:
            return True
        self._error = self._warning = ""
        try:
            await self._open()
        except OSError as error:
            self._fail(why_not(error, self.options))
        except ValueError as error:
            self._fail(str(error))
        return self._server is not None

    async def _open(self) -> None:
        options = self.options
        is_local = check_options(options)
        limits = self._admission.limits = self._pump.limits = self.limits or Limits.for_clients(options.max_clients)
        self._pump.interval_s = options.interval_s
        self._token = await asyncio.to_thread(token_of, options)
        access = auth.Access(self._token, options.names, beyond_loopback=not is_local)
        self._conversation = Conversation(self._data, self._hub, access, share_account=options.share_account)
        gate = Gate(
            self._data,
            Api(self._data, self.figures, share_account=options.share_account),
            PageFiles(options.page),
            access,
            self._admission,
            now_ns=self._clock.wall_ns,
            on_refused=self._on_refused,
        )
        self._started_s = time.monotonic()

        def connection(*args: Any, **kwargs: Any) -> Client:
            return Client(*args, admission=self._admission, peers=self._peers, **kwargs)

        self._server = await serve(
            self._attend,
            options.host,
            options.port,
            process_request=gate.process,
            create_connection=connection,  # type: ignore[arg-type]  # called like a class
            compression=None,  # per client it costs more than everything else together
            server_header=None,
            open_timeout=limits.open_s,
            close_timeout=_CLOSE_S,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            max_size=wire.MAX_MESSAGE_BYTES,
            max_queue=16,
            logger=_library_log,
            family=socket.AF_INET if options.host == "localhost" else 0,
        )
        self._port = int(next(iter(self._server.sockets)).getsockname()[1])
        self._ticker = asyncio.create_task(self._pump.run(), name="local server")
        if not is_local:
            self._warning = (
                f"The local server can be reached from the network at {self.address}. Whoever has its link sees "
                "what this program sees."
            )
        self._on_note("server", self._warning or None)
        self._tell("started", f"the local server listens at {self.address}", FeedEventKind.CONNECTED)

    async def stop(self) -> None:
        """Close all connections and the port; those that do not answer are cut off."""
        server, ticker = self._server, self._ticker
        if server is None:
            return
        self._server = self._ticker = None
        if ticker is not None:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
        server.close(reason="the server was switched off")
        closed = asyncio.ensure_future(server.wait_closed())
        await asyncio.wait((closed,), timeout=_CLOSE_S)
        for client in tuple(self._peers):  # closing waits without limit for one that does not read
            client.transport.abort()
        await closed
        self._warning = ""
        self._on_note("server", None)
        self._tell("stopped", "the local server was switched off", FeedEventKind.DISCONNECTED)

    async def run(self) -> None:
        """Serve until cancelled, or return at once when that is not possible."""
        if not await self.start():
            return
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    def set_interval(self, interval_s: float) -> None:
        """Send at another interval from now on, in seconds."""
        self._pump.interval_s = interval_s

    async def renew_token(self) -> None:
        """Make a new token: links and cookies given out so far end, clients are closed. Not for one set by the user."""
        was_running = self._server is not None
        await self.stop()
        if self.options.token_file is not None and not self.options.token:
            await asyncio.to_thread(auth.replace_token, self.options.token_file)
        if was_running:
            await self.start()

    def _on_failed(self, error: Exception | None) -> None:
        if error is None:
            self._on_note("server", self._warning or None)
        else:
            what = f"The local server failed inside ({type(error).__name__}); its clients get nothing new."
            self._on_note("server", what)

    def _fail(self, sentence: str) -> None:
        self._error = sentence
        _log.warning("%s", sentence)
        self._on_note("server", sentence)

    # -- clients -------------------------------------------------------------------------------------------------

    async def _attend(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Client)
        assert self._conversation is not None
        client, conversation = connection, self._conversation
        self._pump.clients[client] = None
        try:
            if client.known:
                self._greet(client, conversation)
            async for text in client:
                if await conversation.hear(client, text):
                    self._greet(client, conversation)
        except ConnectionClosed as error:
            if error.sent is not None and error.sent.code == 1009 and not client.end_reason:
                client.end_reason = "message too big"
        finally:
            del self._pump.clients[client]
            conversation.forget(client)
            self._gone_frames += client.frames_sent
            self._gone_bytes += client.bytes_sent
            await client.gone()
            self._count_end(client)

    def _greet(self, client: Client, conversation: Conversation) -> None:
        assert client.target is not None
        try:
            conversation.greet(client, rows_wanted(self._data, client.target))
        except RequestError as error:  # of a client that showed the token only now
            client.write(wire.message("error", wire.error_fields(error)), 1)
            client.say_goodbye(1008, "unknown venue, market or symbol")

    def _count_end(self, client: Client) -> None:
        if client.end_reason:
            self._admission.dropped[client.end_reason] += 1
            self._tell(
                f"dropped: {client.end_reason}",
                f"the local server dropped a client at {client.caller.address}: {client.end_reason}",
                FeedEventKind.NOTICE,
            )

    def _on_refused(self, code: str, address: str) -> None:
        self._tell(
            f"refused: {code}", f"the local server refused a request from {address}: {code}", FeedEventKind.NOTICE
        )

    def _tell(self, reason: str, sentence: str, kind: FeedEventKind) -> None:
        """Report a rare fact; the same reason at most once a minute, whatever a hostile page does."""
        now = time.monotonic()
        if now - self._told.get(reason, float("-inf")) < _TELL_EVERY_S and kind is FeedEventKind.NOTICE:
            return
        self._told[reason] = now
        self._on_event(FeedEvent(ts_ns=self._clock.wall_ns(), source="server", kind=kind, symbol=None, text=sentence))

    # -- what is shown -------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Host and port it listens on."""
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        return f"{host}:{self._port or self.options.port}"

    @property
    def status(self) -> ServerStatus:
        """Return the server at this moment."""
        running = self._server is not None
        clients = tuple(client.info(time.monotonic()) for client in self._pump.clients if client.known)
        frames, size = self._sent()
        return ServerStatus(
            running=running,
            address=self.address if running else "",
            links=self._links() if running else (),
            error=self._error,
            warning=self._warning,
            clients=clients,
            frames=frames,
            bytes=size,
            dropped=_ranked(self._admission.dropped),
            refused=_ranked(self._admission.refused),
        )

    def figures(self) -> Json:
        """Return the server's own numbers, ready for JSON."""
        frames, size = self._sent()
        topics, bundles = self._hub.counts()
        return {
            "workers_running": self._ticker is not None and not self._ticker.done() and not self._pump.failed,
            "active_connections": sum(client.known for client in self._pump.clients),
            "max_clients": self._admission.limits.clients,
            "uptime_s": round(time.monotonic() - self._started_s, 1),
            "interval_ms": round(self._pump.interval_s * 1000),
            "topics": topics,
            "subscription_sets": bundles,
            "frames_sent": frames,
            "bytes_sent": size,
            "dropped": dict(self._admission.dropped),
            "refused": dict(self._admission.refused),
        }

    def _sent(self) -> tuple[int, int]:
        frames = self._gone_frames + sum(client.frames_sent for client in self._pump.clients)
        return frames, self._gone_bytes + sum(client.bytes_sent for client in self._pump.clients)

    def _links(self) -> tuple[str, ...]:
        return tuple(f"http://{host}:{self._port}/?token={self._token}" for host in hosts(self.options.host))


def _ranked(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(counts.most_common())
