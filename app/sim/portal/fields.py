"""Turns a contract's quote into the numbered fields of the gateway's market data, all of them texts.

Ids as the Web API lists them. `31` begins with C when it is only the previous close and with H in a halt; sizes have
commas, volume a K or M; volatilities end with a per cent sign.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from app.sim.ibkr.instruments import Access, SimContract
from app.sim.ibkr.records import SimPosition, SimPositionPnl, SimQuote

SERVER = "q0"
# what comes at once; every other field comes a moment later
FIRST_FIELDS = frozenset({"31", "84", "86", "88", "85", "7059", "55", "6509", "6119"})
_QUOTED = frozenset({"6119", "6509"})


def price_text(contract: SimContract, price: float | None) -> str | None:
    """Return a price with as many digits as the contract's tick has; None where there is none."""
    if price is None or not math.isfinite(price):
        return None
    return f"{price:.{decimals(contract)}f}"


def decimals(contract: SimContract) -> int:
    """Return the digits after the point of the contract's prices, two at least."""
    return max(2, len(f"{contract.tick_size:.8f}".rstrip("0").partition(".")[2]))


def short_number(value: float) -> str:
    """Return a volume as the gateway shortens it: 950, 12.3K, 1.2M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:.3g}{letter}" if value / size < 100.0 else f"{value / size:.0f}{letter}"
    return f"{value:.0f}"


def availability(contract: SimContract, *, closed: bool) -> str:
    """Return field 6509: live, delayed, frozen or none."""
    if contract.access is Access.NONE:
        return "N"
    if contract.access is Access.DELAYED:
        return "YPB" if closed else "DPB"
    return "ZpB" if closed else "RpB"


def all_fields(
    contract: SimContract,
    quote: SimQuote | None,
    *,
    closed: bool,
    position: SimPosition | None = None,
    pnl: SimPositionPnl | None = None,
) -> dict[str, str]:
    """Return every field that has a value now, by its number."""
    found: dict[str, str | None] = {
        "6119": SERVER,
        "6509": availability(contract, closed=closed),
        "55": contract.symbol,
        "6004": contract.exchange,
        "6008": str(contract.con_id),
        "6070": contract.sec_type,
        "6457": str(contract.underlying_con_id) if contract.underlying_con_id else None,
        "7051": contract.name,
        "7094": f"{contract.con_id}@{contract.exchange}",
        "7219": contract.local_symbol,
        "7221": contract.primary_exchange or contract.exchange,
    }
    if quote is not None and contract.access is not Access.NONE:
        found.update(_prices(contract, quote, closed=closed))
        found.update(_derived(contract, quote))
    if position is not None and pnl is not None:
        found.update(_holding(contract, position, pnl))
    return {name: text for name, text in found.items() if text is not None}


def _prices(contract: SimContract, quote: SimQuote, *, closed: bool) -> dict[str, str | None]:
    last = price_text(contract, quote.last)
    if quote.halted:
        last = f"H{last}"
    elif closed or not quote.volume:
        last = f"C{price_text(contract, quote.close)}"
    change = quote.last - quote.close
    return {
        "31": last,
        "84": price_text(contract, quote.bid),
        "86": price_text(contract, quote.ask),
        "88": f"{quote.bid_size:,.0f}" if quote.bid is not None else None,
        "85": f"{quote.ask_size:,.0f}" if quote.ask is not None else None,
        "7059": f"{quote.last_size:,.0f}",
        "70": price_text(contract, quote.high),
        "71": price_text(contract, quote.low),
        "82": f"{change:.{decimals(contract)}f}",
        "83": f"{100.0 * change / quote.close:.2f}" if quote.close else None,
        "87": short_number(quote.volume),
        "7762": f"{quote.volume:.0f}",
        "7295": price_text(contract, quote.open),
        "7296": price_text(contract, quote.close if not closed else quote.last),
        "7741": price_text(contract, quote.close),
        "7635": price_text(contract, quote.mark),
    }


def _derived(contract: SimContract, quote: SimQuote) -> dict[str, str | None]:
    option = contract.is_option
    calls, puts = quote.call_volume, quote.put_volume
    traded = quote.volume if option else None if calls is None or puts is None else calls + puts
    return {
        "7293": price_text(contract, quote.week_52_high),
        "7294": price_text(contract, quote.week_52_low),
        "7308": _number(quote.delta, 4),
        "7309": _number(quote.gamma, 5),
        "7310": _number(quote.theta, 4),
        "7311": _number(quote.vega, 4),
        "7633": _per_cent(quote.iv) if option else None,
        "7283": None if option else _per_cent(quote.iv),
        "7087": _per_cent(quote.hist_vol),
        "7084": _per_cent(quote.iv / quote.hist_vol) if quote.iv and quote.hist_vol else None,
        "7638": f"{quote.open_interest:,.0f}" if quote.open_interest is not None else None,
        "7089": short_number(traded) if traded is not None else None,
        "7085": _ratio(quote.put_open_interest, quote.call_open_interest),
        "7086": _ratio(puts, calls),
        "7636": short_number(10.0 ** (quote.shortable + 3.0)) if quote.shortable is not None else None,
        "7718": None if option else f"{contract.beta:.3f}",
    }


def _holding(contract: SimContract, position: SimPosition, pnl: SimPositionPnl) -> dict[str, str | None]:
    cost = abs(position.average_cost * pnl.quantity)
    return {
        "73": f"{pnl.value:.2f}",
        "74": price_text(contract, position.average_price),
        "75": f"{pnl.unrealised:.2f}",
        "76": f"{pnl.quantity:,.0f}",
        "78": f"{pnl.daily:.2f}",
        "79": f"{pnl.realised:.2f}",
        "80": f"{100.0 * pnl.unrealised / cost:.2f}%" if cost else None,
    }


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _per_cent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{100.0 * fraction:.1f}%"


def _ratio(above: float | None, below: float | None) -> str | None:
    return f"{above / below:.2f}" if above is not None and below else None


def message(
    contract: SimContract, epoch_ms: int, fields: Mapping[str, str], *, first: bool, exchange: str = ""
) -> dict[str, object]:
    """Return the body that both streams and snapshots have; `first` names the contract at length."""
    place = f"{contract.con_id}@{exchange}" if exchange else str(contract.con_id)
    body: dict[str, object] = {"server_id": SERVER}
    if first or contract.con_id % 2:  # later frames have it or have it not
        body["conidEx"] = place
    body.update(conid=contract.con_id, _updated=epoch_ms)
    body["6119"] = SERVER
    for name, text in fields.items():
        if name not in _QUOTED:
            body[name] = text
        if name == "87":
            body["87_raw"] = _raw(text)
    if "6509" in fields:
        body["6509"] = fields["6509"]
    return body


def _raw(text: str) -> float:
    factor = {"K": 1e3, "M": 1e6, "B": 1e9}.get(text[-1:], 1.0)
    return float(text.rstrip("KMB")) * factor


def chosen(fields: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the fields a client asked for; availability always comes along."""
    wanted = {*names, "6509"}
    return {name: text for name, text in fields.items() if name in wanted}
