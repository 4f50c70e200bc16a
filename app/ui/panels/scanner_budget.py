"""The bar under the scanner: how many places for full streams each market uses, and who lost one last, when and why."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QToolButton, QWidget

from app.scanner.budget import Usage
from app.ui import zone
from app.ui.panels.common import open_text, plain_label
from app.ui.panels.scanner_events import short_name
from app.viewmodels.scanner_budget import ScannerBudget, turn_words, usage_words

WORDS: Final = "Hot instruments get streams of their own, not just the tickers of the whole market."
NOBODY: Final = "Nobody has lost a place yet."


class BudgetBar(QWidget):
    """One small bar per market with places; the button opens the last evictions."""

    def __init__(self, budget: ScannerBudget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._budget = budget
        self._shown: list[Usage] = []
        self._bars: list[QProgressBar] = []
        self.details = QToolButton(self)
        self.details.setProperty("flat", True)
        self.details.setText("Hot ▴")
        self.details.setAccessibleName("Subscription budget")
        self.details.setToolTip(f"{WORDS}\nClick for what lost its place last, and why")
        self.details.clicked.connect(self.open_details)
        self._last = plain_label(self, "muted")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(6, 2, 6, 2)
        self._row.setSpacing(4)
        self._row.addWidget(self.details)
        self._row.addWidget(self._last, 1)

    def refresh(self) -> None:
        """Show the present use."""
        lines = self._budget.lines()
        self.setVisible(bool(lines))
        if lines == self._shown:
            return
        self._shown = lines
        while len(self._bars) > len(lines):
            bar = self._bars.pop()
            self._row.removeWidget(bar)
            bar.deleteLater()
        while len(self._bars) < len(lines):
            bar = QProgressBar(self)
            bar.setFixedSize(138, 14)
            self._bars.append(bar)
            self._row.insertWidget(len(self._bars), bar)
        for bar, usage in zip(self._bars, lines, strict=True):
            words = usage_words(usage)
            bar.setRange(0, max(1, usage.capacity))
            bar.setValue(min(usage.used, max(1, usage.capacity)))
            bar.setFormat(f"{short_name(usage.market)} {usage.used}/{usage.capacity}")
            bar.setToolTip(words)
            bar.setAccessibleName(words)
        turns = self._budget.turns(1)
        self._last.setText(f"out: {turn_words(turns[0], zone.current())}" if turns else "")
        self._last.setToolTip(self._last.text())
        self._last.setMinimumWidth(0)

    def words(self) -> str:
        """Return everything there is to know, in lines."""
        lines = [WORDS, "", *(usage_words(usage) for usage in self._budget.lines()), "", "Lost their places last:"]
        turns = [turn_words(turn, zone.current()) for turn in self._budget.turns()]
        return "\n".join(lines + (turns or [NOBODY]))

    def open_details(self) -> QFrame:
        """Open a small window with use, evictions and reasons."""
        return open_text(self, self.words(), above=self.details)
