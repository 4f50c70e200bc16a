"""A desk with a ledger: filled by hand, or from the simulated account. Shared by the tests of the Portfolio."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.domain.account import (
    AccountPnl,
    AccountsSeen,
    AccountValue,
    DetailsSeen,
    Position,
    PositionSeen,
    PositionsListed,
    Source,
    Tag,
)
from app.domain.broker_health import BrokerHealth
from app.domain.contracts import Contract, ContractDetails, DailyBar, Right, SecType
from app.domain.health import LinkState
from app.domain.orders import Execution, ExecutionSeen, Side
from app.domain.quotes import QuoteField as F
from app.domain.quotes import QuoteUpdate
from app.domain.units import NS_PER_S
from app.portfolio.beta import Beta, beta
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineGroup
from app.sim.ibkr.world import World

NOW_S = 1_795_132_800 + 15 * 3600 + 1800
"""2026-11-20 10:30 in New York, a Friday."""
NOW_NS = NOW_S * NS_PER_S
ACCOUNT = "DU1234567"

AAPL = Contract(con_id=265598, symbol="AAPL", name="APPLE INC")
SPY = Contract(con_id=756733, symbol="SPY", name="SPDR S&P 500")
CALL = Contract(
    con_id=9001,
    symbol="AAPL",
    sec_type=SecType.OPTION,
    expiry="20261218",
    strike=200.0,
    right=Right.CALL,
    multiplier=100.0,
    underlying_con_id=265598,
)
FUTURE = Contract(
    con_id=9100, symbol="ES", sec_type=SecType.FUTURE, expiry="20261218", multiplier=50.0, local_symbol="ESZ6"
)
SAP = Contract(con_id=14204, symbol="SAP", currency="EUR", exchange="IBIS")
EURUSD = Contract(con_id=12087792, symbol="EUR", currency="USD", sec_type=SecType.CASH, local_symbol="EUR.USD")


class Time:
    """A clock that stands until it is moved."""

    def __init__(self, now_ns: int = NOW_NS) -> None:
        self.now_ns = now_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def add(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS_PER_S)


class FakeDesk:
    """A ledger beside a healthy source; wanted: what was asked to be quoted, by group."""

    def __init__(self, time: Time, source: Source = Source.TWS) -> None:
        self.time = time
        self.source = source
        self.health = BrokerHealth(
            source=source,
            address="127.0.0.1:7497",
            state=LinkState.LIVE,
            paper=True,
            paper_why="account id DU… and port 7497 are of paper trading",
            connected_ns=time.now_ns,
        )
        self.ledger = Ledger(source)
        self.betas: dict[int, Beta] = {}
        self.beta_against = "SPY"
        self.wanted: dict[LineGroup, tuple[Contract, ...]] = {}

    def want_lines(self, group: LineGroup, contracts: Sequence[Contract], *, visible: bool = True) -> None:
        self.wanted[group] = tuple(contracts)

    def tell(self, *events: object) -> None:
        self.ledger.on_events(self.time.now_ns, events)  # type: ignore[arg-type]

    def quote(self, contract: Contract, **values: float) -> None:
        """Tell figures of a contract by the names of `QuoteField` in small letters."""
        self.ledger.contracts.setdefault(contract.con_id, contract)
        update = QuoteUpdate(contract.con_id, 0, {int(F[name.upper()]): value for name, value in values.items()})
        self.ledger.on_quotes(self.time.now_ns, (update,))

    def hold(
        self,
        contract: Contract,
        quantity: float,
        cost: float | None = None,
        account: str = ACCOUNT,
        **figures: float | None,
    ) -> None:
        """Tell a position. cost: average cost as the broker sends it, per contract."""
        self.tell(
            PositionSeen(Position(account=account, contract=contract, quantity=quantity, average_cost=cost, **figures))
        )

    def money(self, tag: Tag, value: float | None, currency: str = "USD", account: str = ACCOUNT) -> None:
        self.tell(AccountValue(account, tag, currency, value))

    def fill(self, contract: Contract, side: Side, quantity: float, price: float, **more: object) -> None:
        """Tell an execution, a minute ago unless `time_ns` says otherwise."""
        count = len(self.ledger.orders.executions)
        fields: dict[str, object] = {
            "exec_id": f"0001.{count:04d}.01",
            "account": ACCOUNT,
            "order_id": "77",
            "time_ns": self.time.now_ns - 60 * NS_PER_S,
            **more,
        }
        self.tell(ExecutionSeen(Execution(contract=contract, side=side, quantity=quantity, price=price, **fields)))  # type: ignore[arg-type]


class FakeBrokerage:
    """Some desks."""

    def __init__(self, *desks: FakeDesk) -> None:
        self.desks = {desk.source: desk for desk in desks}


# -- the simulated account -----------------------------------------------------------------------------------------


def contract_of(world: World, con_id: int) -> Contract:
    """Return a simulated contract in our words."""
    sim = world.contract(con_id)
    assert sim is not None
    return Contract(
        con_id=con_id,
        symbol=sim.symbol,
        sec_type=SecType.of(sim.sec_type),
        currency=sim.currency,
        exchange=sim.exchange,
        primary_exchange=sim.primary_exchange,
        expiry=sim.expiry,
        strike=sim.strike,
        right=Right(sim.right[:1]),
        multiplier=sim.multiplier,
        local_symbol=sim.local_symbol,
        underlying_con_id=sim.underlying_con_id,
        name=sim.name,
    )


_QUOTE = {
    F.BID: "bid",
    F.ASK: "ask",
    F.LAST: "last",
    F.CLOSE: "close",
    F.MARK: "mark",
    F.DELTA: "delta",
    F.GAMMA: "gamma",
    F.VEGA: "vega",
    F.THETA: "theta",
    F.UNDERLYING: "underlying",
    F.HALTED: "halted",
}


class WorldDesk(FakeDesk):
    """A desk that a simulated account fills, as a session would."""

    def __init__(self, world: World, time: Time, source: Source = Source.TWS) -> None:
        super().__init__(time, source)
        self.world = world

    def learn(self) -> None:
        """Tell everything there is, as after connecting."""
        world = self.world
        self.tell(AccountsSeen(tuple(world.accounts)))
        for account in world.accounts:
            for each in world.positions(account, closed=True):
                contract = contract_of(world, each.con_id)
                self.tell(DetailsSeen(ContractDetails(contract=contract, tick_size=world.tick_size(each.con_id))))
                behind = contract.underlying_con_id
                if contract.sec_type.is_option and behind:
                    self.tell(DetailsSeen(ContractDetails(contract=contract_of(world, behind), tick_size=0.01)))
        self.tell(DetailsSeen(ContractDetails(contract=contract_of(world, SPY.con_id), tick_size=0.01)))
        self.tell(DetailsSeen(ContractDetails(contract=contract_of(world, EURUSD.con_id), tick_size=0.00005)))
        against = [DailyBar(bar.day, bar.close) for bar in world.daily_bars(SPY.con_id, 260)]
        for con_id in list(self.ledger.contracts):
            found = beta([DailyBar(bar.day, bar.close) for bar in world.daily_bars(con_id, 260)], against)
            if found is not None:
                self.betas[con_id] = found
        self.tell_figures()
        self.tell_quotes()

    def tell_figures(self) -> None:
        """Tell positions, fills and figures of the accounts."""
        world = self.world
        for account in world.accounts:
            held = []
            for each in world.positions(account):
                pnl = world.position_pnl(account, each.con_id)
                held.append(
                    Position(
                        account=account,
                        contract=contract_of(world, each.con_id),
                        quantity=each.quantity,
                        average_cost=each.average_cost,
                        market_price=pnl.price,
                        market_value=pnl.value,
                        unrealised=pnl.unrealised,
                        realised=pnl.realised,
                        daily=pnl.daily,
                    )
                )
            self.tell(PositionsListed(account, tuple(held)))
            for value in world.values(account):
                number = value.value if isinstance(value.value, int | float) and math.isfinite(value.value) else None
                self.tell(AccountValue(account, value.tag, value.currency, number))
            total = world.pnl(account)
            self.tell(AccountPnl(account, total.daily, total.unrealised, total.realised))
        for fill in world.fills:
            self.tell(
                ExecutionSeen(
                    Execution(
                        exec_id=fill.exec_id,
                        account=fill.account,
                        order_id=str(fill.perm_id),
                        contract=contract_of(world, fill.con_id),
                        side=Side.BUY if fill.side == "BOT" else Side.SELL,
                        quantity=fill.quantity,
                        price=fill.price,
                        time_ns=int(fill.time_s * NS_PER_S),
                        commission=fill.commission,
                        commission_currency=fill.commission_currency,
                        realised=fill.realised,
                    )
                )
            )

    def tell_quotes(self) -> None:
        """Tell the quotes of all known contracts."""
        updates = []
        for con_id in self.ledger.contracts:
            quote = self.world.quote(con_id)
            values = {int(field): getattr(quote, name) for field, name in _QUOTE.items()}
            updates.append(
                QuoteUpdate(con_id, 0, {key: math.nan if each is None else float(each) for key, each in values.items()})
            )
        self.ledger.on_quotes(self.time.now_ns, updates)

    def step(self, seconds: float) -> None:
        """Let time pass and tell what changed."""
        self.world.step(seconds)
        self.time.add(seconds)
        self.tell_quotes()
        self.tell_figures()


def world_desk(accounts: tuple[str, ...] = (ACCOUNT,), seed: int = 1, rate: float = 1.0) -> WorldDesk:
    """Return a desk over a fresh simulated account."""
    time = Time()
    desk = WorldDesk(World(seed=seed, start_s=float(NOW_S), accounts=accounts, rate=rate), time)
    desk.learn()
    return desk
