"""Fathom: a depth workstation that never prints a number without how well it is known."""

__version__ = "0.1.0"
