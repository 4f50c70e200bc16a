"""Turns the simulated accounts into the gateway's answers: summary, ledger, positions, allocation, profit and loss.

Keys as recorded from the real gateway. `-s` is the segment of securities, `-c` of commodities, `-p` of crypto; here all
money is in the first.
"""

from __future__ import annotations

from app.sim.ibkr import SimPosition, World
from app.sim.portal.contracts import is_us
from app.sim.portal.trading import description, quantity_text

_OPENED_MS = 1_769_922_000_000
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


def account_row(name: str, *, brokerage: bool) -> dict[str, object]:
    """Return an account as /portfolio/accounts and /meta tell it."""
    return {
        "id": name,
        "PrepaidCrypto-Z": False,
        "PrepaidCrypto-P": False,
        "brokerageAccess": brokerage,
        "accountId": name,
        "accountVan": name,
        "accountTitle": "Fathom Demo",
        "displayName": "Fathom Demo",
        "accountAlias": None,
        "accountStatus": _OPENED_MS,
        "currency": "USD",
        "type": "DEMO" if name.startswith("D") else "INDIVIDUAL",
        "tradingType": "STKNOPT",
        "businessType": "INDEPENDENT",
        "category": "",
        "ibEntity": "IBLLC-US",
        "faclient": False,
        "clearingStatus": "O",
        "covestor": False,
        "noClientTrading": False,
        "trackVirtualFXPortfolio": False,
        "acctCustType": "INDIVIDUAL",
        "parent": {"mmc": [], "accountId": "", "isMParent": False, "isMChild": False, "isMultiplex": False},
        "desc": name,
    }


def brokerage_accounts(accounts: list[str], session_id: str, server: dict[str, str]) -> dict[str, object]:
    """Return what /iserver/accounts says; the arguments of an `act` frame are the same."""
    properties = {
        "hasChildAccounts": False,
        "supportsCashQty": True,
        "liteUnderPro": False,
        "noFXConv": False,
        "isProp": False,
        "supportsFractions": True,
        "allowCustomerTime": True,
        "autoFx": False,
    }
    return {
        "accounts": list(accounts),
        "acctProps": {name: dict(properties) for name in accounts},
        "aliases": {name: name for name in accounts},
        "allowFeatures": {
            "showGFIS": True,
            "showEUCostReport": False,
            "allowEventContract": True,
            "allowFXConv": True,
            "allowFinancialLens": False,
            "allowMTA": True,
            "allowTypeAhead": True,
            "allowEventTrading": True,
            "snapshotRefreshTimeout": 30,
            "liteUser": False,
            "showWebNews": True,
            "research": True,
            "debugPnl": True,
            "showTaxOpt": True,
            "showImpactDashboard": True,
            "allowDynAccount": False,
            "allowCrypto": False,
            "allowedAssetTypes": "STK,CFD,OPT,FOP,WAR,FUT,BAG,CASH,IND,BOND,FUND,CMDTY,CRYPTO",
        },
        "chartPeriods": {"STK": ["*"], "OPT": ["2h", "1d", "2d", "1w", "1m"], "FUT": ["*"], "CASH": ["*"]},
        "groups": [],
        "profiles": [],
        "selectedAccount": accounts[0] if accounts else "",
        "serverInfo": dict(server),
        "sessionId": session_id,
        "isFT": False,
        "isPaper": bool(accounts) and accounts[0].startswith("D"),
    }


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
