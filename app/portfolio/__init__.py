"""Positions, orders, profit and loss, market data lines: pure, over what brokers tell."""
