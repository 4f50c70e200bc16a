"""The figures of a card of the Feeds panel: two columns of names and values, each explained on hover."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.ui.panels.common import plain_label
from app.ui.statusbar import ElidedLabel

MARKS: Final = {"grey": "○", "amber": "◐", "green": "●", "red": "■"}
"""A sign for each light, so that colour is not the only one."""


class FactGrid(QGridLayout):
    """Shows figures in the widget `card`."""

    def __init__(self, card: QWidget) -> None:
        super().__init__()
        self._card = card
        self._values: list[QLabel] = []
        self.setHorizontalSpacing(6)
        self.setVerticalSpacing(1)
        self.setColumnStretch(1, 1)
        self.setColumnStretch(4, 1)

    def show_facts(self, facts: tuple[tuple[str, str, str], ...]) -> None:
        """Show (name, value, explanation) of every figure; their names are those of the first time."""
        for index, (name, value, tip) in enumerate(facts):
            if index == len(self._values):
                self._add(index, name)
            label = self._values[index]
            if label.text() != value:
                label.setText(value)
            label.setToolTip(f"{name}: {tip}")

    def _add(self, index: int, name: str) -> None:
        label, value = plain_label(self._card, "muted"), ElidedLabel(self._card)
        label.setText(name)
        value.setAccessibleName(name)
        line, column = index // 2, index % 2 * 3
        self.addWidget(label, line, column)
        self.addWidget(value, line, column + 1)
        self._values.append(value)
