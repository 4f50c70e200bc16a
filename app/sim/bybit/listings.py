"""Turns instruments into rows of REST's instruments-info (market/instrument of the venue's v5 documents)."""

from __future__ import annotations

from app.sim.bybit.contracts import Contract, Status


def spot_info(contract: Contract) -> dict[str, object]:
    """Return a pair as the venue lists it."""
    return {
        "symbolId": contract.symbol_id,
        "symbol": contract.symbol,
        "baseCoin": contract.base,
        "quoteCoin": contract.quote,
        "innovation": "0",
        "status": contract.status.value,
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": contract.quantity_step,
            "quotePrecision": "0.0000001",
            "minOrderQty": contract.quantity_step,
            "maxOrderQty": "1000000",
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": "1000000",
            "maxMarketOrderQty": "500000",
            "postOnlyMaxLimitOrderSize": "5000000",
        },
        "priceFilter": {"tickSize": contract.tick_size},
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
        "xstockMultiplier": "1",
    }


def linear_info(contract: Contract) -> dict[str, object]:
    """Return a contract as the venue lists it."""
    pre_launch = contract.status is Status.PRE_LAUNCH
    scale = contract.listing.price_decimals + contract.zeros
    highest = f"{contract.listing.price * 20:.{scale}f}"
    return {
        "symbol": contract.symbol,
        "contractType": contract.contract_type,
        "status": contract.status.value,
        "baseCoin": contract.base,
        "quoteCoin": contract.quote,
        "launchTime": str(contract.launch_ms),
        "deliveryTime": str(contract.delivery_ms),
        "deliveryFeeRate": "0" if contract.delivery_ms else "",
        "priceScale": str(scale),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": contract.tick_size, "maxPrice": highest, "tickSize": contract.tick_size},
        "lotSizeFilter": {
            "maxOrderQty": "1000000",
            "minOrderQty": contract.quantity_step,
            "qtyStep": contract.quantity_step,
            "postOnlyMaxOrderQty": "1000000",
            "maxMktOrderQty": "200000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": contract.funding_hours * 60,
        "settleCoin": contract.quote,
        "copyTrading": "none" if contract.delivery_ms or pre_launch else "both",
        "upperFundingRate": "0.005" if contract.funding_hours else "0",
        "lowerFundingRate": "-0.005" if contract.funding_hours else "0",
        "isPreListing": pre_launch,
        "preListingInfo": {"curAuctionPhase": "ContinuousTrading", "phases": []} if pre_launch else None,
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"},
        "displayName": "BTCUSDC" if contract.symbol == "BTCPERP" else "",
        "symbolType": "",
        "forbidUplWithdrawal": False,
        "symbolId": contract.symbol_id,
    }
