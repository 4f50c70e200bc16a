"""ib_async's store and decoder without a socket, and a listener that writes everything down."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import ib_async

from app.venues.ibkr_tws.readonly import _ReadingIB

UNSET_TEXT: Final = "1.7976931348623157E308"


class Listener:
    """Keeps what the store tells."""

    def __init__(self) -> None:
        self.accounts: list[tuple[str, ...]] = []
        self.fills: list[ib_async.Fill] = []
        self.values: list[ib_async.AccountValue] = []
        self.positions: list[ib_async.Position] = []
        self.scans: list[ib_async.ScanDataList] = []
        self.messages: list[tuple[int, int, str]] = []
        self.unknown_orders = 0

    def on_accounts(self, accounts: tuple[str, ...]) -> None:
        self.accounts.append(accounts)

    def on_fill(self, fill: ib_async.Fill) -> None:
        self.fills.append(fill)

    def on_unknown_order(self) -> None:
        self.unknown_orders += 1

    def on_account_value(self, value: ib_async.AccountValue) -> None:
        self.values.append(value)

    def on_position(self, position: ib_async.Position) -> None:
        self.positions.append(position)

    def on_scan(self, scan: ib_async.ScanDataList) -> None:
        self.scans.append(scan)

    def on_message(self, request: int, code: int, text: str, _contract: object) -> None:
        self.messages.append((request, code, text))

    def on_packet(self) -> None: ...
    def on_tickers(self, tickers: set[ib_async.Ticker]) -> None: ...
    def on_portfolio(self, item: ib_async.PortfolioItem) -> None: ...
    def on_pnl(self, pnl: ib_async.PnL) -> None: ...
    def on_position_pnl(self, pnl: ib_async.PnLSingle) -> None: ...
    def on_order(self, trade: ib_async.Trade) -> None: ...


class Store:
    """Decodes messages as of a server version. errors: what the library only logs."""

    def __init__(self) -> None:
        self.listener = Listener()
        self.ib = _ReadingIB(self.listener)
        self.ib.accountValueEvent += self.listener.on_account_value
        self.ib.accountSummaryEvent += self.listener.on_account_value
        self.ib.positionEvent += self.listener.on_position
        self.ib.scannerDataEvent += self.listener.on_scan
        self.ib.errorEvent += self.listener.on_message
        self.decoder: Any = self.ib.client.decoder
        self.wrapper: Any = self.ib.wrapper

    def take(self, fields: Sequence[str], version: int = 178) -> list[str]:
        """Decode a message; return what the library complained of."""
        complaints: list[str] = []

        def note(record: logging.LogRecord) -> bool:
            if record.levelno >= logging.ERROR:
                complaints.append(f"{record.getMessage()} {record.exc_info[1] if record.exc_info else ''}")
            return False

        logger = logging.getLogger("ib_async.Decoder")
        logger.addFilter(note)
        self.decoder.serverVersion = version
        try:
            self.decoder.interpret(list(fields))
        finally:
            logger.removeFilter(note)
        return complaints

    def ask(self, key: object, container: object = None) -> Any:
        """Pretend that something was asked; return the future of the answer."""
        return self.wrapper.startReq(key, None, container)

    def quote(self, request: int, con_id: int) -> ib_async.Ticker:
        """Pretend that quotes were asked for."""
        ticker: ib_async.Ticker = self.wrapper.startTicker(request, ib_async.Contract(conId=con_id), "mktData")
        return ticker


def read_messages(folder: Path) -> list[dict[str, Any]]:
    """Return the recorded messages, the fields of each taken from its bytes."""
    rows = []
    for line in (folder / "tws_wire_messages.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        text = base64.b64decode(row["payload_b64"]).decode()
        row["sent"] = text.removesuffix("\0").split("\0")
        rows.append(row)
    return rows


def as_178(row: dict[str, Any]) -> list[str]:
    """Return a message with the fields of version 178: what later servers add or leave out is undone.

    Taken from the official clients' server versions: 182 lastTradeDate of contracts, 183 to 199 the last eight fields
    of open orders and the thirteen after commissionCurrency (195), 194 errors without a version but with a time, 196
    history without its ends.
    """
    fields = list(row["sent"])
    kind = fields[0]
    if "+3" in fields:  # the author's capture runs on into the next frame: 0 0 0 43 "3" ..., an order status
        fields = fields[: fields.index("+3") - 3]
    if kind == "59" and fields[-1] == "":
        fields = fields[:8]  # the author ends it with one separator more than TWS does
    if (row["server_version"] or 0) < 182:
        return fields
    if kind == "4":
        return ["4", "2", *fields[1:5]]
    if kind == "10":
        return [*fields[:5], *fields[6:]]
    if kind == "17":
        return [*fields[:2], "", "", *fields[2:]]
    if kind == "5":
        # one of the empty fields between the allocation and shortSaleSlot is missing in the author's masked literal:
        # the official decoder refuses it too
        fields.insert(32, "")
        del fields[-8:]
        status = fields.index("PreSubmitted")
        currency = status + 13
        del fields[currency + 1 : currency + 14]
    return fields
