"""Turns an underlying's price and a volatility into an option's price and Greeks, by Black and Scholes.

Formulas: Hull, Options, Futures and Other Derivatives, chapters 15 and 19; European exercise, no dividends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

RATE = 0.04
_LEAST_YEARS = 1.0 / (365.0 * 24.0 * 60.0)


@dataclass(frozen=True, slots=True)
class Greeks:
    """Price and Greeks per unit; vega per percentage point of volatility, theta per calendar day."""

    price: float
    delta: float
    gamma: float
    vega: float
    theta: float


def _normal(x: float) -> float:
    return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))


def value_option(*, spot: float, strike: float, years: float, volatility: float, call: bool) -> Greeks:
    """Return what an option is worth; `years` to expiry, volatility annualised as a fraction."""
    years = max(years, _LEAST_YEARS)
    root = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (RATE + 0.5 * volatility**2) * years) / root
    d2 = d1 - root
    density = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    discount = strike * math.exp(-RATE * years)
    sign = 1.0 if call else -1.0
    decay = -spot * density * volatility / (2.0 * math.sqrt(years))
    return Greeks(
        price=max(0.0, sign * (spot * _normal(sign * d1) - discount * _normal(sign * d2))),
        delta=sign * _normal(sign * d1),
        gamma=density / (spot * root),
        vega=spot * density * math.sqrt(years) / 100.0,
        theta=(decay - sign * RATE * discount * _normal(sign * d2)) / 365.0,
    )


def smile(base: float, *, spot: float, strike: float, years: float) -> float:
    """Return the volatility of a strike: puts below the money cost more, far ones on both sides too."""
    moneyness = math.log(strike / spot) / math.sqrt(max(years, 0.02))
    shape = 1.0 - 0.10 * moneyness + 0.08 * moneyness * moneyness
    return base * min(2.5, max(0.6, shape))
