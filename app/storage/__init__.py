"""Stores: ticks (memory, Redis), minutes and events (SQLAlchemy), recordings, layouts."""
