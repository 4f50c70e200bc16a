"""What is traded at a broker: stocks, options, futures and cash pairs, named as Interactive Brokers names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class SecType(StrEnum):
    """Kinds of instruments, by the broker's own words."""

    STOCK = "STK"
    OPTION = "OPT"
    FUTURE = "FUT"
    FUTURE_OPTION = "FOP"
    CASH = "CASH"
    INDEX = "IND"
    BOND = "BOND"
    FUND = "FUND"
    WARRANT = "WAR"
    CFD = "CFD"
    CRYPTO = "CRYPTO"
    COMMODITY = "CMDTY"
    BAG = "BAG"
    OTHER = "?"

    @classmethod
    def of(cls, text: str) -> SecType:
        """Return the kind of that word, OTHER for one that is not known."""
        word = text.strip().upper()
        return cls(word) if word in cls._value2member_map_ else cls.OTHER

    @property
    def is_option(self) -> bool:
        """Return whether Greeks exist for it."""
        return self in (SecType.OPTION, SecType.FUTURE_OPTION)


class Right(StrEnum):
    """Which right an option gives."""

    CALL = "C"
    PUT = "P"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One instrument. Two are the same when their con_id is.

    con_id: the broker's number, above 0. symbol: of the underlying for derivatives. expiry: last trading day as
    YYYYMMDD, "" for none. strike: per unit of the underlying, 0 for none. multiplier: units a contract stands for, 1
    for stocks. exchange: where quotes are asked for ("SMART" where the source names none). local_symbol: the
    exchange's own name ("AAPL  261218C00200000").
    """

    con_id: int
    symbol: str
    sec_type: SecType = SecType.STOCK
    currency: str = "USD"
    exchange: str = "SMART"
    primary_exchange: str = ""
    expiry: str = ""
    strike: float = 0.0
    right: Right = Right.NONE
    multiplier: float = 1.0
    local_symbol: str = ""
    trading_class: str = ""
    underlying_con_id: int = 0
    name: str = ""

    @property
    def label(self) -> str:
        """Return a short name for people: `AAPL`, `AAPL 18 Dec 26 200 C`, `ESZ6`, `EUR.USD`."""
        if self.sec_type.is_option and self.expiry:
            return f"{self.symbol} {day_label(self.expiry)} {self.strike:g} {self.right.value}"
        if self.sec_type is SecType.FUTURE:
            return self.local_symbol or f"{self.symbol} {day_label(self.expiry)}".strip()
        if self.sec_type is SecType.CASH:
            return self.local_symbol or f"{self.symbol}.{self.currency}"
        return self.symbol


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day_label(day: str) -> str:
    """Return `18 Dec 26` for `20261218`, `Dec 26` for `202612`, other texts as they are."""
    if len(day) < 6 or not day[:6].isdigit() or not 1 <= int(day[4:6]) <= 12:
        return day
    month = f"{_MONTHS[int(day[4:6]) - 1]} {day[2:4]}"
    return f"{int(day[6:8])} {month}" if len(day) >= 8 and day[6:8].isdigit() else month


@dataclass(frozen=True, slots=True)
class Session:
    """One stretch of trading: start and end in UTC ns, end not included."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetails:
    """What the broker says of a contract besides its name.

    tick_size: smallest price step, None unknown. zone: IANA name of the time zone of the exchange, "" unknown.
    trading: all sessions that are listed (with extended hours), liquid: the regular ones; both empty when unknown.
    """

    contract: Contract
    tick_size: float | None = None
    industry: str = ""
    zone: str = ""
    trading: tuple[Session, ...] = field(default=())
    liquid: tuple[Session, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class DailyBar:
    """One day of trading: `day` as YYYYMMDD, close in the contract's currency (adjusted for splits)."""

    day: str
    close: float
