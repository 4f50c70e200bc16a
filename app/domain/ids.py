"""Names of venues, markets and feeds, spelled once for the whole program."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Venue(StrEnum):
    """A place where instruments trade."""

    BINANCE = "binance"


class Market(StrEnum):
    """A kind of market; books of different markets are never mixed."""

    SPOT = "spot"
    USDM = "usdm"

    @property
    def label(self) -> str:
        """Word shown on screen and used on the wire to other programs."""
        return "SPOT" if self is Market.SPOT else "FUTURES"

    @classmethod
    def from_label(cls, text: str) -> Market:
        """Return the market named by a label, a value or a common synonym; raise ValueError otherwise."""
        word = text.strip().lower()
        if word == "spot":
            return cls.SPOT
        if word in ("usdm", "futures", "future", "perp", "usd-m"):
            return cls.USDM
        raise ValueError(f"expected spot or usdm, was {text!r}")


@dataclass(frozen=True, slots=True, order=True)
class FeedId:
    """One venue's stream of one market; `str()` gives e.g. `binance.spot`."""

    venue: Venue
    market: Market

    def __str__(self) -> str:
        return f"{self.venue.value}.{self.market.value}"
