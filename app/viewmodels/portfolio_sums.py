"""Turns subtotals of the Portfolio into texts: "≈" where parts are missing, with how many are known and in what."""

from __future__ import annotations

from app.portfolio.groups import Group, Subtotal
from app.viewmodels import formats
from app.viewmodels.portfolio_columns import BY_KEY, Kind
from app.viewmodels.portfolio_numbers import greek, money, signed


def sum_text(subtotal: Subtotal, key: str) -> str:
    """Return the text of a sum: "≈" when some parts are missing, "" for a column that has none."""
    found = subtotal.sums.get(key)
    if found is None or not found.of:
        return ""
    if found.value is None:
        return formats.UNKNOWN
    column = BY_KEY[key]
    value = found.value * 100 if key == "weight" else found.value
    text = f"{value:,.2f}" if column.kind is Kind.PCT else money(value) if column.kind is Kind.MONEY else greek(value)
    text = signed(text, value) if column.signed else text
    return text if found.is_whole else f"{formats.PARTIAL_SIGN} {text}"


def sum_why(subtotal: Subtotal, key: str, name: str) -> str:
    """Return what a sum adds, what is missing from it and why."""
    column, found = BY_KEY[key], subtotal.sums.get(key)
    lines = [f"{name}, {column.title}: {sum_text(subtotal, key) or formats.UNKNOWN}"]
    if found is None or not found.of:
        if key in ("delta", "gamma"):
            lines.append("deltas of different underlyings are not added; see delta value and β-weighted delta")
        return "\n".join(lines)
    lines.append(f"sum of {found.of} positions, {found.words}")
    if key in subtotal.in_base:
        lines.append(f"in {subtotal.currency or 'the base currency'}")
        base = subtotal.in_base[key]
        if base is not found and base != found:
            lines.append(f"in base: {money(base.value)} ({base.words})")
    notional = sum(row.is_notional for row in subtotal.rows)
    if key in ("market_value", "weight") and notional:
        lines.append(f"{notional} of them count with their notional value, which is not part of net liquidation")
    if not found.is_whole:
        lines.append("PARTIAL: the sum is of the known parts only")
    return "\n".join(lines)


def group_label(group: Group) -> str:
    """Return the name of a group."""
    return f"{group.key.symbol} futures" if group.key.kind == "future" else group.key.symbol
