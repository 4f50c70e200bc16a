"""Loopback exchanges: seeded random markets behind each venue's own protocol, with faults on command."""
