"""Depth indicators over market groups: pure functions on numpy arrays."""
