"""From TWS' numbered messages to notices: how bad it is, what it means, what to do.

Numbers: TWS API message codes, as section 10 of the protocol sheet sorts them; those that are not listed count as a
failed request, and 2100 to 2199 as information.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from app.domain.account import Notice, Severity
from app.domain.masking import masked

_S = Severity


class Meaning(NamedTuple):
    """How bad a message is, and a sentence for the person in front of the screen."""

    severity: Severity
    advice: str


READ_ONLY: Final = 321
CONNECTION_LOST: Final = 1100
DATA_LOST: Final = 1101
DATA_KEPT: Final = 1102
PORT_CHANGED: Final = 1300
SERVER_BROKEN: Final = 2110
ID_IN_USE: Final = 326
COMPETING: Final = 10197
TOO_FAST: Final = 100
LINES_USED_UP: Final = 101
NO_CONTRACT: Final = 200
UNKNOWN_REQUEST: Final = 300
OUTDATED: Final = 503
SCAN_EMPTY: Final = 165
HISTORY: Final = 162

DOUBTFUL: Final = frozenset((10089, 10090, 10167))
"""On a line: delayed or partial data may follow; without delayed data none that is wanted."""
REFUSALS: Final = frozenset((NO_CONTRACT, 322, 354, LINES_USED_UP, 10168, 10186, 10190, COMPETING))
"""On a line: nothing will come."""
DROPPED: Final = frozenset((502, 504, 507, PORT_CHANGED))
"""The connection is of no use any more."""

_FARM: Final = (
    "TWS or IB Gateway is asking for its data servers; nothing to do. If it stays so, look at its own connection light."
)
_DELAYED: Final = "Delayed quotes are shown and marked as such; live ones need a market data subscription at IBKR."
_NO_DELAYED: Final = "No live subscription, and delayed quotes are switched off; see the setting ibkr.delayed."

MEANINGS: Final[dict[int, Meaning]] = {
    100: Meaning(_S.FAILED, "All programs on this TWS together ask too often; Fathom waits. Close what else asks it."),
    101: Meaning(_S.FAILED, "All market data lines are in use; close quotes in TWS or lower the setting ibkr.lines."),
    105: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    110: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    162: Meaning(_S.FAILED, "TWS has no such history, or was asked too often; it is asked again later."),
    165: Meaning(_S.INFO, "The scanner or the history has nothing at the moment."),
    200: Meaning(_S.FAILED, "TWS knows no such contract, or several; check the symbol and its expiry."),
    201: Meaning(_S.INFO, "The broker rejected an order of another program; the Live Trading panel has the reason."),
    202: Meaning(_S.INFO, "An order of another program was cancelled."),
    203: Meaning(_S.INFO, "This account may not trade that contract; Fathom does not trade."),
    300: Meaning(_S.INFO, "TWS had ended that subscription itself; it is made again when needed."),
    321: Meaning(
        _S.INFO,
        "TWS refuses the question: its API is in Read-Only mode (orders cannot be seen, the rest works), or does not "
        "know what was asked.",
    ),
    322: Meaning(_S.FAILED, "TWS could not work on the question; it is asked again later."),
    326: Meaning(_S.CONFLICT, "Another program uses this client id; Fathom takes the next one."),
    329: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    354: Meaning(_S.FAILED, "No live market data subscription for this contract; subscribe at IBKR or allow delayed."),
    365: Meaning(_S.INFO, "The scanner was already ended."),
    366: Meaning(_S.FAILED, "TWS does not know that question for history any more; it is asked again when needed."),
    399: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    404: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    420: Meaning(_S.FAILED, "Bars were asked for too often; Fathom waits before it asks again."),
    434: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    492: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    502: Meaning(
        _S.LOST,
        "TWS cannot be reached: start it, log in, and switch on Configure > API > Settings > Enable ActiveX and "
        "Socket Clients.",
    ),
    503: Meaning(_S.LOST, "This TWS is too old for the API; update TWS or IB Gateway."),
    504: Meaning(_S.LOST, "There is no connection to TWS; Fathom connects again."),
    507: Meaning(_S.LOST, "TWS could not read a message or was closed; Fathom connects again."),
    1100: Meaning(_S.LOST, "TWS has lost IBKR's servers; what is shown is old. It comes back by itself."),
    1101: Meaning(_S.RESTORED, "IBKR's servers are back; all subscriptions were lost and are made again."),
    1102: Meaning(_S.RESTORED, "IBKR's servers are back and no data was lost."),
    1300: Meaning(_S.LOST, "TWS changed its socket port; set ibkr.tws.port to the new one."),
    2103: Meaning(_S.DEGRADED, "Quotes from one data farm have stopped. " + _FARM),
    2104: Meaning(_S.INFO, "A market data farm is connected."),
    2105: Meaning(_S.DEGRADED, "History from one data farm is not available. " + _FARM),
    2106: Meaning(_S.INFO, "A history farm is connected."),
    2107: Meaning(_S.INFO, "A history farm sleeps until it is asked; this is normal."),
    2108: Meaning(_S.INFO, "A market data farm sleeps until it is asked; this is normal."),
    2110: Meaning(_S.DEGRADED, "TWS has lost IBKR's server; what is shown is old. It comes back by itself."),
    2119: Meaning(_S.INFO, "A market data farm is being connected."),
    2157: Meaning(_S.DEGRADED, "Contract data is not available for now. " + _FARM),
    2158: Meaning(_S.INFO, "The contract data farm is connected."),
    10038: Meaning(_S.LOST, "TWS could not send the question; Fathom connects again."),
    10089: Meaning(_S.FAILED, "Live quotes need a market data subscription for the API. " + _DELAYED),
    10090: Meaning(_S.FAILED, "A part of these quotes is not subscribed at IBKR; the rest is shown. " + _DELAYED),
    10167: Meaning(_S.DEGRADED, _DELAYED),
    10168: Meaning(
        _S.FAILED, "No live subscription, and delayed quotes are switched off; see the setting ibkr.delayed."
    ),
    10182: Meaning(_S.LOST, "TWS failed to ask for updates; Fathom connects again."),
    10186: Meaning(
        _S.FAILED, "No live subscription, and delayed quotes are switched off; see the setting ibkr.delayed."
    ),
    10190: Meaning(_S.FAILED, "All tick-by-tick subscriptions are in use."),
    10197: Meaning(
        _S.CONFLICT,
        "Another login of this user (a phone, another TWS, Client Portal) uses the live data; quotes come back when it "
        "is closed. Fathom asks each minute.",
    ),
    10289: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    10293: Meaning(_S.INFO, "About an order of another program; Fathom has none."),
    10299: Meaning(_S.FAILED, "TWS calls the trades of crypto AGGTRADES; this history is not available."),
}
_OTHERS: Final = Meaning(_S.FAILED, "TWS refused a question; see its own words.")
_WARNINGS: Final = Meaning(_S.INFO, "TWS tells something; see its own words.")


def meaning(code: int) -> Meaning:
    """Return how bad a code is and what to do."""
    known = MEANINGS.get(code)
    if known is not None:
        return known
    return _WARNINGS if 2100 <= code < 2200 else _OTHERS


def notice(code: int, text: str, con_id: int | None = None) -> Notice:
    """Return a notice, its text without account ids."""
    severity, advice = meaning(code)
    return Notice(code=code, severity=severity, text=masked(text), advice=advice, con_id=con_id)


def is_read_only(code: int, text: str) -> bool:
    """Return whether a message says that the API is in Read-Only mode (321 is also sent for wrong questions)."""
    return code == READ_ONLY and "read-only" in text.lower()


_FARM_UP: Final = frozenset((2104, 2106, 2158))
_FARM_DOWN: Final = frozenset((2103, 2105, 2157))
_FARM_UNKNOWN: Final = frozenset((2107, 2108, 2119))
_FARM_NAME: Final = re.compile(r":\s*([\w.-]+?)\.?$|\.\s*([\w-]+)$")


def farm(code: int, text: str) -> tuple[str, bool | None] | None:
    """Return the name and state of the data farm a message is about (True OK, False broken, None until asked)."""
    if code in _FARM_UP:
        state: bool | None = True
    elif code in _FARM_DOWN:
        state = False
    elif code in _FARM_UNKNOWN:
        state = None
    else:
        return None
    found = _FARM_NAME.search(text.strip())
    return ((found.group(1) or found.group(2)) if found is not None else f"farm {code}", state)
