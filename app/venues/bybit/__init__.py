"""Bybit v5: linear and spot market data."""
