"""Turns the account figures of a ledger into the account bar: what each is, in which currency, since when, checked how.

Over several accounts money is added when all are in one base currency; shares such as the cushion are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.account import BASE, AccountPnl, Tag
from app.portfolio.check import Difference
from app.portfolio.currency import RateBook, base_currency, cash_balances
from app.portfolio.holdings import Holding
from app.portfolio.ledger import Ledger
from app.portfolio.sums import Sum, known, total
from app.viewmodels import formats
from app.viewmodels.portfolio_numbers import money, rate_words, signed

_MONEY: Final = (
    (Tag.NET_LIQUIDATION, "Net liquidation", "what the account would be worth if everything were sold now"),
    (Tag.BUYING_POWER, "Buying power", "what securities could be bought for at most, on margin"),
    (Tag.AVAILABLE_FUNDS, "Available funds", "equity with loan value less initial margin"),
    (Tag.EXCESS_LIQUIDITY, "Excess liquidity", "equity with loan value less maintenance margin"),
    (Tag.INITIAL_MARGIN, "Initial margin", "what must be there to open the present positions"),
    (Tag.MAINTENANCE_MARGIN, "Maint. margin", "what must be there to keep the present positions"),
)
_PNL: Final = (("daily", "Daily P&L"), ("unrealised", "Unrealised P&L"), ("realised", "Realised P&L"))
_CUSHION_LOW: Final = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class BarFigure:
    """One figure of the bar. sign: 1 a gain, -1 a loss, 0 neither; warns: it wants attention; tip: its reason."""

    key: str
    title: str
    text: str
    tip: str
    sign: int = 0
    warns: bool = False
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """What the bar and the footer show. base: the base currency, "" unknown. checks: our sums against the broker's."""

    base: str
    figures: tuple[BarFigure, ...]
    checks: tuple[Difference, ...]
    cash_base: tuple[tuple[str, float | None], ...]
    conversions: tuple[str, ...]


def common_base(ledger: Ledger, accounts: Sequence[str]) -> str | None:
    """Return the base currency of all accounts ("" while unknown), None when they have several."""
    bases = {base_currency(ledger, account) for account in accounts}
    return next(iter(bases)) if len(bases) == 1 else "" if not bases else None


def account_view(
    ledger: Ledger, accounts: Sequence[str], rows: Sequence[Holding], rates: RateBook, now_ns: int
) -> AccountView:
    """Return the bar of these accounts."""
    base = common_base(ledger, accounts)
    unit = base or ""
    figures = [_money(ledger, accounts, base, unit, now_ns, *each) for each in _MONEY]
    figures.append(_cushion(ledger, accounts))
    checks = _checks(ledger, accounts, rows, base)
    figures[1:1] = [_pnl(ledger, accounts, base, unit, checks, *each) for each in _PNL]
    cash = _cash(ledger, accounts)
    cash_base: list[tuple[str, float | None]] = []
    for account in accounts:
        for currency, value in cash_balances(ledger, account):
            rate = rates.rate(ledger, account, currency, now_ns)
            cash_base.append((currency, None if rate is None or base is None else value * rate.value))
    figures += [
        BarFigure(
            key=f"cash {currency}",
            title=f"Cash {currency}",
            text=money(value.value),
            tip=f"cash balance in {currency}: {money(value.value)} ({value.of} accounts)",
            sign=-1 if (value.value or 0.0) < 0 else 0,
            value=value.value,
        )
        for currency, value in cash.items()
    ]
    currencies = dict.fromkeys([row.contract.currency for row in rows] + list(cash))
    conversions = tuple(
        rate_words(rates.rate(ledger, accounts[0], currency, now_ns), currency, now_ns)
        for currency in currencies
        if accounts and currency != base
    )
    return AccountView(
        base=unit, figures=tuple(figures), checks=checks, cash_base=tuple(cash_base), conversions=conversions
    )


def _sum(values: Sequence[float | None], base: str | None) -> tuple[Sum, str]:
    """Return the sum over accounts and why there is none."""
    found = total(values)
    if base is None:
        return Sum(None, 0, found.of), "the accounts have different base currencies"
    return found, "" if found.known else "the broker has not sent it (yet)"


def _text(found: Sum) -> str:
    text = money(found.value)
    return text if found.is_whole or found.value is None else f"{formats.PARTIAL_SIGN} {text}"


def _money(
    ledger: Ledger, accounts: Sequence[str], base: str | None, unit: str, now_ns: int, tag: Tag, title: str, means: str
) -> BarFigure:
    found, lacking = _sum([ledger.value(account, tag)[0] for account in accounts], base)
    lines = [f"{title}: {_text(found)} {unit}".rstrip(), means]
    if lacking:
        lines.append(lacking)
    elif len(accounts) > 1:
        lines.append(f"sum of {found.of} accounts, {found.words}")
    if ledger.account_ns:
        lines.append(
            f"account figures of {formats.age(max(0, now_ns - ledger.account_ns))} ago, as the broker sends them"
        )
    value = found.value
    warns = tag is Tag.EXCESS_LIQUIDITY and value is not None and value < 0
    return BarFigure(key=tag, title=title, text=_text(found), tip="\n".join(lines), warns=warns, value=value)


def _cushion(ledger: Ledger, accounts: Sequence[str]) -> BarFigure:
    title, means = "Cushion", "excess liquidity ÷ net liquidation: what is left before positions are liquidated"
    if len(accounts) != 1:
        why = "shares of several accounts are not added; choose one account"
        return BarFigure(key="cushion", title=title, text=formats.UNKNOWN, tip=f"{title}\n{means}\n{why}")
    value, source = known(ledger.value(accounts[0], Tag.CUSHION)[0]), "the broker's figure"
    if value is None:
        excess = known(ledger.value(accounts[0], Tag.EXCESS_LIQUIDITY)[0])
        worth = known(ledger.value(accounts[0], Tag.NET_LIQUIDATION)[0])
        if excess is not None and worth:
            value, source = excess / worth, "computed here: the broker sent none"
    text = formats.UNKNOWN if value is None else f"{value * 100:.1f} %"
    lacking = source if value is not None else "the broker has not sent it (yet)"
    low = value is not None and value < _CUSHION_LOW
    warning = ["LOW: below this margin calls are near"] if low else []
    return BarFigure(
        key="cushion", title=title, text=text, tip="\n".join((title, means, lacking, *warning)), warns=low, value=value
    )


def _broker_pnl(ledger: Ledger, account: str, figure: str) -> float | None:
    pnl = ledger.pnl.get(account)
    value = known(_part(pnl, figure)) if pnl is not None else None
    if value is None and figure != "daily":
        tag = Tag.UNREALIZED_PNL if figure == "unrealised" else Tag.REALIZED_PNL
        value = known(ledger.value(account, tag, BASE)[0])
    return value


def _part(pnl: AccountPnl, figure: str) -> float | None:
    return {"daily": pnl.daily, "unrealised": pnl.unrealised, "realised": pnl.realised}[figure]


def _pnl(
    ledger: Ledger,
    accounts: Sequence[str],
    base: str | None,
    unit: str,
    checks: Sequence[Difference],
    figure: str,
    title: str,
) -> BarFigure:
    found, lacking = _sum([_broker_pnl(ledger, account, figure) for account in accounts], base)
    text = signed(_text(found), found.value) if found.value is not None else formats.UNKNOWN
    lines = [f"{title}: {text} {unit}".rstrip(), "the broker's figure for the whole account"]
    if figure == "daily":
        lines.append("since the previous close; it already contains today's change of unrealised P&L")
    if lacking:
        lines.append(lacking)
    warns = False
    for check in checks:
        if check.figure == title:
            warns = check.is_notable
            verdict = "DIFFERS by more than" if warns else "agrees within"
            lines.append(
                f"sum of our rows: {money(check.ours)} ({signed(money(check.value), check.value)}); it {verdict} the "
                f"{money(check.allowed)} that prices can explain"
            )
    value = found.value or 0.0
    return BarFigure(
        key=figure,
        title=title,
        text=text,
        tip="\n".join(lines),
        sign=(value > 0) - (value < 0),
        warns=warns,
        value=found.value,
    )


def _cash(ledger: Ledger, accounts: Sequence[str]) -> dict[str, Sum]:
    parts: dict[str, list[float]] = {}
    for account in accounts:
        for currency, value in cash_balances(ledger, account):
            parts.setdefault(currency, []).append(value)
    return {currency: total(values) for currency, values in parts.items()}


def _checks(
    ledger: Ledger, accounts: Sequence[str], rows: Sequence[Holding], base: str | None
) -> tuple[Difference, ...]:
    """Compare the sums of our rows with the broker's account figures, where every row is known in base."""
    if base is None or not rows:
        return ()
    allowed = total(row.in_base(row.allowed) for row in rows)
    fees = total(row.in_base(abs(row.trades.commission.value or 0.0)) for row in rows if row.trades is not None)
    found = []
    for figure, title in _PNL[:2]:
        ours = total(row.in_base(row.daily.own if figure == "daily" else row.unrealised.own) for row in rows)
        theirs = total(_broker_pnl(ledger, account, figure) for account in accounts)
        whole = ours.is_whole and theirs.is_whole and allowed.is_whole
        if whole and ours.value is not None and theirs.value is not None:
            room = (allowed.value or 0.0) + (fees.value or 0.0 if figure == "daily" else 0.0)
            found.append(Difference(title, ours.value, theirs.value, room))
    return tuple(found)
