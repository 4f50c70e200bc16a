"""Turns a REST path and query into Binance's answer: body, status and weight headers of one market.

Weights, limits and error codes as documented (rest-api.md of binance-spot-api-docs; USDS-margined futures market data).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from app.domain.ids import Market
from app.sim import encoders, news_texts
from app.sim.answers import Answer
from app.sim.book import SimBook
from app.sim.catalogue import exchange_info
from app.sim.day import Day
from app.sim.limits import Ruling, SlidingCount, Verdict, WeightMeter
from app.sim.market import SimMarket, format_price, format_quantity
from app.sim.sidelines import USD_MARGINED

DEFAULT_WEIGHT_LIMITS = {Market.BINANCE_SPOT: 6000, Market.BINANCE_USDM: 2400}
_PREFIXES = {Market.BINANCE_SPOT: "/api/v3/", Market.BINANCE_USDM: "/fapi/v1/"}
_USDM_DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_SPOT_DEPTH_MOST = 5000
_FUNDING_REQUESTS, _FUNDING_WINDOW_S = 500, 300.0
_USUAL_FUNDING_HOURS = 8
_FUTURES_ONLY = frozenset({"premiumIndex", "fundingInfo", "openInterest"})

Row = dict[str, object]


class RestError(Exception):
    """A refused request: the venue's code and message."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        """Take the venue's code, its message and the HTTP status."""
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(slots=True)
class OldBook:
    """A copy of a book, served in place of the present one."""

    update_id: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class RestDesk:
    """Answers the REST requests of one market."""

    def __init__(self, market: Market, source: SimMarket, meter: WeightMeter, now_ms: Callable[[], int]) -> None:
        """Take the market's books and its weight meter; `now_ms` is UTC ms."""
        self.market = market
        self.meter = meter
        self.lagged: dict[str, OldBook] = {}
        self.lagged_answers_left = 0
        self._source = source
        self._now_ms = now_ms
        self._prefix = _PREFIXES[market]
        self._fundings = SlidingCount(_FUNDING_REQUESTS, _FUNDING_WINDOW_S, lambda: now_ms() / 1000)

    @property
    def _day(self) -> Day:
        return self._source.pit.days[self.market]

    def answer(self, path: str, query: str) -> Answer:
        """Answer a GET; never raises."""
        values = {key: found[-1] for key, found in parse_qs(query, keep_blank_values=True).items()}
        ruling = self.meter.spend(self._weight(path, values))
        headers = {"X-MBX-USED-WEIGHT": str(ruling.used_weight), "X-MBX-USED-WEIGHT-1M": str(ruling.used_weight)}
        if ruling.verdict is not Verdict.ALLOWED:
            headers["Retry-After"] = str(ruling.retry_after_s)
            return Answer(ruling.verdict.value, _error_body(-1003, self._refusal(ruling)), headers)
        try:
            return Answer(200, self._body(path, values).encode(), headers)
        except RestError as error:
            return Answer(error.status, _error_body(error.code, str(error)), headers)

    def _refusal(self, ruling: Ruling) -> str:
        if ruling.verdict is Verdict.BANNED:
            return (
                f"Way too much request weight used; IP banned until {int(ruling.until_s * 1000)}. "
                "Please use WebSocket Streams for live updates to avoid bans."
            )
        return (
            f"Too much request weight used; current limit is {self.meter.limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )

    def _weight(self, path: str, values: dict[str, str]) -> int:
        name = path.removeprefix(self._prefix)
        spot = self.market is Market.BINANCE_SPOT
        if name == "depth":
            return self._depth_weight(values.get("limit", ""))
        if name == "exchangeInfo":
            return 20 if spot else 1
        one = "symbol" in values
        if name == "ticker/24hr":
            if not spot:
                return 1 if one else 40
            count = 1 if one else _count_of(values.get("symbols"))
            return 2 if 1 <= count <= 20 else 40 if 21 <= count <= 100 else 80
        if name == "ticker/bookTicker":
            return 2 if one else 4 if spot else 5
        if name == "premiumIndex":
            return 1 if one else 10
        return 0 if name == "fundingInfo" else 1

    def _depth_weight(self, limit_text: str) -> int:
        limit = int(limit_text) if limit_text.isdecimal() else (100 if self.market is Market.BINANCE_SPOT else 500)
        if self.market is Market.BINANCE_USDM:
            return _USDM_DEPTH_WEIGHTS.get(limit, 2)
        return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250

    def _body(self, path: str, values: dict[str, str]) -> str:
        if not path.startswith(self._prefix):
            raise RestError(-5000, f"Path {path}, Method GET is invalid", 404)
        name = path.removeprefix(self._prefix)
        if name == "ping":
            return "{}"
        if name == "time":
            return f'{{"serverTime":{self._now_ms()}}}'
        if name == "exchangeInfo":
            return _dump(exchange_info(self.market, self._source, self.meter.limit, self._now_ms()))
        if name == "depth":
            return self._depth(values)
        if name == "ticker/24hr":
            return self._tickers(values, self._day_ticker)
        if name == "ticker/bookTicker":
            return self._tickers(values, self._book_ticker)
        if name in _FUTURES_ONLY and self.market is Market.BINANCE_USDM:
            return self._futures_figures(name, values)
        raise RestError(-5000, f"Path {path}, Method GET is invalid", 404)

    def _depth(self, values: dict[str, str]) -> str:
        book = self._find(values.get("symbol"))
        limit = self._depth_limit(values.get("limit"))
        symbol = book.listing.symbol
        if self.lagged_answers_left > 0 and symbol in self.lagged:
            self.lagged_answers_left -= 1
            old = self.lagged[symbol]
            return encoders.depth_answer(
                book.listing, old.update_id, old.bids[:limit], old.asks[:limit], self._now_ms()
            )
        update_id, bids, asks = book.snapshot(limit, ahead=True)
        return encoders.depth_answer(book.listing, update_id, bids, asks, self._now_ms())

    def _depth_limit(self, text: str | None) -> int:
        if text is None:
            return 100 if self.market is Market.BINANCE_SPOT else 500
        if not text.isdecimal() or int(text) < 1:
            raise RestError(-1100, "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.")
        limit = int(text)
        if self.market is Market.BINANCE_SPOT:
            return min(limit, _SPOT_DEPTH_MOST)
        if limit not in _USDM_DEPTH_WEIGHTS:
            raise RestError(-4021, f"{limit} is not valid depth limit.")
        return limit

    def _find(self, symbol: str | None) -> SimBook:
        if not symbol:
            raise RestError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        book = self._source.books[self.market].get(symbol)
        if book is None or not book.trading:
            raise RestError(-1121, "Invalid symbol.")
        return book

    def _place(self, symbol: str | None) -> int:
        if not symbol:
            raise RestError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        place = self._day.places.get(symbol)
        if place is None or not self._listed(place):
            raise RestError(-1121, "Invalid symbol.")
        return place

    def _listed(self, place: int) -> bool:
        row = self._day.rows[place]
        book = self._source.books[self.market].get(row.symbol)
        return row.margin == USD_MARGINED and (book is None or book.trading)

    def _places(self) -> list[int]:
        return [place for place in range(len(self._day.rows)) if self._listed(place)]

    def _tickers(self, values: dict[str, str], write: Callable[[int], Row]) -> str:
        if "symbol" in values:
            return _dump(write(self._place(values["symbol"])))
        if "symbols" in values and self.market is Market.BINANCE_SPOT:
            return _dump([write(self._place(symbol)) for symbol in _names(values["symbols"])])
        return _dump([write(place) for place in self._places()])

    def _book_ticker(self, place: int) -> Row:
        book = self._source.books[self.market].get(self._day.rows[place].symbol)
        if book is None:
            row = news_texts.touch_row(self._day, place)
        else:
            top = book.top(book.update_id)
            row = {
                "symbol": book.listing.symbol,
                "bidPrice": format_price(book.listing, top.bid),
                "bidQty": format_quantity(book.listing, top.bid_quantity),
                "askPrice": format_price(book.listing, top.ask),
                "askQty": format_quantity(book.listing, top.ask_quantity),
            }
        if self.market is Market.BINANCE_USDM:
            row |= {"lastUpdateId": book.update_id if book else self._source.step_number, "time": self._now_ms()}
        return row

    def _day_ticker(self, place: int) -> Row:
        row = news_texts.day_row(self._day, place, self._now_ms())
        if self.market is Market.BINANCE_SPOT:
            row["prevClosePrice"] = row["openPrice"]
            row |= {key: value for key, value in self._book_ticker(place).items() if key != "symbol"}
        return row

    def _futures_figures(self, name: str, values: dict[str, str]) -> str:
        day, now = self._day, self._now_ms()
        if name == "openInterest":
            return _dump(news_texts.interest_row(day, self._place(values.get("symbol")), now))
        if name == "premiumIndex":
            if "symbol" in values:
                return _dump(news_texts.premium_row(day, self._place(values["symbol"]), now))
            return _dump([news_texts.premium_row(day, place, now) for place in self._places()])
        if not self._fundings.add():
            raise RestError(-1003, "Too many requests; current limit is 500 requests per 5 minutes.", 429)
        unusual = [place for place in self._places() if int(day.hours[place]) != _USUAL_FUNDING_HOURS]
        return _dump([news_texts.funding_row(day, place) for place in unusual if day.pays_funding(place)])


def _names(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise RestError(-1100, "Illegal characters found in parameter 'symbols'.")
    return [str(name) for name in found]


def _count_of(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return len(_names(text))
    except RestError:
        return 1


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _error_body(code: int, message: str) -> bytes:
    return _dump({"code": code, "msg": message}).encode()
