"""What the simulated accounts hold when they are opened, what is traded in them, and the orders of the morning."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.sim.ibkr.accounts import Opening
from app.sim.ibkr.instruments import AAPL, MSFT, NVDA, SAP, SPY, TSLA, Catalogue, SimContract
from app.sim.ibkr.market import option_tick
from app.sim.ibkr.records import SimPosition, SimQuote
from app.sim.ibkr.script import Choice, OrderScript


class Start:
    """Chooses from a catalogue; `quote_of` tells where the money is and what options cost."""

    def __init__(self, catalogue: Catalogue, quote_of: Callable[[int], SimQuote]) -> None:
        """Take the instruments."""
        self._catalogue = catalogue
        self._quote_of = quote_of

    def big_portfolio(self) -> list[Opening]:
        """Return stocks in two currencies (one short), options on five of them, and a future."""
        stocks = [
            (AAPL, 400, 198.3512),
            (MSFT, 150, 441.2075),
            (NVDA, 500, 121.7510),
            (SPY, 120, 602.1183),
            (TSLA, -80, 412.6204),
            (self._stock("AMZN").con_id, 90, 214.0511),
            (self._stock("KO").con_id, 600, 63.4017),
            (self._stock("SMCI").con_id, 300, 41.2233),
            (SAP, 150, 178.9067),
        ]
        found = [Opening(con_id, quantity, price) for con_id, quantity, price in stocks]
        options = [
            (self._bought_call, 5, 1.18),
            (self._option(AAPL, 0, 0.07, "C"), -4, 1.35),
            (self._option(SPY, 1, -0.04, "P"), 6, 0.92),
            (self._option(NVDA, 1, -0.08, "P"), -3, 1.12),
            (self._option(TSLA, 1, 0.05, "C"), 2, 1.30),
            (self._option(MSFT, 0, 0.03, "C"), -1, 0.85),
        ]
        for option, quantity, ratio in options:
            # bought some time ago at a price that has to do with what the option is worth
            price = round(self._quote_of(option.con_id).close * ratio, 4)
            found.append(Opening(option.con_id, quantity, price))
        found.append(Opening(self._future.con_id, 1, 6540.75))
        return found

    def small_portfolio(self) -> list[Opening]:
        """Return three stocks."""
        return [
            Opening(MSFT, 50, 455.02),
            Opening(self._stock("TLT").con_id, 200, 91.17),
            Opening(self._stock("F").con_id, -300, 11.42),
        ]

    def choices(self, account: str, positions: Iterable[SimPosition]) -> list[Choice]:
        """Return what the order script trades in an account: what it holds, and some more."""
        found = []
        for position in positions:
            contract = self._catalogue.contracts[position.con_id]
            lot = {"STK": 20.0, "OPT": 1.0, "FUT": 1.0}[contract.sec_type]
            found.append(Choice(contract, account, position.quantity, lot))
        found += [Choice(self._stock(symbol), account, 0.0, 10.0) for symbol in ("AMD", "GOOGL", "PLTR")]
        return found

    def play_morning(self, script: OrderScript, account: str) -> None:
        """Give the day some orders before anybody looks: filled, working, cancelled and rejected ones."""
        contracts = self._catalogue.contracts
        filled = [
            (contracts[AAPL], "BUY", 40.0, -0.002, 1800.0),
            (contracts[TSLA], "SELL", 20.0, 0.004, 1300.0),
            (self._bought_call, "SELL", 1.0, 0.03, 800.0),
        ]
        for contract, action, quantity, away, age_s in filled:
            price = self._quote_of(contract.con_id).mark * (1.0 + away)
            tick = option_tick(price) if contract.is_option else contract.tick_size
            price = round(round(price / tick) * tick, 6)
            script.begin_past(account, contract, action, quantity, price, status="Filled", age_s=age_s)
        others = [
            (contracts[MSFT], "BUY", 30.0, 440.0, "Submitted", 7200.0),
            (contracts[NVDA], "SELL", 100.0, 240.0, "Submitted", 3600.0),
            (self._future, "BUY", 1.0, 6400.0, "PreSubmitted", 900.0),
            (contracts[MSFT], "BUY", 25.0, 455.0, "Cancelled", 420.0),
            (contracts[MSFT], "BUY", 5000.0, 471.0, "Inactive", 300.0),
        ]
        for contract, action, quantity, price, status, age_s in others:
            script.begin_past(account, contract, action, quantity, price, status=status, age_s=age_s)

    def _stock(self, symbol: str) -> SimContract:
        return self._catalogue.find(symbol, sec_type="STK")[0]

    @property
    def _future(self) -> SimContract:
        return self._catalogue.find("ES", sec_type="FUT")[0]

    @property
    def _bought_call(self) -> SimContract:
        return self._option(AAPL, 0, 0.01, "C")

    def _option(self, underlying: int, expiry: int, shift: float, right: str) -> SimContract:
        """Return the option `shift` (a fraction) away from the previous close at one of the monthly expiries."""
        chain = self._catalogue.chains[underlying]
        day = [each for each in chain.expiries if each in chain.monthlies][expiry]
        aim = self._quote_of(underlying).close * (1.0 + shift)
        strike = min(chain.strikes[day], key=lambda each: abs(each - aim))
        return self._catalogue.options[underlying, day, strike, right]
