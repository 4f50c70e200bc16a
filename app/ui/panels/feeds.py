"""The Feeds panel: a card per broker and per feed, a table of connections, the event log."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QPalette, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QSplitter,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.domain.account import Source
from app.domain.health import FeedEventKind
from app.ui import icons, theme
from app.ui.models.event_log import EventLog
from app.ui.models.link_table import LinkTable
from app.ui.panels.base import Panel
from app.ui.panels.broker_card import BrokerCard
from app.ui.panels.common import QuietTable
from app.ui.panels.feed_card import FeedCard
from app.viewmodels.feeds import FeedsModel

LINK_WIDTHS: Final = (108, 66, 54, 50, 62, 66, 44, 66)
EVENT_WIDTHS: Final = (62, 86)
WIDE: Final = 900


class FeedsPanel(Panel):
    """Shows how the data comes in."""

    def __init__(self, model: FeedsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown_events = -1
        self._cards: dict[str, FeedCard] = {}
        self._brokers: dict[Source, BrokerCard] = {}
        holder = QWidget(self)
        self._card_column = QVBoxLayout(holder)
        self._card_column.setContentsMargins(0, 0, 0, 0)
        self._card_column.setSpacing(0)
        self._card_column.addStretch(1)
        self._scroll = QScrollArea(self)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        holder.setAutoFillBackground(True)
        holder.setBackgroundRole(QPalette.ColorRole.Base)
        self._scroll.setWidget(holder)
        self._links = LinkTable()
        self._links.setParent(self)
        self._link_view = self._table(self._links, LINK_WIDTHS, "Connections")
        self._log = EventLog()
        self._log.setParent(self)
        self._log_view: QTableView = self._table(self._log, EVENT_WIDTHS, "Event log")
        self._log_view.horizontalHeader().setStretchLastSection(True)
        self._log_view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self._source = QComboBox(self)
        self._source.setAccessibleName("Events of feed")
        self._source.addItem("all feeds", None)
        self._source.activated.connect(self._on_filter)
        self._kind = QComboBox(self)
        self._kind.setAccessibleName("Kind of events")
        self._kind.addItem("all events", None)
        for kind in FeedEventKind:
            self._kind.addItem(kind.value, kind.value)
        self._kind.activated.connect(self._on_filter)
        self._copy = QToolButton(self)
        self._copy.setProperty("flat", True)
        self._copy.setToolTip("Copy the chosen events, or all, as text (Ctrl+C)")
        self._copy.setAccessibleName("Copy events")
        self._copy.clicked.connect(self.copy_events)
        shortcut = QShortcut(QKeySequence.StandardKey.Copy, self._log_view)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self.copy_events)
        self._splitter = QSplitter(Qt.Orientation.Vertical, self)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self._scroll)
        self._splitter.addWidget(self._link_view)
        self._splitter.addWidget(self._log_part())
        self._splitter.setStretchFactor(0, 0)
        self._splitter.setStretchFactor(1, 0)
        self._splitter.setStretchFactor(2, 1)
        self._sized = False
        self._shape: tuple[int, ...] = ()
        self._splitter.splitterMoved.connect(self._on_splitter_moved)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._splitter)
        self._restyle(theme.current())
        theme.notifier().changed.connect(self._restyle)

    def _log_part(self) -> QWidget:
        part = QWidget(self)
        row = QHBoxLayout()
        row.setContentsMargins(6, 4, 6, 4)
        row.setSpacing(4)
        row.addWidget(self._source, 1)
        row.addWidget(self._kind, 1)
        row.addWidget(self._copy)
        column = QVBoxLayout(part)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self._log_view, 1)
        return part

    def _table(self, model: LinkTable | EventLog, widths: tuple[int, ...], name: str) -> QTableView:
        view = QuietTable(self)
        view.horizontalHeader().setMinimumSectionSize(32)
        view.show_model(model, name, widths)
        view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        return view

    def focus_target(self) -> QWidget:
        """Give the keyboard to the event log."""
        return self._log_view

    def shut(self) -> None:
        """Let go of the theme."""
        theme.notifier().changed.disconnect(self._restyle)

    def revision(self) -> Hashable:
        """Read the counters (at most twice a second) and tell whether anything has moved."""
        self._model.poll()
        return self._model.revision, self._model.events_revision

    def refresh(self, now_ns: int) -> int | None:
        """Show the counters and the new events."""
        for row in self._model.rows:
            card = self._cards.get(row.feed)
            if card is None:
                card = self._cards[row.feed] = FeedCard(row.feed, self)
                card.toggle_priming.connect(self._model.toggle_priming)
                card.cancel_priming.connect(self._model.cancel_priming)
                self._card_column.insertWidget(self._card_column.count() - 1, card)
            card.show_row(row)
        self._show_brokers()
        self._links.show_feeds(self._model.rows)
        if self._shown_events != self._model.events_revision:
            self._shown_events = self._model.events_revision
            self._fill_sources()
            self._log.show_events(self._model.events())
        else:
            self._log.redraw()
        shape = (self._links.rowCount(), len(self._brokers), *(row.primed for row in self._model.rows))
        upright = self._splitter.orientation() is Qt.Orientation.Vertical
        if upright and not self._sized and shape != self._shape and self._cards and self.height() > 200:
            self._shape = shape
            self._share_height()
        return None

    def _show_brokers(self) -> None:
        """Show a card for each way to a broker, above those of the feeds."""
        rows = self._model.brokers
        for source in [source for source in self._brokers if source not in {row.source for row in rows}]:
            self._brokers.pop(source).deleteLater()
        for index, row in enumerate(rows):
            card = self._brokers.get(row.source)
            if card is None:
                card = self._brokers[row.source] = BrokerCard(row.source, self._model.care, self)
                self._card_column.insertWidget(index, card)
            card.show_row(row)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the parts side by side where there is width and little height."""
        super().resizeEvent(event)
        wide = self.width() >= WIDE and self.width() > 2 * self.height()
        orientation = Qt.Orientation.Horizontal if wide else Qt.Orientation.Vertical
        if self._splitter.orientation() != orientation:
            self._splitter.setOrientation(orientation)
            self._sized = False
            self._shape = ()
            if wide:
                self._splitter.setSizes([300, 430, max(200, self.width() - 730)])

    def _on_splitter_moved(self) -> None:
        self._sized = True

    def _share_height(self) -> None:
        """Give cards and connections what they need, but leave two fifths to the event log."""
        cards = sum(card.sizeHint().height() for card in (*self._brokers.values(), *self._cards.values())) + 2
        links = self._link_view.horizontalHeader().height() + (self._links.rowCount() * (theme.ROW_HEIGHT - 2)) + 14
        log = max(self.height() - cards - links, self.height() * 3 // 10)
        self._splitter.setSizes([max(120, self.height() - log - links), links, log])

    def _fill_sources(self) -> None:
        for source in self._model.sources():
            if self._source.findData(source) < 0:
                self._source.addItem(source, source)

    def _on_filter(self) -> None:
        kind = self._kind.currentData()
        self._model.set_filter(self._source.currentData(), FeedEventKind(kind) if kind is not None else None)
        self._log.show_events(self._model.events())

    def copy_events(self) -> None:
        """Put the chosen events (all, when none is chosen) on the clipboard, one line each."""
        chosen = sorted({index.row() for index in self._log_view.selectionModel().selectedRows()})
        rows = chosen or range(self._log.rowCount())
        QGuiApplication.clipboard().setText("\n".join("\t".join(self._log.fields(row)) for row in rows))

    def _restyle(self, _look: theme.Theme) -> None:
        self._links.restyle()
        self._log.restyle()
        self._copy.setIcon(icons.icon("copy"))
        for card in self._cards.values():
            card.restyle()
        for broker in self._brokers.values():
            broker.restyle()

    def save_state(self) -> dict[str, object]:
        """Return the sizes of the parts and the filter."""
        return {
            "sizes": self._splitter.sizes() if self._sized else [],
            "source": self._model.source_filter,
            "kind": self._model.kind_filter.value if self._model.kind_filter is not None else None,
        }

    def restore_state(self, state: dict[str, object]) -> None:
        """Take what fits of a stored state."""
        sizes = state.get("sizes")
        if isinstance(sizes, list) and len(sizes) == 3 and all(isinstance(size, int) and size > 0 for size in sizes):
            self._splitter.setSizes(sizes)
            self._sized = True
        source, kind = state.get("source"), state.get("kind")
        if isinstance(source, str) and source:
            self._source.addItem(source, source)
            self._source.setCurrentIndex(self._source.findData(source))
        if kind in {member.value for member in FeedEventKind}:
            self._kind.setCurrentIndex(self._kind.findData(kind))
        self._on_filter()
