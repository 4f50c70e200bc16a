"""Owns what a panel has begun and not ended (a question for a file, reading of stored figures), to end it in time."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from app.viewmodels.spawning import Handle, Spawn, spawn_task


class PanelWork:
    """The coroutines of one panel. spawn: runs one; it returns None when that cannot be done yet."""

    def __init__(self, spawn: Spawn = spawn_task) -> None:
        self._spawn = spawn
        self._handles: list[Handle] = []

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run a coroutine; return whether it could be begun."""
        handle = self._spawn(work)
        if handle is not None:
            self._handles = [old for old in self._handles if not getattr(old, "done", bool)()]
            self._handles.append(handle)
        return handle is not None

    def cancel(self) -> None:
        """End what still runs."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
