"""Routes of the accounts: /portfolio for money and positions, /iserver/account for orders, trades, profit and loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.sim.ibkr import World
from app.sim.portal import accounts, figures, positions, trading
from app.sim.portal.refusals import Query, Refusal
from app.sim.portal.session import SERVER_INFO, GatewaySession

PAGE_ROWS = 100
_CACHE_S = 60.0
_MOST_DAYS = 7
_NAME = r"(D?U\d+)"


@dataclass(slots=True)
class AccountRest:
    """Answers of the accounts. Positions are kept for a minute, as the gateway does, unless they are invalidated."""

    world: World
    session: GatewaySession
    _cache: dict[str, tuple[float, list[dict[str, object]]]] = field(default_factory=dict)

    def routes(self) -> list[tuple[str, str, Callable[[Query], object]]]:
        """Return (methods, pattern of the path, function)."""
        return [
            ("GET", r"/portfolio/(?:accounts|subaccounts2?)", self._accounts),
            (
                "GET",
                rf"/portfolio/{_NAME}/meta",
                lambda asked: accounts.account_row(self._owned(asked), brokerage=True),
            ),
            ("GET", rf"/portfolio/{_NAME}/summary", lambda asked: figures.summary(self.world, self._owned(asked))),
            ("GET", rf"/portfolio/{_NAME}/ledger", lambda asked: figures.ledger(self.world, self._owned(asked))),
            (
                "GET",
                rf"/portfolio/{_NAME}/allocation",
                lambda asked: positions.allocation(self.world, self._owned(asked)),
            ),
            ("GET", rf"/portfolio/{_NAME}/positions/(\d+)", self._page),
            ("POST", rf"/portfolio/{_NAME}/positions/invalidate", self._invalidate),
            ("GET", rf"/portfolio/{_NAME}/position/(\d+)", self._one_position),
            ("GET", rf"/portfolio/{_NAME}/combo/positions", lambda asked: self._owned(asked) and []),
            ("GET", r"/portfolio/positions/(\d+)", self._position_everywhere),
            ("GET", rf"/portfolio2/{_NAME}/positions", self._live_positions),
            ("GET", r"/iserver/accounts", self._brokerage_accounts),
            ("GET", r"/iserver/account/orders", self._orders),
            ("GET", r"/iserver/account/order/status/(\d+)", self._order_status),
            ("GET", r"/iserver/account/trades", self._trades),
            ("GET", r"/iserver/account/pnl/partitioned", self._pnl),
        ]

    # /portfolio

    def _accounts(self, asked: Query) -> object:
        self.session.portfolio_asked = True
        return [accounts.account_row(name, brokerage=self.session.authenticated) for name in self.world.accounts]

    def _owned(self, asked: Query) -> str:
        """Return the account of the path; refuse one that is not there, or before /portfolio/accounts was asked."""
        if not self.session.portfolio_asked:
            raise Refusal(400, "Bad Request: Please query /portfolio/accounts first")
        name = asked.parts[0]
        if name not in self.world.accounts:
            raise Refusal(400, "Bad Request: Invalid account")
        return name

    def _page(self, asked: Query) -> object:
        name = self._owned(asked)
        kept = self._cache.get(name)
        if kept is None or self.world.now_s - kept[0] >= _CACHE_S:
            rows = [positions.position_row(self.world, each) for each in self.world.positions(name)]
            kept = self._cache[name] = (self.world.now_s, rows)
        first = int(asked.parts[1]) * PAGE_ROWS
        return kept[1][first : first + PAGE_ROWS]

    def _invalidate(self, asked: Query) -> object:
        self._cache.pop(self._owned(asked), None)
        return {"message": "success"}

    def _one_position(self, asked: Query) -> object:
        found = self.world.position(self._owned(asked), int(asked.parts[1]))
        return [] if found is None else [positions.described_position_row(self.world, found)]

    def _position_everywhere(self, asked: Query) -> object:
        rows = {}
        for name in self.world.accounts:
            found = self.world.position(name, int(asked.parts[0]))
            if found is not None:
                rows[name] = [positions.position_row(self.world, found)]
        return rows

    def _live_positions(self, asked: Query) -> object:
        return [positions.live_position_row(self.world, each) for each in self.world.positions(self._owned(asked))]

    # /iserver

    def _brokerage_accounts(self, asked: Query) -> object:
        self.session.accounts_asked = True
        return accounts.brokerage_accounts(list(self.world.accounts), self.session.value[:17], SERVER_INFO)

    def _need_accounts(self) -> None:
        if not self.session.accounts_asked:
            raise Refusal(400, "Bad Request: Please query /accounts first")

    def _orders(self, asked: Query) -> object:
        """Return today's orders; the first call and `force` answer none. `filters` silences `sor` until a force."""
        self._need_accounts()
        forced = str(asked.query.get("force", "")).lower() == "true"
        known, self.session.orders_asked = self.session.orders_asked, True
        if forced:
            self.session.orders_primed, self.session.orders_filtered = True, False
            return {"orders": [], "snapshot": False}
        filters = {_plain(word) for word in str(asked.query.get("filters", "")).split(",") if word}
        if filters:
            self.session.orders_filtered = True
        if not known:
            return {"orders": [], "snapshot": False}
        account = asked.query.get("accountId")
        rows = [
            trading.order_row(order, self.world.catalogue.contracts[order.con_id])
            for order in self.world.orders
            if account in (None, "", order.account) and (not filters or _plain(order.status) in filters)
        ]
        return {"orders": rows, "snapshot": True}

    def _order_status(self, asked: Query) -> object:
        for order in self.world.orders:
            if order.perm_id == int(asked.parts[0]):
                return trading.order_status(order, self.world.catalogue.contracts[order.con_id])
        raise Refusal(400, "Bad Request: order not found")

    def _trades(self, asked: Query) -> object:
        self._need_accounts()
        days = str(asked.query.get("days", "1"))
        if not days.isdecimal() or not 1 <= int(days) <= _MOST_DAYS:
            raise Refusal(400, "Bad Request: days must be 1 to 7")
        account = asked.query.get("accountId")
        return [
            trading.trade_row(
                fill,
                self.world.catalogue.contracts[fill.con_id],
                with_commission=self.world.commission_told(fill),
            )
            for fill in self.world.fills
            if account in (None, "", fill.account)
        ]

    def _pnl(self, asked: Query) -> object:
        rows: dict[str, dict[str, float]] = {}
        for name in self.world.accounts:
            rows.update(figures.partitioned(self.world, name))
        return {"upnl": rows}


def _plain(status: str) -> str:
    return status.replace("_", "").lower()
