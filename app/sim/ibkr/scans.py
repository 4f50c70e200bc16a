"""Answers the server-side scanner of the simulated broker: a scan code turns quotes into an order of stocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.sim.ibkr.instruments import Catalogue, SimContract
from app.sim.ibkr.records import SimQuote

MOST_ROWS = 50


def _change(contract: SimContract, quote: SimQuote) -> float | None:
    return quote.last / quote.close - 1.0


def _fall(contract: SimContract, quote: SimQuote) -> float | None:
    return 1.0 - quote.last / quote.close


def _gap(contract: SimContract, quote: SimQuote) -> float | None:
    return quote.open / quote.close - 1.0


def _gap_down(contract: SimContract, quote: SimQuote) -> float | None:
    return 1.0 - quote.open / quote.close


def _volume(contract: SimContract, quote: SimQuote) -> float | None:
    return quote.volume


def _busy(contract: SimContract, quote: SimQuote) -> float | None:
    return quote.volume / contract.volume


def _turnover(contract: SimContract, quote: SimQuote) -> float | None:
    return quote.volume * quote.last


def _volatility(contract: SimContract, quote: SimQuote) -> float | None:
    return quote.iv


def _calls(contract: SimContract, quote: SimQuote) -> float | None:
    return (quote.call_volume or 0.0) + (quote.put_volume or 0.0)


def _halted(contract: SimContract, quote: SimQuote) -> float | None:
    return quote.volume if quote.halted else None


CODES: dict[str, tuple[str, Callable[[SimContract, SimQuote], float | None]]] = {
    "TOP_PERC_GAIN": ("Top % Gainers", _change),
    "TOP_PERC_LOSE": ("Top % Losers", _fall),
    "MOST_ACTIVE": ("Most Active", _volume),
    "MOST_ACTIVE_USD": ("Most Active ($)", _turnover),
    "HOT_BY_VOLUME": ("Hot by Volume", _busy),
    "TOP_OPEN_PERC_GAIN": ("Top % Gainers Since Open", _gap),
    "HIGH_OPEN_GAP": ("Top Gap Up", _gap),
    "LOW_OPEN_GAP": ("Top Gap Down", _gap_down),
    "HIGH_OPT_IMP_VOLAT": ("Highest Option Imp Vol", _volatility),
    "OPT_VOLUME_MOST_ACTIVE": ("Most Active by Opt Volume", _calls),
    "HALTED": ("Halted", _halted),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFilter:
    """Bounds of a scan; None: none."""

    above_price: float | None = None
    below_price: float | None = None
    above_volume: float | None = None


def run_scan(
    code: str, catalogue: Catalogue, quote_of: Callable[[int], SimQuote], limits: ScanFilter, rows: int
) -> list[SimContract]:
    """Return the best US stocks by that code, best first; KeyError for an unknown code."""
    measure = CODES[code][1]
    found: list[tuple[float, SimContract]] = []
    for contract in catalogue.contracts.values():
        if contract.sec_type != "STK" or contract.currency != "USD":
            continue
        quote = quote_of(contract.con_id)
        value = measure(contract, quote)
        if value is None:
            continue
        if limits.above_price is not None and quote.last < limits.above_price:
            continue
        if limits.below_price is not None and quote.last > limits.below_price:
            continue
        if limits.above_volume is not None and quote.volume < limits.above_volume:
            continue
        found.append((value, contract))
    found.sort(key=lambda each: (-each[0], each[1].con_id))
    return [contract for _, contract in found[: min(MOST_ROWS, rows if rows > 0 else MOST_ROWS)]]
