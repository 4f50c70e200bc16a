"""Turns the lines of a `PortfolioModel` into a Qt tree: groups with their positions below, or positions alone.

Digits that rose or fell are marked for a moment; the colour of a gain or loss comes with its sign. New values are not
announced cell by cell: the one view there is repaints what has moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QBrush, QFont

from app.domain.units import NS_PER_MS
from app.ui import theme
from app.ui.charts import palette
from app.viewmodels.portfolio import PortfolioModel
from app.viewmodels.portfolio_columns import COLUMNS, KEYS, LIVE
from app.viewmodels.portfolio_nodes import Node

_Index = QModelIndex | QPersistentModelIndex
Key = tuple[object, ...]

_DISPLAY: Final = int(Qt.ItemDataRole.DisplayRole)
_ALIGN: Final = int(Qt.ItemDataRole.TextAlignmentRole)
_TIP: Final = int(Qt.ItemDataRole.ToolTipRole)
_FOREGROUND: Final = int(Qt.ItemDataRole.ForegroundRole)
_BACKGROUND: Final = int(Qt.ItemDataRole.BackgroundRole)
_FONT: Final = int(Qt.ItemDataRole.FontRole)
_SIZE: Final = int(Qt.ItemDataRole.SizeHintRole)
_RIGHT: Final = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
_LEFT: Final = int((Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter).value)

SECTION: Final = {key: section for section, key in enumerate(KEYS)}
FLASH_MS: Final = 800
FLASH_STEPS: Final = 4
INKED: Final = ("price", "market_value")
"""Columns whose digits take the colour of their last move for a moment; those of gains have a colour already."""
TINTED: Final = ("quantity", "realised")
"""Columns that move with a fill: rare enough for a coloured ground."""
FLASHING: Final = (*INKED, *TINTED)


class PortfolioTree(QAbstractItemModel):
    """Every column there is, hidden or not. An index of a position in a group carries its group's place + 1."""

    def __init__(self, model: PortfolioModel) -> None:
        super().__init__()
        self._model = model
        self._nodes: tuple[Node, ...] = ()
        self._before: dict[tuple[Key, str], float] = {}
        self._flash: dict[tuple[Key, str], tuple[int, int]] = {}
        """By cell: direction and when it began (monotonic ns)."""
        self._now_ns = 0
        self._place_of: dict[Key, tuple[int, int]] = {}
        self._texts: dict[tuple[Key, str], str] = {}
        self._signs_of: dict[tuple[Key, str], int] = {}
        self.restyle()

    def restyle(self) -> None:
        """Take the colours and the font of the present theme."""
        look = theme.current()
        self._muted = QBrush(theme.colour(look.muted))
        self._signs = {1: QBrush(theme.colour(look.up)), -1: QBrush(theme.colour(look.down))}
        self._warning = QBrush(theme.colour(look.warning))
        steps = range(1, FLASH_STEPS + 1)
        moves = ((1, look.up), (-1, look.down))
        self._tints = {move: [QBrush(theme.colour(colour, 0.06 * step)) for step in steps] for move, colour in moves}
        self._inks = {
            move: [QBrush(theme.colour(palette.mix(look.text, colour, step / FLASH_STEPS))) for step in steps]
            for move, colour in moves
        }
        self._bold: QFont = theme.ui_font(bold=True)
        self._size = QSize(0, theme.ROW_HEIGHT - 2)

    # -- what Qt asks --------------------------------------------------------------------------------------------

    def node(self, index: _Index) -> Node | None:
        """Return the line of an index."""
        if not index.isValid():
            return None
        parent = int(index.internalId())
        nodes = self._nodes if not parent else self._nodes[parent - 1].children if parent <= len(self._nodes) else ()
        return nodes[index.row()] if index.row() < len(nodes) else None

    def index(self, row: int, column: int, parent: _Index | None = None) -> QModelIndex:
        """Return the index of a cell."""
        if parent is None or not parent.isValid():
            return self.createIndex(row, column, 0) if 0 <= row < len(self._nodes) else QModelIndex()
        if parent.internalId() or not 0 <= row < len(self._nodes[parent.row()].children):
            return QModelIndex()
        return self.createIndex(row, column, parent.row() + 1)

    def parent(self, index: _Index | None = None) -> QModelIndex:  # type: ignore[override] # Qt has two of the name
        """Return the group of a position."""
        place = int(index.internalId()) if index is not None and index.isValid() else 0
        return self.createIndex(place - 1, 0, 0) if place else QModelIndex()

    def rowCount(self, parent: _Index | None = None) -> int:
        """Return how many lines there are, at the top or below a group."""
        if parent is None or not parent.isValid():
            return len(self._nodes)
        if parent.internalId() or parent.column() > 0 or parent.row() >= len(self._nodes):
            return 0
        return len(self._nodes[parent.row()].children)

    def columnCount(self, parent: _Index | None = None) -> int:
        """Return the number of all columns."""
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Return the words of the header."""
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(COLUMNS):
            return None
        column = COLUMNS[section]
        if role == _DISPLAY:
            title = column.title
            if column.key == "beta_delta" and self._model.cells.index.symbol:
                title = f"Δ in {self._model.cells.index.symbol}"
            lines = self._model.lines
            return f"{title} {'▾' if lines.descending else '▴'}" if lines.sort_key == column.key else title
        if role == _TIP:
            return f"{column.title}: {column.help}"
        if role == _ALIGN:
            return _LEFT if column.is_left else _RIGHT
        return None

    def data(self, index: _Index, role: int = _DISPLAY) -> Any:
        """Return what a cell shows or says."""
        if role == _SIZE:
            return self._size
        node = self.node(index)
        if node is None:
            return None
        column = COLUMNS[index.column()]
        if role == _DISPLAY:
            return self.text(node, column.key)
        if role == _ALIGN:
            return _LEFT if column.is_left else _RIGHT
        if role == _FOREGROUND:
            return self.ink(node, column.key, column.signed)
        if role == _BACKGROUND:
            return self.tint(node, column.key)
        if role == _FONT:
            return self._bold if node.subtotal is not None else None
        return self._model.lines.why(node, column.key) if role == _TIP else None

    def text(self, node: Node, key: str) -> str:
        """Return what a cell says; it is kept until values are computed anew, except what follows the quotes."""
        if key in LIVE:
            return self._model.lines.text(node, key)
        cell = (node.key, key)
        held = self._texts.get(cell)
        if held is None:
            held = self._texts[cell] = self._model.lines.text(node, key)
        return held

    def ink(self, node: Node, key: str, signed: bool) -> QBrush | None:
        """Return the colour of a cell's digits, None for the usual one."""
        model = self._model
        if model.state.is_stale or (node.row is not None and node.row.quantity == 0 and not signed):
            return self._muted
        if key == "check":
            return self._warning if self.text(node, key) == "differs" else self._muted
        if node.row is not None and key in LIVE:
            live = model.price_of(node.row)
            if live.halted or live.is_delayed:
                return self._warning
            if model.in_session and model.cells.is_stale(live):
                return self._muted
        if key in INKED and (strength := self._strength(node, key)):
            return self._inks[1 if strength > 0 else -1][abs(strength) - 1]
        if key in ("currency", "account", "priced"):
            return self._muted
        return self._signs.get(self._sign(node, key)) if signed else None

    def _sign(self, node: Node, key: str) -> int:
        """Return 1 for a gain, -1 for a loss, 0 for neither; kept as long as the text is."""
        cell = (node.key, key)
        held = None if key in LIVE else self._signs_of.get(cell)
        if held is None:
            value = self._model.lines.value(node, key)
            held = 0 if value is None or round(value, 9) == 0 else 1 if value > 0 else -1
            self._signs_of[cell] = held
        return held

    def tint(self, node: Node, key: str) -> QBrush | None:
        """Return the ground of a cell, None for none."""
        strength = self._strength(node, key) if key in TINTED else 0
        return self._tints[1 if strength > 0 else -1][abs(strength) - 1] if strength else None

    def _strength(self, node: Node, key: str) -> int:
        """Return how strongly a cell is marked, below 0 when it fell, 0 not at all."""
        found = self._flash.get((node.key, key))
        if found is None or self._model.state.is_stale:
            return 0
        left = FLASH_STEPS - (self._now_ns - found[1]) * FLASH_STEPS // (FLASH_MS * NS_PER_MS)
        return found[0] * min(FLASH_STEPS, max(0, left))

    # -- news ----------------------------------------------------------------------------------------------------

    @property
    def is_flashing(self) -> bool:
        """Return whether some cell is still marked."""
        return bool(self._flash)

    def show_lines(self, now_ns: int) -> bool:
        """Take the lines of the model; return whether lines have come or gone. now_ns: monotonic."""
        nodes = self._model.lines.nodes
        old, new = self._place_of, _places(nodes)
        self._texts.clear()
        self._signs_of.clear()
        is_other = old.keys() != new.keys()
        if is_other:
            self.beginResetModel()
            self._nodes, self._place_of = nodes, new
            self.endResetModel()
        elif old == new:
            self._nodes = nodes
        else:
            self.layoutAboutToBeChanged.emit()
            held = self.persistentIndexList()
            keys = [node.key if (node := self.node(index)) is not None else () for index in held]
            self._nodes, self._place_of = nodes, new
            self.changePersistentIndexList(
                held, [self.index_of(key, index.column()) for key, index in zip(keys, held, strict=True)]
            )
            self.layoutChanged.emit()
        self._note_changes(now_ns)
        return is_other

    def follow(self, keys: Iterable[tuple[str, int]], now_ns: int) -> None:
        """Mark the prices of these positions, and fade what was marked."""
        self._now_ns = now_ns
        for key in keys:
            node = self.node(self.index_of(("row", *key)))
            if node is not None:
                self._note(node, "price", now_ns)
        self._fade(now_ns)

    def index_of(self, key: Key, column: int = 0) -> QModelIndex:
        """Return where a line is; an invalid index when it is nowhere."""
        found = self._place_of.get(key)
        return QModelIndex() if found is None else self.createIndex(found[1], column, found[0])

    def _note_changes(self, now_ns: int) -> None:
        self._now_ns = now_ns
        for node in self._nodes:
            for each in (node, *node.children):
                for key in FLASHING:
                    self._note(each, key, now_ns)
        self._before = {cell: value for cell, value in self._before.items() if cell[0] in self._place_of}
        self._fade(now_ns)

    def _note(self, node: Node, key: str, now_ns: int) -> None:
        value, cell = self._model.lines.value(node, key), (node.key, key)
        if value is None:
            self._before.pop(cell, None)
            return
        before = self._before.get(cell)
        self._before[cell] = value
        if before is not None and value != before:
            self._flash[cell] = (1 if value > before else -1, now_ns)

    def _fade(self, now_ns: int) -> None:
        """Forget marks that are over."""
        oldest_ns = now_ns - FLASH_MS * NS_PER_MS
        if self._flash:
            self._flash = {cell: mark for cell, mark in self._flash.items() if mark[1] > oldest_ns}

    # -- copies --------------------------------------------------------------------------------------------------

    def row_text(self, node: Node) -> str:
        """Return the shown cells of a line, parted by tabs."""
        return "\t".join(self.text(node, key) for key in self._model.shown_columns)


def _places(nodes: tuple[Node, ...]) -> dict[Key, tuple[int, int]]:
    """Return by key the place of the group + 1 (0: top) and the row."""
    found: dict[Key, tuple[int, int]] = {}
    for place, node in enumerate(nodes):
        found[node.key] = (0, place)
        for row, child in enumerate(node.children):
            found[child.key] = (place + 1, row)
    return found
