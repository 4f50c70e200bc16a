"""Lets a simulator end when it is told to, or with the program that started it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress


async def until_told(stop: asyncio.Event, *, die_with_stdin: bool) -> None:
    """Return when `stop` is set or, if so wished, when standard input ends."""
    if not die_with_stdin:
        await stop.wait()
        return
    tasks = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(_stdin_ends())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _stdin_ends() -> None:
    """Return when the parent closes our standard input, or dies."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def read_to_the_end() -> None:
        # a thread, because neither /dev/null nor a Windows pipe can be watched by the loop
        with suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read_to_the_end, name="sim stdin", daemon=True).start()
    await ended.wait()
