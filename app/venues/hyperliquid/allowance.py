"""What the venue allows one address, shared by all sessions of this program (rate-limits-and-user-limits).

Ten connections at a time, thirty new ones a minute, 1,000 subscriptions, 2,000 messages a minute over all connections,
REST weight of 1,200 a minute. Some room is left for a second program behind the same address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from app.domain.ids import Market
from app.venues.bans import BanStore
from app.venues.limiter import RateLimit, WeightBudget

WEIGHT_PER_MINUTE: Final = 1200
BOOK_WEIGHT: Final = 2
TABLE_WEIGHT: Final = 20
SUBSCRIPTIONS: Final = {Market.HYPERLIQUID_PERP: 650, Market.HYPERLIQUID_SPOT: 350}
"""How many of the thousand subscriptions each market may have."""
_CONNECTS_PER_MINUTE: Final = 25
_MESSAGES_PER_MINUTE: Final = 1500


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Allowance:
    """The counters of one address of the venue. connects and messages run on monotonic, weight on the venue's time."""

    connects: RateLimit = field(default_factory=lambda: RateLimit(_CONNECTS_PER_MINUTE, 60.0))
    messages: RateLimit = field(default_factory=lambda: RateLimit(_MESSAGES_PER_MINUTE, 60.0))
    weight: WeightBudget = field(default_factory=lambda: WeightBudget(WEIGHT_PER_MINUTE))
    bans: BanStore = field(default_factory=lambda: BanStore(None))
