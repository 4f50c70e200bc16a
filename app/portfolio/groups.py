"""Turns rows into groups of one underlying with subtotals, into a total, and into shares of the whole.

Money is summed in the one currency of a group; sums over several currencies are in base, without what has no rate.
Every sum says how many of its parts are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.domain.contracts import SecType
from app.portfolio.holdings import Holding
from app.portfolio.sums import NOTHING, Sum, total

MONEY: Final[Mapping[str, Callable[[Holding], float | None]]] = {
    "market_value": lambda row: row.market_value,
    "unrealised": lambda row: row.unrealised.value,
    "realised": lambda row: row.realised.value,
    "daily": lambda row: row.daily.value,
    "theta": lambda row: row.exposure.greeks.theta,
    "vega": lambda row: row.exposure.greeks.vega,
    "dollar_delta": lambda row: row.exposure.dollar_delta,
}
"""Figures in the contract's currency."""
PLAIN: Final[Mapping[str, Callable[[Holding], float | None]]] = {
    "weight": lambda row: row.weight,
    "beta_delta": lambda row: row.exposure.beta_delta,
}
"""Figures that can be added whatever the currency and underlying."""
OF_UNDERLYING: Final[Mapping[str, Callable[[Holding], float | None]]] = {
    "delta": lambda row: row.exposure.greeks.delta,
    "gamma": lambda row: row.exposure.greeks.gamma,
}
"""Figures in units of one underlying: added only within it."""
FIGURES: Final = {**MONEY, **PLAIN, **OF_UNDERLYING}


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What makes positions belong together: the underlying's symbol, its currency, and whether they are futures."""

    symbol: str
    currency: str
    kind: str

    @classmethod
    def of(cls, row: Holding) -> GroupKey:
        """Return the group of a row: a stock with its options, a future with its options, by symbol and currency."""
        contract = row.contract
        if contract.sec_type in (SecType.FUTURE, SecType.FUTURE_OPTION):
            kind = "future"
        elif contract.sec_type in (SecType.STOCK, SecType.OPTION, SecType.INDEX, SecType.CFD, SecType.WARRANT):
            kind = "stock"
        else:
            kind = contract.sec_type.value
        return cls(contract.symbol, contract.currency, kind)


@dataclass(frozen=True, slots=True)
class Subtotal:
    """Sums over rows. currency: of the money in `sums`, "" when it is base of no known name. in_base: the same money
    in base. sums and in_base: by the names of `FIGURES`."""

    rows: tuple[Holding, ...]
    currency: str
    sums: Mapping[str, Sum]
    in_base: Mapping[str, Sum]


@dataclass(frozen=True, slots=True)
class Group:
    """Positions of one underlying."""

    key: GroupKey
    subtotal: Subtotal

    @property
    def rows(self) -> tuple[Holding, ...]:
        """Return its rows."""
        return self.subtotal.rows


def subtotal(rows: Sequence[Holding], *, one_underlying: bool) -> Subtotal:
    """Return the sums of rows; deltas and gammas only where all are of one underlying."""
    currencies = {row.contract.currency for row in rows}
    in_base = {name: total(row.in_base(figure(row)) for row in rows) for name, figure in MONEY.items()}
    own_money = len(currencies) == 1
    sums = {name: total(figure(row) for row in rows) for name, figure in MONEY.items()} if own_money else dict(in_base)
    sums |= {name: total(figure(row) for row in rows) for name, figure in PLAIN.items()}
    for name, figure in OF_UNDERLYING.items():
        sums[name] = total(figure(row) for row in rows) if one_underlying else NOTHING
    bases = {row.rate.base for row in rows if row.rate is not None}
    currency = next(iter(currencies)) if own_money else next(iter(bases)) if len(bases) == 1 else ""
    return Subtotal(tuple(rows), currency, sums, in_base)


def grouped(rows: Iterable[Holding]) -> list[Group]:
    """Return the rows by underlying, in the order of their first rows."""
    found: dict[GroupKey, list[Holding]] = {}
    for row in rows:
        found.setdefault(GroupKey.of(row), []).append(row)
    return [Group(key, subtotal(members, one_underlying=True)) for key, members in found.items()]


class By(StrEnum):
    """What shares of the whole are formed by."""

    UNDERLYING = "underlying"
    ASSET_CLASS = "asset class"
    CURRENCY = "currency"


@dataclass(frozen=True, slots=True)
class Share:
    """Long and short market value in base of one part; both 0 or above. unknown: rows that could not be counted."""

    name: str
    long: float
    short: float
    unknown: int = 0

    @property
    def gross(self) -> float:
        """Return long and short added."""
        return self.long + self.short


_CLASSES: Final = {
    SecType.STOCK: "Stocks",
    SecType.OPTION: "Options",
    SecType.FUTURE: "Futures (notional)",
    SecType.FUTURE_OPTION: "Options on futures",
    SecType.CASH: "Currency pairs",
    SecType.BOND: "Bonds",
    SecType.FUND: "Funds",
    SecType.WARRANT: "Warrants",
    SecType.CFD: "CFDs (notional)",
    SecType.CRYPTO: "Crypto",
    SecType.COMMODITY: "Commodities",
}
CASH: Final = "Cash"


def allocation(rows: Iterable[Holding], by: By, cash: Iterable[tuple[str, float | None]] = ()) -> list[Share]:
    """Return the shares of the whole, the largest first. cash: currency and balance in base (None: no rate).

    Cash counts as a class of its own and in its currency; by underlying it is left out.
    """
    parts: dict[str, list[float | None]] = {}
    for row in rows:
        if row.quantity:
            parts.setdefault(_name(row, by), []).append(row.in_base(row.market_value))
    if by is not By.UNDERLYING:
        for currency, value in cash:
            parts.setdefault(CASH if by is By.ASSET_CLASS else currency, []).append(value)
    shares = [_share(name, values) for name, values in parts.items()]
    return sorted(shares, key=lambda share: (-share.gross, share.name))


def _name(row: Holding, by: By) -> str:
    if by is By.UNDERLYING:
        return f"{row.contract.symbol} (notional)" if row.is_notional else row.contract.symbol
    return row.contract.currency if by is By.CURRENCY else _CLASSES.get(row.contract.sec_type, "Other")


def _share(name: str, values: list[float | None]) -> Share:
    long = total(max(0.0, value) for value in values if value is not None)
    short = total(max(0.0, -value) for value in values if value is not None)
    return Share(name, long.value or 0.0, short.value or 0.0, len(values) - long.known)
