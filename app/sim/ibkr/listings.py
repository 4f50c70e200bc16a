"""Lists the instruments of the simulated account as they are on a day: stocks, a future, a currency pair, options.

Numbers and names of well-known stocks are the broker's own as published; those of derivatives only look like it.
"""

from __future__ import annotations

from datetime import date

from app.sim.ibkr.hours import Venue, fridays, is_monthly
from app.sim.ibkr.instruments import (
    CHAIN_SYMBOLS,
    DELAYED_SYMBOL,
    EURUSD,
    FORBIDDEN_SYMBOL,
    HALTED_SYMBOL,
    SAP,
    Access,
    Catalogue,
    Chain,
    SimContract,
)

# con_id, symbol, name, exchange, industry, category, price, beta, volatility, usual volume, gap in per cent
_STOCKS = """
265598 AAPL APPLE_INC NASDAQ Technology Computers 233.40 1.15 0.27 48e6 0.4
272093 MSFT MICROSOFT_CORP NASDAQ Technology Software 472.10 1.05 0.25 21e6 0.2
4815747 NVDA NVIDIA_CORP NASDAQ Technology Semiconductors 178.60 1.80 0.45 190e6 1.6
76792991 TSLA TESLA_INC NASDAQ Consumer,_Cyclical Auto_Manufacturers 391.50 1.90 0.55 92e6 -2.1
756733 SPY SS_SPDR_S&P_500_ETF_TRUST-US ARCA Funds Equity_Fund 661.20 1.00 0.16 70e6 0.3
320227571 QQQ INVESCO_QQQ_TRUST_SERIES_1 NASDAQ Funds Equity_Fund 598.40 1.20 0.20 45e6 0.5
9579970 IWM ISHARES_RUSSELL_2000_ETF ARCA Funds Equity_Fund 241.30 1.15 0.22 28e6 -0.2
3691937 AMZN AMAZON.COM_INC NASDAQ Communications Internet 228.70 1.25 0.31 44e6 0.7
107113386 META META_PLATFORMS_INC-CLASS_A NASDAQ Communications Internet 641.80 1.25 0.34 14e6 -0.6
208813719 GOOGL ALPHABET_INC-CL_A NASDAQ Communications Internet 281.90 1.10 0.30 31e6 1.1
4391 AMD ADVANCED_MICRO_DEVICES NASDAQ Technology Semiconductors 216.30 1.85 0.50 47e6 3.9
15124833 NFLX NETFLIX_INC NASDAQ Communications Internet 1104.00 1.15 0.36 4e6 -1.2
270639 INTC INTEL_CORP NASDAQ Technology Semiconductors 36.20 1.30 0.48 85e6 5.6
1520593 JPM JPMORGAN_CHASE_&_CO NYSE Financial Banks 303.20 1.05 0.22 9e6 0.1
10098 BAC BANK_OF_AMERICA_CORP NYSE Financial Banks 52.40 1.20 0.25 38e6 -0.3
13977 XOM EXXON_MOBIL_CORP NYSE Energy Oil&Gas 117.30 0.70 0.23 15e6 0.9
5437 CVX CHEVRON_CORP NYSE Energy Oil&Gas 153.80 0.75 0.24 8e6 0.6
6459 DIS WALT_DISNEY_CO NYSE Communications Media 106.10 1.10 0.28 10e6 -4.8
8894 KO COCA-COLA_CO NYSE Consumer,_Non-cyclical Beverages 71.20 0.45 0.15 16e6 0.0
11031 PFE PFIZER_INC NYSE Consumer,_Non-cyclical Pharmaceuticals 25.10 0.55 0.24 42e6 -0.8
4762 BA BOEING_CO NYSE Industrial Aerospace/Defense 191.40 1.30 0.35 7e6 -3.1
13272 UNH UNITEDHEALTH_GROUP_INC NYSE Consumer,_Non-cyclical Healthcare-Services 321.00 0.60 0.40 9e6 1.4
49462172 V VISA_INC-CLASS_A_SHARES NYSE Financial Diversified_Finan_Serv 331.60 0.95 0.20 6e6 0.2
13824 PG PROCTER_&_GAMBLE_CO NYSE Consumer,_Non-cyclical Cosmetics 148.90 0.40 0.16 8e6 -0.1
9599491 F FORD_MOTOR_CO NYSE Consumer,_Cyclical Auto_Manufacturers 12.90 1.40 0.34 60e6 -0.9
481691285 COIN COINBASE_GLOBAL_INC-CLASS_A NASDAQ Financial Diversified_Finan_Serv 283.50 2.40 0.70 11e6 -6.3
444857009 PLTR PALANTIR_TECHNOLOGIES_INC-A NASDAQ Technology Software 168.20 2.00 0.60 55e6 4.4
365207014 UBER UBER_TECHNOLOGIES_INC NYSE Technology Internet 84.70 1.30 0.36 18e6 0.8
36285627 GME GAMESTOP_CORP-CLASS_A NYSE Consumer,_Cyclical Retail 22.40 1.50 0.75 9e6 11.8
43645865 SMCI SUPER_MICRO_COMPUTER_INC NASDAQ Technology Computers 33.60 2.10 0.80 36e6 17.5
516857019 RIVN RIVIAN_AUTOMOTIVE_INC-A NASDAQ Consumer,_Cyclical Auto_Manufacturers 14.80 1.90 0.65 41e6 -13.2
272110 MSTR STRATEGY_INC NASDAQ Technology Software 186.90 2.60 0.85 15e6 -8.4
15547841 TLT ISHARES_20+_YEAR_TREASURY_BD NASDAQ Funds Debt_Fund 89.30 -0.20 0.14 35e6 0.1
51529211 GLD SPDR_GOLD_SHARES ARCA Funds Commodity_Fund 374.60 0.05 0.20 10e6 0.5
2457236 ORCL ORACLE_CORP NYSE Technology Software 205.70 1.30 0.42 19e6 2.7
131217639 AMC AMC_ENTERTAINMENT_HLDS-CL_A NYSE Consumer,_Cyclical Entertainment 2.31 1.60 0.90 22e6 31.0
6223250 TSM TAIWAN_SEMICONDUCTOR-SP_ADR NYSE Technology Semiconductors 284.10 1.40 0.38 13e6 1.9
10291 NKE NIKE_INC_-CL_B NYSE Consumer,_Cyclical Apparel 63.80 1.00 0.33 12e6 -1.0
166090175 BABA ALIBABA_GROUP_HOLDING-SP_ADR NYSE Communications Internet 152.70 1.20 0.45 16e6 -2.9
29622935 TQQQ PROSHARES_ULTRAPRO_QQQ NASDAQ Funds Equity_Fund 51.60 3.50 0.60 80e6 1.5
"""

_SPECIAL = {
    HALTED_SYMBOL: {"halted": 2, "shortable": 1.2},
    DELAYED_SYMBOL: {"access": Access.DELAYED},
    FORBIDDEN_SYMBOL: {"access": Access.NONE},
    "GME": {"shortable": 2.0},
}
_CHAIN_WIDTH = 15
_FIRST_OPTION = 700_000_001
_MONTH_LETTERS = "FGHJKMNQUVXZ"


def _stocks() -> list[SimContract]:
    found = []
    for line in _STOCKS.split("\n"):
        if not line:
            continue
        number, symbol, name, exchange, industry, category, price, beta, volatility, volume, gap = line.split()
        found.append(
            SimContract(
                con_id=int(number),
                symbol=symbol,
                local_symbol=symbol,
                trading_class="NMS" if exchange == "NASDAQ" else symbol,
                primary_exchange=exchange,
                name=name.replace("_", " "),
                industry=industry.replace("_", " "),
                category=category.replace("_", " "),
                isin=f"US{int(number):09d}0"[:12],
                stock_type="ETF" if industry == "Funds" else "COMMON",
                start_price=float(price),
                beta=float(beta),
                volatility=float(volatility),
                volume=float(volume),
                gap=float(gap) / 100.0,
                **_SPECIAL.get(symbol, {}),  # type: ignore[arg-type] # the values fit their names
            )
        )
    return found


def future_of(day: date) -> SimContract:
    """Return the S&P future of the quarter that comes after that day's next week."""
    expiry = next(each for each in fridays(day, weekly=0, monthly=5) if each.month % 3 == 0 and (each - day).days > 7)
    return SimContract(
        con_id=649_180_000 + expiry.year % 100 * 100 + expiry.month,
        symbol="ES",
        sec_type="FUT",
        exchange="CME",
        primary_exchange="CME",
        expiry=f"{expiry:%Y%m%d}",
        multiplier=50.0,
        local_symbol=f"ES{_MONTH_LETTERS[expiry.month - 1]}{expiry.year % 10}",
        trading_class="ES",
        underlying_con_id=11004968,
        name="E-mini S&P 500",
        industry="Indices",
        category="Broad Range Equity Index",
        tick_size=0.25,
        venue=Venue.FUTURES,
        start_price=6634.0,
        beta=1.0,
        volatility=0.16,
        gap=0.003,
        volume=1_500_000.0,
    )


def _others(day: date) -> list[SimContract]:
    return [
        SimContract(
            con_id=SAP,
            symbol="SAP",
            currency="EUR",
            exchange="SMART",
            primary_exchange="IBIS",
            local_symbol="SAP",
            trading_class="XETRA",
            name="SAP SE",
            industry="Technology",
            category="Software",
            isin="DE0007164600",
            stock_type="COMMON",
            tick_size=0.02,
            venue=Venue.EUROPE,
            start_price=211.40,
            beta=0.9,
            volatility=0.27,
            gap=-0.005,
            volume=1_900_000.0,
        ),
        SimContract(
            con_id=EURUSD,
            symbol="EUR",
            sec_type="CASH",
            currency="USD",
            exchange="IDEALPRO",
            primary_exchange="IDEALPRO",
            local_symbol="EUR.USD",
            trading_class="EUR.USD",
            name="European Monetary Union Euro",
            tick_size=0.00005,
            venue=Venue.FOREX,
            start_price=1.15240,
            beta=0.05,
            volatility=0.07,
            gap=0.0008,
            volume=0.0,
        ),
        future_of(day),
    ]


def _strike_step(price: float) -> float:
    for limit, step in ((25.0, 1.0), (100.0, 2.5), (700.0, 5.0)):
        if price < limit:
            return step
    return 10.0


def build_catalogue(day: date) -> Catalogue:
    """Return the instruments as they are on that day."""
    catalogue = Catalogue({each.con_id: each for each in (*_stocks(), *_others(day))})
    number = _FIRST_OPTION
    for underlying in list(catalogue.contracts.values()):
        if underlying.symbol not in CHAIN_SYMBOLS:
            continue
        step = _strike_step(underlying.start_price)
        middle = round(underlying.start_price * (1.0 + underlying.gap) / step) * step
        strikes: dict[str, tuple[float, ...]] = {}
        expiries = fridays(day, weekly=2, monthly=4)
        for expiry in expiries:
            usual = {middle + step * place for place in range(-_CHAIN_WIDTH, _CHAIN_WIDTH + 1)}
            if not is_monthly(expiry):  # strikes between, only near the money and only at weekly expiries
                usual |= {middle + step * (place + 0.5) for place in range(-4, 4)}
            strikes[f"{expiry:%Y%m%d}"] = tuple(sorted(each for each in usual if each > 0.0))
        monthlies = frozenset(f"{each:%Y%m%d}" for each in expiries if is_monthly(each))
        catalogue.chains[underlying.con_id] = Chain(underlying, underlying.symbol, 100.0, strikes, monthlies)
        for expiry_text, row in strikes.items():
            for strike in row:
                for right in ("C", "P"):
                    option = _option(number, underlying, expiry_text, strike, right)
                    number += 1
                    catalogue.contracts[option.con_id] = option
                    catalogue.options[underlying.con_id, expiry_text, strike, right] = option
    return catalogue


def _option(con_id: int, underlying: SimContract, expiry: str, strike: float, right: str) -> SimContract:
    return SimContract(
        con_id=con_id,
        symbol=underlying.symbol,
        sec_type="OPT",
        primary_exchange="",
        expiry=expiry,
        strike=strike,
        right=right,
        multiplier=100.0,
        local_symbol=f"{underlying.symbol:<6}{expiry[2:]}{right}{round(strike * 1000):08d}",
        trading_class=underlying.symbol,
        underlying_con_id=underlying.con_id,
        name=underlying.name,
        industry=underlying.industry,
        category=underlying.category,
        venue=Venue.US_OPTIONS,
        access=underlying.access,
        volume=1000.0,
    )
