"""The order-book panel: header, ladder and band table of one symbol on one market."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app.domain.ids import BOOK_MARKETS, Market
from app.domain.units import ASK, BID
from app.ui import theme
from app.ui.panels.band_table import BandTable
from app.ui.panels.base import Panel
from app.ui.panels.common import LinkButton, MarketSwitch, plain_label
from app.ui.panels.ladder_canvas import LadderCanvas
from app.ui.statusbar import ElidedLabel
from app.viewmodels import formats
from app.viewmodels.ladder import LadderModel, LadderView
from app.viewmodels.linking import LINK_GROUPS
from app.viewmodels.naming import pair_of

AUTO: Final = "auto"


class LadderPanel(Panel):
    """Shows the order book of one symbol."""

    def __init__(self, model: LadderModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._now_ns = 0
        self._steps: tuple[float, ...] = ()
        self._symbol_button = QToolButton(self)
        self._symbol_button.setToolTip("Choose a symbol (or just type its first letter)")
        self._symbol_button.clicked.connect(self._on_symbol_clicked)
        self._market = MarketSwitch(self)
        self._market.market_chosen.connect(self._on_market)
        self._step = QComboBox(self)
        self._step.setAccessibleName("Price step")
        self._step.setToolTip("Price step: levels are summed into steps of this size")
        self._step.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._step.setMinimumContentsLength(4)
        self._step.setFixedWidth(76)
        self._step.activated.connect(self._on_step)
        self._link = LinkButton(self)
        self._link.group_chosen.connect(self._on_group)
        self._state = ElidedLabel(self)
        self._canvas = LadderCanvas(self)
        self._bands = BandTable(self)
        top = QHBoxLayout()
        top.setContentsMargins(6, 4, 6, 2)
        top.setSpacing(3)
        top.addWidget(self._symbol_button)
        top.addWidget(self._market)
        top.addStretch(1)
        top.addWidget(self._step)
        top.addWidget(self._link)
        facts = QHBoxLayout()
        facts.setContentsMargins(8, 0, 8, 2)
        facts.setSpacing(8)
        facts.addWidget(self._state, 1)
        self._update_id = plain_label(self, "muted")
        facts.addWidget(self._update_id)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addLayout(facts)
        layout.addWidget(self._canvas, 1)
        layout.addWidget(self._bands)
        model.changed_symbol = self._on_symbol
        self._on_symbol()
        self._link.show_group(model.link_group)

    @property
    def link_group(self) -> str | None:
        """Return the link group this panel follows."""
        return self._model.link_group

    def show_book(self, market: Market, symbol: str) -> None:
        """Show a symbol of a market; its pair goes to the panels of the link group too."""
        self._model.show_market(market)
        self._model.choose_pair(pair_of(symbol))

    @property
    def canvas(self) -> LadderCanvas:
        """Return the ladder's canvas."""
        return self._canvas

    @property
    def bands(self) -> BandTable:
        """Return the table of bands."""
        return self._bands

    def focus_target(self) -> QWidget:
        """Give the keyboard to the canvas, where a typed letter opens the search."""
        return self._canvas

    def set_active(self, active: bool) -> None:
        """Sample fast while on screen."""
        self._model.set_active(active)

    def shut(self) -> None:
        """Let go of the link group and the fast sampling."""
        self._model.shut()

    def revision(self) -> Hashable:
        """Return the book's revision and how many rows fit."""
        return self._model.revision, self._canvas.rows(), self._canvas.width()

    def refresh(self, now_ns: int) -> int | None:
        """Show the book as it is now; return the venue's time of what is new in it."""
        view = self._model.view(self._canvas.rows())
        message = self.message(view)
        self._canvas.show_view(view, message, now_ns)
        self._bands.show_book(view.book if view is not None else None, bool(message))
        self._show_state(view, message)
        if not self._steps:
            self._fill_steps()
        if view is None or message:
            return None
        return view.book.event_ns

    def message(self, view: LadderView | None) -> str:
        """Return the sentence that covers the ladder, "" while it is live."""
        pair = self._model.pair or "This pair"
        if view is None:
            return f"{pair} is not listed on the {self._model.market.label} market."
        book = view.book
        if book.live:
            return ""
        reason = f": {book.reason.rstrip('.')}" if book.reason else ""
        shown = book.age_ns is not None and any(prices.size for prices in book.price)
        age = f" The figures are {formats.age(book.age_ns)} old." if shown else ""
        return f"{book.symbol} {book.market.label} {book.state}{reason}.{age}"

    def _show_state(self, view: LadderView | None, message: str) -> None:
        look = theme.current()
        if view is None:
            self._state.setText("")
            self._update_id.setText("")
            return
        book = view.book
        reach = [formats.known_to(("bid", "ask")[side], float(book.known_to_pct[side])) for side in (BID, ASK)]
        short = [formats.known_to_short(float(book.known_to_pct[side])) for side in (BID, ASK)]
        mark = "●" if not message else "○"
        self._state.setText(f"{mark} {book.state} · known: bid {short[0]}, ask {short[1]}")
        colour = look.good if not message else look.warning
        if self._state.property("colour") != colour:
            self._state.setProperty("colour", colour)
            self._state.setStyleSheet(f"color: {colour};")
        counts = "   ".join(f"{name} {formats.count(value)}" for name, value in book.counters.items())
        self._state.setToolTip(f"{reach[0]}\n{reach[1]}\nlast data {formats.age(book.age_ns)} ago\n{counts}")
        self._update_id.setText(f"#{book.last_update_id}")
        self._update_id.setVisible(self.width() >= 340)
        self._update_id.setToolTip(f"Last update id {book.last_update_id}")

    def _on_symbol(self) -> None:
        symbol = self._model.symbol or self._model.pair or "—"
        self._symbol_button.setText(symbol)
        self._symbol_button.setAccessibleName(f"Symbol {symbol}")
        self._market.show_market(self._model.market, self._model.venues())
        self._steps = ()
        self._fill_steps()
        self.title_changed.emit(f"{symbol} {self._model.market.label}")

    def _fill_steps(self) -> None:
        self._steps = self._model.steps()
        self._step.clear()
        self._step.addItem(AUTO)
        for step in self._steps:
            self._step.addItem(f"{step:.12g}" if step >= 1e-4 else f"{step:.12f}".rstrip("0"))
        chosen = self._model.step
        self._step.setCurrentIndex(self._steps.index(chosen) + 1 if chosen in self._steps else 0)

    def _on_step(self, index: int) -> None:
        self._model.set_step(self._steps[index - 1] if index > 0 else None)

    def _on_market(self, market: object) -> None:
        if isinstance(market, Market):
            self._model.show_market(market)

    def _on_group(self, group: object) -> None:
        self._model.set_link_group(group if isinstance(group, str) else None)

    def _on_symbol_clicked(self) -> None:
        self.typed.emit("")

    def save_state(self) -> dict[str, object]:
        """Return pair, market, price step and link group."""
        return {
            "pair": self._model.pair,
            "market": self._model.market.value,
            "step": self._model.step,
            "link_group": self._model.link_group,
        }

    def restore_state(self, state: dict[str, object]) -> None:
        """Take what fits of a stored state."""
        if "link_group" in state:
            group = state["link_group"]
            self._model.set_link_group(group if isinstance(group, str) and group in LINK_GROUPS else None)
            self._link.show_group(self._model.link_group)
        market, pair, step = state.get("market"), state.get("pair"), state.get("step")
        if market in {item.value for item in BOOK_MARKETS}:
            self._model.show_market(Market(market))
        if isinstance(pair, str) and pair and not self._model.is_led:
            self._model.show_pair(pair)
        if isinstance(step, int | float) and not isinstance(step, bool):
            self._model.set_step(float(step))
        self._on_symbol()
