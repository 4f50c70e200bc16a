"""Answers the REST requests of the simulated Bybit: market data of both categories in the venue's envelope.

Parameters, limits and codes as in market/* and rate-limit of the venue's v5 documents: 600 requests in 5 s, then 403.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs, quote, unquote

from app.domain.ids import Market
from app.sim.answers import Answer
from app.sim.bybit import encoders
from app.sim.bybit.books import FULL, WindowState
from app.sim.bybit.contracts import Contract
from app.sim.bybit.faults import Fault
from app.sim.bybit.listings import linear_info, spot_info
from app.sim.bybit.venue import BybitVenue
from app.sim.limits import SlidingCount

REQUESTS_PER_5_S = 600
BAN_S = 600.0
PREFIX = "/v5/market/"
_LASTING_S = {"toomany": 5.0, "rest_down": 5.0, "http403": 10.0}
_MOST_FULL_LEVELS = 10_000
_HOUR_MS = 3_600_000
_INTERVALS_MS = {
    "5min": 300_000,
    "15min": 900_000,
    "30min": 1_800_000,
    "1h": _HOUR_MS,
    "4h": 4 * _HOUR_MS,
    "1d": 24 * _HOUR_MS,
}

Query = dict[str, str]
Row = dict[str, object]


class RestError(Exception):
    """A refused request: the venue's code and message."""

    def __init__(self, message: str, code: int = 10001) -> None:
        """Take the message and the venue's code."""
        super().__init__(message)
        self.code = code


class RestDesk:
    """Answers every GET, with the allowances of one address."""

    def __init__(self, venues: dict[Market, BybitVenue], now_s: Callable[[], float], *, ban_s: float = BAN_S) -> None:
        """Take both markets; `now_s` is UTC seconds."""
        self.counts: Counter[str] = Counter()
        self._venues = {venue.market.word: venue for venue in venues.values()}
        self._now_s = now_s
        self._ban_s = ban_s
        self._window = SlidingCount(REQUESTS_PER_5_S, 5.0, now_s)
        self._until: dict[str, float] = {}
        self._lagged: dict[str, list[WindowState]] = {}
        self._mismatched: Counter[str] = Counter()
        self._actions: dict[str, Callable[[Query], object]] = {
            "time": self._time,
            "instruments-info": self._instruments,
            "tickers": self._tickers,
            "orderbook": self._orderbook,
            "full_orderbook": self._full_orderbook,
            "funding/history": self._funding_history,
            "open-interest": self._open_interest,
        }

    @property
    def _now_ms(self) -> int:
        return int(self._now_s() * 1000)

    def answer(self, path: str, query: str) -> Answer:
        """Answer a GET; never raises for what the caller wrote."""
        self.counts["requests"] += 1
        if not self._window.add() and not self._active("http403"):
            self._until["http403"] = self._now_s() + self._ban_s
        if self._active("http403"):
            self.counts["forbidden"] += 1
            return Answer(403, b"access too frequent")
        if self._active("rest_down"):
            return Answer(503, b"Service unavailable")
        headers = self._headers()
        if self._active("toomany"):
            self.counts["too_many"] += 1
            body = encoders.envelope({}, self._now_ms, code=10006, message="Too many visits!")
            return Answer(200, body, {**headers, "X-Bapi-Limit-Status": "0"})
        action = self._actions.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        if action is None:
            return Answer(404, b"")
        values = {key: found[-1] for key, found in parse_qs(query).items()}
        try:
            return Answer(200, encoders.envelope(action(values), self._now_ms), headers)
        except RestError as error:
            self.counts["refused"] += 1
            return Answer(200, encoders.envelope({}, self._now_ms, code=error.code, message=str(error)), headers)

    def _headers(self) -> dict[str, str]:
        left = max(0, REQUESTS_PER_5_S - self._window.count)
        return {
            "X-Bapi-Limit": str(REQUESTS_PER_5_S),
            "X-Bapi-Limit-Status": str(left),
            "X-Bapi-Limit-Reset-Timestamp": str(self._now_ms + 5000 * (left == 0)),
        }

    # Faults

    def start_fault(self, fault: Fault) -> None:
        """Begin a fault of REST; LookupError for an unknown symbol."""
        self.counts[f"fault_{fault.name}"] += 1
        if fault.name == "calm":
            self._until.clear()
            return
        if fault.name in _LASTING_S:
            seconds = _LASTING_S[fault.name] if fault.duration is None else fault.duration
            self._until[fault.name] = self._now_s() + seconds
            return
        spot = self._venues["spot"]
        symbol = fault.symbol or spot.contracts[0].symbol
        if fault.name == "lag":
            self._lagged[symbol] = [spot.told(symbol, FULL)] * (fault.count or 1)
        else:
            spot.book(symbol)
            self._mismatched[symbol] += fault.count or 1

    def _active(self, name: str) -> bool:
        return self._now_s() < self._until.get(name, 0.0)

    # Answers

    def _venue(self, query: Query) -> BybitVenue:
        venue = self._venues.get(query.get("category", ""))
        if venue is None:
            raise RestError("params error: Category is invalid")
        return venue

    def _contract(self, query: Query) -> tuple[BybitVenue, Contract]:
        venue = self._venue(query)
        contract = venue.by_symbol.get(query.get("symbol", ""))
        if contract is None:
            raise RestError("params error: Symbol Is Invalid" if "symbol" in query else "params error: symbol is empty")
        return venue, contract

    def _time(self, query: Query) -> object:
        now_ns = int(self._now_s() * 1e9)
        return {"timeSecond": str(now_ns // 10**9), "timeNano": str(now_ns)}

    def _instruments(self, query: Query) -> object:
        venue = self._venue(query)
        chosen = [each for each in venue.contracts if query.get("symbol") in (None, each.symbol)]
        if "symbol" in query and not chosen:
            raise RestError("params error: Symbol Is Invalid")
        chosen = [each for each in chosen if query.get("status") in (None, each.status.value)]
        chosen = [each for each in chosen if query.get("baseCoin") in (None, each.base)]
        if venue.market is Market.BYBIT_SPOT:
            return {"category": "spot", "list": [spot_info(each) for each in chosen]}
        limit = self._limit(query, 500, 1000)
        chosen.sort(key=lambda each: each.symbol)
        start = 0
        if query.get("cursor"):
            after = unquote(query["cursor"]).rpartition("last=")[2]
            start = next((place for place, each in enumerate(chosen) if each.symbol > after), len(chosen))
        page = chosen[start : start + limit]
        more = page and start + limit < len(chosen)
        cursor = quote(f"first={page[0].symbol}&last={page[-1].symbol}", safe="") if more else ""
        return {"category": "linear", "list": [linear_info(each) for each in page], "nextPageCursor": cursor}

    def _tickers(self, query: Query) -> object:
        venue = self._venue(query)
        symbol = query.get("symbol")
        if symbol is not None and symbol not in venue.by_symbol:
            raise RestError("params error: Symbol Is Invalid")
        return {"category": venue.market.word, "list": venue.rest_tickers(symbol)}

    def _orderbook(self, query: Query) -> object:
        venue, contract = self._contract(query)
        limit = self._limit(query, 25 if contract.linear else 1, 1000)
        return self._book(contract, venue.told(contract.symbol, 1000), limit)

    def _full_orderbook(self, query: Query) -> object:
        venue, contract = self._contract(query)
        if contract.linear:
            raise RestError("params error: Category is invalid")
        state = venue.told(contract.symbol, FULL)
        old = self._lagged.get(contract.symbol)
        if old:
            state = old.pop()
        if self._mismatched[contract.symbol] > 0:
            self._mismatched[contract.symbol] -= 1
            state = state._replace(u=state.u + 3)
        return self._book(contract, state, _MOST_FULL_LEVELS)

    def _book(self, contract: Contract, state: WindowState, limit: int) -> Row:
        return {
            "s": contract.symbol,
            "b": encoders.pairs(contract, state.bids[:limit]),
            "a": encoders.pairs(contract, state.asks[:limit]),
            "ts": self._now_ms,
            "u": state.u,
            "seq": state.seq,
            "cts": self._now_ms - 1,
        }

    def _funding_history(self, query: Query) -> object:
        venue, contract = self._contract(query)
        if not contract.funding_hours:
            raise RestError("params error: Category is invalid")
        interval = contract.funding_hours * _HOUR_MS
        last = self._now_ms // interval * interval
        rows = []
        for back in range(self._limit(query, 200, 200)):
            when = last - back * interval
            dice = zlib.crc32(f"{contract.symbol}{when}".encode()) / 2**32
            rate = float(venue.figures.funding[contract.row]) * (0.5 + dice)
            rows.append({"symbol": contract.symbol, "fundingRate": f"{rate:.8f}", "fundingRateTimestamp": str(when)})
        return {"category": "linear", "list": rows}

    def _open_interest(self, query: Query) -> object:
        venue, contract = self._contract(query)
        interval = _INTERVALS_MS.get(query.get("intervalTime", ""))
        if interval is None or not contract.linear:
            raise RestError("params error: intervalTime is invalid")
        last = self._now_ms // interval * interval
        rows = []
        for back in range(self._limit(query, 50, 200)):
            when = last - back * interval
            dice = zlib.crc32(f"{contract.symbol}{when}".encode()) / 2**32
            interest = float(venue.figures.open_interest[contract.row]) * (0.97 + 0.06 * dice)
            decimals = max(0, contract.listing.quantity_decimals)
            rows.append({"openInterest": f"{interest:.{decimals}f}", "timestamp": str(when)})
        return {"symbol": contract.symbol, "category": "linear", "list": rows, "nextPageCursor": ""}

    @staticmethod
    def _limit(query: Query, usual: int, most: int) -> int:
        try:
            limit = int(query.get("limit", usual))
        except ValueError:
            raise RestError("params error: limit is invalid") from None
        if limit < 1:
            raise RestError("params error: limit is invalid")
        return min(limit, most)
