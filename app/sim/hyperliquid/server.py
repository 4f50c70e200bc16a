"""The whole simulated Hyperliquid: a market, its streams, its info endpoint, a control address, and the clock.

`HyperliquidSim` is for tests and for other programs' loops; `serve` runs one until told to stop. The control address
takes `POST /fault` (`{"name": "delist", "coin": "BTC"}` or the text `delist:BTC`), `POST /pause`, `POST /resume`,
`GET /state` and `GET /truth?coin=BTC`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qs

from app.sim.answers import Answer
from app.sim.fault_text import FaultError
from app.sim.http import HttpRequest, HttpServer
from app.sim.hyperliquid.encoders import decimal_text
from app.sim.hyperliquid.faults import USUAL_S, HyperFault, make_fault, read_untimed
from app.sim.hyperliquid.info import MALFORMED, InfoDesk
from app.sim.hyperliquid.lattice import Levels
from app.sim.hyperliquid.market import STEP_S, HyperMarket
from app.sim.hyperliquid.options import HyperOptions
from app.sim.hyperliquid.universe import Coin
from app.sim.hyperliquid.venue import HyperVenue
from app.sim.limits import WeightMeter
from app.sim.running import Simulator, run

_NEVER = 2**60
HELP = "POST /fault, POST /pause, POST /resume, GET /state, GET /truth?coin=BTC\n"


@dataclass(frozen=True, slots=True)
class HyperTruth:
    """A whole book; (price, size) texts, best first."""

    coin: str
    version: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class HyperliquidSim(Simulator[HyperFault]):
    """A simulated Hyperliquid on loopback; use as an async context manager."""

    options: HyperOptions

    def __init__(
        self, options: HyperOptions | None = None, *, now_s: Callable[[], float] = time.time, **changes: object
    ) -> None:
        """Build the market; `changes` replace single options. `now_s` gives UTC seconds."""
        options = replace(options or HyperOptions(), **changes)  # type: ignore[arg-type]  # checked by the dataclass
        super().__init__(options, beat_s=STEP_S)
        self._now_ms: Callable[[], int] = lambda: int(now_s() * 1000)
        self.market = HyperMarket(
            seed=options.seed,
            now_ms=self._now_ms(),
            perps=options.symbols,
            spots=options.symbols,
            rate=options.rate,
        )
        meter = WeightMeter(options.limits.weight_per_minute, now_s, ban_after=_NEVER)
        self.info = InfoDesk(self.market, meter, self._now_ms)
        self.venue = HyperVenue(self.market, self.info, options.limits, self._now_ms)
        self.venue.lasting = self._lasting
        self._rest = HttpServer(self._on_rest)
        self._control = HttpServer(self._on_control)
        self._until: dict[str, float] = {}

    async def _open(self) -> None:
        host, port = self.options.host, self.options.port
        await self.venue.start(host, port)
        await self._rest.start(host, port and port + 1)
        await self._control.start(host, port and port + 2)

    async def _close(self) -> None:
        await asyncio.gather(self.venue.stop(), self._rest.stop(), self._control.stop())

    # Addresses

    @property
    def ws(self) -> str:
        """Address of the streams."""
        return f"{self._ws(self.venue.port)}/ws"

    @property
    def rest(self) -> str:
        """Base of REST; the info endpoint is /info."""
        return self._http(self._rest.port)

    @property
    def control(self) -> str:
        """Base of the control address."""
        return self._http(self._control.port)

    def addresses(self) -> dict[str, str]:
        """Return every address by its name."""
        return {"ws": self.ws, "rest": self.rest, "control": self.control}

    # Time

    def step(self, count: int = 1) -> None:
        """Move the market by `count` x 100 ms at once and send what follows."""
        for _ in range(count):
            self.market.step()
            self.venue.publish(self.market.move_books(self._now_ms()))

    def pause(self) -> None:
        """Stop the market."""
        self.paused = True

    def _beat(self) -> None:
        if not self.paused:
            self.step()

    # Faults

    def fault(self, name: str, **arguments: object) -> None:
        """Begin a fault now, e.g. `fault("delist", coin="BTC")`; raise FaultError if unknown."""
        self._start(make_fault(name, **arguments))

    def _begin(self, fault: HyperFault) -> None:
        if fault.name in USUAL_S:
            seconds = USUAL_S[fault.name] if fault.duration is None else fault.duration
            self._until[fault.name] = asyncio.get_running_loop().time() + seconds
            if fault.name == "http429":
                self.info.meter.limit_for(seconds)
        elif fault.coin is not None:
            self._spoil(fault.name, self._coin(fault.coin))
        elif fault.name == "badframe":
            self.venue.say_nonsense(fault.kind)
        elif fault.name == "grow":
            self.market.list_new()
        else:
            {
                "close": self.venue.cut_all,
                "giant": self.venue.say_too_much,
                "halfopen": self.venue.half_open_all,
                "idle": self.venue.end_all_idle,
            }[fault.name]()

    def _spoil(self, name: str, coin: Coin) -> None:
        if name == "delist":
            self.market.delist(coin)
        elif name == "nullmid":
            self.market.take_mid(coin)
        elif name == "crosspower":
            self.market.cross_power_of_ten(coin)
        else:
            self.market.surges.start(coin.place, log_move=0.05)

    def _coin(self, name: str) -> Coin:
        coin = self.market.by_name.get(name)
        if coin is None:
            raise FaultError(f"expected a coin of the venue, was {name!r}")
        return coin

    def _lasting(self, name: str) -> bool:
        return asyncio.get_running_loop().time() < self._until.get(name, 0.0)

    # Views

    def truth(self, coin: str) -> HyperTruth:
        """Return the whole book as clients see it through buckets; KeyError for an unknown coin."""
        book = self.market.books[coin] if coin in self.market.books else self.market.book(coin)
        bids, asks = book.levels()
        return HyperTruth(coin, book.version, _pairs(bids, book.coin), _pairs(asks, book.coin))

    def state(self) -> dict[str, object]:
        """Return counters and the faults so far."""
        return {
            "step": self.market.step_number,
            "paused": self.paused,
            "faults": dict(Counter(self.faults_fired)),
            "books": len(self.market.books),
            **self.venue.state(),
        }

    # HTTP

    def _on_rest(self, request: HttpRequest) -> Answer:
        if request.path != "/info":
            return Answer(404, b"Not Found")
        if request.method != "POST":
            return Answer(405, b"Method Not Allowed")
        try:
            question = json.loads(request.body)
        except ValueError:
            return Answer(422, MALFORMED.encode())
        return self.info.answer(question)

    def _on_control(self, request: HttpRequest) -> Answer:
        try:
            result = self._act(request.method, request.path, request.query, request.body)
        except FaultError as error:
            return Answer(400, json.dumps({"error": str(error)}).encode())
        if result is None:
            return Answer(404, HELP.encode())
        return Answer(200, json.dumps(result).encode())

    def _act(self, method: str, path: str, query: str, body: bytes) -> dict[str, object] | None:
        if (method, path) == ("GET", "/state"):
            return self.state()
        if (method, path) == ("GET", "/truth"):
            coin = parse_qs(query).get("coin", [""])[0]
            truth = self.truth(self._coin(coin).name)
            return {"coin": coin, "version": truth.version, "bids": truth.bids, "asks": truth.asks}
        if (method, path) == ("POST", "/fault"):
            fault = _read_request(body)
            self._start(fault)
            return {"fault": fault.name}
        if (method, path) in (("POST", "/pause"), ("POST", "/resume")):
            self.paused = path == "/pause"
            return {"paused": self.paused}
        return None


def _read_request(body: bytes) -> HyperFault:
    text = body.decode(errors="replace").strip()
    if not text.startswith("{"):
        return read_untimed(text)
    try:
        values = json.loads(text)
    except ValueError:
        raise FaultError(f"expected JSON or a fault's name, was {text[:80]!r}") from None
    unknown = set(values) - {"name", "coin", "duration", "kind"}
    if unknown:
        raise FaultError(f"expected name, coin, duration and kind, was {', '.join(sorted(unknown))}")
    return make_fault(
        str(values.get("name")), coin=values.get("coin"), duration=values.get("duration"), kind=values.get("kind")
    )


def _pairs(levels: Levels, coin: Coin) -> list[tuple[str, str]]:
    price, size = coin.price_decimals, coin.size_decimals
    return [
        (decimal_text(p, price), decimal_text(q, size))
        for p, q in zip(levels.prices.tolist(), levels.sizes.tolist(), strict=True)
    ]


async def serve(options: HyperOptions, announce: Callable[[dict[str, str]], None], stop: asyncio.Event) -> None:
    """Run a simulator until `stop` is set (or standard input ends, if so wished); `announce` gets its addresses."""
    await run(HyperliquidSim(options), announce, stop)
