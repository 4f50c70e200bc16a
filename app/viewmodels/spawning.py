"""How a view model or a panel starts a coroutine: given from outside, so that a test can run it when it wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class Handle(Protocol):
    """Something started that can be called off."""

    def cancel(self) -> object:
        """Call it off."""
        ...


Spawn = Callable[[Coroutine[Any, Any, None]], Handle | None]


def spawn_task(work: Coroutine[Any, Any, None]) -> Handle | None:
    """Run a coroutine on the running loop; return None, with the coroutine closed, when no loop runs yet."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        work.close()
        return None
    return loop.create_task(work)
