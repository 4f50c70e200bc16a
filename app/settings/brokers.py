"""Settings of Interactive Brokers: where TWS and the Client Portal Gateway are, what is asked of them."""

from __future__ import annotations

from typing import Final

from app.settings.setting import Setting

BROKERS: Final[tuple[Setting, ...]] = (
    Setting(key="ibkr.tws.enabled", kind=bool, default=False, help="read the account through TWS or IB Gateway"),
    Setting(key="ibkr.tws.host", kind=str, default="127.0.0.1", help="machine on which TWS or IB Gateway runs"),
    Setting(
        key="ibkr.tws.port",
        kind=int,
        default=7496,
        low=1,
        high=65535,
        help="socket port: TWS 7496 live, 7497 paper; IB Gateway 4001 live, 4002 paper",
    ),
    Setting(
        key="ibkr.tws.client_id",
        kind=int,
        default=0,
        low=0,
        high=999999,
        help="API client id; 0 chooses one between 100 and 999 once and keeps it",
    ),
    Setting(
        key="ibkr.portal.enabled", kind=bool, default=False, help="read the account through the Client Portal Gateway"
    ),
    Setting(
        key="ibkr.portal.url",
        kind=str,
        default="https://localhost:5000",
        help="address of the Client Portal Gateway on this machine (macOS often has it on port 5001)",
    ),
    Setting(
        key="ibkr.portal.fingerprint",
        kind=str,
        default="",
        help="SHA-256 of the gateway's certificate that is trusted without asking; empty: asked at first use and kept",
    ),
    Setting(
        key="ibkr.lines",
        kind=int,
        default=100,
        unit="lines",
        low=1,
        high=10000,
        help="market data lines Fathom may use at once; TWS windows of the same user share them",
    ),
    Setting(
        key="ibkr.delayed",
        kind=bool,
        default=True,
        help="take delayed quotes (marked as such) where there is no live subscription",
    ),
    Setting(
        key="ibkr.watchlist",
        kind=str,
        default="SPY,QQQ,AAPL,MSFT,NVDA,TSLA,AMZN,META",
        help="US stocks the scanner follows, comma separated",
    ),
    Setting(
        key="ibkr.scans",
        kind=str,
        default="TOP_PERC_GAIN,MOST_ACTIVE",
        help="server-side scanners whose rows the Market Scanner shows, comma separated, at most 10",
    ),
    Setting(key="ibkr.beta_against", kind=str, default="SPY", help="what beta-weighted delta is measured in"),
    Setting(
        key="demo.ibkr",
        kind=str,
        default="both",
        choices=("both", "tws", "portal", "off"),
        help="which ways to a simulated account at Interactive Brokers the demo has",
    ),
    Setting(key="ibkr.notify_fills", kind=bool, default=True, help="tell of fills and rejections beside the clock"),
    Setting(key="ibkr.sound_fills", kind=bool, default=True, help="play a sound at fills and rejections"),
)
