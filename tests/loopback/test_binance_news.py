"""Market news of a Binance session against the simulator: every figure comes, and its loss costs no book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from binance_rig import Rig, quick, running, simulated

from app.domain.health import LinkState
from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate

USUAL = {Field.LAST, Field.CHANGE_PCT, Field.VOLUME, Field.HIGH, Field.LOW, Field.BID, Field.ASK}
FUTURES = {Field.MARK, Field.INDEX, Field.FUNDING, Field.FUNDING_HOURS, Field.OPEN_INTEREST}


class Listener:
    """Keeps the newest figures of a rig's engine."""

    def __init__(self, rig: Rig) -> None:
        self.figures: dict[str, dict[int, float]] = {}
        rig.engine.outputs.on_news = self._on_news

    def _on_news(self, _market: Market, _recv_ns: int, updates: Sequence[TickerUpdate]) -> None:
        for update in updates:
            self.figures.setdefault(update.symbol, {}).update(update.values)

    def has(self, symbol: str, fields: set[Field]) -> bool:
        """Whether all these figures of a symbol have come."""
        known = self.figures.get(symbol, {})
        return all(field in known and known[field] == known[field] for field in fields)


@pytest.mark.parametrize(("market", "fields"), [(Market.BINANCE_SPOT, USUAL), (Market.BINANCE_USDM, USUAL | FUTURES)])
async def test_every_figure_of_instruments_with_and_without_a_book_comes(market: Market, fields: set[Field]) -> None:
    async with simulated(sidelines=40) as sim, running(sim, market, replace(quick(), news=True)) as rig:
        listener = Listener(rig)
        book = rig.symbols[0]
        await rig.until(lambda: listener.has(book, fields), "every figure of a followed symbol")
        others = [symbol for symbol in listener.figures if symbol not in rig.symbols]
        assert len(others) >= 20, "the whole market is told"
        assert all(symbol.endswith(("USDT", "USDC", "FDUSD")) for symbol in listener.figures)
        await rig.until_live()


async def test_hot_symbols_have_quotes_of_their_own_for_as_long_as_they_are_hot() -> None:
    async with simulated(sidelines=40) as sim, running(sim, options=replace(quick(), news=True)) as rig:
        listener = Listener(rig)
        await rig.until(lambda: len(listener.figures) > 20, "the whole market")
        hot = next(symbol for symbol in listener.figures if symbol not in rig.symbols and symbol.isascii())
        names = [link.name for link in rig.health.links]
        assert "spot hot" not in names
        rig.session.set_hot([hot, rig.symbols[0], "NOSUCHUSDT"])
        await rig.until(
            lambda: any(link.name == "spot hot" for link in rig.health.links), "a connection for hot quotes"
        )
        line = next(link for link in rig.health.links if link.name == "spot hot")
        await rig.until(lambda: line.state is LinkState.LIVE and line.frames > 3, "hot quotes")
        rig.session.set_hot(())
        await rig.until(lambda: line not in rig.health.links, "the end of hot quotes")
        assert line.state is LinkState.STOPPED
        await rig.until_live()


async def test_news_that_fails_costs_no_book_and_comes_back() -> None:
    async with simulated(sidelines=20) as sim, running(sim, options=replace(quick(), news=True)) as rig:
        listener = Listener(rig)
        await rig.until_live()
        await rig.until(lambda: len(listener.figures) > 10, "the whole market")
        news = next(link for link in rig.health.links if link.name == "spot news")
        await rig.until(lambda: news.state is LinkState.LIVE, "the news connection")
        sim.fault("drop", market="spot")
        await rig.until(lambda: news.reconnects >= 1, "the loss of every connection")
        await rig.until_live(2)
        listener.figures.clear()
        await rig.until(lambda: len(listener.figures) > 10, "news again")
        assert news.state is LinkState.LIVE
