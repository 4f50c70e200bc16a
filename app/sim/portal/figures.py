"""Turns the money of the simulated accounts into the gateway's figures: summary, ledger, profit and loss, streams.

Keys as recorded from the real gateway. `-s` is the segment of securities, `-c` of commodities, `-p` of crypto; here all
money is in the first.
"""

from __future__ import annotations

from app.sim.ibkr import World

# tag of the account's figures for each amount that is told by segment; None: nothing of that kind here
_AMOUNTS_BY_SEGMENT: dict[str, str | None] = {
    "accruedcash": "AccruedCash",
    "accrueddividend": None,
    "availablefunds": "AvailableFunds",
    "billable": None,
    "equitywithloanvalue": "EquityWithLoanValue",
    "excessliquidity": "ExcessLiquidity",
    "fullavailablefunds": "FullAvailableFunds",
    "fullexcessliquidity": "FullExcessLiquidity",
    "fullinitmarginreq": "FullInitMarginReq",
    "fullmaintmarginreq": "FullMaintMarginReq",
    "guarantee": None,
    "incentivecoupons": None,
    "indianstockhaircut": None,
    "initmarginreq": "InitMarginReq",
    "lookaheadavailablefunds": "AvailableFunds",
    "lookaheadexcessliquidity": "ExcessLiquidity",
    "lookaheadinitmarginreq": "InitMarginReq",
    "lookaheadmaintmarginreq": "MaintMarginReq",
    "maintmarginreq": "MaintMarginReq",
    "netliquidation": "NetLiquidation",
    "pasharesvalue": None,
    "physicalcertificatevalue": None,
    "postexpirationexcess": None,
    "postexpirationmargin": None,
    "totalcashvalue": "TotalCashValue",
    "totaldebitcardpendingcharges": None,
}
_AMOUNTS_OF_SECURITIES = {
    "grosspositionvalue": "GrossPositionValue",
    "previousdayequitywithloanvalue": "PreviousDayEquityWithLoanValue",
    "regtequity": "EquityWithLoanValue",
    "regtmargin": "InitMarginReq",
    "sma": "ExcessLiquidity",
}
# names of `ssd` rows, in the words the stream uses
STREAM_NAMES = {
    "accruedcash": "AccruedCash",
    "availablefunds": "AvailableFunds",
    "buyingpower": "BuyingPower",
    "equitywithloanvalue": "EquityWithLoanValue",
    "excessliquidity": "ExcessLiquidity",
    "fullavailablefunds": "FullAvailableFunds",
    "fullexcessliquidity": "FullExcessLiquidity",
    "fullinitmarginreq": "FullInitMarginReq",
    "fullmaintmarginreq": "FullMaintMarginReq",
    "grosspositionvalue": "GrossPositionValue",
    "initmarginreq": "InitMarginReq",
    "lookaheadavailablefunds": "LookAheadAvailableFunds",
    "lookaheadexcessliquidity": "LookAheadExcessLiquidity",
    "lookaheadinitmarginreq": "LookAheadInitMarginReq",
    "lookaheadmaintmarginreq": "LookAheadMaintMarginReq",
    "maintmarginreq": "MaintMarginReq",
    "netliquidation": "NetLiquidation",
    "previousdayequitywithloanvalue": "PreviousDayEquityWithLoanValue",
    "sma": "SMA",
    "totalcashvalue": "TotalCashValue",
}
_NO_SEGMENTS = frozenset({"buyingpower"})


def summary(world: World, name: str) -> dict[str, dict[str, object]]:
    """Return what /portfolio/{account}/summary says."""
    now_ms = int(world.now_s * 1000.0)
    known = {each.tag: each.value for each in world.values(name) if each.currency == "USD"}
    rows: dict[str, dict[str, object]] = {}

    def amount(key: str, value: float) -> None:
        rows[key] = _summary_row(round(value, 4), "USD", None, now_ms)

    def text(key: str, value: str) -> None:
        rows[key] = _summary_row(0.0, None, value, now_ms)

    for key, tag in _AMOUNTS_BY_SEGMENT.items():
        value = known.get(tag or "", 0.0)
        for tail, part in (("", value), ("-c", 0.0), ("-p", 0.0), ("-s", value)):
            amount(key + tail, part)
    for key, tag in _AMOUNTS_OF_SECURITIES.items():
        value = known.get(tag, 0.0)
        amount(key, value)
        amount(f"{key}-s", value)
    amount("buyingpower", known.get("BuyingPower", 0.0))
    amount("netliquidationuncertainty", 0.0)
    plain = {each.tag: each.value for each in world.values(name) if not each.currency}
    cash = f"{known.get('TotalCashValue', 0.0):.2f}"
    today = f"{world.day:%Y%m%d}"
    for key, word in {
        "accountcode": name,
        "accountready": "true",
        "accounttype": "INDIVIDUAL",
        "columnprio-c": "2",
        "columnprio-p": "5",
        "columnprio-s": "1",
        "cushion": f"{plain.get('Cushion', 0.0):.6f}",
        "daytradesremaining": "-1",
        "daytradesremainingt+1": "-1",
        "daytradesremainingt+2": "-1",
        "daytradesremainingt+3": "-1",
        "daytradesremainingt+4": "-1",
        "daytradingstatus-s": f"::false:{cash}::false",
        "depositoncredithold": "null",
        "highestseverity": "null",
        "leverage-s": f"{plain.get('Leverage-S', 0.0):.2f}",
        "lookaheadnextchange": str(int(world.now_s) + 3600),
        "nlvandmargininreview": "false",
        "segmenttitle-c": "US Commodities",
        "segmenttitle-p": "Crypto at Paxos",
        "segmenttitle-s": "US Securities",
        "settledcashbydate": f"{today}:{cash}",
        "settledcashbydate-c": f"{today}:0",
        "settledcashbydate-p": f"{today}:0",
        "settledcashbydate-s": f"{today}:{cash}",
        "tradingtype-s": "STKNOPT",
        "whatifpmenabled": "true",
    }.items():
        text(key, word)
    return dict(sorted(rows.items()))


def _summary_row(amount: float, currency: str | None, value: str | None, now_ms: int) -> dict[str, object]:
    return {
        "amount": amount,
        "currency": currency,
        "isNull": False,
        "timestamp": now_ms,
        "value": value,
        "severity": 0,
    }


def ledger(world: World, name: str) -> dict[str, dict[str, object]]:
    """Return what /portfolio/{account}/ledger says: a row for each currency, and BASE."""
    figures: dict[str, dict[str, float]] = {}
    net = 0.0
    for each in world.values(name):
        if each.tag == "NetLiquidation":
            net = each.value
        elif each.currency:
            figures.setdefault(each.currency, {})[each.tag] = each.value
    rows: dict[str, dict[str, object]] = {}
    for currency, known in figures.items():
        if "CashBalance" not in known:
            continue
        rows[currency] = _ledger_row(world, name, currency, known, net)
    return rows


def _ledger_row(world: World, name: str, currency: str, known: dict[str, float], net: float) -> dict[str, object]:
    base = currency == "BASE"
    return {
        "commoditymarketvalue": 0.0,
        "futuremarketvalue": round(known.get("FuturesPNL", 0.0), 2),
        "settledcash": round(known["CashBalance"], 2),
        "exchangerate": 1 if base else round(known.get("ExchangeRate", 1.0), 7),
        "sessionid": 1,
        "cashbalance": round(known["CashBalance"], 2),
        "corporatebondsmarketvalue": 0.0,
        "warrantsmarketvalue": 0.0,
        "netliquidationvalue": round(net if base else known.get("NetLiquidationByCurrency", 0.0), 2),
        "interest": round(known.get("AccruedCash", 0.0), 2),
        "unrealizedpnl": round(known.get("UnrealizedPnL", 0.0), 2),
        "stockmarketvalue": round(known.get("StockMarketValue", 0.0), 2),
        "moneyfunds": 0.0,
        "currency": currency,
        "realizedpnl": round(known.get("RealizedPnL", 0.0), 2),
        "funds": 0.0,
        "acctcode": name,
        "issueroptionsmarketvalue": 0.0,
        "key": "LedgerList",
        "timestamp": int(world.now_s),
        "severity": 0,
        "stockoptionmarketvalue": round(known.get("OptionMarketValue", 0.0), 2),
        "futuresonlypnl": round(known.get("FuturesPNL", 0.0), 2),
        "tbondsmarketvalue": 0.0,
        "futureoptionmarketvalue": 0.0,
        "cashbalancefxsegment": 0.0,
        "secondkey": currency,
        "tbillsmarketvalue": 0.0,
        "endofbundle": 1,
        "dividends": 0.0,
        "cryptocurrencyvalue": 0.0,
    }


def partitioned(world: World, name: str) -> dict[str, dict[str, float]]:
    """Return profit and loss as /iserver/account/pnl/partitioned and `spl` tell it; dpl has today's upl in it."""
    pnl = world.pnl(name)
    known = {each.tag: each.value for each in world.values(name) if each.currency == "USD"}
    excess = known["ExcessLiquidity"]
    return {
        f"{name}.Core": {
            "rowType": 1,
            "dpl": round(pnl.daily, 2),
            "nl": round(known["NetLiquidation"], 2),
            "upl": round(pnl.unrealised, 2),
            "el": round(excess, 2),
            "uel": round(excess, 2),
            "mv": round(known["GrossPositionValue"], 2),
        }
    }


def summary_stream_rows(world: World, name: str) -> list[dict[str, object]]:
    """Return the rows of `ssd`: the same figures as the summary's under the names the stream uses."""
    now_ms = int(world.now_s * 1000.0)
    rows: list[dict[str, object]] = [{"key": "AccountCode", "timestamp": now_ms, "value": name}]
    figures = summary(world, name)
    for key, word in STREAM_NAMES.items():
        for tail in ("",) if key in _NO_SEGMENTS else ("", "-S"):
            row = figures.get(key + tail.lower())
            if row is not None:
                rows.append(
                    {"key": word + tail, "timestamp": now_ms, "currency": "USD", "monetaryValue": row["amount"]}
                )
    rows.append(
        {
            "key": "BuyingPower-S",
            "timestamp": now_ms,
            "currency": "USD",
            "monetaryValue": figures["buyingpower"]["amount"],
        }
    )
    rows.append({"key": "Cushion", "timestamp": now_ms, "value": figures["cushion"]["value"]})
    rows.append({"key": "Leverage-S", "timestamp": now_ms, "value": figures["leverage-s"]["value"]})
    return rows


_LEDGER_STREAM = {
    "acctcode": "acctCode",
    "cashbalance": "cashBalance",
    "cashbalancefxsegment": "cashBalanceFXSegment",
    "commoditymarketvalue": "commodityMarketValue",
    "exchangerate": "exchangeRate",
    "futuremarketvalue": "futureMarketValue",
    "interest": "interest",
    "netliquidationvalue": "netLiquidationValue",
    "realizedpnl": "realizedPnl",
    "settledcash": "settledCash",
    "stockmarketvalue": "stockMarketValue",
    "stockoptionmarketvalue": "stockOptionMarketValue",
    "unrealizedpnl": "unrealizedPnl",
}


def ledger_stream_rows(world: World, name: str) -> list[dict[str, object]]:
    """Return the rows of `sld`: one for each currency, in the spelling the stream uses."""
    rows: list[dict[str, object]] = []
    for currency, figures in ledger(world, name).items():
        row: dict[str, object] = {"key": f"LedgerList{currency}", "timestamp": figures["timestamp"]}
        row["secondKey"] = currency
        row.update((word, figures[key]) for key, word in _LEDGER_STREAM.items())
        rows.append(row)
    return rows
