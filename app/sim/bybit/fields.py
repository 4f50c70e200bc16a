"""Turns rows of figures into the texts of ticker fields, as streams and as REST name them."""

from __future__ import annotations

from datetime import date, timedelta

from app.sim.bybit.contracts import Contract, Status
from app.sim.bybit.encoders import price_writer, quantity_writer
from app.sim.bybit.tape import Figures

Fields = dict[str, str]
Quote = tuple[int, int, int, int]  # best bid and its steps, best ask and its steps

_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
# a change of the first brings the others along, as in the venue's deltas
_TOGETHER = (
    ("bid1Price", "bid1Size"),
    ("ask1Price", "ask1Size"),
    ("turnover24h", "volume24h"),
    ("openInterestValue", "singleOpenInterestValue"),
)


def next_funding_ms(contract: Contract, now_ms: int) -> int:
    """Return when funding is next paid, UTC ms."""
    interval = contract.funding_hours * _HOUR_MS
    return (now_ms // interval + 1) * interval


def quiet_quote(figures: Figures, row: int) -> Quote:
    """Return best prices and plausible quantities where no book is followed."""
    contract = figures.contracts[row]
    bid = int(figures.bid_ticks[row])
    scale = 10.0**contract.listing.quantity_decimals
    steps = max(1, int(figures.volume_usual[row] * 2.0e-6 * scale))
    waver = 1 + int(figures.volume_24h[row] * scale) % 7
    return bid, steps * waver, bid + int(figures.spread[row]), steps * (8 - waver)


def linear_fields(figures: Figures, row: int, quote: Quote, now_ms: int) -> Fields:
    """Return every field of a contract's ticker stream."""
    contract = figures.contracts[row]
    price, quantity = price_writer(contract), quantity_writer(contract)
    tick = figures.tick[row]
    decimals = max(0, contract.listing.price_decimals) + contract.zeros
    size_decimals = max(0, contract.listing.quantity_decimals)
    last, previous = float(figures.last[row]), float(figures.previous_24h[row])
    interest, mark = float(figures.open_interest[row]), float(figures.mark[row])
    bid, bid_steps, ask, ask_steps = quote
    funded = contract.funding_hours > 0 and contract.status is not Status.PRE_LAUNCH
    return {
        "tickDirection": "PlusTick" if figures.tick_up[row] else "MinusTick",
        "price24hPcnt": f"{last / previous - 1.0:.6f}",
        "lastPrice": price(round(last / tick)),
        "prevPrice24h": price(round(previous / tick)),
        "highPrice24h": price(round(figures.high_24h[row] / tick)),
        "lowPrice24h": price(round(figures.low_24h[row] / tick)),
        "prevPrice1h": price(round(figures.previous_1h[row] / tick)),
        "markPrice": f"{mark:.{decimals}f}",
        "indexPrice": f"{figures.index[row]:.{decimals}f}",
        "openInterest": f"{interest:.{size_decimals}f}",
        "openInterestValue": f"{interest * mark:.2f}",
        "turnover24h": f"{figures.turnover_24h[row]:.4f}",
        "volume24h": f"{figures.volume_24h[row]:.4f}",
        "fundingIntervalHour": str(contract.funding_hours) if funded else "",
        "fundingCap": "0.005" if funded else "",
        "singleOpenInterest": f"{interest / 2.0:.{size_decimals}f}",
        "singleOpenInterestValue": f"{interest * mark / 2.0:.2f}",
        "nextFundingTime": str(next_funding_ms(contract, now_ms)) if funded else "",
        "fundingRate": f"{figures.funding[row]:.8f}".rstrip("0").rstrip(".") if funded else "",
        "bid1Price": price(bid),
        "bid1Size": quantity(bid_steps),
        "ask1Price": price(ask),
        "ask1Size": quantity(ask_steps),
        **({"deliveryTime": _iso_day(contract.delivery_ms), "basisRate": ""} if contract.delivery_ms else {}),
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "ContinuousTrading" if contract.status is Status.PRE_LAUNCH else "",
    }


def spot_fields(figures: Figures, row: int) -> Fields:
    """Return every field of a pair's ticker stream: best prices are not among them."""
    contract = figures.contracts[row]
    price, tick = price_writer(contract), figures.tick[row]
    last, previous = float(figures.last[row]), float(figures.previous_24h[row])
    return {
        "lastPrice": price(round(last / tick)),
        "highPrice24h": price(round(figures.high_24h[row] / tick)),
        "lowPrice24h": price(round(figures.low_24h[row] / tick)),
        "prevPrice24h": price(round(previous / tick)),
        "volume24h": f"{figures.volume_24h[row]:.6f}".rstrip("0").rstrip("."),
        "turnover24h": f"{figures.turnover_24h[row]:.8f}".rstrip("0").rstrip("."),
        "price24hPcnt": f"{last / previous - 1.0:.4f}",
        "usdIndexPrice": f"{figures.index[row]:.6f}",
    }


def rest_row(figures: Figures, row: int, quote: Quote, now_ms: int) -> dict[str, object]:
    """Return an instrument's row of the REST tickers."""
    contract = figures.contracts[row]
    if contract.linear:
        fields = linear_fields(figures, row, quote, now_ms)
        del fields["tickDirection"]
        rest: dict[str, object] = {"symbol": contract.symbol, **fields, "predictedDeliveryPrice": "", "basis": ""}
        rest["deliveryTime"] = str(contract.delivery_ms)
        return rest
    price, quantity = price_writer(contract), quantity_writer(contract)
    bid, bid_steps, ask, ask_steps = quote
    return {
        "symbol": contract.symbol,
        "bid1Price": price(bid),
        "bid1Size": quantity(bid_steps),
        "ask1Price": price(ask),
        "ask1Size": quantity(ask_steps),
        **spot_fields(figures, row),
    }


def changed(before: Fields, now: Fields) -> Fields:
    """Return the fields that differ, with those that always come along with them."""
    different = {key: value for key, value in now.items() if before.get(key) != value}
    for group in _TOGETHER:
        if not different.keys().isdisjoint(group):
            different.update((key, now[key]) for key in group)
    return different


def _iso_day(when_ms: int) -> str:
    return f"{date(1970, 1, 1) + timedelta(days=when_ms // _DAY_MS)}T08:00:00Z"
