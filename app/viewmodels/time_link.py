"""Carries the time axis, and the crosshair, of one chart to the other charts of its link group."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimeView:
    """What a time axis shows: a span in seconds and its right edge in epoch seconds (None: follow the newest value)."""

    span_s: float
    end_s: float | None = None

    @property
    def follows(self) -> bool:
        """Whether the right edge is the newest value."""
        return self.end_s is None


class TimeLinks:
    """The views and crosshairs of every link group; charts look for a new `revision` and never hear a signal."""

    def __init__(self) -> None:
        self.revision = 0
        self._views: dict[str, TimeView] = {}
        self._cursors: dict[str, float] = {}
        self.first_s: float | None = None
        """Epoch seconds of the oldest value that any chart has drawn."""

    def note_first(self, at_s: float) -> None:
        """Take the time of a chart's oldest value."""
        if self.first_s is None or at_s < self.first_s:
            self.first_s = at_s

    def view(self, group: str) -> TimeView | None:
        """Return the group's time axis, None before any chart has set one."""
        return self._views.get(group)

    def set_view(self, group: str, view: TimeView) -> None:
        """Move the time axis of a whole group."""
        if self._views.get(group) != view:
            self._views[group] = view
            self.revision += 1

    def cursor(self, group: str) -> float | None:
        """Return the epoch seconds under the group's crosshair, None when the pointer is elsewhere."""
        return self._cursors.get(group)

    def set_cursor(self, group: str, at_s: float | None) -> None:
        """Move the crosshair of a whole group, or take it away."""
        if self._cursors.get(group) == at_s:
            return
        if at_s is None:
            del self._cursors[group]
        else:
            self._cursors[group] = at_s
        self.revision += 1
