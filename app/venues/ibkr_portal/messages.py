"""Wire structs of the Client Portal Gateway (fact sheet, sections 2 to 6).

Sources disagree whether a figure is a string or a number, and rows leave out what they do not have: figures are taken
as they come and turned by `values`; what must be an object, a list or a truth value is checked here.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct

Text = Annotated[str, Meta(max_length=4000)]
Row = dict[str, Any]


class Frame(Struct, gc=False):
    """Any WebSocket frame; which keys it has depends on its topic."""

    topic: Text = ""
    args: Raw = Raw()
    result: Raw = Raw()
    message: Any = None
    error: Any = None
    code: Any = None
    hb: Any = None
    isPaper: bool | None = None


class ServerInfo(Struct, gc=False):
    """Who answers."""

    serverVersion: Text = ""


class AuthStatus(Struct, gc=False):
    """State of the brokerage session: of `sts`, /iserver/auth/status, ssodh/init and inside /tickle."""

    authenticated: bool | None = None
    competing: bool | None = None
    connected: bool | None = None
    message: Text | None = None
    fail: Text | None = None
    serverInfo: ServerInfo | None = None
    serverVersion: Text | None = None


class Iserver(Struct, gc=False):
    """Part of /tickle."""

    authStatus: AuthStatus | None = None


class Tickle(Struct, gc=False):
    """POST /tickle. ssoExpires: milliseconds the login still holds."""

    ssoExpires: Any = None
    iserver: Iserver | None = None


class Validation(Struct, gc=False):
    """GET /sso/validate. EXPIRES: milliseconds the login still holds."""

    EXPIRES: Any = None


class Accounts(Struct, gc=False):
    """GET /iserver/accounts, and the arguments of `act`."""

    accounts: list[Text] | None = None
    isPaper: bool | None = None
    serverInfo: ServerInfo | None = None


class PortfolioAccount(Struct, gc=False):
    """A row of GET /portfolio/accounts. currency: the base currency of the account."""

    accountId: Text = ""
    currency: Text | None = None


class SummaryFigure(Struct, gc=False):
    """A figure of GET /portfolio/{account}/summary: `value` holds what is no amount of money."""

    amount: Any = None
    currency: Text | None = None
    isNull: bool | None = None
    value: Any = None


class SummaryRow(Struct, gc=False):
    """A row of `ssd`; without news it has its key only."""

    key: Text = ""
    currency: Text | None = None
    monetaryValue: Any = UNSET
    value: Any = UNSET


class PnlRow(Struct, gc=False):
    """Figures of one account and model in `spl` and /iserver/account/pnl/partitioned; None: did not come."""

    dpl: Any = None
    upl: Any = None
    nl: Any = None
    el: Any = None


class PartitionedPnl(Struct, gc=False):
    """GET /iserver/account/pnl/partitioned."""

    upnl: dict[Text, PnlRow] = {}


class PositionRow(Struct, gc=False):
    """A row of /portfolio/{account}/positions/{page} or /portfolio2/{account}/positions, whose names differ."""

    conid: Any = None
    position: Any = None
    avgCost: Any = None
    avgPrice: Any = None
    mktPrice: Any = None
    marketPrice: Any = None
    mktValue: Any = None
    marketValue: Any = None
    realizedPnl: Any = None
    unrealizedPnl: Any = None
    currency: Any = None
    assetClass: Any = None
    secType: Any = None
    contractDesc: Any = None
    description: Any = None
    ticker: Any = None
    name: Any = None
    expiry: Any = None
    putOrCall: Any = None
    strike: Any = None
    multiplier: Any = None
    undConid: Any = None
    listingExchange: Any = None


class SecdefRow(Struct, gc=False):
    """A row of GET /trsrv/secdef."""

    conid: Any = None
    ticker: Any = None
    name: Any = None
    assetClass: Any = None
    currency: Any = None
    expiry: Any = None
    lastTradingDay: Any = None
    putOrCall: Any = None
    strike: Any = None
    multiplier: Any = None
    undConid: Any = None
    listingExchange: Any = None
    fullName: Any = None


class Secdef(Struct, gc=False):
    """GET /trsrv/secdef."""

    secdef: list[Raw] = []


class Rules(Struct, gc=False):
    """Part of a contract's description. increment: the smallest price step."""

    increment: Any = None


class ContractInfo(Struct, gc=False):
    """GET /iserver/contract/{conid}/info-and-rules."""

    con_id: Any = None
    symbol: Any = None
    instrument_type: Any = None
    currency: Any = None
    company_name: Any = None
    local_symbol: Any = None
    trading_class: Any = None
    underlying_con_id: Any = None
    multiplier: Any = None
    maturity_date: Any = None
    strike: Any = None
    right: Any = None
    industry: Any = None
    rules: Rules | None = None


class Hours(Struct, gc=False):
    """One stretch of trading, in seconds since 1970."""

    opening: Any = None
    closing: Any = None


class Day(Struct, gc=False):
    """The stretches of one day."""

    liquid_hours: list[Hours] | None = None
    extended_hours: list[Hours] | None = None


class Schedule(Struct, gc=False):
    """GET /contract/trading-schedule: days by YYYYMMDD."""

    exchange_time_zone: Text | None = None
    schedules: dict[Text, Day] = {}


class ScanRow(Struct, gc=False):
    """A row of POST /iserver/scanner/run."""

    con_id: Any = None
    conidex: Any = None
    symbol: Any = None
    company_name: Any = None
    listing_exchange: Any = None
    sec_type: Any = None


class Scan(Struct, gc=False):
    """POST /iserver/scanner/run."""

    contracts: list[Raw] | None = None


class OrderList(Struct, gc=False):
    """GET /iserver/account/orders. snapshot: False while the gateway has not heard of the orders yet."""

    orders: list[Raw] | None = None
    snapshot: bool = False


class OrderRow(Struct, gc=False):
    """An order with all its changes merged: the names of `sor` and /iserver/account/orders."""

    orderId: Any = None
    acct: Any = None
    account: Any = None
    conid: Any = None
    conidex: Any = None
    ticker: Any = None
    description1: Any = None
    description2: Any = None
    companyName: Any = None
    secType: Any = None
    listingExchange: Any = None
    cashCcy: Any = None
    side: Any = None
    status: Any = None
    order_ccp_status: Any = None
    orderType: Any = None
    origOrderType: Any = None
    price: Any = None
    auxPrice: Any = None
    avgPrice: Any = None
    totalSize: Any = None
    filledQuantity: Any = None
    remainingQuantity: Any = None
    sizeAndFills: Any = None
    timeInForce: Any = None
    outsideRTH: Any = None
    order_ref: Any = None
    orderDesc: Any = None
    order_cancellation_by_system_reason: Any = None
    lastExecutionTime: Any = None
    lastExecutionTime_r: Any = None


class TradeRow(Struct, gc=False):
    """A row of `str` and /iserver/account/trades."""

    execution_id: Any = None
    order_id: Any = None
    account: Any = None
    accountCode: Any = None
    conid: Any = None
    conidEx: Any = None
    symbol: Any = None
    company_name: Any = None
    contract_description_1: Any = None
    contract_description_2: Any = None
    sec_type: Any = None
    listing_exchange: Any = None
    side: Any = None
    size: Any = None
    price: Any = None
    commission: Any = None
    exchange: Any = None
    trade_time: Any = None
    trade_time_r: Any = None


class BarRow(Struct, gc=False):
    """One bar: close, and when it begins in milliseconds since 1970."""

    c: Any = None
    t: Any = None


class History(Struct, gc=False):
    """GET /iserver/marketdata/history."""

    data: list[BarRow] = []


class StockContract(Struct, gc=False):
    """A place where a stock is traded."""

    conid: Any = None
    exchange: Any = None
    isUS: bool = False


class Stock(Struct, gc=False):
    """A company under a symbol of GET /trsrv/stocks."""

    name: Any = None
    assetClass: Any = None
    contracts: list[StockContract] = []


class Section(Struct, gc=False):
    """What exists under a row of GET /iserver/secdef/search."""

    secType: Any = None


class SearchRow(Struct, gc=False):
    """A row of GET /iserver/secdef/search."""

    conid: Any = None
    symbol: Any = None
    sections: list[Section] | None = None


class ListName(Struct, gc=False):
    """Number and name of a watchlist."""

    id: Any = None
    name: Any = None


class ListNames(Struct, gc=False):
    """Part of GET /iserver/watchlists."""

    user_lists: list[ListName] = []


class Watchlists(Struct, gc=False):
    """GET /iserver/watchlists."""

    data: ListNames | None = None


class Instrument(Struct, gc=False):
    """A row of a watchlist; headings have no contract number."""

    conid: Any = None
    C: Any = None
    ST: Any = None
    assetClass: Any = None
    ticker: Any = None
    name: Any = None
    fullName: Any = None


class WatchlistRows(Struct, gc=False):
    """GET /iserver/watchlist."""

    name: Any = None
    instruments: list[Instrument] | None = None
