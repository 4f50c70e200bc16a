"""One way to a broker in words and numbers: state, paper or live, what it needs, facts, and what the broker said."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.domain.account import Source
from app.ui import theme, zone
from app.ui.panels.care_buttons import CareButtons
from app.ui.panels.common import plain_label
from app.ui.panels.fact_grid import MARKS, FactGrid
from app.ui.statusbar import ElidedLabel
from app.viewmodels import formats
from app.viewmodels.broker_care import BrokerCare
from app.viewmodels.broker_rows import NOTICES_SHOWN, BrokerRow, NoticeRow


def facts_of(row: BrokerRow) -> tuple[tuple[str, str, str], ...]:
    """Return (name, value, explanation) of every figure of a card."""
    light = row.light
    rate = formats.UNKNOWN if row.rate is None else f"{row.rate:,.0f} /s"
    offset = formats.UNKNOWN if row.clock_offset_ms is None else f"{row.clock_offset_ms:+.0f} ms"
    client = formats.UNKNOWN if row.client_id is None else str(row.client_id)
    lines = f"{light.lines_open}/{light.lines_limit}" if light.lines_limit else formats.UNKNOWN
    probe = {True: "refuses orders", False: "would take orders", None: formats.UNKNOWN}[row.read_only]
    facts = [
        ("Account", ", ".join(light.accounts) or formats.UNKNOWN, light.money_why or "No account has been named yet"),
        ("Messages", rate, f"Messages per second; {row.messages:,} in all, {row.bad_messages:,} not understood"),
        ("Last msg", formats.age(light.last_message_age_ns), "Time since the last message"),
        ("Clock", offset, "Clock offset: the broker's clock minus ours"),
        ("Reconnects", formats.count(light.reconnects), "Connections opened anew since the start"),
        ("Lines", lines, "Market data lines in use, and how many may be"),
        ("Farms", light.farms or formats.UNKNOWN, "State of the broker's data farms"),
        ("Orders", "seen" if row.orders_known else "not seen", row.orders_reason or "Whether working orders are seen"),
    ]
    if row.source is Source.TWS:
        facts.append(("Client id", client, f"API client id; server version {row.version or 'not known yet'}"))
        facts.append(("Read-only", probe, "Whether TWS refuses orders; this program has none to give in any case"))
    else:
        shown = f"{row.certificate[:11]}…" if row.certificate else formats.UNKNOWN
        facts.append(("Certificate", shown, row.certificate or "No certificate is trusted yet"))
        facts.append(("Address", row.address.removeprefix("https://") or formats.UNKNOWN, row.address))
    return tuple(facts)


class BrokerCard(QFrame):
    """Shows one way to a broker."""

    def __init__(self, source: Source, care: BrokerCare, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self._row: BrokerRow | None = None
        self._title = plain_label(self, "title")
        self._money = plain_label(self)
        self._state = ElidedLabel(self)
        self.buttons = CareButtons(care, source, self)
        self._needs = plain_label(self)
        self._needs.setWordWrap(True)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._title)
        head.addWidget(self._money)
        head.addWidget(self._state, 1)
        self._facts = FactGrid(self)
        self._notices = [_NoticeLine(self) for _ in range(NOTICES_SHOWN)]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self._needs)
        layout.addWidget(self.buttons)
        layout.addLayout(self._facts)
        for line in self._notices:
            layout.addWidget(line)

    def show_row(self, row: BrokerRow) -> None:
        """Take the facts of the source."""
        self._row = row
        light = row.light
        self._title.setText(light.title)
        self._money.setText(light.money)
        self._money.setVisible(bool(light.money))
        self._money.setToolTip(light.money_why)
        since = "" if light.since_age_ns is None else f" for {formats.age(light.since_age_ns)}"
        text = f"{MARKS[light.light]} {light.word}{since}"
        self._state.setText(text)
        self._state.setToolTip(text)
        words = [light.needs or light.reason]
        if row.retry_in_ns is not None:
            words.append(f"next try in {formats.age(row.retry_in_ns)}")
        sentence = " · ".join(word for word in words if word)
        self._needs.setText(sentence)
        self._needs.setVisible(bool(sentence))
        self.buttons.show_offers(row.offers)
        self._facts.show_facts(facts_of(row))
        for place, line in enumerate(self._notices):
            line.show_notice(row.notices[place] if place < len(row.notices) else None)
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the present theme."""
        if self._row is None:
            return
        look = theme.current()
        light = self._row.light
        colour = look.accent if light.money == "PAPER" else look.warning
        for widget, style in (
            (self._state, f"color: {look.light(light.light)};"),
            (self._money, f"color: {colour}; border: 1px solid {colour}; border-radius: 2px; padding: 0 4px;"),
            (self._needs, f"color: {look.warning};"),
        ):
            if widget.styleSheet() != style:
                widget.setStyleSheet(style)


class _NoticeLine(ElidedLabel):
    """A notice in one line; its own words and what to do are on hover."""

    def show_notice(self, notice: NoticeRow | None) -> None:
        """Show a notice, or nothing."""
        self.setVisible(notice is not None)
        if notice is None:
            return
        code = f" {notice.code}" if notice.code else ""
        often = f" ×{notice.times}" if notice.times > 1 else ""
        head = f"{formats.clock_text(notice.ts_ns, zone.current())}{code}{often}"
        self.setText(f"{head}  {notice.advice or notice.text}")
        self.setToolTip(f"{head}\n{notice.text}\n{notice.advice}".rstrip())
        style = f"color: {theme.current().light(notice.light)};"
        if self.styleSheet() != style:
            self.setStyleSheet(style)
