"""The table of lines: rows stay where the eye is; columns are chosen, moved, sized, sorted by and remembered."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent, QGuiApplication
from PySide6.QtWidgets import QApplication

from app.ui import theme
from app.ui.models.lines import LineColumn, LinesTable
from app.ui.panels.lines_view import LinesView

RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class Line:
    key: str
    size: float | None = None
    word: str = ""


COLUMNS: tuple[LineColumn[Line], ...] = (
    LineColumn(key="key", title="Key", help="the key", text=lambda line: line.key, width=50),
    LineColumn(
        key="size",
        title="Size",
        help="how large",
        text=lambda line: "" if line.size is None else f"{line.size:g}",
        sort=lambda line: line.size,
        tone=lambda line: "up" if line.size else "",
        number=True,
    ),
    LineColumn(key="word", title="Word", help="a word", text=lambda line: line.word, tip=lambda line: line.word),
    LineColumn(key="more", title="More", help="more", text=lambda line: line.key * 2, usual=False),
)


@pytest.fixture
def view(qtbot) -> LinesView:
    made = LinesView(LinesTable(COLUMNS, lambda line: line.key, tip=lambda line: f"all of {line.key}"), "Lines")
    qtbot.addWidget(made)
    made.resize(400, 200)
    made.show()
    return made


def keys(view: LinesView) -> str:
    return "".join(line.key for line in view.table.lines)


def lines(text: str) -> list[Line]:
    return [Line(letter) for letter in text]


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "ab"), ("ab", "cab"), ("ab", "abc"), ("abc", "cba"), ("abc", "ac"), ("abc", "xy"), ("ab", "")],
)
def test_lines_are_shown_in_their_order_and_the_selection_stays_with_its_line(view, before, after) -> None:
    view.table.show_lines(lines(before))
    view.pick("a")
    view.table.show_lines(lines(after))
    assert keys(view) == after
    assert view.table.rowCount() == len(after)
    view.pick("a" if "a" in after else None)
    assert [index.row() for index in view.selectionModel().selectedRows()] == (
        [after.index("a")] if "a" in after else []
    )


def test_new_lines_on_top_leave_the_selected_line_selected(view: LinesView) -> None:
    view.table.show_lines(lines("ab"))
    view.pick("b")
    view.table.show_lines(lines("xyab"))
    assert [index.row() for index in view.selectionModel().selectedRows()] == [3]
    view.table.show_lines(lines("bayx"))
    assert [index.row() for index in view.selectionModel().selectedRows()] == [0]


def test_only_changed_rows_are_painted_anew(view: LinesView, qtbot) -> None:
    view.table.show_lines([Line("a", 1), Line("b", 2), Line("c", 3)])
    told: list[tuple[int, int]] = []
    view.table.dataChanged.connect(lambda first, last: told.append((first.row(), last.row())))
    view.table.show_lines([Line("a", 1), Line("b", 9), Line("c", 3)])
    view.table.show_lines([Line("a", 1), Line("b", 9), Line("c", 3)])
    assert told == [(1, 1)]
    assert view.table.index(1, 1).data() == "9"


def test_held_rows_stay_take_new_values_and_new_lines_wait_at_the_end(view: LinesView) -> None:
    view.table.show_lines([Line("a", 1), Line("b", 2)])
    gone = {"a": Line("a", 7)}
    view.table.show_lines([Line("x"), Line("b", 3)], hold=True, fresh=lambda key: gone.get(key))
    assert [(line.key, line.size) for line in view.table.lines] == [("a", 7), ("b", 3), ("x", None)]
    assert view.table.waiting == 1
    view.table.show_lines([Line("x"), Line("b", 3)])
    assert keys(view) == "xb"
    assert view.table.waiting == 0


def test_a_table_is_pointed_at_while_the_mouse_is_over_it(view: LinesView) -> None:
    left: list[bool] = []
    view.left.connect(lambda: left.append(True))
    QApplication.sendEvent(view, QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5)))
    assert view.is_pointed
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    assert not view.is_pointed
    assert left == [True]


def test_a_click_on_a_title_sorts_turns_round_and_ends(view: LinesView) -> None:
    data = [Line("b", 2, "x"), Line("a", None, "z"), Line("c", 10, "y")]
    orders = []
    view.resorted.connect(lambda: (view.table.show_lines(data), orders.append(keys(view))))
    view.table.show_lines(data)
    header = view.horizontalHeader()
    for _ in range(3):
        header.sectionClicked.emit(1)
    header.sectionClicked.emit(2)
    assert orders == ["cba", "bca", "bac", "bca"]
    assert view.table.headerData(2, Qt.Orientation.Horizontal) == "Word ▴"


def test_cells_have_tips_colours_and_alignment(view: LinesView) -> None:
    view.table.show_lines([Line("a", 1, "hello")])
    assert view.table.index(0, 0).data(Qt.ItemDataRole.ToolTipRole) == "all of a"
    assert view.table.index(0, 2).data(Qt.ItemDataRole.ToolTipRole) == "hello"
    assert view.table.index(0, 1).data(Qt.ItemDataRole.TextAlignmentRole) == RIGHT.value
    assert view.table.index(0, 1).data(Qt.ItemDataRole.ForegroundRole).color().name() == theme.current().up
    assert view.table.index(0, 0).data(Qt.ItemDataRole.ForegroundRole) is None


def test_columns_are_chosen_in_a_menu_and_one_always_stays(view: LinesView) -> None:
    menu = view.columns_menu()
    actions = {action.text(): action for action in menu.actions()}
    assert [text for text, action in actions.items() if action.isChecked()] == ["Key", "Size", "Word"]
    actions["More"].trigger()
    for text in ("Size", "Word", "More", "Key"):
        actions[text].setChecked(True)
        actions[text].trigger()
    assert [view.isColumnHidden(section) for section in range(4)] == [False, True, True, True]
    actions["Usual columns"].trigger()
    assert [view.isColumnHidden(section) for section in range(4)] == [False, False, False, True]
    menu.close()


def test_the_layout_is_remembered(view: LinesView, qtbot) -> None:
    header = view.horizontalHeader()
    header.moveSection(header.visualIndex(2), 0)
    header.resizeSection(2, 133)
    view.show_column("more", True)
    view.show_column("key", False)
    view.table.sorting = (1, True)
    state = view.save_state()
    other = LinesView(LinesTable(COLUMNS, lambda line: line.key), "Other")
    qtbot.addWidget(other)
    other.restore_state(state)
    assert other.save_state() == state
    assert other.horizontalHeader().sectionSize(2) == 133
    assert other.table.sorting == (1, True)


@pytest.mark.parametrize(
    "state",
    [
        None,
        7,
        {"order": "x", "hidden": 3, "widths": [], "sort": ["nothing", True]},
        {"order": ["nothing", 4], "hidden": ["key", "size", "word", "more"], "widths": {"key": -5, "size": "wide"}},
    ],
)
def test_a_stored_layout_that_is_rubbish_changes_nothing(view: LinesView, state: object) -> None:
    before = view.save_state()
    view.restore_state(state)
    assert view.save_state() == before


def test_the_chosen_line_is_announced_and_copied(view: LinesView) -> None:
    picked: list[object] = []
    view.picked.connect(picked.append)
    view.table.show_lines([Line("a", 1, "one"), Line("b", 2, "two")])
    view.pick("a")
    assert picked == []
    view.setCurrentIndex(view.table.index(1, 0))
    assert picked == ["b"]
    view.copy()
    assert QGuiApplication.clipboard().text() == "b\t2\ttwo"
