"""Every setting: key, type, default, unit, bounds and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.domain.errors import SettingsError

Value = bool | int | float | str
_TRUE: Final = frozenset(("true", "yes", "on", "1"))
_FALSE: Final = frozenset(("false", "no", "off", "0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key. `kind` is the value's type; low and high are inclusive; choices limit a text."""

    key: str
    kind: type[bool] | type[int] | type[float] | type[str]
    default: Value
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False

    def parse(self, text: str) -> Value:
        """Return the value a text stands for; raise SettingsError when it is none or out of bounds."""
        word = text.strip()
        if self.kind is bool:
            if word.lower() in _TRUE:
                return True
            if word.lower() in _FALSE:
                return False
            raise SettingsError(f"{self.key}: expected true or false, was {text!r}")
        if self.kind is str:
            return self.check(word)
        try:
            return self.check(int(word) if self.kind is int else float(word))
        except ValueError:
            article = "a whole number" if self.kind is int else "a number"
            raise SettingsError(f"{self.key}: expected {article}, was {text!r}") from None

    def check(self, value: object) -> Value:
        """Return the value when it has the right type and lies inside the bounds; raise SettingsError otherwise."""
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            raise SettingsError(f"{self.key}: expected {self.kind.__name__}, was {value!r}")
        assert isinstance(value, bool | int | float | str)
        if self.choices and value not in self.choices:
            raise SettingsError(f"{self.key}: expected one of {', '.join(self.choices)}, was {value!r}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = -float("inf") if self.low is None else self.low
            high = float("inf") if self.high is None else self.high
            if not low <= value <= high:
                raise SettingsError(f"{self.key}: expected {low:g} to {high:g} {self.unit}".rstrip() + f", was {value}")
        return value


_ENDPOINT = "address of the venue; any other server that speaks its protocol can stand in"

SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(key="binance.spot.enabled", kind=bool, default=True, help="keep the books of Binance spot"),
    Setting(key="binance.usdm.enabled", kind=bool, default=True, help="keep the books of Binance USD-M futures"),
    Setting(
        key="binance.spot.ws_url",
        kind=str,
        default="wss://data-stream.binance.vision",
        help=f"spot streams: {_ENDPOINT}",
    ),
    Setting(
        key="binance.spot.rest_url",
        kind=str,
        default="https://data-api.binance.vision",
        help=f"spot REST: {_ENDPOINT}",
    ),
    Setting(
        key="binance.usdm.ws_url",
        kind=str,
        default="wss://fstream.binance.com",
        help=f"USD-M streams, without /public: {_ENDPOINT}",
    ),
    Setting(key="binance.usdm.rest_url", kind=str, default="https://fapi.binance.com", help=f"USD-M REST: {_ENDPOINT}"),
    Setting(
        key="binance.symbols",
        kind=int,
        default=100,
        unit="symbols",
        low=10,
        high=400,
        help="how many pairs of the list are followed on each market, the most traded first",
    ),
    Setting(
        key="binance.symbols_file",
        kind=str,
        default="",
        help="text file with one spot pair a line, instead of the built-in list",
    ),
    Setting(
        key="binance.refresh_symbols",
        kind=bool,
        default=False,
        help="at start rank the USDT pairs by 24 h quote volume instead of taking the list as it is",
    ),
    Setting(
        key="binance.news",
        kind=bool,
        default=True,
        help="follow tickers, funding and liquidations of every instrument for the scanner",
    ),
    Setting(
        key="binance.streams_per_connection",
        kind=int,
        default=100,
        unit="streams",
        low=2,
        high=1000,
        help="streams on one WebSocket connection (the venue allows 1024)",
    ),
    Setting(
        key="binance.stale_after",
        kind=float,
        default=3.0,
        unit="s",
        low=1.0,
        high=60.0,
        help="a connection without any frame for this long is taken as lost",
    ),
    Setting(
        key="binance.weight_share",
        kind=float,
        default=0.6,
        unit="of the minute's REST weight",
        low=0.05,
        high=0.95,
        help="how much of the venue's REST allowance snapshots may use once all books are primed",
    ),
    Setting(key="bybit.spot.enabled", kind=bool, default=True, help="follow Bybit spot"),
    Setting(key="bybit.linear.enabled", kind=bool, default=True, help="follow Bybit USDT perpetuals"),
    Setting(
        key="bybit.ws_url",
        kind=str,
        default="wss://stream.bybit.com",
        help=f"Bybit streams, without /v5/public: {_ENDPOINT}",
    ),
    Setting(
        key="bybit.spot.ws_url",
        kind=str,
        default="",
        help="Bybit spot streams where they have an address of their own (empty: bybit.ws_url)",
    ),
    Setting(key="bybit.rest_url", kind=str, default="https://api.bybit.com", help=f"Bybit REST: {_ENDPOINT}"),
    Setting(
        key="bybit.symbols",
        kind=int,
        default=50,
        unit="symbols",
        low=1,
        high=300,
        help="how many books are kept on each Bybit market, the most traded USDT instruments first",
    ),
    Setting(
        key="bybit.levels",
        kind=str,
        default="1000",
        choices=("50", "200", "1000"),
        help="levels per side of Bybit's order book streams where no full book is offered",
    ),
    Setting(
        key="bybit.spot.full_book",
        kind=bool,
        default=True,
        help="keep Bybit's full spot books (10,000 levels by REST, then every change) instead of bybit.levels",
    ),
    Setting(
        key="bybit.hot_symbols",
        kind=int,
        default=100,
        unit="symbols",
        low=0,
        high=500,
        help="most symbols without a book whose quotes are streamed on each Bybit market",
    ),
    Setting(
        key="bybit.topics_per_connection",
        kind=int,
        default=300,
        unit="topics",
        low=10,
        high=700,
        help="topics on one WebSocket connection (the venue counts 21,000 characters)",
    ),
    Setting(
        key="bybit.snapshots_per_second",
        kind=int,
        default=10,
        unit="requests/s",
        low=1,
        high=50,
        help="most requests a second for full books",
    ),
    Setting(
        key="bybit.tickers_every",
        kind=float,
        default=10.0,
        unit="s",
        low=2.0,
        high=600.0,
        help="how often the figures of the whole market are asked for, for symbols without streams of their own",
    ),
    Setting(
        key="bybit.stale_after",
        kind=float,
        default=10.0,
        unit="s",
        low=2.0,
        high=60.0,
        help="a Bybit connection without any data for this long is taken as lost",
    ),
    Setting(
        key="hyperliquid.perp.enabled", kind=bool, default=True, help="follow Hyperliquid perpetuals, with their books"
    ),
    Setting(key="hyperliquid.spot.enabled", kind=bool, default=True, help="follow the figures of Hyperliquid spot"),
    Setting(
        key="hyperliquid.ws_url",
        kind=str,
        default="wss://api.hyperliquid.xyz/ws",
        help=f"Hyperliquid streams: {_ENDPOINT}",
    ),
    Setting(
        key="hyperliquid.rest_url",
        kind=str,
        default="https://api.hyperliquid.xyz",
        help=f"Hyperliquid REST, without /info: {_ENDPOINT}",
    ),
    Setting(
        key="hyperliquid.symbols",
        kind=int,
        default=30,
        unit="symbols",
        low=1,
        high=80,
        help="how many books of Hyperliquid perpetuals are kept, the most traded first",
    ),
    Setting(
        key="hyperliquid.resolutions",
        kind=str,
        default="full,3,2",
        help="resolutions of Hyperliquid books: full, and significant figures of prices (4, 3, 2) for deeper bands; "
        "each takes one of the ten connections the venue allows an address",
    ),
    Setting(
        key="books.sample_ms",
        kind=int,
        default=200,
        unit="ms",
        low=100,
        high=1000,
        help="interval of depth ticks; symbols on screen are sampled every 50 ms besides (multiples of 50)",
    ),
    Setting(
        key="books.unconfirmed_hours",
        kind=float,
        default=24.0,
        unit="h",
        low=0.1,
        high=720.0,
        help="levels not confirmed for this long are dropped",
    ),
    Setting(
        key="books.remember",
        kind=bool,
        default=True,
        help="save the books at exit and put them, unconfirmed, beneath the first snapshots at the next start",
    ),
    Setting(
        key="scanner.stale_after",
        kind=float,
        default=60.0,
        unit="s",
        low=2,
        high=3600,
        help="figures older than this never lead to an event, and their instrument gets no streams of its own",
    ),
    Setting(
        key="scanner.cooldown",
        kind=float,
        default=300.0,
        unit="s",
        low=0,
        high=86400,
        help="least time between two events of one kind and direction of an instrument",
    ),
    Setting(
        key="scanner.depth",
        kind=str,
        default="5",
        unit="%",
        choices=("1.5", "3", "5", "8", "15", "30", "60"),
        help="depth that the Delta column measures",
    ),
    Setting(
        key="scanner.badges",
        kind=float,
        default=900.0,
        unit="s",
        low=10,
        high=86400,
        help="how long an event is counted and shown beside its instrument",
    ),
    Setting(
        key="scanner.hot_symbols",
        kind=int,
        default=40,
        unit="symbols",
        low=0,
        high=500,
        help="how many instruments of each market, besides those with books, may have live quotes (hot); a venue's own "
        "limit holds where it is lower",
    ),
    Setting(
        key="scanner.hot_stay",
        kind=float,
        default=60.0,
        unit="s",
        low=0,
        high=3600,
        help="least time an instrument keeps streams of its own once it got them",
    ),
    Setting(
        key="scanner.price.surge",
        kind=float,
        default=3.0,
        unit="%",
        low=0.1,
        high=100,
        help="PRICE_SURGE: change of the last price within the window",
    ),
    Setting(
        key="scanner.price.window",
        kind=float,
        default=300.0,
        unit="s",
        low=10,
        high=3600,
        help="PRICE_SURGE: window",
    ),
    Setting(
        key="scanner.volume.ratio",
        kind=float,
        default=3.0,
        unit="times",
        low=1.1,
        high=1000,
        help="VOLUME_SPIKE: turnover of the window against the median of such windows",
    ),
    Setting(
        key="scanner.volume.window",
        kind=float,
        default=60.0,
        unit="s",
        low=10,
        high=900,
        help="VOLUME_SPIKE: window",
    ),
    Setting(
        key="scanner.volume.baseline",
        kind=int,
        default=60,
        unit="min",
        low=5,
        high=240,
        help="VOLUME_SPIKE: how far back windows count for the median",
    ),
    Setting(
        key="scanner.volume.warmup",
        kind=int,
        default=20,
        unit="min",
        low=2,
        high=240,
        help="VOLUME_SPIKE: windows worth this long must have been seen first",
    ),
    Setting(
        key="scanner.volume.least_usd",
        kind=float,
        default=10000.0,
        unit="USD",
        low=0,
        high=1000000000000.0,
        help="VOLUME_SPIKE: least turnover of the window",
    ),
    Setting(
        key="scanner.spread.share",
        kind=float,
        default=0.5,
        unit="of normal",
        low=0.05,
        high=0.95,
        help="SPREAD_TIGHTENING: share of the median spread",
    ),
    Setting(
        key="scanner.spread.baseline",
        kind=int,
        default=30,
        unit="min",
        low=5,
        high=240,
        help="SPREAD_TIGHTENING: how far back spreads count for the median",
    ),
    Setting(
        key="scanner.spread.warmup",
        kind=int,
        default=10,
        unit="min",
        low=1,
        high=240,
        help="SPREAD_TIGHTENING: spreads of this long must have been seen first",
    ),
    Setting(
        key="scanner.spread.hold",
        kind=float,
        default=5.0,
        unit="s",
        low=0,
        high=600,
        help="SPREAD_TIGHTENING: how long the spread must stay narrow",
    ),
    Setting(
        key="scanner.spread.least_bp",
        kind=float,
        default=2.0,
        unit="bp",
        low=0,
        high=1000,
        help="SPREAD_TIGHTENING: least median spread of an instrument that is watched",
    ),
    Setting(
        key="scanner.day.warmup",
        kind=float,
        default=1800.0,
        unit="s",
        low=0,
        high=43200,
        help="NEW_HIGH, NEW_LOW: how long a UTC day must have been watched first",
    ),
    Setting(
        key="scanner.day.rearm",
        kind=float,
        default=0.5,
        unit="%",
        low=0,
        high=50,
        help="NEW_HIGH, NEW_LOW: how far the price must come back before the next event",
    ),
    Setting(
        key="scanner.volatility.ratio",
        kind=float,
        default=2.0,
        unit="times",
        low=1.1,
        high=1000,
        help="VOLATILITY_SURGE: range of the window against the median of such windows",
    ),
    Setting(
        key="scanner.volatility.window",
        kind=float,
        default=300.0,
        unit="s",
        low=10,
        high=3600,
        help="VOLATILITY_SURGE: window",
    ),
    Setting(
        key="scanner.volatility.baseline",
        kind=int,
        default=24,
        unit="windows",
        low=3,
        high=200,
        help="VOLATILITY_SURGE: how many windows count for the median",
    ),
    Setting(
        key="scanner.volatility.warmup",
        kind=int,
        default=6,
        unit="windows",
        low=1,
        high=200,
        help="VOLATILITY_SURGE: how many windows must have been seen first",
    ),
    Setting(
        key="scanner.volatility.least_pct",
        kind=float,
        default=0.5,
        unit="%",
        low=0,
        high=100,
        help="VOLATILITY_SURGE: least range of the window",
    ),
    Setting(
        key="scanner.gap.threshold",
        kind=float,
        default=3.0,
        unit="%",
        low=0.1,
        high=100,
        help="GAP: jump of the price at a new UTC day or after a hole in the data",
    ),
    Setting(
        key="scanner.gap.hole",
        kind=float,
        default=600.0,
        unit="s",
        low=10,
        high=864000,
        help="GAP: no news for this long is a hole",
    ),
    Setting(
        key="scanner.gap.confirm",
        kind=float,
        default=60.0,
        unit="s",
        low=0,
        high=3600,
        help="GAP: how long the price must keep the jump, so that bad opens do not count",
    ),
    Setting(
        key="scanner.gap.kept_share",
        kind=float,
        default=0.5,
        unit="of the jump",
        low=0,
        high=1,
        help="GAP: share of the jump that must be left then",
    ),
    Setting(
        key="scanner.gap.split_tolerance",
        kind=float,
        default=2.5,
        unit="%",
        low=0,
        high=10,
        help="GAP: a jump whose ratio is this close to that of a split is none",
    ),
    Setting(
        key="redis.url",
        kind=str,
        default="",
        secret=True,
        help="also publish ticks to this Redis, e.g. redis://127.0.0.1:6379/0 (empty: memory only)",
    ),
    Setting(
        key="database.url",
        kind=str,
        default="",
        secret=True,
        help="SQLAlchemy URL of the minute history, e.g. postgresql+psycopg://user:password@host/name "
        "(empty: SQLite in the program's folder)",
    ),
    Setting(
        key="database.spool_mb",
        kind=int,
        default=256,
        unit="MB",
        low=1,
        high=4096,
        help="how much is kept on disk while the database is away",
    ),
    Setting(
        key="server.enabled",
        kind=bool,
        default=False,
        help="serve what this program shows to browsers and scripts on one port",
    ),
    Setting(
        key="server.host",
        kind=str,
        default="127.0.0.1",
        help="address the local server listens on; one that other machines can reach needs server.allow_lan",
    ),
    Setting(
        key="server.port",
        kind=int,
        default=8765,
        low=0,
        high=65535,
        help="port of the local server (0: any free one)",
    ),
    Setting(
        key="server.interval",
        kind=float,
        default=0.2,
        unit="s",
        low=0.1,
        high=1.0,
        help="how often clients are sent what has changed",
    ),
    Setting(
        key="server.allow_lan",
        kind=bool,
        default=False,
        help="let the local server listen where other machines can reach it; the token is not encrypted on the way",
    ),
    Setting(
        key="server.names",
        kind=str,
        default="",
        help="further host names, separated by commas, under which clients may call the local server",
    ),
    Setting(
        key="server.max_clients",
        kind=int,
        default=64,
        unit="clients",
        low=1,
        high=1000,
        help="how many clients may be connected at a time",
    ),
    Setting(
        key="server.share_account",
        kind=bool,
        default=False,
        help="let clients of the local server see account data as well",
    ),
    Setting(
        key="server.token",
        kind=str,
        default="",
        secret=True,
        help="what clients have to show, 16 letters or more (empty: one is made and kept in the program's folder)",
    ),
    Setting(
        key="ui.theme", kind=str, default="dark", choices=("dark", "light"), help="colours of the window at first start"
    ),
    Setting(
        key="log.level",
        kind=str,
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="least severe line that goes to the log file",
    ),
)

BY_KEY: Final[dict[str, Setting]] = {setting.key: setting for setting in SETTINGS}


def setting(key: str) -> Setting:
    """Return the setting of that key; raise SettingsError with the nearest keys when there is none."""
    found = BY_KEY.get(key)
    if found is None:
        section = key.partition(".")[0]
        near = [name for name in BY_KEY if name.startswith(section)] or list(BY_KEY)
        raise SettingsError(f"unknown setting {key!r}; known are {', '.join(near)}")
    return found
