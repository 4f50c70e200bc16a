"""From Hyperliquid's POST /info to books, lists of instruments and their turnover (info endpoint).

Every request is a POST to one path with what is wanted in its body; here it is named by a path as `protocol.info_path`
makes it, so that budget, failures and recordings work as for the other venues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from app.domain.clock import Clock
from app.domain.errors import BadFrameError
from app.domain.health import FeedHealth
from app.domain.instruments import Instrument
from app.venues.hyperliquid import protocol
from app.venues.hyperliquid.allowance import BOOK_WEIGHT, TABLE_WEIGHT, WEIGHT_PER_MINUTE, Allowance
from app.venues.hyperliquid.messages import PerpMeta, SpotMeta
from app.venues.hyperliquid.naming import perp_instrument
from app.venues.hyperliquid.protocol import PerpTable, SpotTable
from app.venues.rest import Posting, RestClient, RestError

PERP_TABLE: Final = protocol.info_path("metaAndAssetCtxs")
SPOT_TABLE: Final = protocol.info_path("spotMetaAndAssetCtxs")
_NOTHING: Final = b"null"
_T = TypeVar("_T")


def _knows_nothing(status: int, body: bytes) -> bool:
    """Tell whether an answer says that the market is unknown: it is null then, with either status."""
    return status in (200, 500) and body.strip() == _NOTHING


_POSTING: Final = Posting(address=protocol.INFO_PATH, body_of=protocol.request_body, means_unknown=_knows_nothing)


class HyperliquidApi:
    """The REST side of both markets."""

    def __init__(self, base_url: str, health: FeedHealth, clock: Clock, allowance: Allowance) -> None:
        """Prepare; nothing is asked yet. Raises FatalFeedError for an address that is none."""
        self.rest = RestClient(
            base_url, health, clock, allowance.bans, weight_limit=WEIGHT_PER_MINUTE, posting=_POSTING
        )
        self.rest.budget = allowance.weight
        self._health = health

    async def close(self) -> None:
        """Close the connections to the host."""
        await self.rest.close()

    async def perp_table(self, share: float = 1.0) -> tuple[bytes, tuple[PerpMeta, PerpTable]]:
        """Return universe and figures of all perpetuals, raw and read. Raises RestError."""
        raw = await self.rest.get(PERP_TABLE, TABLE_WEIGHT, share)
        return raw, self._read(protocol.decode_perp_market, raw)

    async def spot_table(self, share: float = 1.0) -> tuple[bytes, tuple[SpotMeta, SpotTable]]:
        """Return tokens, pairs and figures of all spot pairs, raw and read. Raises RestError."""
        raw = await self.rest.get(SPOT_TABLE, TABLE_WEIGHT, share)
        return raw, self._read(protocol.decode_spot_market, raw)

    def book_wait_s(self, share: float) -> float:
        """Return 0 when a book may be asked for now, else the time to wait."""
        return self.rest.wait_s(BOOK_WEIGHT, share)

    async def book(self, path: str) -> bytes:
        """Ask for a book at once and return the raw body. Raises RestError."""
        return await self.rest.send(path, BOOK_WEIGHT)

    def _read(self, decode: Callable[[bytes], _T], raw: bytes) -> _T:
        try:
            return decode(raw)
        except BadFrameError as error:
            self._health.rest_errors += 1
            raise RestError(f"{self.rest.host} sent something that is not as documented: {error}") from None


def rank_perps(meta: PerpMeta, table: PerpTable, count: int, always: Iterable[str] = ()) -> list[Instrument]:
    """Return the perpetuals with the largest turnover of the day, largest first; those of the base coins named
    `always` among them in any case.
    """
    turnover: dict[str, float] = {}
    found: dict[str, Instrument] = {}
    for listing, ctx in zip(meta.universe, table.contexts, strict=False):
        if not listing.isDelisted and ctx is not None:
            found[listing.name] = perp_instrument(listing, ctx.midPx or ctx.markPx)
            turnover[listing.name] = ctx.dayNtlVlm
    ranked = sorted(found, key=lambda name: (-turnover[name], name))
    wanted = set(always)
    kept = [name for name in ranked if found[name].base in wanted][:count]
    kept += [name for name in ranked if name not in kept][: count - len(kept)]
    return [found[name] for name in ranked if name in set(kept)]
