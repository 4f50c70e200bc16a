"""What a depth chart shows, as plain data: from a person's choices to JSON and back.

A state that was written by another version, or by hand, never fails to load: every part that does not fit is replaced
by its default.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar

from app.domain.ids import BOOK_MARKETS, Market, MarketKind, Venue
from app.indicators.formulas import LINE_BY_KEY, Convention, Indicator, Kind, Line, lines_of
from app.indicators.groups import Group, Subject
from app.viewmodels.linking import DEFAULT_GROUP

RANGES: Final[tuple[tuple[str, int], ...]] = (
    ("2 min", 120),
    ("15 min", 900),
    ("1 h", 3_600),
    ("4 h", 14_400),
    ("24 h", 86_400),
    ("7 d", 604_800),
)
"""Spans of time that can be picked, as (name, seconds)."""

_Member = TypeVar("_Member", bound=StrEnum)

STATE_VERSION: Final = 1
USUAL_DEPTH_PCT: Final = 5.0

ALL_CHARTS: Final = "all charts"


class TimeLink(StrEnum):
    """Which charts move their time axes together."""

    ALL = "all"
    COLOUR = "colour"
    OWN = "own"


TOTAL: Final = Subject(group=Group.TOTAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartConfig:
    """The choices behind one chart.

    line_keys are keys of `LINES[indicator]` in catalogue order; hidden names curves (`curve_key`) that the legend has
    switched off; span_s is the width of the time axis while it follows the newest value; link_group is the colour whose
    picked pair a coin chart follows (None: on its own).
    """

    indicator: Indicator = Indicator.DELTA
    subject: Subject = TOTAL
    markets: tuple[Market, ...] = (Market.BINANCE_SPOT, Market.BINANCE_USDM)
    line_keys: tuple[str, ...] = ("delta:5",)
    convention: Convention = Convention.RATIO
    strict: bool = False
    span_s: float = 900.0
    link_group: str | None = None
    time_link: TimeLink = TimeLink.ALL
    hidden: tuple[str, ...] = ()

    @property
    def time_group(self) -> str | None:
        """Return the name of the charts that share this one's time axis, None when it stands alone."""
        if self.time_link is TimeLink.COLOUR:
            return self.link_group
        return ALL_CHARTS if self.time_link is TimeLink.ALL else None

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return the chosen lines."""
        return tuple(LINE_BY_KEY[key] for key in self.line_keys)

    @property
    def reference(self) -> float | None:
        """Return the value at which bid and ask are in balance, None where there is none to draw."""
        kinds = {line.kind for line in self.lines}
        if kinds & {Kind.RATIO, Kind.MEAN}:
            imbalance = self.convention is Convention.IMBALANCE and Kind.MEAN not in kinds
            return 0.0 if imbalance else 1.0
        return 0.0 if Kind.DIFF in kinds else None

    @property
    def is_money(self) -> bool:
        """Whether the values are amounts of USD (otherwise plain ratios)."""
        return any(line.kind in (Kind.VOLUME, Kind.DIFF) for line in self.lines)

    @property
    def venues(self) -> tuple[Venue, ...]:
        """Return the venues that are drawn."""
        return tuple(dict.fromkeys(market.venue for market in self.markets))

    @property
    def kinds(self) -> tuple[MarketKind, ...]:
        """Return whether spot, futures or both are drawn."""
        return tuple(kind for kind in MarketKind if any(market.kind is kind for market in self.markets))

    def with_kind_toggled(self, kind: MarketKind) -> ChartConfig:
        """Return the chart with or without spot (futures) of its venues; one kind always stays."""
        kinds = {*self.kinds} ^ {kind} or {*self.kinds}
        return self._of(self.venues, kinds)

    def with_venue_toggled(self, venue: Venue) -> ChartConfig:
        """Return the chart with or without a venue; one always stays."""
        venues = {*self.venues} ^ {venue} or {*self.venues}
        return self._of(venues, self.kinds)

    def _of(self, venues: Collection[Venue], kinds: Collection[MarketKind]) -> ChartConfig:
        return replace(self, markets=tuple(m for m in BOOK_MARKETS if m.venue in venues and m.kind in kinds))

    def with_indicator(self, indicator: Indicator) -> ChartConfig:
        """Return the same chart with another indicator, at the same depths where it offers them."""
        if indicator is self.indicator:
            return self
        depths = {depth for line in self.lines for depth in line.depths_pct}
        subject = self.subject
        if not subject.is_group and not indicator.for_coins:
            subject = TOTAL
        keys = tuple(
            line.key
            for line in lines_of(indicator, group=subject.is_group)
            if not line.mixed and line.kind is not Kind.DIFF and set(line.depths_pct) <= depths
        )
        return tidy(replace(self, indicator=indicator, subject=subject, line_keys=keys, hidden=()))

    def with_subject(self, subject: Subject) -> ChartConfig:
        """Return the same chart of another group or coin; AVG and BID/ASK TOTAL of a coin become BID/ASK."""
        indicator = self.indicator
        if not subject.is_group and not indicator.for_coins:
            indicator = Indicator.BID_ASK if indicator is Indicator.TOTALS else Indicator.DELTA
            keys = tuple(key.replace("totals:", "bid-ask:") for key in self.line_keys)
            return tidy(replace(self, indicator=indicator, subject=subject, line_keys=keys, hidden=()))
        return tidy(replace(self, subject=subject))

    def to_state(self) -> dict[str, object]:
        """Return the choices as JSON-able values."""
        return {
            "version": STATE_VERSION,
            "indicator": self.indicator.value,
            "subject": str(self.subject),
            "markets": [market.value for market in self.markets],
            "lines": list(self.line_keys),
            "convention": self.convention.value,
            "strict": self.strict,
            "span_s": self.span_s,
            "link_group": self.link_group,
            "time_link": self.time_link.value,
            "hidden": list(self.hidden),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> ChartConfig:
        """Read choices back; what is missing or does not fit takes its default."""
        base = cls()
        indicator = _member(Indicator, state.get("indicator"), base.indicator)
        subject = base.subject
        text = state.get("subject")
        if isinstance(text, str) and text.strip():
            subject = Subject.parse(text)
        if not subject.is_group and not indicator.for_coins:
            subject = base.subject
        span = state.get("span_s")
        group = state.get("link_group")
        return tidy(
            cls(
                indicator=indicator,
                subject=subject,
                markets=tuple(market for market in BOOK_MARKETS if market.value in _words(state.get("markets"))),
                line_keys=_words(state.get("lines")),
                convention=_member(Convention, state.get("convention"), base.convention),
                strict=state.get("strict") is True,
                span_s=float(span) if isinstance(span, int | float) and span == span else base.span_s,
                link_group=group if isinstance(group, str) and group else None,
                time_link=_member(TimeLink, state.get("time_link"), base.time_link),
                hidden=_words(state.get("hidden")),
            )
        )


def depths_offered(config: ChartConfig) -> tuple[float, ...]:
    """Return the depths of the indicator's unmixed lines."""
    lines = lines_of(config.indicator, group=config.subject.is_group)
    return tuple(sorted({depth for line in lines if not line.mixed for depth in line.depths_pct}))


def side_word(line: Line) -> str:
    """Return "BID", "ASK" or "DIFF" for an unmixed volume line, "" for every other."""
    return line.label.split()[0] if line.kind in (Kind.VOLUME, Kind.DIFF) and not line.mixed else ""


def toggle_depth(config: ChartConfig, depth: float) -> ChartConfig:
    """Return the chart with a depth added (for the sides it shows) or taken away; the last line stays."""
    plain = [line for line in config.lines if not line.mixed]
    if any(depth in line.depths_pct for line in plain):
        gone = {line.key for line in plain if depth in line.depths_pct}
        return _with_keys(config, [key for key in config.line_keys if key not in gone])
    sides = {side_word(line) for line in plain} or {"BID", "ASK", ""}
    return _add(config, lambda line: depth in line.depths_pct and side_word(line) in sides)


def toggle_side(config: ChartConfig, word: str) -> ChartConfig:
    """Return the chart with BID, ASK or DIFF added at its depths or taken away; the last line stays."""
    if any(side_word(line) == word for line in config.lines):
        return _with_keys(config, [line.key for line in config.lines if side_word(line) != word])
    depths = {depth for line in config.lines if not line.mixed for depth in line.depths_pct} or {USUAL_DEPTH_PCT}
    return _add(config, lambda line: side_word(line) == word and line.depths_pct[0] in depths)


def toggle_line(config: ChartConfig, key: str) -> ChartConfig:
    """Return the chart with one line added or taken away; the last line stays."""
    keys = [k for k in config.line_keys if k != key] if key in config.line_keys else [*config.line_keys, key]
    return _with_keys(config, keys)


def _add(config: ChartConfig, wanted: Callable[[Line], bool]) -> ChartConfig:
    offered = lines_of(config.indicator, group=config.subject.is_group)
    return _with_keys(config, [*config.line_keys, *(line.key for line in offered if not line.mixed and wanted(line))])


def _with_keys(config: ChartConfig, keys: Sequence[str]) -> ChartConfig:
    return tidy(replace(config, line_keys=tuple(keys))) if keys else config


def curve_key(market: Market, line: Line) -> str:
    """Return the name under which a curve is remembered: "spot/delta:5"."""
    return f"{market.value}/{line.key}"


def usual_keys(indicator: Indicator) -> tuple[str, ...]:
    """Return the lines a chart starts with."""
    if indicator is Indicator.AVG:
        return ("avg:60",)
    if indicator is Indicator.DELTA:
        return (f"delta:{USUAL_DEPTH_PCT:g}",)
    return (f"{indicator.value}:bid{USUAL_DEPTH_PCT:g}", f"{indicator.value}:ask{USUAL_DEPTH_PCT:g}")


def tidy(config: ChartConfig) -> ChartConfig:
    """Return a config that can be drawn: known lines in catalogue order, at least one of them, one market, a sane span.

    Amounts and ratios never share an axis: the catalogue keeps them in different indicators.
    """
    offered = [line.key for line in lines_of(config.indicator, group=config.subject.is_group)]
    keys = tuple(key for key in offered if key in config.line_keys) or usual_keys(config.indicator)
    markets = tuple(market for market in BOOK_MARKETS if market in config.markets) or (
        Market.BINANCE_SPOT,
        Market.BINANCE_USDM,
    )
    return replace(config, line_keys=keys, markets=markets, span_s=min(max(config.span_s, 10.0), 31 * 86_400.0))


def depth_words(lines: tuple[Line, ...]) -> str:
    """Return the depths of unmixed lines as one text: "3, 5, 8 %"; empty when there are none."""
    depths = sorted({depth for line in lines if not line.mixed for depth in line.depths_pct})
    return ", ".join(f"{depth:g}" for depth in depths) + " %" if depths else ""


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list | tuple) else ()


def _member(kind: type[_Member], value: object, default: _Member) -> _Member:
    try:
        return kind(str(value))
    except ValueError:
        return default


def _chart(indicator: Indicator, subject: Subject, link: str | None) -> ChartConfig:
    return tidy(ChartConfig(indicator=indicator, subject=subject, line_keys=(), link_group=link))


DEFAULT_CHARTS: Final[tuple[ChartConfig, ...]] = (
    _chart(Indicator.DELTA, TOTAL, None),
    _chart(Indicator.TOTALS, TOTAL, None),
    _chart(Indicator.AVG, TOTAL, None),
    _chart(Indicator.BID_ASK, Subject(pair="BTCUSDT"), DEFAULT_GROUP),
)
"""The four charts of the first start: TOTAL Delta, TOTAL BID/ASK TOTAL, AVG, BTCUSDT BID/ASK, with linked time axes."""
