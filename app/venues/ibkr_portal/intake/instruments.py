"""From what the gateway says of contracts (definitions, rules, hours, scanners, lists) to events about them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.domain.account import DetailsSeen, ScanSeen
from app.domain.contracts import Contract, ContractDetails, Session
from app.domain.errors import BadFrameError
from app.venues.ibkr_portal import contracts
from app.venues.ibkr_portal.decoding import Rows, parse
from app.venues.ibkr_portal.intake.taken import Asked, Common, Taken
from app.venues.ibkr_portal.messages import (
    ContractInfo,
    Day,
    Hours,
    Scan,
    ScanRow,
    Schedule,
    Secdef,
    SecdefRow,
    WatchlistRows,
)
from app.venues.ibkr_portal.values import amount, seconds_ns, whole, words

_MOST_DETAILS: Final = 20_000


class InstrumentIntake:
    """Contracts and what is known of them. details: tick, industry and hours by con_id."""

    def __init__(self, common: Common, tell_again: Callable[[set[int], Taken], None]) -> None:
        """tell_again: tells again what was told of contracts that have become clearer."""
        self.details: dict[int, ContractDetails] = {}
        self._common = common
        self._tell_again = tell_again

    def on_secdef(self, asked: Asked, taken: Taken) -> None:
        """Take definitions of contracts."""
        told = parse(asked.body, Secdef, "definitions of contracts")
        book = self._common.contracts
        fresh = set()
        for row in self._common.counted(Rows(told.secdef, SecdefRow)):
            contract = contracts.of_secdef(row)
            if contract is None:
                self._common.bad_rows += 1
            elif book.get(contract.con_id) != book.learn(contract, full=True):
                fresh.add(contract.con_id)
        self._tell_again(fresh, taken)

    def on_info(self, asked: Asked, taken: Taken) -> None:
        """Take a contract with its rules."""
        told = parse(asked.body, ContractInfo, "a contract")
        con_id = contracts.con_id_of(asked.groups[0])
        if not con_id:
            raise BadFrameError("expected the number of a contract")
        contract = self._common.contracts.learn(contracts.of_info(told, con_id), full=True)
        tick = amount(told.rules.increment) if told.rules is not None else None
        known = self.details.get(con_id)
        self._tell_details(
            ContractDetails(
                contract=contract,
                tick_size=tick if tick is not None and tick > 0.0 else (known.tick_size if known else None),
                industry=words(told.industry, 120),
                zone=known.zone if known else "",
                trading=known.trading if known else (),
                liquid=known.liquid if known else (),
            ),
            taken,
        )

    def on_schedule(self, asked: Asked, taken: Taken) -> None:
        """Take the trading hours of a contract."""
        told = parse(asked.body, Schedule, "trading hours")
        con_id = contracts.con_id_of(*asked.query.get("conid", []))
        contract = self._common.contracts.get(con_id)
        if contract is None:
            return  # hours of a contract nothing is known of cannot be shown
        known = self.details.get(con_id)
        days = [day for _, day in sorted(told.schedules.items())][:400]
        self._tell_details(
            ContractDetails(
                contract=contract,
                tick_size=known.tick_size if known else None,
                industry=known.industry if known else "",
                zone=words(told.exchange_time_zone, 60),
                trading=_sessions(days, lambda day: day.extended_hours or day.liquid_hours),
                liquid=_sessions(days, lambda day: day.liquid_hours),
            ),
            taken,
        )

    def _tell_details(self, details: ContractDetails, taken: Taken) -> None:
        con_id = details.contract.con_id
        if con_id not in self.details and len(self.details) >= _MOST_DETAILS:
            del self.details[next(iter(self.details))]
            self._common.dropped += 1
        self.details[con_id] = details
        taken.events.append(DetailsSeen(details))

    def on_scan(self, asked: Asked, taken: Taken) -> None:
        """Take the rows of a scanner; which one it was stands in the query."""
        told = parse(asked.body, Scan, "rows of a scanner")
        name = words((asked.query.get("scan") or [""])[0], 80)
        rows = whole((asked.query.get("rows") or ["50"])[0]) or 50
        found: list[Contract] = []
        for row in self._common.counted(Rows(told.contracts or [], ScanRow)):
            contract = contracts.of_scan(row)
            if contract is None:
                self._common.bad_rows += 1
            else:
                found.append(self._common.contracts.learn(contract))
        taken.events.append(ScanSeen(name, tuple(found[:rows])))

    def on_watchlist(self, asked: Asked, _taken: Taken) -> None:
        """Learn the contracts of a list."""
        for row in parse(asked.body, WatchlistRows, "a watchlist").instruments or []:
            contract = contracts.of_instrument(row)
            if contract is not None:
                self._common.contracts.learn(contract)


def _sessions(days: list[Day], hours_of: Callable[[Day], list[Hours] | None]) -> tuple[Session, ...]:
    found = []
    for day in days:
        for hours in hours_of(day) or []:
            start_ns, end_ns = seconds_ns(hours.opening), seconds_ns(hours.closing)
            if 0 < start_ns < end_ns:
                found.append(Session(start_ns, end_ns))
    return tuple(sorted(found, key=lambda session: session.start_ns))
