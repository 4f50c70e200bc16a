"""What a session to TWS needs to know: where it is, under which number it comes, how long it waits for what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from app.domain.errors import SettingsError
from app.venues.backoff import BackoffPolicy

CLIENT_IDS: Final = 9
"""The id that was chosen and eight more above it are tried when one is taken."""
REFUSED: Final = BackoffPolicy(first_s=0.25, cap_s=2.0)
"""A closed port costs nothing to ask, and TWS shall be found soon after its daily restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwsOptions:
    """Times in seconds. client_id: 1 or more (0 would bind orders made by hand). delayed: take delayed quotes where
    there is no live subscription. lines_limit: market data lines open at once. timeout_s: for each question.

    probe_s: how long the first question for open orders may take. pnl_positions: positions whose profit and loss is
    asked one by one. quiet_s: how long a line that TWS warned of may stay without a price before it is freed.
    repeat_s: when silent lines are opened once more after TWS has dropped messages for haste.
    """

    host: str = "127.0.0.1"
    port: int = 7496
    client_id: int = 1
    delayed: bool = True
    lines_limit: int = 100
    timeout_s: float = 10.0
    probe_s: float = 5.0
    orders_every_s: float = 1.0
    completed_every_s: float = 5.0
    executions_every_s: float = 15.0
    clock_every_s: float = 5.0
    competing_every_s: float = 60.0
    quiet_s: float = 10.0
    repeat_s: float = 3.0
    tick_s: float = 1.0
    pnl_positions: int = 200
    history_at_once: int = 4
    history_cache_s: float = 600.0
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
    refused: BackoffPolicy = REFUSED

    def __post_init__(self) -> None:
        """Raise SettingsError for what TWS would take for a right to write, or could not mean."""
        if self.client_id < 1:
            raise SettingsError(f"expected a TWS client id of 1 or more, was {self.client_id}")
        if not 0 < self.port < 65536:
            raise SettingsError(f"expected a port from 1 to 65535, was {self.port}")
