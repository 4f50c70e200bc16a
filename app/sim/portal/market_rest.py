"""Routes of the market: quotes, bars, the scanner and watchlists."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from app.sim.ibkr import World
from app.sim.portal import scanning
from app.sim.portal.marketdata import MOST_CONTRACTS, MOST_FIELDS, HistoryError, SnapshotDesk, history_answer
from app.sim.portal.options import PortalSimOptions
from app.sim.portal.refusals import Query, Refusal, number_in
from app.sim.portal.session import GatewaySession


@dataclass(slots=True)
class MarketRest:
    """Answers of the market. streamed: contracts the streams quote, set by who owns them."""

    world: World
    session: GatewaySession
    snapshots: SnapshotDesk
    options: PortalSimOptions
    streamed: Callable[[], frozenset[int]] = frozenset
    histories_running: int = 0
    most_histories: int = 0
    _server_ids: itertools.count[int] = field(default_factory=lambda: itertools.count(6_571_225))

    def routes(self) -> list[tuple[str, str, Callable[[Query], object]]]:
        """Return (methods, pattern of the path, function)."""
        return [
            ("GET", r"/iserver/marketdata/snapshot", self._snapshot),
            ("GET", r"/iserver/marketdata/history", self._history),
            ("POST", r"/iserver/marketdata/unsubscribe", self._unsubscribe),
            ("GET", r"/iserver/marketdata/unsubscribeall", self._unsubscribe_all),
            ("GET", r"/iserver/scanner/params", lambda asked: scanning.parameters()),
            ("POST", r"/iserver/scanner/run", self._scan),
            ("GET", r"/iserver/watchlists", lambda asked: scanning.watchlists()),
            ("GET", r"/iserver/watchlist", self._watchlist),
        ]

    def _snapshot(self, asked: Query) -> object:
        if not self.session.accounts_asked:
            raise Refusal(400, "Bad Request: Please query /accounts first")
        texts = [text.partition("@")[0] for text in str(asked.query.get("conids", "")).split(",") if text]
        names = [text for text in str(asked.query.get("fields", "")).split(",") if text]
        if not texts or not all(text.isdecimal() for text in texts) or len(texts) > MOST_CONTRACTS:
            raise Refusal(400, "Bad Request: 1 to 100 conids expected")
        if len(names) > MOST_FIELDS:
            raise Refusal(400, "Bad Request: at most 50 fields")
        numbers = [int(text) for text in texts]
        self.session.looked_up.update(numbers)
        announced = self.snapshots.asked_s.keys()
        used = (announced | self.streamed()) - (set(numbers) - announced)  # a contract is one line, whoever asks for it
        left = self.options.limits.market_data_lines - len(used)
        return self.snapshots.answer(numbers, names, lines_left=left)

    async def _history(self, asked: Query) -> object:
        contract = self.world.contract(number_in(asked, "conid"))
        if contract is None:
            raise Refusal(400, "Bad Request: invalid conid")
        if self.histories_running >= self.options.limits.histories:
            raise Refusal(429, "Too many requests")
        self.histories_running += 1
        self.most_histories = max(self.most_histories, self.histories_running)
        try:
            await asyncio.sleep(self.options.history_s)
            found = history_answer(
                self.world,
                contract,
                period=str(asked.query.get("period", "1w")),
                bar=str(asked.query.get("bar", "1d")),
                outside_rth=str(asked.query.get("outsideRth", "")).lower() == "true",
                server_id=str(next(self._server_ids)),
            )
        except HistoryError as error:
            raise Refusal(400, f"Bad Request: {error}") from None
        finally:
            self.histories_running -= 1
        if found is None:
            raise Refusal(500, "Chart data unavailable")
        return found

    def _unsubscribe(self, asked: Query) -> object:
        con_id = asked.body.get("conid")
        if not isinstance(con_id, int) or not self.snapshots.forget(con_id):
            raise Refusal(404, "unsubscribe failed")
        return {"success": True}

    def _unsubscribe_all(self, asked: Query) -> object:
        self.snapshots.forget()
        return {"unsubscribed": True}

    def _scan(self, asked: Query) -> object:
        try:
            return scanning.run(self.world, asked.body)
        except (KeyError, ValueError):
            raise Refusal(400, "Bad Request: invalid scan") from None

    def _watchlist(self, asked: Query) -> object:
        try:
            return scanning.watchlist(self.world, str(asked.query.get("id", "")))
        except KeyError:
            raise Refusal(400, "Bad Request: no such watchlist") from None
