"""From `smd` frames and snapshots to quotes; keeps what is known of each line. Pure."""

from __future__ import annotations

from app.domain.account import LineRefused, PositionPnl
from app.domain.errors import BadFrameError
from app.domain.quotes import QuoteUpdate
from app.venues.ibkr_portal.contracts import con_id_of
from app.venues.ibkr_portal.decoding import parse, rows_of
from app.venues.ibkr_portal.fields import DAILY_PNL, NOT_SUBSCRIBED, FieldReader, availability
from app.venues.ibkr_portal.intake.taken import Asked, Common, Taken
from app.venues.ibkr_portal.messages import Row
from app.venues.ibkr_portal.values import amount, millis_ns, words


class QuoteIntake:
    """Quotes of all lines."""

    def __init__(self, common: Common) -> None:
        self.fields = FieldReader()
        self._common = common

    def on_frame(self, body: bytes, taken: Taken) -> None:
        """Take a frame of changes."""
        self._take(parse(body, Row, "a quote"), taken)

    def on_snapshot(self, asked: Asked, taken: Taken) -> None:
        """Take the rows of a snapshot."""
        for row in self._common.counted(rows_of(asked.body, Row, "rows of quotes")):
            try:
                self._take(row, taken)
            except BadFrameError:
                self._common.bad_rows += 1

    def _take(self, row: Row, taken: Taken) -> None:
        con_id = con_id_of(row.get("conid"), row.get("conidEx"), words(row.get("topic"), 80)[4:])
        if not con_id:
            raise BadFrameError("expected the number of a contract in a quote")
        values = self.fields.quote(con_id, row)
        refused = availability(row) == NOT_SUBSCRIBED
        if values and not refused:
            taken.quotes.append(QuoteUpdate(con_id, millis_ns(row.get("_updated")), values))
        if refused:
            reason = "no subscription for the market data of this exchange"
            taken.events.append(LineRefused(con_id, 0, reason, limit=False))
        accounts = self._common.accounts
        if DAILY_PNL in row and len(accounts) == 1:
            daily = amount(row[DAILY_PNL])
            if daily is not None:
                taken.events.append(PositionPnl(accounts[0], con_id, daily, None, None, None))
