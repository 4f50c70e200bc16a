"""Hyperliquid: perpetuals and spot market data."""

from __future__ import annotations

from typing import Final

HAS_LIQUIDATIONS: Final = False
"""The venue tells each user of his own liquidations only; there is no public stream, so none are shown."""
