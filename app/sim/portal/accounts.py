"""Turns the names of the simulated accounts into the rows in which the gateway tells of accounts."""

from __future__ import annotations

_OPENED_MS = 1_769_922_000_000


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
