"""Turns accounts, contracts and bars of the simulated world into messages of the TWS protocol at version 178."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from app.sim.ibkr.hours import HOURS, Venue
from app.sim.ibkr.instruments import Chain, SimContract
from app.sim.ibkr.records import SimBar, SimPosition, SimPositionPnl
from app.sim.tws.wire import UNSET_DOUBLE, frame, money, price

ORDER_TYPES = (
    "ACTIVETIM,ADJUST,ALERT,ALGO,ALLOC,AON,AVGCOST,BASKET,COND,CONDORDER,DAY,GAT,GTC,GTD,GTT,HID,ICE,IOC,LIT,LMT,LOC,"
    "MIT,MKT,MOC,MTL,OCA,OPG,PEGBENCH,REL,SCALE,STP,STPLMT,TRAIL,TRAILLIT,TRAILLMT,TRAILMIT,WHATIF"
)
_EXCHANGES = {
    "STK": "SMART,AMEX,NYSE,CBOE,PHLX,CHX,ARCA,NASDAQ,BATS,IEX,EDGX,MEMX,PSX",
    "OPT": "SMART,AMEX,CBOE,PHLX,PSE,ISE,BOX,BATS,NASDAQOM,MIAX",
}


# Connection


def error(req_id: int, code: int, text: str) -> bytes:
    """Return an error or notice; req_id -1 when it is about nothing in particular."""
    return frame(4, 2, req_id, code, text, "")


def managed_accounts(names: Iterable[str]) -> bytes:
    """Return the accounts of the login."""
    return frame(15, 1, ",".join(names))


def next_valid_id(number: int) -> bytes:
    """Return the next order id a client may use."""
    return frame(9, 1, number)


def current_time(epoch_s: float) -> bytes:
    """Return the server's time."""
    return frame(49, 1, int(epoch_s))


# Contracts within messages


def multiplier_text(contract: SimContract) -> str:
    """Return the multiplier as TWS writes it, empty for stocks."""
    return "" if contract.multiplier == 1.0 else f"{contract.multiplier:g}"


def _head(contract: SimContract, *, right: str, strike: str) -> tuple[int | str, ...]:
    strike = price(contract.strike) if contract.strike else strike
    return (
        contract.con_id,
        contract.symbol,
        contract.sec_type,
        contract.expiry,
        strike,
        contract.right or right,
        multiplier_text(contract),
    )


def _tail(contract: SimContract) -> tuple[str, str, str]:
    return contract.currency, contract.local_symbol, contract.trading_class


def order_contract(contract: SimContract) -> tuple[int | str, ...]:
    """Return the eleven contract fields of orders; TWS writes the right of what is no option as a question mark."""
    return (*_head(contract, right="?", strike="0"), contract.exchange, *_tail(contract))


def fill_contract(contract: SimContract, exchange: str) -> tuple[int | str, ...]:
    """Return the eleven contract fields of executions; the exchange is where it was filled."""
    return (*_head(contract, right="", strike="0.0"), exchange, *_tail(contract))


# Account


def position(contract: SimContract, held: SimPosition, quantity: float) -> bytes:
    """Return a position; its exchange is empty."""
    head = _head(contract, right="", strike="0.0")
    return frame(61, 3, held.account, *head, "", *_tail(contract), quantity, price(held.average_cost))


POSITION_END = frame(62, 1)


def account_value(tag: str, value: str, currency: str, account: str) -> bytes:
    """Return a figure of an account."""
    return frame(6, 2, tag, value, currency, account)


def portfolio_value(contract: SimContract, held: SimPosition, found: SimPositionPnl) -> bytes:
    """Return a position with its value; the primary exchange stands where others have the exchange."""
    head = _head(contract, right="0", strike="0")
    return frame(
        7,
        8,
        *head,
        contract.primary_exchange,
        *_tail(contract),
        found.quantity,
        price(found.price),
        money(found.value),
        price(held.average_cost),
        money(found.unrealised),
        money(found.realised),
        held.account,
    )


def account_time(text: str) -> bytes:
    """Return the time of account figures, HH:MM."""
    return frame(8, 1, text)


def account_end(account: str) -> bytes:
    """Return the end of account figures."""
    return frame(54, 1, account)


def multi_value(req_id: int, account: str, model: str, tag: str, value: str, currency: str) -> bytes:
    """Return a figure of a multi-account subscription."""
    return frame(73, 1, req_id, account, model, tag, value, currency)


def multi_end(req_id: int) -> bytes:
    """Return the end of what a multi-account subscription tells at first."""
    return frame(74, 1, req_id)


def summary_value(req_id: int, account: str, tag: str, value: str, currency: str) -> bytes:
    """Return a figure of the account summary."""
    return frame(63, 1, req_id, account, tag, value, currency)


def summary_end(req_id: int) -> bytes:
    """Return the end of the account summary."""
    return frame(64, 1, req_id)


def pnl(req_id: int, daily: float | None, unrealised: float | None, realised: float | None) -> bytes:
    """Return profit and loss of an account; None is sent as the unset double."""
    return frame(94, req_id, *map(_double, (daily, unrealised, realised)))


def pnl_single(
    req_id: int,
    quantity: float,
    daily: float | None,
    unrealised: float | None,
    realised: float | None,
    value: float | None,
) -> bytes:
    """Return profit and loss of a position; None is sent as the unset double."""
    return frame(95, req_id, quantity, *map(_double, (daily, unrealised, realised, value)))


def _double(value: float | None) -> str:
    return UNSET_DOUBLE if value is None else price(value)


# Contracts


def contract_details(
    req_id: int, contract: SimContract, exchange: str, hours: tuple[str, str, str], underlying: SimContract | None
) -> bytes:
    """Return everything about a contract; hours: zone, trading, liquid."""
    zone, trading, liquid = hours
    exchanges = _EXCHANGES.get(contract.sec_type, contract.exchange)
    if contract.currency != "USD":
        exchanges = f"SMART,{contract.primary_exchange}"
    ids = ("1", "ISIN", contract.isin) if contract.isin else ("0",)
    is_derivative = contract.sec_type in ("OPT", "FUT")
    return frame(
        10,
        req_id,
        contract.symbol,
        contract.sec_type,
        contract.expiry,
        price(contract.strike) if contract.strike else "0",
        contract.right,
        exchange,
        contract.currency,
        contract.local_symbol,
        contract.trading_class,
        contract.trading_class,
        contract.con_id,
        price(contract.tick_size),
        multiplier_text(contract),
        ORDER_TYPES,
        exchanges,
        1,
        contract.underlying_con_id,
        contract.name,
        contract.primary_exchange if contract.sec_type == "STK" else "",
        contract.expiry[:6],
        contract.industry,
        contract.category,
        contract.category,
        zone,
        trading,
        liquid,
        "",
        "",
        *ids,
        2 if contract.sec_type == "OPT" else 1,
        contract.symbol if is_derivative else "",
        (underlying.sec_type if underlying is not None else "IND") if is_derivative else "",
        ",".join(["26"] * (exchanges.count(",") + 1)),
        contract.expiry if is_derivative else "",
        contract.stock_type,
        "0.0001" if contract.sec_type == "STK" else "1",
        "0.0001" if contract.sec_type == "STK" else "1",
        "100" if contract.sec_type == "STK" else "1",
    )


def contract_details_end(req_id: int) -> bytes:
    """Return the end of contract details."""
    return frame(52, 1, req_id)


def option_parameters(req_id: int, chain: Chain, exchange: str) -> bytes:
    """Return expiries and strikes of a chain at one exchange."""
    expiries, strikes = chain.expiries, chain.all_strikes
    return frame(
        75,
        req_id,
        exchange,
        chain.underlying.con_id,
        chain.trading_class,
        f"{chain.multiplier:g}",
        len(expiries),
        *expiries,
        len(strikes),
        *map(price, strikes),
    )


def option_parameters_end(req_id: int) -> bytes:
    """Return the end of a chain."""
    return frame(76, req_id)


def symbol_samples(req_id: int, found: Sequence[tuple[SimContract, bool]]) -> bytes:
    """Return stocks that match a pattern, each with whether options exist on it."""
    fields: list[str | int] = []
    for contract, has_options in found:
        kinds = ("CFD", "OPT", "WAR") if has_options else ("CFD",)
        fields += [contract.con_id, contract.symbol, contract.sec_type, contract.primary_exchange, contract.currency]
        fields += [len(kinds), *kinds, contract.name, ""]
    return frame(79, req_id, len(found), *fields)


# History


def zoned(epoch_s: float, venue: Venue = Venue.US_STOCKS) -> str:
    """Return a time as TWS writes it, e.g. `20261120 09:31:02 US/Eastern`."""
    hours = HOURS[venue]
    return f"{datetime.fromtimestamp(epoch_s, ZoneInfo(hours.zone)):%Y%m%d %H:%M:%S} {hours.api_zone}"


def historical_data(req_id: int, bars: Sequence[SimBar], dates: Sequence[str], start: str, end: str) -> bytes:
    """Return bars; each has its text of time in `dates`."""
    fields: list[str | int | float] = []
    for bar, day in zip(bars, dates, strict=True):
        fields += [day, *map(price, (bar.open, bar.high, bar.low, bar.close)), bar.volume, price(bar.wap), bar.count]
    return frame(17, req_id, start, end, len(bars), *fields)


def historical_update(req_id: int, bar: SimBar, day: str) -> bytes:
    """Return the newest bar of a request that is kept up to date; its fields have an order of their own."""
    figures = map(price, (bar.open, bar.close, bar.high, bar.low, bar.wap))
    return frame(90, req_id, bar.count, day, *figures, bar.volume)


def realtime_bar(req_id: int, bar: SimBar) -> bytes:
    """Return a bar of five seconds."""
    figures = map(price, (bar.open, bar.high, bar.low, bar.close))
    return frame(50, 3, req_id, int(bar.time_s), *figures, bar.volume, price(bar.wap), bar.count)


def head_timestamp(req_id: int, text: str) -> bytes:
    """Return since when there is history."""
    return frame(88, req_id, text)


# Scanner


def scanner_data(req_id: int, found: Sequence[SimContract]) -> bytes:
    """Return the rows of a scan, best first."""
    fields: list[str | int] = []
    for rank, contract in enumerate(found):
        head = _head(contract, right="", strike="0")[:-1]  # rows have no multiplier
        fields += [rank, *head, "SMART", contract.currency, contract.local_symbol]
        fields += [contract.trading_class, contract.trading_class, "", "", "", ""]
    return frame(20, 3, req_id, len(found), *fields)


def scanner_parameters(xml: str) -> bytes:
    """Return what scans there are."""
    return frame(19, 1, xml)
