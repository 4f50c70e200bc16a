"""Turns subscribe frames of the simulated Hyperliquid into subscriptions, as its documents define them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from app.sim.hyperliquid.encoders import dump
from app.sim.hyperliquid.info import Malformed, Request, resolution_of, text_of
from app.sim.hyperliquid.universe import BUILDER_DEX

PER_COIN = frozenset({"l2Book", "bbo", "trades", "activeAssetCtx"})
WHOLE_MARKET = frozenset({"assetCtxs", "allDexsAssetCtxs", "spotAssetCtxs"})
_TYPES = PER_COIN | WHOLE_MARKET | {"allMids"}


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a client wants to hear; equal ones are the same to the venue."""

    kind: str
    coin: str = ""
    figures: int | None = None
    mantissa: int | None = None
    dex: str = ""

    def text(self) -> str:
        """Return it as answers show it."""
        row: dict[str, object] = {"type": self.kind}
        if self.kind in PER_COIN:
            row["coin"] = self.coin
        if self.kind == "l2Book":
            row |= {"nSigFigs": self.figures, "mantissa": self.mantissa}
        if self.dex:
            row["dex"] = self.dex
        return dump(row)


def read_subscription(value: object) -> Subscription:
    """Return the subscription a frame names; raise Malformed when the venue has none like it."""
    if not isinstance(value, dict):
        raise Malformed("subscription")
    kind = text_of(value, "type")
    if kind not in _TYPES:
        raise Malformed("type")
    if kind in PER_COIN:
        coin = text_of(value, "coin")
        return Subscription(kind, coin, *resolution_of(value)) if kind == "l2Book" else Subscription(kind, coin)
    dex = value.get("dex") or ""
    if dex not in ("", BUILDER_DEX):
        raise Malformed("dex")
    return Subscription(kind, dex=str(dex))


def read_frame(text: str | bytes) -> Request:
    """Return a frame's object; raise Malformed when it is none."""
    try:
        frame = json.loads(text)
    except ValueError:
        raise Malformed("JSON") from None
    if not isinstance(frame, dict):
        raise Malformed("object")
    return frame
