"""The Portfolio: account bar, positions as a tree or flat, allocation and the day's profit and loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Final

from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QSplitter, QVBoxLayout, QWidget

from app.domain.account import Source
from app.domain.units import NS_PER_MS
from app.ui import theme, zone
from app.ui.dialogs import ask
from app.ui.models.portfolio_table import FLASH_MS, FLASH_STEPS, SECTION, PortfolioTree
from app.ui.panels.base import Panel
from app.ui.panels.care_buttons import BrokerBanner
from app.ui.panels.common import LinkButton, plain_label, restore_split, show_columns, shown_columns, tool_button
from app.ui.panels.portfolio_bar import PortfolioBar
from app.ui.panels.portfolio_charts import PortfolioCharts
from app.ui.panels.portfolio_view import PortfolioView
from app.ui.panels.work import PanelWork
from app.viewmodels.broker_care import BrokerCare
from app.viewmodels.portfolio import PortfolioModel
from app.viewmodels.portfolio_columns import BY_KEY, COLUMNS, KEYS, chosen_widths
from app.viewmodels.portfolio_nodes import Node
from app.viewmodels.spawning import Spawn, spawn_task

FADE_NS: Final = FLASH_MS * NS_PER_MS // FLASH_STEPS
CHARTS_HEIGHT: Final = 190
CHARTS_FROM: Final = 470
"""Below this height of the panel the positions need all of it."""


class PortfolioPanel(Panel):
    """Shows a portfolio. care: what only the user can do for its source, None: no buttons for it; spawn: runs a
    coroutine (reading stored minutes, dialogs)."""

    has_own_news = True

    def __init__(
        self,
        model: PortfolioModel,
        parent: QWidget | None = None,
        *,
        care: BrokerCare | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        spawn: Spawn = spawn_task,
    ) -> None:
        super().__init__(parent)
        self.model = model
        self._monotonic_ns = monotonic_ns
        self._work = PanelWork(spawn)
        self._now_ns = 0
        self._seen = -1
        self._curve_key: Hashable = None
        self._columns: tuple[str, ...] = ()
        self._menu_open = False
        self._is_syncing = False
        self._is_laid_out = False
        self._wants_charts = True
        self._forces_charts = False
        self.items = PortfolioTree(model)
        self.items.setParent(self)
        self.banner = BrokerBanner(care, self) if care is not None else None
        self.bar = PortfolioBar(model, self)
        self.view = PortfolioView(self.items, self)
        self.charts = PortfolioCharts(model, self)
        self.footer = plain_label(self, "muted")
        self.footer.setContentsMargins(8, 3, 8, 3)
        self.footer.setWordWrap(True)
        self._make_tools()
        self._splitter = QSplitter(Qt.Orientation.Vertical, self)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self.view)
        self._splitter.addWidget(self.charts)
        self._splitter.setStretchFactor(0, 1)
        self._splitter.setStretchFactor(1, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        if self.banner is not None:
            layout.addWidget(self.banner)
        layout.addWidget(self.bar)
        layout.addLayout(self._tools)
        layout.addWidget(self._splitter, 1)
        layout.addWidget(self.footer)
        self._connect()
        self._show_columns()

    def _make_tools(self) -> None:
        self.tree_button = tool_button(self, "By underlying", "Group positions by their underlying, with subtotals")
        self.flat_button = tool_button(self, "Flat", "List every position by itself")
        for button in (self.tree_button, self.flat_button):
            button.setCheckable(True)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText("Filter positions")
        self.filter.setAccessibleName("Filter positions")
        self.filter.setClearButtonEnabled(True)
        self.filter.setMaximumWidth(220)
        self.columns = tool_button(self, "Columns ▾", "Choose the columns")
        self.charts_button = tool_button(self, "Charts", "Show or hide allocation and the curve of the day")
        self.charts_button.setCheckable(True)
        self.more = tool_button(self, "⋯", "Copy and export")
        self.link = LinkButton(self)
        self._tools = QHBoxLayout()
        self._tools.setContentsMargins(8, 2, 8, 4)
        self._tools.setSpacing(4)
        for widget in (self.tree_button, self.flat_button, self.filter):
            self._tools.addWidget(widget)
        self._tools.addStretch(1)
        for widget in (self.columns, self.charts_button, self.more, self.link):
            self._tools.addWidget(widget)

    def _connect(self) -> None:
        model, header = self.model, self.view.header()
        self.bar.source_chosen.connect(self._on_source)
        self.bar.account_chosen.connect(lambda account: self._take(partial(model.set_account, account)))
        self.tree_button.clicked.connect(lambda: self._take(lambda: model.set_tree(True)))
        self.flat_button.clicked.connect(lambda: self._take(lambda: model.set_tree(False)))
        self.filter.textChanged.connect(lambda text: self._take(partial(model.set_filter, text)))
        self.columns.clicked.connect(lambda: self._open(self.columns_menu(), self.columns))
        self.charts_button.clicked.connect(lambda: self.show_charts(self.charts_button.isChecked(), forced=True))
        self.more.clicked.connect(lambda: self._open(self._more_menu(), self.more))
        self.link.group_chosen.connect(self._on_group)
        self.view.clicked.connect(self._on_clicked)
        self.view.activated.connect(self._on_clicked)
        self.view.expanded.connect(partial(self._on_folded, False))
        self.view.collapsed.connect(partial(self._on_folded, True))
        self.view.customContextMenuRequested.connect(self._on_menu)
        header.sectionClicked.connect(lambda at: self._take(partial(model.set_sorting, KEYS[at])))
        header.sectionMoved.connect(self._on_moved)
        header.customContextMenuRequested.connect(self._on_header_menu)
        for keys, work in (
            (QKeySequence.StandardKey.Copy, self.copy_row),
            (QKeySequence.StandardKey.Find, self.filter.setFocus),
        ):
            shortcut = QShortcut(QKeySequence(keys), self.view)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(work)
        theme.notifier().changed.connect(self._restyle)
        zone.notifier().changed.connect(self._on_zone)

    # -- the frame clock -----------------------------------------------------------------------------------------

    def revision(self) -> Hashable:
        """Return what moves with values, with the quotes of this frame, and while marked digits fade."""
        self.model.poll(hold=self.view.is_pointed or self._menu_open)
        fading = self._monotonic_ns() // FADE_NS if self.items.is_flashing else 0
        return self.model.revision, self.model.quotes_revision, fading

    def refresh(self, now_ns: int) -> int | None:
        """Show new prices, and everything else when it was computed anew; return when the newest price came."""
        self._now_ns = now_ns
        model, mono_ns = self.model, self._monotonic_ns()
        moved = model.follow_prices()
        if self._seen != model.revision:
            self._seen = model.revision
            self._show_all(mono_ns)
        else:
            self.items.follow(moved, mono_ns)
            self.view.repaint_moving()
        return max((model.prices[key].updated_ns for key in moved), default=0) or None

    def _show_all(self, mono_ns: int) -> None:
        model = self.model
        chosen = self._chosen_key()
        bar = self.view.verticalScrollBar()
        offset = bar.value()
        if self.model.shown_columns != self._columns:
            self._show_columns()
        if self.items.show_lines(mono_ns):
            self._fold()
            self._choose(chosen)
            bar.setValue(offset)
        self.view.viewport().update()
        self.bar.show_model()
        self.link.show_group(model.link_group)
        self.tree_button.setChecked(model.lines.is_tree)
        self.flat_button.setChecked(not model.lines.is_tree)
        self.view.setRootIsDecorated(model.lines.is_tree)
        trouble = model.state.trouble if model.desk is not None else ""
        self.view.show_words(model.message(), trouble)
        if self.banner is not None:
            self.banner.poll((model.source,) if model.source is not None else (), trouble)
        if self.charts.isVisible():
            self.charts.refresh()
        self._show_footer()
        source = model.source
        self.title_changed.emit("" if source is None else f"{source.full_name} {model.state.mode}".strip())
        self._load_curve()

    def _show_footer(self) -> None:
        model = self.model
        parts = []
        differing = sum(bool(row.notable) for row in model.rows)
        checked = sum(bool(row.checks) for row in model.rows)
        notable = [check.figure for check in model.view.checks if check.is_notable]
        if checked:
            words = f"{differing} of {checked} positions DIFFER from the broker's figures (column Check)"
            agree = "1 position agrees" if checked == 1 else f"{checked} positions agree"
            parts.append(words if differing else f"{agree} with the broker's figures")
        parts += [f"{name} of the account differs from our sum" for name in notable]
        parts += model.view.conversions
        if any("†" in model.lines.text(node, key) for node in self._all_nodes() for key in ("daily", "unrealised")):
            parts.append("† the broker's figure")
        self.footer.setText("  ·  ".join(parts))
        warns = bool(differing or notable)
        role = "warning" if warns else "muted"
        if self.footer.property("role") != role:
            self.footer.setProperty("role", role)
            self.footer.style().unpolish(self.footer)
            self.footer.style().polish(self.footer)
        self.footer.setVisible(bool(parts))

    def _all_nodes(self) -> list[Node]:
        return [each for node in self.model.lines.nodes for each in (node, *node.children)]

    def set_active(self, active: bool) -> None:
        """Read the stored minutes when the panel comes on screen."""
        if active:
            self._curve_key = None

    def _load_curve(self) -> None:
        """Read the stored minutes of a day, a source and its accounts once."""
        key = (self.model.source, self.model.known_accounts, self.model.day[0])
        if key != self._curve_key and self.model.source is not None:
            self._curve_key = key if self._work.start(self.model.load_curve()) else None

    def shut(self) -> None:
        """Let go of open dialogs, theme, zone and quotes."""
        self._work.cancel()
        if self.banner is not None:
            self.banner.shut()
        theme.notifier().changed.disconnect(self._restyle)
        zone.notifier().changed.disconnect(self._on_zone)
        self.model.shut()

    def focus_target(self) -> QWidget:
        """Give the keyboard to the positions."""
        return self.view

    # -- showing -------------------------------------------------------------------------------------------------

    def _take(self, choice: Callable[[], object]) -> None:
        """Give a choice to the model and show what came of it."""
        choice()
        self._show_columns()
        self.items.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(COLUMNS) - 1)
        self.refresh(self._now_ns)
        self.view.viewport().update()

    def _show_columns(self) -> None:
        self._is_syncing = True
        self._columns = self.model.shown_columns
        show_columns(self.view.header(), KEYS, self._columns)
        self._is_syncing = False

    def _fold(self) -> None:
        for place, node in enumerate(self.model.lines.nodes):
            if node.children:
                self.view.setExpanded(self.items.index(place, 0), str(node.key) not in self.model.collapsed)

    def _on_folded(self, folded: bool, index: QModelIndex) -> None:
        node = self.items.node(index)
        if node is not None and node.children:
            (self.model.collapsed.add if folded else self.model.collapsed.discard)(str(node.key))

    def show_charts(self, shown: bool, *, forced: bool = False) -> None:
        """Show or hide the pictures below the positions; unless forced they wait until the panel is high enough."""
        self._wants_charts, self._forces_charts = shown, shown and forced
        self._place_charts()

    def _place_charts(self) -> None:
        shown = self._wants_charts and (self._forces_charts or self.height() >= CHARTS_FROM)
        self.charts_button.setChecked(shown)
        if shown != self.charts.isVisibleTo(self):
            self.charts.setVisible(shown)
            if shown:
                self.charts.refresh()

    def resizeEvent(self, event: Any) -> None:
        """Give the pictures their height at first."""
        super().resizeEvent(event)
        self._place_charts()
        if not self._is_laid_out and self.height() > 300:
            self._is_laid_out = True
            self._splitter.setSizes([self.height() - CHARTS_HEIGHT, CHARTS_HEIGHT])

    def _restyle(self, _look: theme.Theme) -> None:
        self.items.restyle()
        self.view.restyle()
        self._seen = -1
        self.refresh(self._now_ns)

    def _on_zone(self, _zone: str) -> None:
        self.charts.plot.update()

    # -- choosing ------------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> Node | None:
        """Return the line that has the keyboard, None when none has."""
        return self.items.node(self.view.currentIndex())

    def _chosen_key(self) -> tuple[object, ...] | None:
        node = self.chosen
        return None if node is None else node.key

    def _choose(self, key: tuple[object, ...] | None) -> None:
        if key is not None:
            index = self.items.index_of(key)
            if index.isValid():
                self.view.setCurrentIndex(index)

    def _on_clicked(self, index: QModelIndex) -> None:
        node = self.items.node(index)
        if node is not None and node.row is not None:
            self.model.pick(node.row)
        elif node is not None and node.children and node.children[0].row is not None:
            self.model.pick(node.children[0].row)

    def _on_source(self, source: object) -> None:
        if isinstance(source, Source):
            self._take(partial(self.model.set_source, source))

    def _on_group(self, group: object) -> None:
        self.model.link_group = group if isinstance(group, str) else None

    def _on_moved(self, _section: int, _before: int, _after: int) -> None:
        if not self._is_syncing:
            visible = shown_columns(self.view.header(), KEYS)
            self.model.set_columns([key for key in visible if key != "account" or key in self.model.columns])

    # -- menus ---------------------------------------------------------------------------------------------------

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        return menu

    def _open(self, menu: QMenu, under: QWidget) -> None:
        menu.popup(under.mapToGlobal(under.rect().bottomLeft()))

    def columns_menu(self) -> QMenu:
        """Return a menu of all columns with marks at the visible ones."""
        menu = self._menu()
        for column in COLUMNS:
            action = menu.addAction(column.title)
            action.setToolTip(column.help)
            action.setCheckable(True)
            action.setChecked(column.key in self.model.columns)
            action.setEnabled(column.key != "instrument")
            action.triggered.connect(lambda _=False, key=column.key: self._take(partial(self.model.toggle_column, key)))
        menu.addSeparator()
        menu.addAction("Usual columns", lambda: self._take(lambda: self.model.set_columns(())))
        return menu

    def _on_header_menu(self, position: QPoint) -> None:
        self.columns_menu().popup(self.view.header().mapToGlobal(position))

    def _more_menu(self) -> QMenu:
        menu = self._menu()
        menu.addAction("Copy table as CSV", self.copy_csv)
        menu.addAction("Save table as CSV…", self.save_csv)
        if self.model.lines.is_tree:
            menu.addSeparator()
            menu.addAction("Expand all", lambda: self._fold_all(False))
            menu.addAction("Collapse all", lambda: self._fold_all(True))
        return menu

    def _fold_all(self, folded: bool) -> None:
        (self.view.collapseAll if folded else self.view.expandAll)()

    def _on_menu(self, position: QPoint) -> None:
        index = self.view.indexAt(position)
        node = self.items.node(index)
        if node is None:
            return
        self.view.setCurrentIndex(index)
        menu = self.menu_of(node, KEYS[index.column()])
        self._menu_open = True
        menu.aboutToHide.connect(self._on_menu_closed)
        menu.popup(self.view.viewport().mapToGlobal(position))

    def _on_menu_closed(self) -> None:
        self._menu_open = False

    def menu_of(self, node: Node, key: str) -> QMenu:
        """Return the menu of a cell."""
        menu, clipboard = self._menu(), QGuiApplication.clipboard()
        menu.addAction("Copy row\tCtrl+C", lambda: self.copy_row(node))
        menu.addAction("Copy cell", lambda: clipboard.setText(self.model.lines.text(node, key)))
        menu.addAction(
            f"Copy why: {BY_KEY[key].title}".replace("&", "&&"),
            lambda: clipboard.setText(self.model.lines.why(node, key)),
        )
        row = node.row
        if row is not None:
            symbol = row.contract.symbol
            menu.addAction("Copy symbol", lambda: clipboard.setText(symbol))
            menu.addSeparator()
            menu.addAction(f"Show only {symbol}".replace("&", "&&"), lambda: self.filter.setText(symbol))
        menu.addSeparator()
        menu.addAction("Copy table as CSV", self.copy_csv)
        menu.addAction("Save table as CSV…", self.save_csv)
        return menu

    # -- copies --------------------------------------------------------------------------------------------------

    def copy_row(self, node: Node | None = None) -> None:
        """Put a line (default: the chosen one) on the clipboard as it is shown, cells parted by tabs."""
        chosen = self.chosen if node is None else node
        if chosen is not None:
            QGuiApplication.clipboard().setText(self.items.row_text(chosen))

    def csv_text(self) -> str:
        """Return all positions and columns that are shown as CSV."""
        return ask.csv_text(self.model.export_header(), self.model.lines.export_rows(self.model.shown_columns))

    def copy_csv(self) -> None:
        """Put the table on the clipboard as CSV."""
        QGuiApplication.clipboard().setText(self.csv_text())

    def save_csv(self) -> None:
        """Ask for a file and write the table."""
        self._work.start(ask.save_csv(self, "Export the portfolio", "portfolio", self._now_ns, self.csv_text()))

    # -- layout --------------------------------------------------------------------------------------------------

    def save_state(self) -> dict[str, object]:
        """Return the model's choices with widths and the pictures."""
        header = self.view.header()
        return {
            **self.model.save(),
            "widths": {key: header.sectionSize(SECTION[key]) for key in self.model.columns},
            "charts": self._wants_charts,
            "split": self._splitter.sizes(),
        }

    def restore_state(self, state: dict[str, object]) -> None:
        """Take what fits of a stored state."""
        self.model.restore(state)
        for key, width in chosen_widths(state.get("widths")).items():
            self.view.header().resizeSection(SECTION[key], width)
        self.show_charts(state.get("charts") is not False)
        if restore_split(self._splitter, state.get("split")):
            self._is_laid_out = True
        self._take(lambda: None)
