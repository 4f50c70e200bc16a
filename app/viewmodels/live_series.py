"""Depth over time of the running engines, their ticks and the stored minutes, and why each number is what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from app.books.depth import side_is_complete
from app.books.keeper import BookState
from app.domain.coverage import Coverage, Known
from app.domain.ids import Market, Venue
from app.domain.units import ASK, BID, DEPTHS_PCT
from app.indicators.formulas import Convention, Kind, Line, evaluate
from app.indicators.groups import GROUPS, Subject, SubjectMarket
from app.indicators.window import DepthWindow
from app.services.now import coin_now, group_now
from app.services.pipeline import MarketEngine
from app.storage.history import History
from app.storage.ticks_memory import MemoryTickStore
from app.viewmodels import formats
from app.viewmodels.sources import Explanation

_TOP = 12


class LiveSeries:
    """`SeriesSource` over engines, tick store and history; `history` may be None (replay without a database)."""

    def __init__(self, engines: Mapping[Market, MarketEngine], ticks: MemoryTickStore, history: History | None) -> None:
        self._engines = engines
        self._ticks = ticks
        self._history = history
        self._rows: dict[tuple[Market, str], int] = {
            (market, instrument.pair): index
            for market, engine in engines.items()
            for index, instrument in enumerate(engine.instruments)
        }

    def venues(self) -> Sequence[Venue]:
        """Return the venues whose books are measured."""
        return tuple(dict.fromkeys(market.venue for market in self._engines))

    def pairs(self) -> Sequence[str]:
        """Return the coins that can be picked, most important first."""
        names: dict[str, None] = {}
        for engine in self._engines.values():
            names.update(dict.fromkeys(instrument.pair for instrument in engine.instruments))
        return tuple(names)

    def has_value(self) -> bool:
        """Whether any group of any market has a value."""
        return any(
            engine.groups is not None and bool(engine.groups.included.any()) for engine in self._engines.values()
        )

    def series_revision(self, key: SubjectMarket) -> int:
        """Return a number that moves with every new sample of the subject."""
        engine = self._engines.get(key.market)
        if engine is None:
            return -1
        if key.subject.is_group:
            return engine.revision if engine.groups_watched else int(engine.groups_ns)
        index = self._index(key)
        return -1 if index is None else engine.revisions[index]

    def live(self, key: SubjectMarket, since_ms: int = 0) -> DepthWindow:
        """Return the last two minutes of ticks (at or after `since_ms`), ending with the newest sample."""
        engine = self._engines.get(key.market)
        if engine is None:
            return DepthWindow.empty()
        if key.subject.group is not None:
            ticks = self._ticks.group_window(key.market, key.subject.group, since_ms)
            return ticks.then(group_now(engine, GROUPS.index(key.subject.group)))
        index = self._index(key)
        if index is None:
            return DepthWindow.empty()
        ticks = self._ticks.coin_window(key.market, engine.symbols[index], since_ms)
        if engine.rows[index].sync.state is BookState.WAITING:
            return ticks
        return ticks.then(coin_now(engine, index))

    def event_ns(self, key: SubjectMarket) -> int | None:
        """Return the venue's time of what the newest sample newly contains, None when nothing is new."""
        engine = self._engines.get(key.market)
        if engine is None:
            return None
        if key.subject.is_group:
            return engine.groups_event_ns or None
        index = self._index(key)
        return None if index is None else engine.rows[index].painted_event_ns

    async def minutes(self, key: SubjectMarket, start_ms: int, end_ms: int) -> DepthWindow:
        """Return stored minutes with start_ms <= ts_ms < end_ms; raise StorageError when the store is away."""
        engine = self._engines.get(key.market)
        if self._history is None or engine is None:
            return DepthWindow.empty()
        if key.subject.group is not None:
            total = int(engine.members[GROUPS.index(key.subject.group)].sum())
            return await self._history.read_group(key.market, key.subject.group, start_ms, end_ms, total)
        index = self._index(key)
        if index is None:
            return DepthWindow.empty()
        return await self._history.read_coin(key.market, engine.symbols[index], start_ms, end_ms)

    def watch_series(self, key: SubjectMarket) -> None:
        """Sample the subject at the fast cadence while it is on screen."""
        engine = self._engines.get(key.market)
        if engine is None:
            return
        index = self._index(key)
        if key.subject.is_group:
            engine.groups_watched += 1
        elif index is not None:
            engine.watch(index)

    def unwatch_series(self, key: SubjectMarket) -> None:
        """Undo one `watch_series`."""
        engine = self._engines.get(key.market)
        if engine is None:
            return
        index = self._index(key)
        if key.subject.is_group:
            engine.groups_watched = max(0, engine.groups_watched - 1)
        elif index is not None:
            engine.unwatch(index)

    def _index(self, key: SubjectMarket) -> int | None:
        return None if key.subject.pair is None else self._rows.get((key.market, key.subject.pair))

    # -- why -----------------------------------------------------------------------------------------------------

    def explain(self, key: SubjectMarket, line: Line, ts_ms: int | None, convention: Convention) -> Explanation:
        """Explain a value at a moment (None: now)."""
        engine = self._engines.get(key.market)
        title = f"{line.label} · {key.subject} · {key.market.label}"
        if engine is None:
            return Explanation(
                title=title,
                formula=formula_text(line, key.subject, convention),
                facts=(("value", f"{formats.UNKNOWN} (this market is switched off)"),),
                contributor_header=(),
                contributors=(),
                excluded=(),
            )
        window = self.live(key)
        newest = int(window.ts_ms[-1]) if len(window) else None
        now = ts_ms is None or newest is None or ts_ms >= newest
        if not now and ts_ms is not None:
            at = max(0, int(np.searchsorted(window.ts_ms, ts_ms, side="right")) - 1)
            window = window.slice(at, at + 1)
        elif len(window):
            window = window.slice(len(window) - 1, len(window))
        facts = _value_facts(line, window, convention)
        contributors: tuple[tuple[str, ...], ...] = ()
        header: tuple[str, ...] = ()
        excluded: tuple[tuple[str, str], ...] = ()
        if key.subject.group is not None:
            header = ("symbol", "bid USD", "ask USD", "bid/ask", "bid band", "ask band")
            if now:
                contributors, excluded = _group_parts(engine, GROUPS.index(key.subject.group), line)
            else:
                facts += (("contributors", "kept only for the newest sample"),)
        else:
            index = self._index(key)
            if index is None:
                excluded = ((str(key.subject), f"not listed on {key.market.label}"),)
            elif now:
                facts += _coin_facts(engine, index, line)
        return Explanation(
            title=title,
            formula=formula_text(line, key.subject, convention),
            facts=facts,
            contributor_header=header,
            contributors=contributors,
            excluded=excluded,
        )


def formula_text(line: Line, subject: Subject, convention: Convention) -> str:
    """Return the line's formula in words."""
    bid = f"bid {DEPTHS_PCT[line.bid]:g} %" if line.bid is not None else ""
    ask = f"ask {DEPTHS_PCT[line.ask]:g} %" if line.ask is not None else ""
    if subject.is_group and line.kind is not Kind.MEAN:
        bid, ask = (f"sum of {side} over the symbols" if side else "" for side in (bid, ask))
    if line.kind is Kind.VOLUME:
        return f"{bid or ask}, each level's price × quantity in USD"
    if line.kind is Kind.DIFF:
        return f"{ask} − {bid}" if line.negated else f"{bid} − {ask}"
    if line.kind is Kind.MEAN:
        return f"mean over the symbols of {bid} / {ask}"
    return f"({bid} − {ask}) / ({bid} + {ask})" if convention is Convention.IMBALANCE else f"{bid} / {ask}"


def _value_facts(line: Line, window: DepthWindow, convention: Convention) -> tuple[tuple[str, str], ...]:
    if not len(window):
        return (("value", f"{formats.UNKNOWN} (no sample yet)"),)
    curve = evaluate(line, window, convention)
    known = Known(int(curve.known[-1]))
    facts = [("value", _number(float(curve.values[-1]))), ("how well known", known.name.lower())]
    for side, name, band in ((BID, "bid", line.bid), (ASK, "ask", line.ask)):
        if band is None:
            continue
        coverage = Coverage(int(window.coverage[-1, side, band])).name.lower()
        volume = _number(float(window.usd[-1, side, band]))
        loose = float(window.unconfirmed[-1, side, band])
        text = f"{volume} USD, {coverage}" + (f", {loose:.1%} of it unconfirmed" if loose else "")
        facts.append((f"{name} within {DEPTHS_PCT[band]:g} %", text))
        if window.total > 1:
            facts.append((f"books exact on the {name} side", f"{int(window.exact[-1, side, band])} of {window.total}"))
    if window.total > 1:
        facts.append(("symbols included", f"{int(window.included[-1])} of {window.total}"))
        if line.kind is Kind.MEAN and line.bid is not None:
            facts.append(("symbols with a ratio", str(int(window.ratio_count[-1, line.bid]))))
    return tuple(facts)


def _coin_facts(engine: MarketEngine, index: int, line: Line) -> tuple[tuple[str, str], ...]:
    table, row = engine.table, engine.rows[index]
    facts: list[tuple[str, str]] = []
    threshold = table.threshold(slice(index, index + 1))[0]
    for side, name, band in ((BID, "bid", line.bid), (ASK, "ask", line.ask)):
        known = float(table.known_to_pct[index, side])
        facts.append((f"best {name}", formats.full(float(table.best[index, side]), 8).rstrip("0").rstrip(".")))
        if band is not None:
            facts.append((f"{name} threshold {DEPTHS_PCT[band]:g} %", f"{threshold[side, band]:.8g}"))
        if band is not None and table.bucket_pct[index, side, band] > 0:
            facts.append((f"{name} price buckets", formats.bucket_words(float(table.bucket_pct[index, side, band]))))
        reach = "the whole side" if side_is_complete(side, known) else f"{known:.3g} %"
        facts.append((f"{name} known to", reach))
    counters = row.sync.counters
    facts.append(("last update id", str(row.sync.last_id)))
    loaded = row.sync.loaded_ns
    facts.append(("last snapshot", formats.clock_text(row.sync.loaded_ns) if loaded else formats.UNKNOWN))
    facts.append(("updates applied / gaps / resyncs", f"{counters.applied} / {counters.gaps} / {counters.resyncs}"))
    return tuple(facts)


def _group_parts(
    engine: MarketEngine, k: int, line: Line
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, str], ...]]:
    """Return the largest contributors as rows of text, and the symbols left out with the reason."""
    table = engine.table
    bid_band = line.bid if line.bid is not None else line.ask
    ask_band = line.ask if line.ask is not None else line.bid
    assert bid_band is not None
    assert ask_band is not None
    rows: list[tuple[float, tuple[str, ...]]] = []
    excluded: list[tuple[str, str]] = []
    for index in np.flatnonzero(engine.members[k]).tolist():
        symbol = engine.symbols[index]
        state = engine.rows[index].sync.state
        coverage = table.coverage[index]
        if state is BookState.WAITING or (coverage == Coverage.NONE).any():
            streaming = engine.rows[index].streaming
            excluded.append((symbol, "no snapshot loaded yet" if streaming else "no stream"))
            continue
        bid, ask = float(table.usd[index, BID, bid_band]), float(table.usd[index, ASK, ask_band])
        if line.kind is Kind.MEAN and not ask > 0:
            excluded.append((symbol, "no ask volume in the band, so no ratio"))
            continue
        words = tuple(
            Coverage(int(coverage[side, band])).name.lower() for side, band in ((BID, bid_band), (ASK, ask_band))
        )
        ratio = _number(bid / ask) if ask > 0 else formats.UNKNOWN
        rows.append((bid + ask, (symbol, formats.volume(bid), formats.volume(ask), ratio, *words)))
    rows.sort(key=lambda row: row[0], reverse=True)
    return tuple(row[1] for row in rows[:_TOP]), tuple(excluded)


def _number(value: float) -> str:
    if value != value:
        return formats.UNKNOWN
    return formats.full(value) if abs(value) >= 1000 else f"{value:.6g}"
