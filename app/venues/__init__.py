"""Connections to venues: shared shells (link, rest, limiter) and one package per venue."""
