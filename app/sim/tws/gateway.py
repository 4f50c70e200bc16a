"""The socket of the simulated TWS: handshake, start of the API, requests to the desks, what changes to all clients.

Document: the TWS API's socket protocol as text, server version 178.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from app.sim.ibkr.world import Changes, World
from app.sim.tws import encoders
from app.sim.tws.accounts import AccountDesk
from app.sim.tws.client import TwsClient
from app.sim.tws.conditions import Conditions
from app.sim.tws.contracts import ContractDesk
from app.sim.tws.handshake import shake_hands
from app.sim.tws.history import HistoryDesk
from app.sim.tws.lines import LineDesk
from app.sim.tws.options import TwsSimOptions
from app.sim.tws.orders import OrderDesk
from app.sim.tws.requests import NAMES, ORDER_VERBS, BadRequest, Fields
from app.sim.tws.wire import BadFrame, fields_of, read_frame

log = logging.getLogger("fathom.sim.tws")

_MOST_CLIENTS = 32
_MOST_REQUESTS = 2000
_STRIKES = 3
_FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
Handler = Callable[[TwsClient, Fields], None]


@dataclass(frozen=True, slots=True)
class SimRequest:
    """Something a client asked: number and name of the request, its fields after the number."""

    client_id: int | None
    number: int
    name: str
    fields: tuple[str, ...]


class Gateway:
    """Serves clients. `publish` tells them what a step of the world changed."""

    def __init__(self, world: World, options: TwsSimOptions, now_s: Callable[[], float]) -> None:
        """Take the world; `now_s` is what the server says the time is."""
        self.port = 0
        self.world = world
        self.conditions = Conditions()
        self.clients: list[TwsClient] = []
        self.requests: deque[SimRequest] = deque(maxlen=_MOST_REQUESTS)
        self.order_requests: list[SimRequest] = []
        self.counts: Counter[str] = Counter()
        self.accounts = AccountDesk(world, self.conditions, account_every_s=options.account_every_s)
        self.orders = OrderDesk(world, read_only=options.read_only, push_orders=options.push_orders)
        self.lines = LineDesk(world, self.conditions, lines=options.lines, always_open=options.always_open)
        self.contracts = ContractDesk(world, scan_every_s=options.scan_every_s)
        self.history = HistoryDesk(world, pacing=options.pacing)
        self._options = options
        self._now_s = now_s
        self._host = options.host
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._handlers = self._make_handlers()

    # Listening

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` 0 takes any free one."""
        self._host = host
        self._server = await asyncio.start_server(self._accept, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def listening(self) -> bool:
        """Whether the port is open."""
        return self._server is not None

    async def stop(self) -> None:
        """Listen no more and cut every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task, writer in list(self._tasks.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if server is not None:
            await server.wait_closed()

    async def reopen(self) -> None:
        """Listen again on the same port, as after a restart."""
        self.history.forget()
        await self.start(self._host, self.port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="sim tws client")
        self._tasks[task] = writer
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        client = TwsClient(writer, messages_per_s=self._options.messages_per_s, now=loop.time)
        client.frozen = self.conditions.active("freeze")
        self.counts["connections"] += 1
        try:
            if await shake_hands(reader, writer, self.conditions, self.counts, self._now_s()):
                self.clients.append(client)
                while not client.ends:
                    self._on_message(client, fields_of(await read_frame(reader)))
                    if not client.flush():
                        self.counts["clients_too_slow"] += 1
                        client.cut()
                    await writer.drain()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the client is gone
        except BadFrame as error:
            log.warning("a client sent what is no message: %s", error)
            self.counts["bad_frames"] += 1
        finally:
            if client in self.clients:
                self.clients.remove(client)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    # Requests

    def _on_message(self, client: TwsClient, words: list[str]) -> None:
        try:
            number = int(words[0])
        except (ValueError, IndexError):
            self.counts["bad_requests"] += 1
            client.say(encoders.error(-1, 507, "Bad Message Length"))
            client.end()
            return
        name = NAMES.get(number, str(number))
        request = SimRequest(client.client_id, number, name, tuple(words[1:]))
        self.requests.append(request)
        self.counts[name] += 1
        if number in ORDER_VERBS:
            self._on_order_request(client, request)
            return
        if not client.rate.add():
            self._on_flood(client)
            return
        if client.client_id is None and number != 71:
            self.counts["too_early"] += 1
            return
        handler = self._handlers.get(number)
        if handler is None:
            client.say(encoders.error(-1, 505, f"Fatal Error: Unknown message id. {number}"))
            return
        try:
            handler(client, Fields(words[1:]))
        except BadRequest as error:
            self.counts["bad_requests"] += 1
            client.say(encoders.error(-1, 320, f"Server error when reading an API client request. {error}"))

    def _on_order_request(self, client: TwsClient, request: SimRequest) -> None:
        self.order_requests.append(request)
        log.critical("client %s asked to %s: this must never happen", client.client_id, ORDER_VERBS[request.number])
        client.say(encoders.error(-1, 321, "Error validating request.-'bK' : cause - No order may be made here."))
        client.end()

    def _on_flood(self, client: TwsClient) -> None:
        self.counts["over_rate"] += 1
        now_s = asyncio.get_running_loop().time()
        if now_s - client.strike_s < 1.0 and client.strikes:
            return
        client.strike_s = now_s
        client.strikes += 1
        limit = client.rate.limit
        text = (
            f"Max rate of messages per second has been exceeded: max={limit} rec={client.rate.count} ({client.strikes})"
        )
        client.say(encoders.error(-1, 100, text))
        if client.strikes >= _STRIKES:
            client.end()

    def _start_api(self, client: TwsClient, fields: Fields) -> None:
        fields.text()
        client_id = fields.whole()
        if len(self.clients) > _MOST_CLIENTS or any(each.client_id == client_id for each in self.clients):
            self.counts["client_id_in_use"] += 1
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            client.say(encoders.error(-1, 326, text))
            client.end()
            return
        client.client_id = client_id
        client.say(encoders.managed_accounts(self.world.accounts), encoders.next_valid_id(1))
        client.say(*(encoders.error(-1, code, text) for code, text in _FARMS))

    def _ids(self, client: TwsClient, fields: Fields) -> None:
        if not self.orders.read_only:  # a read-only TWS does not answer at all
            client.say(encoders.next_valid_id(1))

    def _time(self, client: TwsClient, fields: Fields) -> None:
        client.say(encoders.current_time(self._now_s()))

    def _refuse(self, client: TwsClient, fields: Fields) -> None:
        self.orders.refuse(client)

    def _ignore(self, client: TwsClient, fields: Fields) -> None:
        """Do nothing, as TWS does for its log level."""

    def _make_handlers(self) -> dict[int, Handler]:
        accounts, contracts, history, lines = self.accounts, self.contracts, self.history, self.lines
        orders = self.orders
        return {
            1: lambda client, fields: lines.ask(client, fields, self.ready),
            2: lines.cancel,
            5: orders.open_orders,
            6: accounts.account_updates,
            7: orders.executions,
            8: self._ids,
            9: contracts.details,
            14: self._ignore,
            15: self._refuse,
            16: orders.all_open_orders,
            17: accounts.managed_accounts,
            18: self._refuse,
            20: history.ask,
            22: contracts.scan,
            23: contracts.cancel_scan,
            24: contracts.scan_parameters,
            25: history.cancel,
            49: self._time,
            50: history.real_time_bars,
            51: history.cancel_real_time_bars,
            59: lines.market_data_type,
            61: accounts.positions,
            62: accounts.summary,
            63: accounts.cancel_summary,
            64: accounts.cancel_positions,
            71: self._start_api,
            76: accounts.account_updates_multi,
            77: accounts.cancel_account_updates_multi,
            78: contracts.option_parameters,
            81: contracts.symbols,
            87: history.head_timestamp,
            90: self._ignore,
            92: accounts.pnl,
            93: accounts.cancel_pnl,
            94: accounts.pnl_single,
            95: accounts.cancel_pnl_single,
            99: orders.completed_orders,
        }

    # To all clients

    @property
    def ready(self) -> list[TwsClient]:
        """Clients that have started the API."""
        return [client for client in self.clients if client.ready]

    def tell(self, *frames: bytes) -> None:
        """Send messages to every client."""
        for client in self.ready:
            client.say(*frames)
        self.flush()

    def publish(self, changes: Changes) -> None:
        """Tell every client what a step changed."""
        ready = self.ready
        if ready and not self.conditions.silent:
            self.lines.publish(ready, changes)
            self.orders.publish(ready, changes)
            self.accounts.publish(ready, changes)
            self.contracts.publish(ready)
            self.history.publish(ready)
        self.flush()

    def flush(self) -> None:
        """Send what waits; cut clients that do not read."""
        for client in list(self.clients):
            if not client.flush():
                self.counts["clients_too_slow"] += 1
                client.cut()

    def state(self) -> dict[str, object]:
        """Return counters and what lasts."""
        return {
            **self.counts,
            "clients": len(self.ready),
            "lines": self.lines.used(self.ready),
            "lasting": self.conditions.names,
            "order_requests": [f"{each.name}: {','.join(each.fields[:12])}" for each in self.order_requests],
        }
