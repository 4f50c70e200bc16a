"""Version 2: views with one row per depth, for people and scripts.

Thresholds are not stored: every sample's threshold is its best price times the band's factor, so their mean is the mean
best price times that factor.
"""

from __future__ import annotations

from decimal import Decimal

_DEPTHS = (("1_5", "1.5"), ("3", "3"), ("5", "5"), ("8", "8"), ("15", "15"), ("30", "30"), ("60", "60"))
_SIDES = ("bid", "ask")


def _symbol_part(word: str, percent: str) -> str:
    fraction = Decimal(percent) / 100
    sides = ", ".join(
        f"{side}_{name}_{word} AS {side}_{name}" for name in ("usd", "coins", "exact", "unconfirmed") for side in _SIDES
    )
    return (
        f"SELECT symbol, market, {percent} AS depth_pct, minute, samples, partial, best_bid, best_ask, mid, spread, "
        f"best_bid * {1 - fraction} AS bid_threshold, best_ask * {1 + fraction} AS ask_threshold, {sides} "
        "FROM symbol_minutes"
    )


def _group_part(word: str, percent: str) -> str:
    sides = ", ".join(
        f"{side}_{name}_{word} AS {side}_{name}" for name in ("usd", "exact", "unconfirmed") for side in _SIDES
    )
    ratios = ", ".join(f"{name}_{word} AS {name}" for name in ("ratio_mean", "ratio_count", "ratio_exact"))
    return (
        f"SELECT name, market, {percent} AS depth_pct, minute, samples, partial, total, included, vw_mid, "
        f"{sides}, {ratios} FROM group_minutes"
    )


def statements(_dialect: str) -> tuple[str, ...]:
    """Return the SQL of this step."""
    return (
        "CREATE VIEW depth_minutes AS " + " UNION ALL ".join(_symbol_part(*depth) for depth in _DEPTHS),
        "CREATE VIEW group_depth_minutes AS " + " UNION ALL ".join(_group_part(*depth) for depth in _DEPTHS),
    )
