"""Turns a cell of the Portfolio into the reason of its number: the formula with its values, or why there is none."""

from __future__ import annotations

from app.domain.contracts import day_label
from app.portfolio.holdings import Holding, Origin
from app.portfolio.pricing import PriceKind, Pricing
from app.viewmodels import formats
from app.viewmodels.portfolio_cells import GREEKS, Cells
from app.viewmodels.portfolio_columns import BY_KEY
from app.viewmodels.portfolio_numbers import greek, money, plain, quantity, rate_words, signed


class Whys(Cells):
    """Cells that can be asked why."""

    def why(self, row: Holding, key: str, live: Pricing) -> str:
        """Return why a cell says what it says: the formula with its values, or why there is no number."""
        lines = [f"{row.contract.label}, {BY_KEY[key].title}: {self.text(row, key, live) or formats.UNKNOWN}"]
        if row.quantity == 0 and key in ("instrument", "quantity"):
            lines.append("closed today; it stays in the day's profit and loss")
        lines += getattr(self, f"_why_{key}", self._why_help)(row, live)
        return "\n".join(lines)

    def _why_help(self, row: Holding, live: Pricing) -> list[str]:
        return []

    def _why_instrument(self, row: Holding, live: Pricing) -> list[str]:
        contract = row.contract
        lines = [f"{contract.name}"] if contract.name else []
        lines.append(f"{contract.sec_type.value} · {contract.currency} · contract {contract.con_id}")
        if contract.multiplier != 1:
            lines.append(f"multiplier {contract.multiplier:g}")
        if row.trades is not None:
            lines.append(f"today {row.trades.fills} fills, net {quantity(row.trades.net)}")
        return lines

    def _why_price(self, row: Holding, live: Pricing) -> list[str]:
        lines = [live.why]
        if live.updated_ns:
            stale = "STALE: " if self.is_stale(live) else ""
            lines.append(f"{stale}last news {formats.age(max(0, self.now_ns - live.updated_ns))} ago")
        if live.data is not None:
            lines.append(f"the source says its quotes are {live.data.word}")
        if live.halted:
            lines.append("trading is halted")
        if row.position.market_price is not None:
            lines.append(f"the broker's own price: {row.position.market_price:,.6g}")
        return lines

    def _why_change(self, row: Holding, live: Pricing) -> list[str]:
        if live.value is None:
            return [f"there is no price: {live.why}"]
        if not live.close:
            return ["the previous close is not known"]
        return ["price ÷ previous close − 1", f"{live.value:,.6g} ÷ {live.close:,.6g} − 1"]

    def _why_average(self, row: Holding, live: Pricing) -> list[str]:
        cost = row.position.average_cost
        if cost is None:
            return ["closed today" if row.quantity == 0 else "the broker sent no average cost"]
        if row.contract.multiplier == 1:
            return ["the broker's average cost"]
        return ["the broker's average cost is per contract: ÷ multiplier", f"{cost:,.6g} ÷ {row.contract.multiplier:g}"]

    def _why_market_value(self, row: Holding, live: Pricing) -> list[str]:
        if row.market_value is None:
            return [f"there is no price: {row.price.why}"]
        lines = ["quantity × multiplier × price", self._product(row, row.price.value)]
        if row.is_notional:
            lines.append("notional: exposure, not money that is part of net liquidation")
        lines.append(rate_words(row.rate, row.contract.currency, self.now_ns))
        return [*lines, *self._check(row, "market value")]

    def _why_weight(self, row: Holding, live: Pricing) -> list[str]:
        if row.market_value is None:
            return [f"there is no market value: {row.price.why}"]
        if row.rate is None:
            return [rate_words(None, row.contract.currency, self.now_ns)]
        if row.net_liquidation is None or row.net_liquidation <= 0:
            return ["the net liquidation value is not known, or accounts of several base currencies are shown"]
        return [
            "market value in base ÷ net liquidation of what is shown",
            f"{money(row.in_base(row.market_value))} ÷ {money(row.net_liquidation)}",
        ]

    def _why_daily(self, row: Holding, live: Pricing) -> list[str]:
        if row.daily.origin is Origin.BROKER:
            return ["the broker's figure: ours needs a price and the previous close", *self._missing(row)]
        if row.daily.value is None:
            return [*self._missing(row), "and the broker has sent none"]
        trades = row.trades
        opened = row.quantity - (trades.net if trades is not None else 0.0)
        paid = trades.paid if trades is not None else 0.0
        lines = [
            "multiplier × (quantity × price − quantity at the close × previous close − paid today)",
            f"{row.contract.multiplier:g} × ({quantity(row.quantity)} × {plain(row.price.value)} − "
            f"{quantity(opened)} × {plain(row.price.close)} − {paid:,.6g})",
        ]
        if trades is None:
            lines.append("no execution of today is known")
        else:
            lines.append(f"{trades.fills} executions of today; before commissions ({money(trades.commission.value)})")
        return [*lines, *self._check(row, "daily P&L")]

    def _why_unrealised(self, row: Holding, live: Pricing) -> list[str]:
        if row.unrealised.origin is Origin.BROKER:
            return ["the broker's figure: ours needs a price and an average cost", row.price.why]
        if row.unrealised.value is None:
            lacking = "a price" if row.price.value is None else "an average cost"
            return [f"{lacking} is missing, and the broker has sent none"]
        if row.quantity == 0:
            return ["closed today"]
        return [
            "quantity × multiplier × (price − average cost)",
            self._product(row, None).removesuffix(formats.UNKNOWN)
            + f"({plain(row.price.value)} − {plain(row.average)})",
            *self._check(row, "unrealised P&L"),
        ]

    def _why_unrealised_pct(self, row: Holding, live: Pricing) -> list[str]:
        if row.unrealised_pct is None:
            return ["unrealised P&L or cost is not known"]
        return ["unrealised P&L ÷ cost", f"{money(row.unrealised.value)} ÷ {money(abs(row.cost or 0.0))}"]

    def _why_realised(self, row: Holding, live: Pricing) -> list[str]:
        if row.realised.value is None:
            return ["the broker has sent none for this position"]
        from_position = row.position.realised is not None
        return ["the broker's figure" if from_position else "the sum of what the broker told with today's fills"]

    def _why_delta(self, row: Holding, live: Pricing) -> list[str]:
        return self._why_greek(row, 0)

    def _why_gamma(self, row: Holding, live: Pricing) -> list[str]:
        return self._why_greek(row, 1)

    def _why_theta(self, row: Holding, live: Pricing) -> list[str]:
        return [*self._why_greek(row, 2), f"{row.contract.currency} per day"]

    def _why_vega(self, row: Holding, live: Pricing) -> list[str]:
        return [*self._why_greek(row, 3), f"{row.contract.currency} per point of volatility"]

    def _why_greek(self, row: Holding, which: int) -> list[str]:
        unit = row.exposure.unit.parts[which]
        if unit is None:
            if not row.contract.sec_type.is_option:
                return ["this kind of instrument has no plain Greeks"]
            return ["the broker's model has sent none (yet); it needs quotes of the option and of its underlying"]
        name = (
            f"{GREEKS[which]} of one unit" if row.contract.sec_type.is_option else "delta of one unit is 1, the rest 0"
        )
        return [f"quantity × multiplier × {name}", self._product(row, unit)]

    def _why_dollar_delta(self, row: Holding, live: Pricing) -> list[str]:
        known = row.exposure
        if known.greeks.delta is None:
            return self._why_greek(row, 0)
        if known.underlying is None:
            return [f"no price of the underlying: {known.underlying_is}"]
        return [
            "delta × price of the underlying",
            f"{greek(known.greeks.delta)} × {plain(known.underlying)} ({known.underlying_is})",
        ]

    def _why_beta(self, row: Holding, live: Pricing) -> list[str]:
        found, index = row.exposure.beta, self.index.symbol or "the index"
        if found is None:
            return [f"not measured: it needs 60 daily closes of the underlying and of {index}"]
        if not found.days:
            return [f"it is {index} itself"]
        return [
            f"covariance of daily returns with {index} ÷ variance of {index}",
            f"{found.days} common days, {day_label(found.first_day)} to {day_label(found.last_day)}",
        ]

    def _why_beta_delta(self, row: Holding, live: Pricing) -> list[str]:
        known, index = row.exposure, self.index
        if known.dollar_delta is None:
            return self._why_dollar_delta(row, live)
        if known.beta is None:
            return self._why_beta(row, live)
        if row.rate is None:
            return [rate_words(None, row.contract.currency, self.now_ns)]
        if not index.price_base:
            return [f"no price of {index.symbol or 'the index'} is known"]
        return [
            f"dollar delta in base × beta ÷ price of {index.symbol} in base",
            f"{money(row.in_base(known.dollar_delta))} × {known.beta.value:.3f} ÷ {index.price_base:,.2f}",
            *self._why_beta(row, live),
        ]

    def _why_bid(self, row: Holding, live: Pricing) -> list[str]:
        return self._why_quote(row, "bid", live)

    def _why_ask(self, row: Holding, live: Pricing) -> list[str]:
        return self._why_quote(row, "ask", live)

    def _why_close(self, row: Holding, live: Pricing) -> list[str]:
        return self._why_quote(row, "close", live)

    def _why_quote(self, row: Holding, key: str, live: Pricing) -> list[str]:
        if self.value(row, key, live) is not None:
            return ["as the source quotes it"]
        return [live.why if live.kind in (PriceKind.BROKER, PriceKind.NONE) else "the source has not quoted it"]

    def _why_underlying_price(self, row: Holding, live: Pricing) -> list[str]:
        return [row.exposure.underlying_is]

    def _why_currency(self, row: Holding, live: Pricing) -> list[str]:
        return [rate_words(row.rate, row.contract.currency, self.now_ns)]

    def _why_priced(self, row: Holding, live: Pricing) -> list[str]:
        return [live.why]

    def _why_check(self, row: Holding, live: Pricing) -> list[str]:
        if not row.checks:
            return ["the broker has sent nothing to compare with"]
        return [line for check in row.checks for line in self._check(row, check.figure)]

    def _missing(self, row: Holding) -> list[str]:
        if row.price.value is None:
            return [f"no price: {row.price.why}"]
        return ["the previous close is not known"] if row.price.close is None else []

    def _product(self, row: Holding, factor: float | None) -> str:
        return f"{quantity(row.quantity)} × {row.contract.multiplier:g} × {plain(factor)}"

    @staticmethod
    def _check(row: Holding, figure: str) -> list[str]:
        lines = []
        for check in row.checks:
            if check.figure == figure:
                verdict = "DIFFERS by more than" if check.is_notable else "agrees within"
                lines.append(
                    f"broker's {figure}: {money(check.broker)}; ours {verdict} the {money(check.allowed)} that prices "
                    f"can explain ({signed(money(check.value), check.value)})"
                )
        return lines
