"""Turns an `Explanation` into plain text for the clipboard."""

from __future__ import annotations

from app.viewmodels.sources import Explanation


def explanation_text(explanation: Explanation) -> str:
    """Return title, formula, facts, contributors and exclusions as lines of text."""
    lines = [explanation.title, explanation.formula, ""]
    width = max((len(name) for name, _ in explanation.facts), default=0)
    lines += [f"{name:<{width}}  {value}" for name, value in explanation.facts]
    if explanation.contributors:
        table = [explanation.contributor_header, *explanation.contributors]
        columns = max(len(row) for row in table)
        widths = [max((len(row[i]) for row in table if i < len(row)), default=0) for i in range(columns)]
        lines += ["", "Largest contributors"]
        lines += ["  ".join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip() for row in table]
    if explanation.excluded:
        lines += ["", f"Excluded ({len(explanation.excluded)})"]
        lines += [f"{symbol}: {reason}" for symbol, reason in explanation.excluded]
    return "\n".join(lines) + "\n"
