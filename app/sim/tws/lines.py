"""Market data lines of the simulated TWS: who may have which quotes, how many, and what ticks go out."""

from __future__ import annotations

from app.sim.ibkr.hours import Phase
from app.sim.ibkr.instruments import Access, SimContract
from app.sim.ibkr.world import Changes, World
from app.sim.tws import encoders
from app.sim.tws.client import TwsClient
from app.sim.tws.conditions import Conditions
from app.sim.tws.contracts import resolve
from app.sim.tws.requests import AskedQuote, Fields, read_quote
from app.sim.tws.ticks import DELAYED, FROZEN, GENERIC_KNOWN, LIVE, TickWriter
from app.sim.tws.wire import frame

NOT_SUBSCRIBED = (
    "Requested market data is not subscribed. Check API status by selecting the Account menu then under Management"
    " choose Market Data Subscription Manager and/or availability of delayed data."
)
DELAYED_SHOWN = "Requested market data is not subscribed. Displaying delayed market data."
COMPETING = "No market data during competing live session"


class LineDesk:
    """Subscriptions to quotes. `lines` of them are there for all clients together."""

    def __init__(self, world: World, conditions: Conditions, *, lines: int, always_open: bool) -> None:
        """Take the world."""
        self.lines = lines
        self._world = world
        self._conditions = conditions
        self._always_open = always_open

    def used(self, clients: list[TwsClient]) -> int:
        """Return how many lines are in use: contracts, over all clients."""
        return len({line.contract.con_id for client in clients for line in client.subscriptions.lines.values()})

    def market_data_type(self, client: TwsClient, fields: Fields) -> None:
        """Let a client choose live, frozen, delayed or delayed-frozen quotes for what it asks from now on."""
        fields.text()
        client.data_type = min(4, max(1, fields.whole()))

    def ask(self, client: TwsClient, fields: Fields, clients: list[TwsClient]) -> None:
        """Begin to tell a quote, or say why not."""
        asked = read_quote(fields)
        contract = resolve(self._world.catalogue, asked.contract)
        refusal = self._refusal(asked, contract)
        if refusal is not None:
            client.say(encoders.error(asked.req_id, *refusal))
            return
        assert contract is not None
        lines = client.subscriptions.lines
        if asked.req_id in lines:
            client.say(encoders.error(asked.req_id, 102, "Duplicate ticker id"))
            return
        known = {line.contract.con_id for each in clients for line in each.subscriptions.lines.values()}
        if contract.con_id not in known and len(known) >= self.lines:
            client.say(encoders.error(asked.req_id, 101, "Max number of tickers has been reached"))
            return
        if self._conditions.active("competing"):
            client.say(encoders.error(asked.req_id, 10197, COMPETING))
            return
        kind = self._kind(client, contract)
        if kind is None:
            client.say(encoders.error(asked.req_id, 354, NOT_SUBSCRIBED))
            return
        if kind >= DELAYED and contract.access is not Access.LIVE:
            client.say(encoders.error(asked.req_id, 10167, DELAYED_SHOWN))
        line = TickWriter(asked.req_id, contract, kind, frozenset() if asked.snapshot else asked.generic_ticks)
        client.say_all(line.begin(self._world.tick_size(contract.con_id)))
        if not self._cut_off:  # what cannot be told now is told when the connection is back
            client.say_all(line.write(self._world.quote(contract.con_id), self._conditions.spoil(contract.symbol)))
        if asked.snapshot:
            client.say(frame(57, 1, asked.req_id))
        else:
            lines[asked.req_id] = line

    def cancel(self, client: TwsClient, fields: Fields) -> None:
        """End a quote."""
        fields.text()
        req_id = fields.whole()
        if client.subscriptions.lines.pop(req_id, None) is None:
            client.say(encoders.error(req_id, 300, f"Can't find EId with tickerId:{req_id}"))

    @property
    def _cut_off(self) -> bool:
        return self._conditions.silent or self._conditions.active("farm")

    def _refusal(self, asked: AskedQuote, contract: SimContract | None) -> tuple[int, str] | None:
        if asked.regulatory:
            return 10170, "No permission for regulatory snapshots: each of them costs money."
        unknown = sorted(asked.generic_ticks - GENERIC_KNOWN)
        if unknown:
            text = "Error validating request.-'bU' : cause - Incorrect generic tick list of "
            return 321, f"{text}{','.join(sorted(asked.generic_ticks))}."
        if contract is None:
            return 200, "No security definition has been found for the request"
        return None

    def _kind(self, client: TwsClient, contract: SimContract) -> int | None:
        """Return which quotes a client gets, None for none."""
        if contract.access is Access.NONE or self._conditions.active("notsubscribed", contract.symbol):
            return None
        wants_delayed = client.data_type >= DELAYED
        if contract.access is Access.DELAYED or self._conditions.active("delayed", contract.symbol):
            return DELAYED if wants_delayed else None
        # who asks for delayed quotes gets live ones where there is a subscription
        frozen = client.data_type in (FROZEN, 4) and self._rests(contract)
        return FROZEN if frozen else LIVE

    def _rests(self, contract: SimContract) -> bool:
        return not self._always_open and self._world.market.phase(contract) is Phase.CLOSED

    # What changes

    def publish(self, clients: list[TwsClient], changes: Changes) -> None:
        """Tell every line whose quote changed."""
        if self._cut_off:
            return
        for client in clients:
            for line in client.subscriptions.lines.values():
                if line.contract.con_id in changes.quotes:
                    spoil = self._conditions.spoil(line.contract.symbol)
                    client.say_all(line.write(self._world.quote(line.contract.con_id), spoil))

    def tell_again(self, clients: list[TwsClient]) -> None:
        """Tell every line anew, changed or not."""
        everything = {line.contract.con_id for client in clients for line in client.subscriptions.lines.values()}
        self.publish(clients, Changes(quotes=everything))

    # Faults

    def compete(self, clients: list[TwsClient]) -> None:
        """End every line, because somebody else has a live session."""
        for client in clients:
            for req_id in client.subscriptions.lines:
                client.say(encoders.error(req_id, 10197, COMPETING))
            client.subscriptions.lines.clear()

    def withdraw(self, clients: list[TwsClient], symbol: str) -> None:
        """End the lines of a symbol, as without a subscription to it."""
        for client in clients:
            for req_id, line in list(client.subscriptions.lines.items()):
                if line.contract.symbol == symbol:
                    client.say(encoders.error(req_id, 354, NOT_SUBSCRIBED))
                    del client.subscriptions.lines[req_id]

    def delay(self, clients: list[TwsClient], symbol: str) -> None:
        """Turn the lines of a symbol into delayed ones."""
        for client in clients:
            for req_id, line in list(client.subscriptions.lines.items()):
                if line.contract.symbol == symbol and line.kind < DELAYED:
                    later = TickWriter(req_id, line.contract, DELAYED, line.generic)
                    client.subscriptions.lines[req_id] = later
                    client.say(encoders.error(req_id, 10167, DELAYED_SHOWN))
                    client.say_all(later.begin(self._world.tick_size(line.contract.con_id)))
                    client.say_all(later.write(self._world.quote(line.contract.con_id)))
