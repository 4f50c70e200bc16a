"""Names of venues, markets and feeds, spelled once for the whole program."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Venue(StrEnum):
    """A place where instruments trade."""

    BINANCE = "binance"
    BYBIT = "bybit"
    HYPERLIQUID = "hyperliquid"
    IBKR = "ibkr"

    @property
    def full_name(self) -> str:
        """Name for people."""
        return "IBKR" if self is Venue.IBKR else self.value.capitalize()

    @property
    def markets(self) -> tuple[Market, ...]:
        """Return its markets, spot first."""
        return tuple(market for market in Market if market.venue is self)

    @property
    def has_books(self) -> bool:
        """Return whether its order books are kept; of a broker's stocks there are quotes only."""
        return self is not Venue.IBKR


class MarketKind(StrEnum):
    """What is traded: coins themselves, futures on them, or stocks."""

    SPOT = "SPOT"
    FUTURES = "FUTURES"
    STOCK = "STOCK"


class Market(StrEnum):
    """One market of one venue; books of different markets are never mixed.

    The value is what databases, layouts and recordings hold; Binance's two, the first there were, carry no venue.
    """

    BINANCE_SPOT = "spot"
    BINANCE_USDM = "usdm"
    BYBIT_SPOT = "bybit.spot"
    BYBIT_LINEAR = "bybit.linear"
    HYPERLIQUID_SPOT = "hyperliquid.spot"
    HYPERLIQUID_PERP = "hyperliquid.perp"
    IBKR_STOCK = "ibkr.stock"

    @property
    def venue(self) -> Venue:
        """Return the venue it belongs to."""
        return _VENUES[self]

    @property
    def kind(self) -> MarketKind:
        """Return whether coins, futures or stocks are traded."""
        return _KINDS[self]

    @property
    def word(self) -> str:
        """Return the venue's own word for the market: spot, usdm, linear, perp or stock."""
        return self.value.rpartition(".")[2]

    @property
    def has_books(self) -> bool:
        """Return whether its order books are kept."""
        return self.venue.has_books

    @property
    def feed(self) -> FeedId:
        """Return the feed that brings this market."""
        return FeedId(self.venue, self)

    @property
    def label(self) -> str:
        """Return the name on screen and on the wire to other programs; Binance is meant where no venue is named."""
        return self.kind.value if self.venue is Venue.BINANCE else f"{self.venue.value.upper()} {self.kind.value}"

    @property
    def full_name(self) -> str:
        """Return venue and kind for people, e.g. `Bybit FUTURES`."""
        return f"{self.venue.full_name} {self.kind.value}"

    @classmethod
    def of(cls, venue: Venue, kind: MarketKind) -> Market:
        """Return the market of that kind at that venue; raise ValueError when there is none."""
        found = next((market for market in cls if market.venue is venue and market.kind is kind), None)
        if found is None:
            raise ValueError(f"expected a market of {venue.full_name}, was {kind.value}")
        return found

    @classmethod
    def from_label(cls, text: str) -> Market:
        """Return the market named by a label, a value, a feed or a common synonym; raise ValueError otherwise.

        `futures` alone is Binance's, `bybit futures` and `bybit.futures` are Bybit's. Only
        markets with books can be named so.
        """
        words = text.strip().lower().replace(".", " ").replace("_", " ").replace(":", " ").split()
        named = words[0] if words else ""
        is_named = named in _VENUE_WORDS
        venue = Venue(named) if is_named else Venue.BINANCE
        kind = _SYNONYMS.get(" ".join(words[is_named:]))
        if kind is None:
            raise ValueError(f"expected a market such as spot, futures or bybit futures, was {text!r}")
        return cls.of(venue, kind)


_VENUE_WORDS: Final = frozenset(venue.value for venue in Venue)
_VENUES: Final = {
    Market.BINANCE_SPOT: Venue.BINANCE,
    Market.BINANCE_USDM: Venue.BINANCE,
    Market.BYBIT_SPOT: Venue.BYBIT,
    Market.BYBIT_LINEAR: Venue.BYBIT,
    Market.HYPERLIQUID_SPOT: Venue.HYPERLIQUID,
    Market.HYPERLIQUID_PERP: Venue.HYPERLIQUID,
    Market.IBKR_STOCK: Venue.IBKR,
}
_KINDS: Final = {market: MarketKind.SPOT if market.value.endswith("spot") else MarketKind.FUTURES for market in Market}
_KINDS[Market.IBKR_STOCK] = MarketKind.STOCK
_SYNONYMS: Final = {
    "spot": MarketKind.SPOT,
    "usdm": MarketKind.FUTURES,
    "usd-m": MarketKind.FUTURES,
    "linear": MarketKind.FUTURES,
    "futures": MarketKind.FUTURES,
    "future": MarketKind.FUTURES,
    "perp": MarketKind.FUTURES,
    "perpetual": MarketKind.FUTURES,
}

BOOK_VENUES: Final = tuple(venue for venue in Venue if venue.has_books)
BOOK_MARKETS: Final = tuple(market for market in Market if market.has_books)
BOOK_KINDS: Final = tuple(kind for kind in MarketKind if any(market.kind is kind for market in BOOK_MARKETS))
"""What panels of order books, charts and the local server can be about."""


@dataclass(frozen=True, slots=True, order=True)
class FeedId:
    """One venue's stream of one market; `str()` gives e.g. `binance.spot`."""

    venue: Venue
    market: Market

    def __str__(self) -> str:
        return f"{self.venue.value}.{self.market.word}"
