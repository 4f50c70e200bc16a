"""The Live Trading panel: orders, executions, one order's timeline and quote. It can do nothing to an order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QSplitter, QVBoxLayout, QWidget

from app.domain.account import Source
from app.ui import theme, zone
from app.ui.dialogs import ask
from app.ui.models.order_tables import fill_table, order_table
from app.ui.panels.base import Panel
from app.ui.panels.care_buttons import BrokerBanner
from app.ui.panels.common import plain_label, restore_split
from app.ui.panels.lines_view import LinesView
from app.ui.panels.live_trading_bar import NoteRows, TradingBar
from app.ui.panels.live_trading_detail import OrderDetail
from app.ui.panels.work import PanelWork
from app.viewmodels import formats
from app.viewmodels.broker_care import BrokerCare
from app.viewmodels.live_trading import LiveTradingModel
from app.viewmodels.order_export import FILL_HEADER, ORDER_HEADER, fill_rows, order_rows
from app.viewmodels.order_filter import Group, Period
from app.viewmodels.spawning import Spawn, spawn_task

BESIDE: Final = 820
"""From this width on the timeline is beside the executions, else below them."""


class LiveTradingPanel(Panel):
    """Shows a `LiveTradingModel`. care: what only the user can do for its sources, None: no buttons for it; spawn runs
    a coroutine: reading earlier days, saving a file."""

    has_own_news = True

    def __init__(
        self,
        model: LiveTradingModel,
        parent: QWidget | None = None,
        *,
        care: BrokerCare | None = None,
        spawn: Spawn = spawn_task,
    ) -> None:
        super().__init__(parent)
        self.model = model
        self._work = PanelWork(spawn)
        self._title = ""
        self._is_laid_out = False
        model.set_zone(zone.current())
        self.banner = BrokerBanner(care, self) if care is not None else None
        self.bar = TradingBar(model, self)
        self.notes = NoteRows(self)
        self.orders = LinesView(order_table(model), "Orders", self)
        self.fills = LinesView(fill_table(model), "Executions", self)
        self.detail = OrderDetail(model, self)
        self.empty = plain_label(self, "muted")
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.empty.setContentsMargins(10, 10, 10, 10)
        self.fills_head = plain_label(self, "muted")
        self.detail_head = plain_label(self, "muted")
        self._lower = QSplitter(Qt.Orientation.Horizontal, self)
        self._lower.setChildrenCollapsible(False)
        self._lower.addWidget(_part(self._lower, self.fills_head, (self.fills,)))
        self._lower.addWidget(_part(self._lower, self.detail_head, (self.detail,)))
        self._splitter = QSplitter(Qt.Orientation.Vertical, self)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(_part(self._splitter, None, (self.orders, self.empty)))
        self._splitter.addWidget(self._lower)
        self._splitter.setStretchFactor(0, 1)
        self._splitter.setStretchFactor(1, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        if self.banner is not None:
            layout.addWidget(self.banner)
        layout.addWidget(self.bar)
        layout.addWidget(self.notes)
        layout.addWidget(self._splitter, 1)
        self._connect()
        self._show(model.now_ns)

    def _connect(self) -> None:
        self.bar.changed.connect(self._on_choice)
        self.bar.more.clicked.connect(lambda _checked=False: self._open_more())
        self.notes.offered.connect(self._on_offered)
        for view in (self.orders, self.fills):
            view.picked.connect(self._on_picked)
            view.left.connect(self._on_choice)
            view.resorted.connect(self._on_choice)
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        find.activated.connect(lambda: self.bar.text.setFocus())
        theme.notifier().changed.connect(self._restyle)
        zone.notifier().changed.connect(self._on_zone)

    # -- the frame clock -----------------------------------------------------------------------------------------

    def revision(self) -> Hashable:
        """Return what moves with orders, fills, the quote, and once a second for ages."""
        return self.model.revision

    def refresh(self, now_ns: int) -> int | None:
        """Show what is new; return when the newest of it arrived."""
        if self.model.wants_reading():
            self._work.start(self.model.read())
        newest_ns = self.model.note_shown(now_ns)
        self._show(now_ns)
        return newest_ns

    def _show(self, now_ns: int) -> None:
        model = self.model
        model.refresh(now_ns)
        self.bar.show_model()
        notes = model.notes()
        self.notes.show_notes(notes)
        if self.banner is not None:
            self.banner.poll(model.chosen, "\n".join(note.text for note in notes))
        self.orders.table.show_lines(model.orders, hold=self.orders.is_pointed, fresh=model.line_of)
        self.fills.table.show_lines(model.fills, hold=self.fills.is_pointed, fresh=model.fill_of)
        rows = self.orders.table.rowCount()
        self.orders.setVisible(bool(rows))
        self.empty.setVisible(not rows)
        self.empty.setText(self._nothing())
        self.orders.pick(model.picked)
        self.detail.refresh()
        self._show_words(now_ns)

    def _show_words(self, now_ns: int) -> None:
        model = self.model
        shown = len(model.orders)
        words = [f"{shown} orders" if shown == model.total else f"{shown} of {model.total} orders"]
        if self.orders.table.waiting:
            words.append(f"{self.orders.table.waiting} new at the end")
        speed, tip = model.shown(now_ns), ""
        if speed is not None:
            last, worst = formats.milliseconds(speed.last_ms), formats.milliseconds(speed.worst_ms)
            words.append(f"news in {last}")
            tip = f"From the arrival of news to this table: {last}, at most {worst} in the last minute"
        self.bar.show_words(words, tip)
        head = [f"Executions {len(model.fills)}", model.commission_text()]
        self.fills_head.setText(" · ".join(part for part in head if part))
        line = model.picked_line
        side = line.state.side.value if line is not None else ""
        self.detail_head.setText(
            f"Order {side} {line.filled_text} {line.contract.label}" if line is not None else "Timeline"
        )
        title = f"{model.chosen_text} {model.paper}".strip()
        if title != self._title:
            self._title = title
            self.title_changed.emit(title)

    def _nothing(self) -> str:
        model = self.model
        if not model.sources:
            return ""
        if model.total:
            return f"None of {model.total} orders is shown by this filter."
        if any(note.offer is not None for note in model.notes()):
            return "Orders cannot be seen from this source."
        when = model.filter.period.value
        return "No orders in the last 24 hours." if model.filter.period is Period.LAST_DAY else f"No orders: {when}."

    # -- choices -------------------------------------------------------------------------------------------------

    def _on_choice(self) -> None:
        self._show(self.model.now_ns)

    def _on_picked(self, key: object) -> None:
        self.model.pick(key)
        self.orders.pick(self.model.picked)
        self._on_choice()

    def _on_offered(self, source: object) -> None:
        if isinstance(source, Source):
            self.model.choose(source)
            self._on_choice()

    def _on_zone(self, _name: str) -> None:
        self.model.set_zone(zone.current())
        for view in (self.orders, self.fills, self.detail.timeline):
            view.table.redraw()

    def _restyle(self, _look: theme.Theme) -> None:
        for view in (self.orders, self.fills, self.detail.timeline):
            view.table.restyle()
        self.notes.restyle()
        self._on_choice()

    def set_active(self, active: bool) -> None:
        """Ask for the quote while the panel is on screen."""
        self.model.set_active(active)

    def shut(self) -> None:
        """Let go of theme, zone, quotes and what still runs."""
        self._work.cancel()
        if self.banner is not None:
            self.banner.shut()
        theme.notifier().changed.disconnect(self._restyle)
        zone.notifier().changed.disconnect(self._on_zone)
        self.model.shut()

    def focus_target(self) -> QWidget:
        """Give the keyboard to the orders."""
        return self.orders

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the timeline beside the executions where there is room."""
        super().resizeEvent(event)
        wide = self.width() >= BESIDE
        wanted = Qt.Orientation.Horizontal if wide else Qt.Orientation.Vertical
        if self._lower.orientation() != wanted or not self._is_laid_out:
            self._is_laid_out = True
            self._lower.setOrientation(wanted)
            share = self.width() if wide else self.height() // 2
            self._lower.setSizes([share * 56 // 100, share * 44 // 100])
            upper = self.height() * (54 if wide else 42) // 100
            self._splitter.setSizes([upper, self.height() - upper])

    # -- export --------------------------------------------------------------------------------------------------

    def more_menu(self) -> QMenu:
        """Return the menu of columns and export."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for title, view in (("Columns of orders", self.orders), ("Columns of executions", self.fills)):
            columns = view.columns_menu()
            columns.setTitle(title)
            menu.addMenu(columns)
        menu.addSeparator()
        for what in ("orders", "executions"):
            save = menu.addAction(f"Export {what} as CSV…")
            save.triggered.connect(lambda _checked=False, w=what: self.save_csv(w))
            copy = menu.addAction(f"Copy {what} as CSV")
            copy.triggered.connect(lambda _checked=False, w=what: self.copy_csv(w))
        return menu

    def _open_more(self) -> None:
        self.more_menu().popup(self.bar.more.mapToGlobal(self.bar.more.rect().bottomLeft()))

    def csv_text(self, what: str) -> str:
        """Return the shown orders or executions as CSV."""
        if what == "orders":
            return ask.csv_text(ORDER_HEADER, order_rows(self.model.orders))
        return ask.csv_text(FILL_HEADER, fill_rows(self.model.fills))

    def copy_csv(self, what: str) -> None:
        """Put the shown orders or executions on the clipboard as CSV."""
        QGuiApplication.clipboard().setText(self.csv_text(what))

    def save_csv(self, what: str) -> None:
        """Ask for a file and write the shown orders or executions."""
        self._work.start(ask.save_csv(self, f"Export {what}", what, self.model.now_ns, self.csv_text(what)))

    # -- layout --------------------------------------------------------------------------------------------------

    def save_state(self) -> dict[str, object]:
        """Return source, filters, columns and sizes."""
        return {
            "source": self.model.choice.value if self.model.choice is not None else None,
            "group": self.model.filter.group.value,
            "period": self.model.filter.period.value,
            "orders": self.orders.save_state(),
            "fills": self.fills.save_state(),
            "timeline": self.detail.timeline.save_state(),
            "split": self._splitter.sizes(),
            "lower": self._lower.sizes(),
        }

    def restore_state(self, state: dict[str, object]) -> None:
        """Take what fits of a stored state."""
        source, group, period = state.get("source"), state.get("group"), state.get("period")
        if source in {known.value for known in Source}:
            self.model.choose(Source(source))
        if group in {known.value for known in Group}:
            self.model.set_group(Group(group))
        if period in {known.value for known in Period if known is not Period.DAY}:
            self.model.set_period(Period(period))
        for key, view in (("orders", self.orders), ("fills", self.fills), ("timeline", self.detail.timeline)):
            view.restore_state(state.get(key))
        for key, splitter in (("split", self._splitter), ("lower", self._lower)):
            if restore_split(splitter, state.get(key)):
                self._is_laid_out = True
        self._on_choice()


def _part(parent: QWidget, head: QLabel | None, widgets: Sequence[QWidget]) -> QWidget:
    """Return widgets below a heading."""
    part = QWidget(parent)
    column = QVBoxLayout(part)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    if head is not None:
        row = QHBoxLayout()
        row.setContentsMargins(8, 4, 8, 2)
        row.addWidget(head, 1)
        column.addLayout(row)
    for widget in widgets:
        column.addWidget(widget, 1)
    return part
