"""Which faults of the simulated TWS last at present, and what ends them in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.sim.tws.faults import Fault
from app.sim.tws.ticks import Spoil

SILENT = ("lost", "dataloss", "server")
"""While one of these lasts, TWS has no connection to its server."""


class Conditions:
    """Lasting faults by name and symbol; each is ended by its time or by `calm`."""

    def __init__(self) -> None:
        """Start with none."""
        self._lasting: dict[tuple[str, str | None], tuple[Callable[[], None] | None, asyncio.TimerHandle | None]] = {}

    def begin(self, fault: Fault, on_end: Callable[[], None] | None = None) -> None:
        """Let a fault last for its duration, or until `calm`; one that lasts already begins anew."""
        key = (fault.name, fault.symbol)
        self._forget(key)
        timer = None
        if fault.duration is not None:
            timer = asyncio.get_running_loop().call_later(fault.duration, self._end, key)
        self._lasting[key] = (on_end, timer)

    def active(self, name: str, symbol: str | None = None) -> bool:
        """Return whether a fault lasts, for that symbol or for all of them."""
        return (name, None) in self._lasting or (symbol is not None and (name, symbol) in self._lasting)

    @property
    def silent(self) -> bool:
        """Whether TWS is cut off from its server."""
        return any(self.active(name) for name in SILENT)

    def spoil(self, symbol: str) -> Spoil:
        """Return what faults do to the quotes of a symbol."""
        return Spoil(
            no_prices=self.active("noprices", symbol),
            crossed=self.active("crossed", symbol),
            unset=self.active("unset", symbol),
        )

    @property
    def names(self) -> list[str]:
        """What lasts, for people."""
        return [name if symbol is None else f"{name}:{symbol}" for name, symbol in self._lasting]

    def calm(self) -> None:
        """End everything now."""
        for key in list(self._lasting):
            self._end(key)

    def close(self) -> None:
        """Forget everything without a word."""
        for key in list(self._lasting):
            self._forget(key)

    def _end(self, key: tuple[str, str | None]) -> None:
        found = self._lasting.get(key)
        self._forget(key)
        if found is not None and found[0] is not None:
            found[0]()

    def _forget(self, key: tuple[str, str | None]) -> None:
        found = self._lasting.pop(key, None)
        if found is not None and found[1] is not None:
            found[1].cancel()
