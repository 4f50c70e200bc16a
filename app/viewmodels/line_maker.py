"""Makes the lines of orders and fills from a broker's books, each once over both sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from app.domain.account import Source
from app.portfolio.ledger import Ledger
from app.portfolio.orders import OrderBook, merged_fill
from app.viewmodels.order_lines import FillLine, OrderKey, OrderLine, changed_ns, tick_of


class LineMaker:
    """Makes lines of books, each anew only when something of it has changed."""

    def __init__(self) -> None:
        self._orders: dict[tuple[Source, str, bool], tuple[tuple[object, ...], OrderLine]] = {}
        self._fills: dict[tuple[Source, str], tuple[tuple[object, ...], FillLine]] = {}
        self._joined: dict[OrderKey, tuple[OrderLine, OrderLine, OrderLine]] = {}
        self._joined_fills: dict[str, tuple[FillLine, FillLine, FillLine]] = {}

    def orders(self, book: OrderBook, ledger: Ledger, *, is_live: bool) -> list[OrderLine]:
        """Return the orders of a book. is_live: the source tells news now."""
        lines = []
        for order_id, track in book.tracks.items():
            state = book.orders[order_id]
            contract = ledger.contracts.get(state.contract.con_id, state.contract)
            is_old = state.status.is_working and not (is_live and track.verified)
            details = ledger.details.get(contract.con_id)
            key = (book.source, order_id, is_live)
            held = self._orders.get(key)
            made_of = (state, track.news_ns, contract, is_old, details)
            if held is None or _differs(held[0], made_of):
                line = OrderLine(
                    source=book.source,
                    state=state,
                    contract=contract,
                    tick=tick_of(details),
                    first_ns=track.first_ns,
                    last_ns=changed_ns(track),
                    heard_ns=track.news_ns,
                    fills_only=track.fills_only,
                    is_old=is_old,
                    roots=frozenset(track.fills),
                )
                held = self._orders[key] = (made_of, line)
            lines.append(held[1])
        self._trim(self._orders, len(lines))
        return lines

    def fills(self, book: OrderBook, ledger: Ledger) -> list[FillLine]:
        """Return the fills of a book."""
        lines = []
        for fill in book.executions.values():
            contract = ledger.contracts.get(fill.contract.con_id, fill.contract)
            details = ledger.details.get(contract.con_id)
            key = (book.source, fill.exec_id)
            held = self._fills.get(key)
            made_of = (fill, contract, details)
            if held is None or _differs(held[0], made_of):
                line = FillLine(source=book.source, fill=fill, contract=contract, tick=tick_of(details))
                held = self._fills[key] = (made_of, line)
            lines.append(held[1])
        self._trim(self._fills, len(lines))
        return lines

    @staticmethod
    def _trim(held: dict[Any, Any], wanted: int) -> None:
        """Bound what is kept of lines that are not there any more."""
        if len(held) > 4 * wanted + 1_000:
            held.clear()

    def merged_orders(self, lists: Iterable[list[OrderLine]]) -> list[OrderLine]:
        """Return the orders of all sources, each once: two that share a fill, or id and contract, are one."""
        places: list[OrderLine] = []
        by_root: dict[str, int] = {}
        by_name: dict[tuple[str, str, int], int] = {}
        for line in (line for each in lists for line in each):
            name = (line.state.account, line.state.order_id, line.contract.con_id)
            place = by_name.get(name)
            if place is None:
                place = next((by_root[root] for root in line.roots if root in by_root), None)
            if place is None or places[place].source is line.source:
                place = len(places)
                places.append(line)
            else:
                places[place] = self._join(places[place], line)
            by_name[name] = place
            by_root.update(dict.fromkeys(line.roots, place))
        self._trim(self._joined, len(places))
        return sorted(places, key=lambda line: (line.last_ns, line.state.order_id), reverse=True)

    def _join(self, first: OrderLine, second: OrderLine) -> OrderLine:
        """Return the line that says more of the same order: its state, confirmed, newest."""
        held = self._joined.get(second.key)
        if held is None or held[0] is not first or held[1] is not second:
            best, other = sorted((first, second), key=lambda line: (line.fills_only, line.is_old, -line.last_ns))
            heard_ns = max(best.heard_ns, other.heard_ns)
            joined = replace(best, also=other.source, roots=best.roots | other.roots, heard_ns=heard_ns)
            held = self._joined[second.key] = (first, second, joined)
        return held[2]

    def merged_fills(self, lists: Iterable[list[FillLine]]) -> list[FillLine]:
        """Return the fills of all sources, each once, the newest first; a figure one lacks comes from the other."""
        merged: dict[str, FillLine] = {}
        for line in (line for each in lists for line in each):
            root = line.key
            known = merged.get(root)
            if known is None or known.source is line.source:
                merged[root] = line
                continue
            held = self._joined_fills.get(root)
            if held is None or held[0] is not known or held[1] is not line:
                joined = replace(known, fill=merged_fill(line.fill, known.fill), also=line.source)
                held = self._joined_fills[root] = (known, line, joined)
            merged[root] = held[2]
        self._trim(self._joined_fills, len(merged))
        return sorted(merged.values(), key=lambda line: (line.fill.time_ns, line.fill.exec_id), reverse=True)


def _differs(old: tuple[object, ...], new: tuple[object, ...]) -> bool:
    return any(one is not other and one != other for one, other in zip(old, new, strict=True))
