"""Turns the numbers of the Portfolio into text: amounts, quantities, Greeks, prices by their tick, rates in words."""

from __future__ import annotations

import math

from app.domain.contracts import ContractDetails
from app.portfolio.currency import Rate, RateKind
from app.viewmodels import formats


def money(value: float | None) -> str:
    """Return an amount: cents below ten thousand, whole units from there on."""
    if value is None or not math.isfinite(value):
        return formats.UNKNOWN
    text = f"{value:,.{0 if abs(value) >= 9_999.995 else 2}f}"
    return "0.00" if text == "-0.00" else text


def quantity(value: float) -> str:
    """Return a number of contracts or shares without needless decimals."""
    return f"{value:,.4f}".rstrip("0").rstrip(".") if value else "0"


def greek(value: float | None) -> str:
    """Return a Greek with about four significant digits."""
    if value is None or not math.isfinite(value):
        return formats.UNKNOWN
    if value == 0:
        return "0"
    magnitude = abs(value)
    digits = 4 if magnitude < 0.1 else 3 if magnitude < 1 else 2 if magnitude < 100 else 1 if magnitude < 1_000 else 0
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not any(digit in "123456789" for digit in text) else text


def price(value: float | None, details: ContractDetails | None, *, more: bool = False) -> str:
    """Return a price by the contract's tick (0.01 while it is not known, finer below 1); one decimal more for a mid
    between two ticks, and when asked for."""
    step = None if details is None or not details.tick_size else details.tick_size
    if value is None or not math.isfinite(value):
        return formats.UNKNOWN
    if step is None and abs(value) < 1:
        return formats.price(value)
    step = 0.01 if step is None else step
    decimals = formats.tick_decimals(f"{step:.10f}") or 0
    is_between = abs(round(value, decimals) - value) > 0.25 * 10.0**-decimals
    return f"{value:,.{decimals + (more or is_between)}f}"


def signed(text: str, value: float) -> str:
    """Return a text with the sign of a gain written."""
    return f"+{text}" if value > 0 and any(digit in "123456789" for digit in text) else text


def rate_words(rate: Rate | None, currency: str, now_ns: int) -> str:
    """Return at which rate an amount is converted, in words."""
    if rate is None:
        return f"{currency}: no rate is known, so it is in no sum of the base currency"
    base = rate.base or "base"
    if rate.kind is RateKind.SAME:
        return f"{currency} is the base currency"
    age = formats.age(max(0, now_ns - rate.since_ns)) if rate.since_ns else "unknown"
    where = f"quote of {rate.pair}, {age} old" if rate.kind is RateKind.QUOTE else f"broker's rate, unchanged for {age}"
    return f"1 {currency} = {rate.value:,.5f} {base} ({where})"


def plain(value: float | None) -> str:
    """Return a number of a formula."""
    return formats.UNKNOWN if value is None else f"{value:,.6g}"
