"""Turns the positions of the simulated accounts into the gateway's rows, and into their allocation."""

from __future__ import annotations

from app.sim.ibkr import SimPosition, World
from app.sim.portal.contracts import is_us
from app.sim.portal.trading import description, quantity_text


def position_row(world: World, position: SimPosition) -> dict[str, object]:
    """Return a position as /portfolio/{account}/positions tells it."""
    con_id = position.con_id
    contract = world.catalogue.contracts[con_id]
    found = world.position_pnl(position.account, con_id)
    derivative = contract.sec_type in ("OPT", "FUT")
    return {
        "acctId": position.account,
        "conid": con_id,
        "contractDesc": description(contract),
        "position": found.quantity,
        "mktPrice": round(found.price, 7),
        "mktValue": round(found.value, 2),
        "currency": contract.currency,
        "avgCost": round(position.average_cost, 8),
        "avgPrice": round(position.average_price, 8),
        "realizedPnl": round(found.realised, 2),
        "unrealizedPnl": round(found.unrealised, 2),
        "exchs": None,
        "expiry": contract.expiry or None,
        "putOrCall": contract.right or None,
        "multiplier": contract.multiplier if derivative else None,
        "strike": contract.strike if not contract.is_option else quantity_text(contract.strike),
        "exerciseStyle": "A" if contract.is_option else None,
        "conExchMap": [],
        "assetClass": contract.sec_type,
        "undConid": contract.underlying_con_id,
        "model": "",
    }


def described_position_row(world: World, position: SimPosition) -> dict[str, object]:
    """Return a position with what is known of its contract, as it is told of one position or on request."""
    contract = world.catalogue.contracts[position.con_id]
    return {
        **position_row(world, position),
        "strike": quantity_text(contract.strike),
        "multiplier": contract.multiplier if contract.sec_type in ("OPT", "FUT") else 0.0,
        "ticker": contract.symbol,
        "name": contract.name,
        "isUS": is_us(contract),
        "isEventContract": False,
        "fullName": description(contract),
        "listingExchange": contract.primary_exchange or contract.exchange,
        "countryCode": "US" if is_us(contract) else "DE",
        "type": contract.stock_type,
        "hasOptions": position.con_id in world.catalogue.chains,
        "pageSize": 100,
    }


def live_position_row(world: World, position: SimPosition) -> dict[str, object]:
    """Return a position as /portfolio2/{account}/positions tells it: not cached, and the number is a text."""
    con_id = position.con_id
    contract = world.catalogue.contracts[con_id]
    found = world.position_pnl(position.account, con_id)
    return {
        "position": found.quantity,
        "conid": str(con_id),
        "avgCost": position.average_cost,
        "avgPrice": position.average_price,
        "currency": contract.currency,
        "description": description(contract),
        "isLastToLoq": False,
        "marketPrice": found.price,
        "marketValue": found.value,
        "realizedPnl": found.realised,
        "secType": contract.sec_type,
        "timestamp": int(world.now_s),
        "unrealizedPnl": found.unrealised,
        "assetClass": contract.sec_type,
        "sector": contract.industry or None,
        "group": contract.category or None,
        "model": "",
    }


def allocation(world: World, name: str) -> dict[str, dict[str, dict[str, float]]]:
    """Return what /portfolio/{account}/allocation says: value by asset class, sector and group, long and short."""
    sums: dict[str, dict[str, dict[str, float]]] = {
        kind: {"long": {}, "short": {}} for kind in ("assetClass", "sector", "group")
    }

    def add(kind: str, word: str, value: float) -> None:
        side = sums[kind]["long" if value >= 0.0 else "short"]
        side[word] = round(side.get(word, 0.0) + value, 4)

    for position in world.positions(name):
        contract = world.catalogue.contracts[position.con_id]
        value = world.position_pnl(name, position.con_id).value * world.rate_of(contract.currency)
        add("assetClass", contract.sec_type, value)
        add("sector", contract.industry or "Others", value)
        add("group", contract.category or "Others", value)
    for each in world.values(name):
        if each.tag == "CashBalance" and each.currency != "BASE":
            add("assetClass", "CASH", each.value * world.rate_of(each.currency))
    return sums
