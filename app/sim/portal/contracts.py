"""Turns the simulated instruments into the gateway's answers about contracts: stocks, definitions, chains, hours.

Shapes as recorded from the real gateway; an instrument is named by its number (conid) everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from app.sim.ibkr.hours import HOURS, sessions
from app.sim.ibkr.instruments import Catalogue, SimContract
from app.sim.portal.fields import decimals
from app.sim.portal.trading import description, quantity_text

_US_EXCHANGES = "SMART,AMEX,NYSE,CBOE,PHLX,ISE,CHX,ARCA,NASDAQ"
_OPTION_EXCHANGES = "SMART;AMEX;CBOE;PHLX;ISE"
_SCHEDULE_DAYS = 14


def is_us(contract: SimContract) -> bool:
    """Return whether it is traded in the United States."""
    return contract.currency == "USD" and contract.sec_type != "CASH"


def valid_exchanges(contract: SimContract) -> str:
    """Return where orders could be routed."""
    return _US_EXCHANGES if is_us(contract) and contract.sec_type in ("STK", "OPT") else contract.exchange


def month_name(expiry: str) -> str:
    """Return the month of an expiry as the gateway names it: NOV26."""
    return datetime.strptime(expiry, "%Y%m%d").replace(tzinfo=UTC).strftime("%b%y").upper()


def stocks_answer(catalogue: Catalogue, symbols: Iterable[str]) -> dict[str, list[object]]:
    """Return what /trsrv/stocks says: for each symbol every listing, also those of another country."""
    found: dict[str, list[object]] = {}
    for symbol in symbols:
        listings = catalogue.find(symbol, sec_type="STK")
        found[symbol] = [_listings_of(each) for each in listings]
    return found


def _listings_of(contract: SimContract) -> dict[str, object]:
    home = contract.primary_exchange or contract.exchange
    places = [{"conid": contract.con_id, "exchange": home, "isUS": is_us(contract)}]
    if is_us(contract):  # as many real ones have; nothing is traded there
        places.append({"conid": contract.con_id + 38_000_000, "exchange": "MEXI", "isUS": False})
    return {"name": contract.name, "chineseName": contract.name, "assetClass": "STK", "contracts": places}


def futures_answer(catalogue: Catalogue, symbols: Iterable[str]) -> dict[str, list[object]]:
    """Return what /trsrv/futures says."""
    return {
        symbol: [
            {
                "symbol": each.symbol,
                "conid": each.con_id,
                "underlyingConid": each.underlying_con_id,
                "expirationDate": int(each.expiry),
                "ltd": int(each.expiry),
                "shortFuturesCutOff": int(each.expiry),
                "longFuturesCutOff": int(each.expiry),
            }
            for each in catalogue.find(symbol, sec_type="FUT")
        ]
        for symbol in symbols
    }


def definition(catalogue: Catalogue, contract: SimContract) -> dict[str, object]:
    """Return one row of /trsrv/secdef."""
    return {
        "incrementRules": [{"lowerEdge": 0.0, "increment": contract.tick_size}],
        "displayRule": {
            "magnification": 0,
            "displayRuleStep": [{"decimalDigits": decimals(contract), "lowerEdge": 0.0, "wholeDigits": 4}],
        },
        "conid": contract.con_id,
        "currency": contract.currency,
        "time": 43,
        "chineseName": contract.name,
        "allExchanges": valid_exchanges(contract),
        "countryCode": "US" if is_us(contract) else "DE",
        "name": contract.name,
        "assetClass": contract.sec_type,
        "expiry": contract.expiry or None,
        "lastTradingDay": contract.expiry or None,
        "group": contract.category or None,
        "putOrCall": contract.right or None,
        "sector": contract.industry or None,
        "sectorGroup": contract.category or None,
        "strike": quantity_text(contract.strike),
        "ticker": contract.symbol,
        "undConid": contract.underlying_con_id,
        "multiplier": contract.multiplier if contract.sec_type in ("OPT", "FUT") else 0.0,
        "type": contract.stock_type or None,
        "hasOptions": contract.con_id in catalogue.chains,
        "fullName": description(contract),
        "isUS": is_us(contract),
        "isEventContract": False,
        "listingExchange": contract.primary_exchange or contract.exchange,
    }


def info(catalogue: Catalogue, contract: SimContract) -> dict[str, object]:
    """Return what /iserver/contract/{conid}/info says."""
    derivative = contract.sec_type in ("OPT", "FUT")
    return {
        "cfi_code": "",
        "symbol": contract.symbol,
        "cusip": None,
        "expiry_full": contract.expiry or None,
        "con_id": contract.con_id,
        "maturity_date": contract.expiry or None,
        "industry": contract.category,
        "instrument_type": contract.sec_type,
        "has_related_contracts": contract.con_id in catalogue.chains,
        "trading_class": contract.trading_class,
        "valid_exchanges": valid_exchanges(contract),
        "allow_sell_long": False,
        "is_zero_commission_security": False,
        "local_symbol": contract.local_symbol,
        "contract_clarification_type": None,
        "classifier": None,
        "currency": contract.currency,
        "text": description(contract) if derivative else None,
        "underlying_con_id": contract.underlying_con_id,
        "r_t_h": True,
        "multiplier": quantity_text(contract.multiplier) if derivative else None,
        "underlying_issuer": None,
        "contract_month": contract.expiry[:6] or None,
        "company_name": contract.name,
        "smart_available": is_us(contract),
        "exchange": contract.exchange,
        "category": contract.category,
    }


def info_and_rules(catalogue: Catalogue, contract: SimContract, price: float) -> dict[str, object]:
    """Return what /iserver/contract/{conid}/info-and-rules says."""
    return {
        **info(catalogue, contract),
        "rules": {
            "algoEligible": True,
            "allOrNoneEligible": True,
            "orderTypes": ["limit", "midprice", "market", "stop", "stop_limit"],
            "tifTypes": ["DAY/o,a", "GTC/o,a"],
            "defaultSize": 100 if contract.sec_type == "STK" else 1,
            "cashSize": 0.0,
            "sizeIncrement": 100 if contract.sec_type == "STK" else 1,
            "limitPrice": price,
            "stopprice": price,
            "preview": True,
            "cashCcy": contract.currency,
            "increment": contract.tick_size,
            "incrementDigits": decimals(contract),
        },
    }


def search_answer(catalogue: Catalogue, text: str, sec_type: str, *, by_name: bool) -> list[dict[str, object]]:
    """Return what /iserver/secdef/search says of a symbol, or of a part of a company's name."""
    if sec_type == "FUT" or not (found := catalogue.matching(text)):
        found = catalogue.find(text.upper(), sec_type="FUT")
    if not by_name and any(each.symbol == text.upper() for each in found):
        found = [each for each in found if each.symbol == text.upper()]
    return [_search_row(catalogue, each) for each in found]


def _search_row(catalogue: Catalogue, contract: SimContract) -> dict[str, object]:
    exchange = contract.primary_exchange or contract.exchange
    sections: list[dict[str, object]] = []
    if contract.sec_type == "FUT":
        sections += [
            {"secType": "IND", "exchange": f"{exchange};"},
            {"secType": "FUT", "months": month_name(contract.expiry), "exchange": f"{exchange};"},
        ]
    else:
        sections.append({"secType": "STK"} if is_us(contract) else {"secType": "STK", "exchange": f"{exchange};"})
    chain = catalogue.chains.get(contract.con_id)
    if chain is not None:
        months = dict.fromkeys(month_name(each) for each in chain.expiries)
        sections.append({"secType": "OPT", "months": ";".join(months), "exchange": _OPTION_EXCHANGES})
    sections.append({"secType": "BAG"})
    number = contract.underlying_con_id if contract.sec_type == "FUT" else contract.con_id
    return {
        "conid": str(number),
        "companyHeader": f"{contract.name} - {exchange}",
        "companyName": contract.name,
        "symbol": contract.symbol,
        "description": exchange,
        "restricted": None,
        "sections": sections,
    }


def strikes_answer(catalogue: Catalogue, underlying: int, month: str) -> dict[str, list[float]]:
    """Return what /iserver/secdef/strikes says of a month; strikes of all its expiries together."""
    chain = catalogue.chains.get(underlying)
    expiries = [] if chain is None else [each for each in chain.expiries if month_name(each) == month]
    strikes = sorted({strike for each in expiries for strike in (chain.strikes[each] if chain else ())})
    return {"call": strikes, "put": list(strikes)}


def derivatives(
    catalogue: Catalogue, underlying: int, sec_type: str, month: str, strike: float | None, right: str
) -> list[SimContract]:
    """Return the options or futures of an underlying that fit month (NOV26), strike and right."""
    return [
        each
        for each in catalogue.contracts.values()
        if each.sec_type == sec_type
        and each.underlying_con_id == underlying
        and (not month or month_name(each.expiry) == month)
        and (strike is None or abs(each.strike - strike) < 1e-9 or sec_type == "FUT")
        and (not right or each.right == right)
    ]


def derivative_row(contract: SimContract) -> dict[str, object]:
    """Return one row of /iserver/secdef/info."""
    return {
        "conid": contract.con_id,
        "symbol": contract.symbol,
        "ticker": contract.symbol,
        "secType": contract.sec_type,
        "listingExchange": contract.primary_exchange or None,
        "exchange": contract.exchange,
        "companyName": contract.name,
        "currency": contract.currency,
        "validExchanges": valid_exchanges(contract),
        "priceRendering": None,
        "maturityDate": contract.expiry or None,
        "right": contract.right or "?",
        "strike": contract.strike,
        "tradingClass": contract.trading_class,
        "multiplier": quantity_text(contract.multiplier),
        "desc2": description(contract),
        "showPrips": False,
    }


def schedule_by_venue(contract: SimContract, first: date) -> list[dict[str, object]]:
    """Return what /trsrv/secdef/schedule says: days as texts, hours as hhmm of the exchange's zone."""
    rows = []
    for day in (first + timedelta(days=ahead) for ahead in range(_SCHEDULE_DAYS)):
        found = sessions(contract.venue, day)
        if found is None:
            continue
        whole, regular = found
        rows.append(
            {
                "clearingCycleEndTime": f"{whole[1]:%H%M}",
                "tradingScheduleDate": f"{day:%Y%m%d}",
                "sessions": [
                    {"openingTime": f"{regular[0]:%H%M}", "closingTime": f"{regular[1]:%H%M}", "prop": "LIQUID"}
                ],
                "tradingtimes": [
                    {"openingTime": f"{whole[0]:%H%M}", "closingTime": f"{whole[1]:%H%M}", "cancelDayOrders": "Y"}
                ],
            }
        )
    exchange = contract.primary_exchange or contract.exchange
    return [
        {
            "id": f"p{contract.con_id}",
            "tradeVenueId": "v13038",
            "exchange": exchange,
            "description": exchange,
            "timezone": HOURS[contract.venue].zone,
            "schedules": rows,
        }
    ]


def schedule_by_day(contract: SimContract, first: date) -> dict[str, object]:
    """Return what /contract/trading-schedule says: days by date, hours in seconds since 1970."""
    days: dict[str, object] = {}
    for day in (first + timedelta(days=ahead) for ahead in range(_SCHEDULE_DAYS)):
        found = sessions(contract.venue, day)
        if found is not None:
            (opens, closes), (regular_opens, regular_closes) = found
            days[f"{day:%Y%m%d}"] = {
                "liquid_hours": [
                    {"opening": int(regular_opens.timestamp()), "closing": int(regular_closes.timestamp())}
                ],
                "extended_hours": [
                    {
                        "cancel_daily_orders": True,
                        "opening": int(opens.timestamp()),
                        "closing": int(closes.timestamp()),
                    }
                ],
            }
    return {"exchange_time_zone": HOURS[contract.venue].api_zone, "schedules": days}
