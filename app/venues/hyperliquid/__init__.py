"""Hyperliquid: perpetuals and spot market data."""
