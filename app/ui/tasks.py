"""Owns the coroutines that a window starts: each has a name, an owner and someone who hears of its failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from app.domain.errors import FathomError

_log = logging.getLogger("fathom.ui.tasks")


class TaskBag:
    """A group of tasks that ends with its window. report takes a sentence for the user when a task fails."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._report = report
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        """Run a coroutine; after `close` it is dropped."""
        if self._closed:
            coroutine.close()
            return
        task = asyncio.get_running_loop().create_task(coroutine, name=f"window: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if isinstance(error, FathomError | OSError):
            _log.warning("%s failed: %s", task.get_name(), error)
        else:
            _log.error("%s failed", task.get_name(), exc_info=error)
        self._report(f"{task.get_name().removeprefix('window: ').capitalize()} failed: {error}")

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        self._closed = True
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
