"""Answers quotes and bars over REST: the first /snapshot only announces, the next ones bring the fields piece by piece.

Bars as /iserver/marketdata/history gives them, a thousand at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.sim.ibkr import SimBar, World
from app.sim.ibkr.hours import Phase
from app.sim.ibkr.instruments import Access, SimContract
from app.sim.portal.fields import FIRST_FIELDS, all_fields, chosen, decimals, message

MOST_CONTRACTS = 100
MOST_FIELDS = 50
_MOST_BARS = 1000
_SPAN = re.compile(r"(\d{1,4})(min|h|d|w|m|y|S)")
_SECONDS = {"S": 1, "min": 60, "h": 3600}
_DAYS = {"d": 1, "w": 5, "m": 21, "y": 252}
_SESSION_S = 23_400
_LONG_SESSION_S = 57_600


def is_closed(world: World, contract: SimContract) -> bool:
    """Return whether nothing is traded in the contract now."""
    return not world.market.always_open and world.market.phase(contract) is Phase.CLOSED


def fields_of(world: World, contract: SimContract, account: str | None) -> dict[str, str]:
    """Return all fields of a contract now, those of the account's position included."""
    position = None if account is None else world.position(account, contract.con_id)
    pnl = None if account is None or position is None else world.position_pnl(account, contract.con_id)
    quote = None if contract.access is Access.NONE else world.quote(contract.con_id)
    return all_fields(contract, quote, closed=is_closed(world, contract), position=position, pnl=pnl)


@dataclass(slots=True)
class SnapshotDesk:
    """Remembers which contracts were announced, and when. `now_s` gives monotonic seconds."""

    world: World
    now_s: Callable[[], float]
    pieces_s: float
    asked_s: dict[int, float] = field(default_factory=dict)

    def answer(self, con_ids: Iterable[int], names: list[str], *, lines_left: int) -> list[dict[str, object]]:
        """Return a row for each contract; one beyond `lines_left` gets no fields."""
        now, rows = self.now_s(), []
        now_ms = int(self.world.now_s * 1000.0)
        account = next(iter(self.world.accounts), None)
        for con_id in con_ids:
            contract = self.world.contract(con_id)
            since = self.asked_s.get(con_id)
            if contract is None or since is None or not names:
                if contract is not None and since is None and lines_left > 0:
                    self.asked_s[con_id] = now
                    lines_left -= 1
                rows.append({"conid": con_id, "conidEx": str(con_id)})
                continue
            found = chosen(fields_of(self.world, contract, account), names)
            if now - since < self.pieces_s:
                found = {}
            elif now - since < 2.0 * self.pieces_s:
                found = {name: text for name, text in found.items() if name in FIRST_FIELDS}
            rows.append(message(contract, now_ms, found, first=True))
        return rows

    def forget(self, con_id: int | None = None) -> bool:
        """Give up one line or all; return whether there was one."""
        if con_id is None:
            self.asked_s.clear()
            return True
        return self.asked_s.pop(con_id, None) is not None


class HistoryError(ValueError):
    """A period or bar that cannot be read; the text goes to the client."""


def history_answer(
    world: World, contract: SimContract, *, period: str, bar: str, outside_rth: bool, server_id: str
) -> dict[str, object] | None:
    """Return what /history says, None where there are no bars; raise HistoryError for a bad period or bar."""
    period_count, period_unit = _read_span(period)
    bar_count, bar_unit = _read_span(bar)
    if bar_unit in _DAYS:
        bar_s = 86_400 * bar_count * _DAYS[bar_unit]
        days = period_count * _DAYS.get(period_unit, 1)
        bars = world.daily_bars(contract.con_id, min(days, _MOST_BARS))
        if bar_unit != "d" or bar_count > 1:
            bars = _joined(bars, bar_count * _DAYS[bar_unit])
    else:
        bar_s = bar_count * _SECONDS[bar_unit]
        if period_unit in _DAYS:
            span_s = period_count * _DAYS[period_unit] * (_LONG_SESSION_S if outside_rth else _SESSION_S)
        else:
            span_s = period_count * _SECONDS[period_unit]
        bars = world.bars(contract.con_id, bar_s, max(1, min(_MOST_BARS, span_s // bar_s)))
    if not bars:
        return None
    factor = 10 ** decimals(contract)
    high, low = max(bars, key=lambda each: each.high), min(bars, key=lambda each: each.low)
    return {
        "serverId": server_id,
        "symbol": contract.symbol,
        "text": contract.name,
        "priceFactor": factor,
        "startTime": datetime.fromtimestamp(bars[0].time_s, UTC).strftime("%Y%m%d-%H:%M:%S"),
        "high": _extreme(high.high, high, factor, bars),
        "low": _extreme(low.low, low, factor, bars),
        "timePeriod": period,
        "barLength": bar_s,
        "mdAvailability": "S",
        "mktDataDelay": 0,
        "outsideRth": outside_rth,
        "tradingDayDuration": _SESSION_S // 60,
        "volumeFactor": 1,
        "priceDisplayRule": 1,
        "priceDisplayValue": str(decimals(contract)),
        "chartPanStartTime": datetime.fromtimestamp(bars[-1].time_s, UTC).strftime("%Y%m%d-%H:%M:%S"),
        "direction": -1,
        "negativeCapable": False,
        "messageVersion": 2,
        "points": len(bars) - 1,
        "travelTime": 48,
        "data": [
            {
                "o": each.open,
                "c": each.close,
                "h": each.high,
                "l": each.low,
                "v": each.volume,
                "t": int(each.time_s * 1e3),
            }
            for each in bars
        ],
    }


def _read_span(text: str) -> tuple[int, str]:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise HistoryError(f"invalid period or bar: {text[:20]}")
    return max(1, int(found[1])), found[2]


def _joined(bars: list[SimBar], size: int) -> list[SimBar]:
    joined = []
    for start in range(0, len(bars), size):
        part = bars[start : start + size]
        volume = sum(each.volume for each in part)
        joined.append(
            SimBar(
                day=part[0].day,
                time_s=part[0].time_s,
                open=part[0].open,
                high=max(each.high for each in part),
                low=min(each.low for each in part),
                close=part[-1].close,
                volume=volume,
                wap=part[-1].wap,
                count=sum(each.count for each in part),
            )
        )
    return joined


def _extreme(price: float, bar: SimBar, factor: int, bars: list[SimBar]) -> str:
    minutes = int(bar.time_s - bars[0].time_s) // 60
    return f"{price * factor:.0f}/{bar.volume:g}/{minutes}"
