"""Turns rows of the Portfolio into lines: a tree of underlyings or flat, filtered, sorted, with subtotals and total."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.portfolio.groups import Group, Subtotal, grouped, subtotal
from app.portfolio.holdings import Holding
from app.portfolio.pricing import Pricing
from app.viewmodels.portfolio_columns import BY_KEY, Kind
from app.viewmodels.portfolio_sums import group_label, sum_text, sum_why
from app.viewmodels.portfolio_whys import Whys


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree: a position (row), or a group or the total (subtotal) with its positions below."""

    key: tuple[object, ...]
    label: str
    row: Holding | None = None
    subtotal: Subtotal | None = None
    children: tuple[Node, ...] = field(default=())


class Lines:
    """The lines and how they are arranged. `structure` moves when lines come, go or change places."""

    def __init__(self, cells: Whys, price_of: Callable[[Holding], Pricing]) -> None:
        self._cells = cells
        self._price_of = price_of
        self._order: dict[tuple[object, ...], int] = {}
        self.is_tree = True
        self.sort_key = "market_value"
        self.descending = True
        self.filter_text = ""
        self.structure = 0
        self.nodes: tuple[Node, ...] = ()
        self.sum: Subtotal = subtotal((), one_underlying=False)

    def sort_by(self, key: str) -> None:
        """Sort by a column: numbers from the largest, words from A; once more turns it round."""
        if key == self.sort_key:
            self.descending = not self.descending
        else:
            self.sort_key, self.descending = key, BY_KEY[key].kind is not Kind.TEXT

    def arrange(self, rows: Sequence[Holding], base: str, *, hold: bool) -> None:
        """Filter, group and sort the rows."""
        shown = [row for row in rows if self._passes(row)]
        self.sum = subtotal(shown, one_underlying=False)
        if self.is_tree:
            nodes = [self._group_node(group, hold=hold) for group in grouped(shown)]
        else:
            nodes = [_row_node(row) for row in shown]
        nodes = self._sorted(nodes, hold=hold)
        if len(shown) > 1:
            unit = base or "base"
            label = "Total" if len({row.contract.currency for row in shown}) == 1 else f"Total in {unit}"
            nodes.insert(0, Node(("total",), label, subtotal=self.sum))
        before = _skeleton(self.nodes)
        self.nodes = tuple(nodes)
        after = _skeleton(self.nodes)
        if before != after:
            self.structure += 1
            keys = [node.key for node in self.nodes] + [child.key for node in self.nodes for child in node.children]
            self._order = {key: place for place, key in enumerate(keys)}

    def _group_node(self, group: Group, *, hold: bool) -> Node:
        if len(group.rows) == 1:
            return _row_node(group.rows[0])
        children = self._sorted([_row_node(row) for row in group.rows], hold=hold)
        key = ("group", group.key.symbol, group.key.currency, group.key.kind)
        return Node(key, group_label(group), subtotal=group.subtotal, children=tuple(children))

    def _sorted(self, nodes: list[Node], *, hold: bool) -> list[Node]:
        if hold and all(node.key in self._order for node in nodes):
            return sorted(nodes, key=lambda node: self._order[node.key])
        return sorted(nodes, key=self._rank)

    def _rank(self, node: Node) -> tuple[object, ...]:
        """Return what a node is sorted by; what is not known comes last whatever the direction."""
        if BY_KEY[self.sort_key].kind is Kind.TEXT:
            words = node.label if self.sort_key == "instrument" or node.row is None else self.text(node, self.sort_key)
            places = tuple(ord(letter) for letter in words.upper()[:40])
            return (0, tuple(-each for each in places) if self.descending else places)
        value = self._sort_value(node)
        if value is None:
            return (1, 0.0, node.label)
        return (0, -value if self.descending else value, node.label)

    def _sort_value(self, node: Node) -> float | None:
        key = self.sort_key
        if node.row is not None:
            value = self._cells.value(node.row, key, self._price_of(node.row))
            money = BY_KEY[key].kind is Kind.MONEY or key in ("theta", "vega")
            return node.row.in_base(value) if money else value
        assert node.subtotal is not None
        found = node.subtotal.in_base.get(key) or node.subtotal.sums.get(key)
        return None if found is None else found.value

    def _passes(self, row: Holding) -> bool:
        contract = row.contract
        texts = (
            contract.label,
            contract.symbol,
            contract.name,
            contract.sec_type.value,
            contract.currency,
            row.account,
        )
        haystack = " ".join(texts).upper()
        return all(word in haystack for word in self.filter_text.upper().split())

    # -- what is shown -------------------------------------------------------------------------------------------

    def text(self, node: Node, key: str) -> str:
        """Return what a cell says."""
        if node.row is not None:
            return self._cells.text(node.row, key, self._price_of(node.row))
        assert node.subtotal is not None
        if key == "instrument":
            return node.label
        if key == "currency":
            return node.subtotal.currency
        if key == "check":
            return "differs" if any(row.notable for row in node.subtotal.rows) else ""
        return sum_text(node.subtotal, key) if key in BY_KEY else ""

    def value(self, node: Node, key: str) -> float | None:
        """Return the number of a cell, None for words and for what is not known."""
        if node.row is not None:
            return self._cells.value(node.row, key, self._price_of(node.row))
        assert node.subtotal is not None
        found = node.subtotal.sums.get(key)
        if found is None or found.value is None:
            return None
        return found.value * 100 if key == "weight" else found.value

    def why(self, node: Node, key: str) -> str:
        """Return why a cell says what it says."""
        if node.row is not None:
            return self._cells.why(node.row, key, self._price_of(node.row))
        assert node.subtotal is not None
        return sum_why(node.subtotal, key, node.label)

    def export_rows(self, columns: Sequence[str]) -> list[list[str | float]]:
        """Return all shown positions for a file, in their order: plain numbers, "" where nothing is known."""
        result: list[list[str | float]] = []
        for node in self.nodes:
            for each in node.children or (node,):
                row = each.row
                if row is not None:
                    cells = [self._export(each, key) for key in columns if key != "account"]
                    result.append([row.account, row.contract.symbol, *cells])
        return result

    def _export(self, node: Node, key: str) -> str | float:
        if BY_KEY[key].kind is Kind.TEXT:
            return self.text(node, key)
        value = self.value(node, key)
        return "" if value is None else value


def _row_node(row: Holding) -> Node:
    return Node(("row", *row.key), row.contract.label, row=row)


def _skeleton(nodes: Sequence[Node]) -> list[tuple[object, ...]]:
    return [(node.key, tuple(child.key for child in node.children)) for node in nodes]
