"""One feed in words and numbers: state, priming with pause and resume, counters, REST budget."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.ui import theme
from app.ui.panels.common import plain_label
from app.ui.panels.fact_grid import MARKS, FactGrid
from app.ui.statusbar import ElidedLabel
from app.viewmodels import formats
from app.viewmodels.feeds import FeedRow


def facts_of(row: FeedRow) -> tuple[tuple[str, str, str], ...]:
    """Return (name, value, explanation) of every figure of a card."""
    ages = [link.age_ns for link in row.links if link.age_ns is not None]
    latencies = [link.latency_ms for link in row.links if link.latency_ms is not None]
    rate = formats.UNKNOWN if row.rate is None else f"{row.rate:,.0f} /s"
    offset = formats.UNKNOWN if row.clock_offset_ms is None else f"{row.clock_offset_ms:+.0f} ms"
    return (
        ("Messages", rate, "Messages per second over all connections of this feed"),
        ("Last msg", formats.age(min(ages) if ages else None), "Time since the last message of any connection"),
        ("Latency", formats.milliseconds(max(latencies) if latencies else None), "The slowest connection"),
        ("Clock", offset, "Clock offset: the venue's clock minus ours"),
        ("Reconnects", formats.count(row.reconnects), "Connections opened anew since the start"),
        ("Gaps", formats.count(row.gaps), "Missing updates found in the sequence of a book"),
        ("Resyncs", formats.count(row.resyncs), "Books brought back into step by a fresh snapshot"),
        ("Drops", formats.count(row.dropped), "Updates left out because they were old or double"),
        ("Crossed", formats.count(row.crossed), "Books whose best bid met the best ask; never shown"),
        ("Bad frames", formats.count(row.bad_frames), "Frames that were not understood and left out"),
        ("Weight", f"{row.rest_used:,}/{row.rest_limit:,}", "REST weight used this minute, and the venue's limit"),
        ("REST", row.rest_word, row.rest_reason or f"{row.rest_requests:,} requests, {row.rest_errors:,} errors"),
    )


class FeedCard(QFrame):
    """Shows one feed; `toggle_priming` asks to pause or to go on with its snapshots, `cancel_priming` to drop them."""

    toggle_priming = Signal(str)
    cancel_priming = Signal(str)

    def __init__(self, feed: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self._feed = feed
        self._light = ""
        self._state = ElidedLabel(self)
        self._title = plain_label(self, "title")
        self._button = QPushButton(self)
        self._button.clicked.connect(self._on_clicked)
        self._cancel = QPushButton("Cancel", self)
        self._cancel.setToolTip("Drop the queue of snapshots; only books that break or come on screen are loaded")
        self._cancel.clicked.connect(self._on_cancel)
        self._progress = QProgressBar(self)
        self._progress.setTextVisible(True)
        self._reason = ElidedLabel(self)
        self._reason.setProperty("role", "warning")
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._title)
        head.addWidget(self._state, 1)
        head.addWidget(self._button)
        head.addWidget(self._cancel)
        self._facts = FactGrid(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._reason)
        layout.addWidget(self._progress)
        layout.addLayout(self._facts)

    def show_row(self, row: FeedRow) -> None:
        """Take the figures of the feed."""
        self._title.setText(row.title)
        text = f"{MARKS[row.light]} {row.word}" + (f" · {row.progress_text()}" if row.primed else "")
        if self._state.text() != text or self._light != row.light:
            self._light = row.light
            self._state.setText(text)
            self._state.setToolTip(text)
            self._state.setStyleSheet(f"color: {theme.current().light(row.light)};")
        self._reason.setText(row.reason)
        self._reason.setToolTip(row.reason)
        self._reason.setVisible(bool(row.reason))
        self._progress.setVisible(not row.primed)
        self._progress.setMaximum(max(1, row.books_total))
        self._progress.setValue(row.books_primed)
        self._progress.setFormat(row.progress_text())
        self._progress.setAccessibleName(f"{row.title}: {row.progress_text()}")
        self._progress.setToolTip(f"{row.loaded:,} snapshots loaded, {row.applied:,} updates applied")
        self._button.setText("Resume" if row.paused or row.cancelled else "Pause")
        self._button.setAccessibleName(f"{self._button.text()} taking snapshots of {row.title}")
        self._button.setToolTip("Pause or go on with taking snapshots of books")
        self._button.setVisible(not row.primed or row.queued > 0 or row.paused or row.cancelled)
        self._cancel.setAccessibleName(f"Cancel snapshots of {row.title}")
        self._cancel.setVisible(row.queued > 0 and not row.cancelled)
        self._facts.show_facts(facts_of(row))

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        self._state.setStyleSheet(f"color: {theme.current().light(self._light)};" if self._light else "")

    def _on_cancel(self) -> None:
        self.cancel_priming.emit(self._feed)

    def _on_clicked(self) -> None:
        self.toggle_priming.emit(self._feed)
