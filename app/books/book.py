"""An order book of two sides: diffs and snapshots in, levels and best prices out."""

from __future__ import annotations

from app.books.side import Levels, Side
from app.domain.units import ASK, BID


class OrderBook:
    """Both sides of one symbol's book; what is proven about them is kept per side (`Side.reach_key`)."""

    __slots__ = ("asks", "bids", "ghosts")

    def __init__(self) -> None:
        self.bids = Side(-1)
        self.asks = Side(1)
        self.ghosts = 0
        """How many unconfirmed levels were dropped because the other side's proven price refuted them."""

    @property
    def sides(self) -> tuple[Side, Side]:
        """Return bids and asks."""
        return self.bids, self.asks

    def side(self, which: int) -> Side:
        """Return one side by `BID` or `ASK`."""
        return self.bids if which == BID else self.asks

    def apply(self, bids: Levels, asks: Levels) -> None:
        """Take absolute quantities per price; 0 removes a level, removing one that is not held is normal."""
        self.bids.queue(bids)
        self.asks.queue(asks)

    def load(self, bids: Levels, asks: Levels, *, limit: int, unbroken: bool) -> None:
        """Merge a snapshot asked for with `limit` levels per side.

        Inside its bounds it replaces what is held; beyond them held levels stay as they are. A side that returned
        fewer levels than asked is complete. unbroken: the diff chain held since the previous snapshot, so that what
        it proved stays proven.
        """
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            side.replace(levels, complete=len(levels) < limit, keep_reach=unbroken)

    def distrust(self, now_ns: int) -> None:
        """Mark all levels unconfirmed since `now_ns`: the chain broke."""
        self.bids.distrust(now_ns)
        self.asks.distrust(now_ns)

    def distrust_beyond_reach(self, now_ns: int) -> None:
        """Mark the levels that no snapshot proves unconfirmed since `now_ns`; what is proven stays so."""
        self.bids.distrust(now_ns, beyond_reach=True)
        self.asks.distrust(now_ns, beyond_reach=True)

    def expire(self, before_ns: int) -> int:
        """Drop levels that are unconfirmed since before that time (UTC ns); return how many."""
        return self.bids.expire(before_ns) + self.asks.expire(before_ns)

    def clear(self) -> None:
        """Forget everything."""
        self.bids.clear()
        self.asks.clear()

    def best(self) -> tuple[float, float]:
        """Return best bid and best ask, NaN for an empty side."""
        return self.bids.best(), self.asks.best()

    def crossed(self) -> bool:
        """Tell whether best bid > best ask, after dropping unconfirmed levels which proven ones refute."""
        bid, ask = self.best()
        if not bid > ask:
            return False
        proven_bid, proven_ask = self.bids.best_confirmed(), self.asks.best_confirmed()
        self.ghosts += self.bids.drop_unconfirmed_better_than(proven_ask)
        self.ghosts += self.asks.drop_unconfirmed_better_than(proven_bid)
        bid, ask = self.best()
        return bid > ask

    @property
    def has_unconfirmed(self) -> bool:
        """Whether some level may be unconfirmed."""
        return self.bids.has_unconfirmed or self.asks.has_unconfirmed

    def __len__(self) -> int:
        return len(self.bids) + len(self.asks)

    def nbytes(self) -> int:
        """Return the bytes held by the arrays of both sides."""
        return self.bids.nbytes() + self.asks.nbytes()


__all__ = ["ASK", "BID", "OrderBook"]
