"""The scanner's menus: what can be done with a row, which columns there are, and saved scans."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from app.domain.ids import Market
from app.scanner.columns import COLUMNS, Column
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_budget import PROMOTED_MINUTES


def _menu(parent: QWidget) -> QMenu:
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    menu.setToolTipsVisible(True)
    return menu


def _add(menu: QMenu, text: str, work: Callable[[], object], tip: str = "") -> QAction:
    action = menu.addAction(text.replace("&", "&&"))
    action.triggered.connect(lambda _=False: work())
    if tip:
        action.setToolTip(tip)
    return action


def columns_menu(parent: QWidget, model: ScannerModel, changed: Callable[[], None]) -> QMenu:
    """Return a menu of all columns with marks at the visible ones."""
    menu = _menu(parent)

    def toggle(key: str) -> None:
        model.toggle_column(key)
        changed()

    def reset() -> None:
        model.set_columns(())
        changed()

    for column in COLUMNS:
        action = _add(menu, column.title, partial(toggle, column.key), column.help)
        action.setCheckable(True)
        action.setChecked(column.key in model.columns)
        action.setEnabled(column.key != "symbol")
    menu.addSeparator()
    _add(menu, "Usual columns", reset)
    return menu


def scans_menu(parent: QWidget, model: ScannerModel, changed: Callable[[], None], save: Callable[[], None]) -> QMenu:
    """Return a menu of saved scans, with saving and deleting."""
    menu = _menu(parent)
    current = model.current_scan()

    def apply(name: str) -> None:
        model.apply_scan(name)
        changed()

    def delete(name: str) -> None:
        model.delete_scan(name)
        changed()

    for name, scan in sorted(model.scans.items()):
        action = _add(menu, name, partial(apply, name), scan.filter or "no filter")
        action.setCheckable(True)
        action.setChecked(name == current)
    if not model.scans:
        menu.addAction("No saved scans yet").setEnabled(False)
    menu.addSeparator()
    _add(menu, "Save this scan…", save, "Keep columns, sorting and filter under a name")
    if model.scans:
        forget = menu.addMenu("Delete")
        for name in sorted(model.scans):
            _add(forget, name, partial(delete, name))
    return menu


class RowActions:
    """What the panel does for a row; each takes the board's row unless it says otherwise."""

    def __init__(
        self,
        *,
        favourite: Callable[[int], None],
        open_book: Callable[[int], None],
        copy_row: Callable[[int], None],
        copy_symbol: Callable[[int], None],
        alert: Callable[[str], None],
        filter: Callable[[str], None],
        now_ns: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self.favourite = favourite
        self.open_book = open_book
        self.copy_row = copy_row
        self.copy_symbol = copy_symbol
        self.alert = alert
        self.filter = filter
        self.now_ns = now_ns
        self.changed = changed


def row_menu(parent: QWidget, model: ScannerModel, row: int, column: Column, do: RowActions) -> QMenu:
    """Return what can be done with a row, at a column."""
    menu = _menu(parent)
    market, symbol = model.instrument(row)
    if market.has_books:
        _add(menu, f"Open {symbol} in order book\tEnter", lambda: do.open_book(row))
    star = "Remove from favourites" if model.is_favourite(row) else "Add to favourites"
    _add(menu, f"{star}\tCtrl+D", lambda: do.favourite(row))
    menu.addSeparator()
    _add_budget(menu, model, row, market, symbol, do)
    condition = alert_condition(model, row, column)
    figure = condition_of(model, row, column)
    if condition:
        _add(menu, f"Alert when {figure}…", lambda: do.alert(condition))
        _add(menu, f"Show only {figure}", lambda: do.filter(figure))
    elif figure:
        _add(menu, f"Show only {figure}", lambda: do.filter(figure))
    menu.addSeparator()
    _add(menu, "Copy row\tCtrl+C", lambda: do.copy_row(row))
    _add(menu, "Copy symbol", lambda: do.copy_symbol(row))
    return menu


def _add_budget(menu: QMenu, model: ScannerModel, row: int, market: Market, symbol: str, do: RowActions) -> None:
    budget = model.budget
    if not budget.has_places(market):
        return

    def pin(wanted: bool) -> None:
        budget.set_pinned(market, symbol, wanted)
        do.changed()

    if budget.is_pinned(market, symbol):
        _add(menu, "Unpin", lambda: pin(False), "Let it compete for a place again")
    else:
        _add(menu, "Pin hot", lambda: pin(True), "Always give it full streams")
        if (market, symbol) not in budget.hot():
            words = f"Let it count as looked at for {PROMOTED_MINUTES} minutes, which nearly always gives it a place"
            _add(menu, "Promote to hot", lambda: budget.promote(row, do.now_ns()), words)
    menu.addSeparator()


def condition_of(model: ScannerModel, row: int, column: Column) -> str:
    """Return the condition that a cell stands for: venue == "bybit", change_24h >= 3.1; "" when it is not known."""
    if column.is_text:
        word = model.board.text(column.key, row)
        return f'{column.key} == "{word}"' if word else ""
    assert column.source is not None
    value = float(model.board.values[column.source, row])
    if not math.isfinite(value):
        return ""
    return f"{column.key} {'<=' if value < 0 else '>='} {_number(value)}"


def alert_condition(model: ScannerModel, row: int, column: Column) -> str:
    """Return the condition that a cell's figure of just this instrument stands for, "" when there is none."""
    if column.is_text or column.key in ("age", "events"):
        return ""
    figure = condition_of(model, row, column)
    market, symbol = model.instrument(row)
    if not figure or '"' in symbol:
        return ""
    kind = market.kind.value.lower()
    return f'symbol == "{symbol}" and venue == "{market.venue.value}" and market == "{kind}" and {figure}'


def _number(value: float) -> str:
    """Return a number as a condition takes it, with six digits and never as 1e+06."""
    text = f"{value:.6g}"
    if "e" in text:
        text = f"{value:.0f}" if abs(value) >= 1 else f"{value:.12f}".rstrip("0")
    return text
