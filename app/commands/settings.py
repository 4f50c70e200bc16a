"""`settings`: every key with type, default, unit and help."""

from __future__ import annotations

import argparse

from app.commands.output import print_json
from app.settings.store import Settings


def show(args: argparse.Namespace, settings: Settings) -> int:
    """Print the table of settings."""
    rows = settings.describe()
    if args.json:
        print_json(rows)
        return 0
    for row in rows:
        unit = f" {row['unit']}" if row["unit"] else ""
        bounds = f", {row['low']:g} to {row['high']:g}" if row["low"] is not None and row["high"] is not None else ""
        choices = f", one of {', '.join(row['choices'])}" if row["choices"] else ""
        print(f"{row['key']}  ({row['type']}{unit}{bounds}{choices})")
        default = f"default {row['default']!r}"
        print(f"    {default}" + (f", now {row['value']!r}" if row["value"] != row["default"] else ""))
        print(f"    {row['help']}")
    for note in settings.notes:
        print(note)
    return 0
