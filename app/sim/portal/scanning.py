"""Answers the gateway's scanner and its watchlists, which a user has made in TWS or the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.sim.ibkr import World
from app.sim.ibkr.scans import CODES, MOST_ROWS, ScanFilter
from app.sim.portal.trading import listing

_FILTERS = {"priceAbove": "above_price", "priceBelow": "below_price", "volumeAbove": "above_volume"}
_MODIFIED_MS = 1_775_319_529_009
WATCHLISTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "101": ("Core", ("AAPL", "MSFT", "NVDA", "SPY", "TSLA", "AMZN", "SAP")),
    "102": ("Movers", ("SMCI", "RIVN", "GME", "AMC", "COIN", "PLTR", "NKE", "TSM")),
}


def parameters() -> dict[str, object]:
    """Return what /iserver/scanner/params says."""
    return {
        "scan_type_list": [
            {"display_name": name, "code": code, "instruments": ["STK", "ETF.EQ.US"]}
            for code, (name, _) in CODES.items()
        ],
        "instrument_list": [{"display_name": "US Stocks", "type": "STK", "filters": list(_FILTERS)}],
        "filter_list": [
            {"group": code, "display_name": text, "code": code, "type": "range"}
            for code, text in (
                ("priceAbove", "Price Greater Than"),
                ("priceBelow", "Price Less Than"),
                ("volumeAbove", "Volume Greater Than"),
            )
        ],
        "location_tree": [
            {
                "display_name": "US Stocks",
                "type": "STK.US",
                "locations": [{"display_name": "US Major", "type": "STK.US.MAJOR", "locations": None}],
            }
        ],
    }


def run(world: World, request: Mapping[str, object]) -> dict[str, object]:
    """Return what /iserver/scanner/run says; KeyError for an unknown type, ValueError for a filter without number."""
    code = str(request.get("type", ""))
    given = request.get("filter")
    bounds: dict[str, float] = {}
    for each in given if isinstance(given, Sequence) and not isinstance(given, str) else ():
        if isinstance(each, Mapping) and each.get("code") in _FILTERS:
            bounds[_FILTERS[str(each["code"])]] = float(str(each.get("value")))
    column = "Chg%" if "PERC" in code else CODES[code][0]
    rows: list[dict[str, object]] = []
    for place, contract in enumerate(world.scan(code, rows=MOST_ROWS, limits=ScanFilter(**bounds))):
        row: dict[str, object] = {"server_id": str(place)}
        if not place:
            row["column_name"] = column
        row.update(
            symbol=contract.symbol,
            conidex=str(contract.con_id),
            con_id=contract.con_id,
            available_chart_periods="#R|1",
            company_name=contract.name,
            contract_description_1=contract.symbol,
            listing_exchange=listing(contract),
            sec_type=contract.sec_type,
        )
        rows.append(row)
    return {"contracts": rows, "scan_data_column_name": column}


def watchlists() -> dict[str, object]:
    """Return what /iserver/watchlists says."""
    rows = [
        {
            "is_open": False,
            "read_only": False,
            "name": name,
            "modified": _MODIFIED_MS,
            "id": number,
            "type": "watchlist",
        }
        for number, (name, _) in WATCHLISTS.items()
    ]
    data = {"scanners_only": False, "show_scanners": False, "bulk_delete": False, "user_lists": rows}
    return {"data": data, "action": "content", "MID": "1"}


def watchlist(world: World, number: str) -> dict[str, object]:
    """Return what /iserver/watchlist says of one list; KeyError for an unknown one."""
    name, symbols = WATCHLISTS[number]
    instruments = []
    for symbol in symbols:
        contract = world.catalogue.find(symbol, sec_type="STK")[0]
        instruments.append(
            {
                "ST": contract.sec_type,
                "C": str(contract.con_id),
                "conid": contract.con_id,
                "name": contract.name,
                "fullName": contract.symbol,
                "assetClass": contract.sec_type,
                "ticker": contract.symbol,
                "chineseName": contract.name,
            }
        )
    return {"id": number, "hash": str(_MODIFIED_MS), "name": name, "readOnly": False, "instruments": instruments}
