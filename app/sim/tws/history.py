"""Answers what clients ask of the past: bars by day and within days, their pacing, bars of five seconds."""

from __future__ import annotations

import re
from collections import deque
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from app.sim.ibkr.hours import HOURS
from app.sim.ibkr.instruments import Access, SimContract
from app.sim.ibkr.records import SimBar
from app.sim.ibkr.world import World
from app.sim.tws import encoders
from app.sim.tws.client import TwsClient
from app.sim.tws.contracts import UNKNOWN_CONTRACT, resolve
from app.sim.tws.requests import AskedHistory, Fields, read_contract, read_history

_HEAD = "Historical Market Data Service error message:"
_SAME_WITHIN_S = 15.0
_MANY, _MANY_WITHIN_S = 6, 2.0
_REFRESH_S = 5.0
_BAR_S = {
    "1 secs": 1,
    "5 secs": 5,
    "10 secs": 10,
    "15 secs": 15,
    "30 secs": 30,
    "1 min": 60,
    "2 mins": 120,
    "3 mins": 180,
    "5 mins": 300,
    "10 mins": 600,
    "15 mins": 900,
    "20 mins": 1200,
    "30 mins": 1800,
    "1 hour": 3600,
    "2 hours": 7200,
    "4 hours": 14400,
    "8 hours": 28800,
}
_DAYS = {"D": 1.0, "W": 5.0, "M": 21.0, "Y": 252.0}
_PRICES = frozenset({"TRADES", "ADJUSTED_LAST", "MIDPOINT", "BID", "ASK", "AGGTRADES"})
_VOLATILITIES = frozenset({"OPTION_IMPLIED_VOLATILITY", "HISTORICAL_VOLATILITY"})


class HistoryDesk:
    """Everything about the past. With `pacing` requests that come too soon are refused as TWS refuses them."""

    def __init__(self, world: World, *, pacing: bool) -> None:
        """Take the world."""
        self._world = world
        self._pacing = pacing
        self._asked: deque[tuple[float, str, str]] = deque()
        self._bar_due_s = world.now_s + _REFRESH_S

    def forget(self) -> None:
        """Forget who asked when, as a restart does."""
        self._asked.clear()

    def ask(self, client: TwsClient, fields: Fields) -> None:
        """Tell bars."""
        asked = read_history(fields)
        contract = resolve(self._world.catalogue, asked.contract)
        refusal = self._refusal(asked, contract)
        if refusal is not None:
            client.say(encoders.error(asked.req_id, *refusal))
            return
        assert contract is not None
        bars = self._bars(asked, contract)
        if not bars:
            client.say(
                encoders.error(asked.req_id, 162, f"{_HEAD}HMDS query returned no data: {contract.local_symbol}")
            )
            return
        dates = [self._date(asked, contract, bar) for bar in bars]
        start, end = (encoders.zoned(each, contract.venue) for each in (bars[0].time_s, self._world.now_s))
        client.say(encoders.historical_data(asked.req_id, bars, dates, start, end))
        if asked.keep_up_to_date:
            client.subscriptions.histories[asked.req_id] = (asked, contract)

    def cancel(self, client: TwsClient, fields: Fields) -> None:
        """Keep a request up to date no more."""
        fields.text()
        client.subscriptions.histories.pop(fields.whole(), None)

    def head_timestamp(self, client: TwsClient, fields: Fields) -> None:
        """Tell since when there is history."""
        req_id = fields.whole()
        contract = resolve(self._world.catalogue, read_contract(fields))
        if contract is None:
            client.say(encoders.error(req_id, 200, UNKNOWN_CONTRACT))
            return
        fields.skip(3)  # expired ones too, regular hours only, what
        bars = self._world.daily_bars(contract.con_id, 100_000)
        if not bars:
            client.say(encoders.error(req_id, 162, f"{_HEAD}No head time stamp"))
            return
        first = datetime.fromtimestamp(bars[0].time_s, UTC)
        text = str(int(bars[0].time_s)) if fields.whole() == 2 else f"{first:%Y%m%d-%H:%M:%S}"
        client.say(encoders.head_timestamp(req_id, text))

    def real_time_bars(self, client: TwsClient, fields: Fields) -> None:
        """Tell a bar every five seconds."""
        fields.text()
        req_id = fields.whole()
        contract = resolve(self._world.catalogue, read_contract(fields))
        if contract is None:
            client.say(encoders.error(req_id, 200, UNKNOWN_CONTRACT))
        elif contract.access is not Access.LIVE:
            client.say(encoders.error(req_id, 420, "Invalid Real-time Query:No market data permissions"))
        else:
            client.subscriptions.bars[req_id] = contract

    def cancel_real_time_bars(self, client: TwsClient, fields: Fields) -> None:
        """End them."""
        fields.text()
        client.subscriptions.bars.pop(fields.whole(), None)

    def publish(self, clients: list[TwsClient]) -> None:
        """Tell the newest bars when it is time."""
        if self._world.now_s < self._bar_due_s:
            return
        self._bar_due_s = self._world.now_s + _REFRESH_S
        for client in clients:
            for req_id, contract in client.subscriptions.bars.items():
                quote = self._world.quote(contract.con_id)
                start = self._world.now_s // _REFRESH_S * _REFRESH_S - _REFRESH_S
                figures = (quote.mark, quote.mark, quote.mark, quote.mark)
                bar = SimBar("", start, *figures, quote.last_size, quote.vwap, 1)
                client.say(encoders.realtime_bar(req_id, bar))
            for req_id, (asked, contract) in client.subscriptions.histories.items():
                bars = self._bars(asked, contract)
                if bars:
                    date = self._date(asked, contract, bars[-1])
                    client.say(encoders.historical_update(req_id, bars[-1], date))

    def _refusal(self, asked: AskedHistory, contract: SimContract | None) -> tuple[int, str] | None:
        if contract is None:
            return 200, UNKNOWN_CONTRACT
        if contract.access is Access.NONE:
            return 162, f"{_HEAD}No market data permissions for {contract.primary_exchange} {contract.sec_type}"
        if asked.what not in _PRICES | _VOLATILITIES or (
            asked.bar_size not in _BAR_S and asked.bar_size not in ("1 day", "1W", "1M")
        ):
            return 321, "Error validating request.-'bH' : cause - Historical data bar size or what to show is not known"
        if _sessions(asked.duration) is None:
            text = "Error validating request.-'bH' : cause - Historical data request duration is not known"
            return 321, text
        if asked.keep_up_to_date and asked.end:
            return 321, "Error validating request.-'bH' : cause - End date must be empty when up to date is set"
        return self._too_soon(asked, contract)

    def _too_soon(self, asked: AskedHistory, contract: SimContract) -> tuple[int, str] | None:
        now_s = self._world.now_s
        same = f"{contract.con_id} {asked.end} {asked.bar_size} {asked.duration} {asked.what} {asked.regular_only}"
        alike = f"{contract.con_id} {asked.what}"
        while self._asked and self._asked[0][0] < now_s - _SAME_WITHIN_S:
            self._asked.popleft()
        repeated = any(each[1] == same for each in self._asked)
        many = sum(each[2] == alike and each[0] > now_s - _MANY_WITHIN_S for each in self._asked) + 1 >= _MANY
        self._asked.append((now_s, same, alike))
        if self._pacing and (repeated or many):
            return 162, f"{_HEAD}Historical data request pacing violation"
        return None

    def _bars(self, asked: AskedHistory, contract: SimContract) -> list[SimBar]:
        days = _sessions(asked.duration) or 1.0
        if asked.bar_size in ("1 day", "1W", "1M"):
            count = max(1, round(days))
            if asked.what in _VOLATILITIES:
                return self._world.volatility_bars(contract.con_id, count)
            return self._world.daily_bars(contract.con_id, count)
        bar_s = _BAR_S[asked.bar_size]
        # a trading day has six and a half hours
        count = max(1, round(days * 23_400.0 / bar_s))
        return self._world.bars(contract.con_id, bar_s, count)

    def _date(self, asked: AskedHistory, contract: SimContract, bar: SimBar) -> str:
        if asked.bar_size in ("1 day", "1W", "1M"):
            return bar.day
        if asked.date_format == 2:
            return str(int(bar.time_s))
        hours = HOURS[contract.venue]
        return f"{datetime.fromtimestamp(bar.time_s, ZoneInfo(hours.zone)):%Y%m%d %H:%M:%S} {hours.api_zone}"


def _sessions(duration: str) -> float | None:
    """Return a duration as trading days, None for one that cannot be read."""
    found = re.fullmatch(r"(\d+) ([SDWMY])", duration)
    if found is None:
        return None
    count = int(found[1])
    return count / 23_400.0 if found[2] == "S" else count * _DAYS[found[2]]
