"""The symbol list: order, filter, favourites, and reading only a few books at a time."""

from __future__ import annotations

import math

import pytest
from fakes import BASES, FakeMarket

from app.domain.coverage import Known
from app.domain.ids import Market, Venue
from app.viewmodels.linking import LinkBus
from app.viewmodels.symbols import Column, SymbolsModel


class CountingMarket(FakeMarket):
    """Counts how many books are read, and can lose symbols."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.gone: set[str] = set()
        self.hidden: set[str] = set()

    def symbols(self, market: Market) -> list[str]:
        return [symbol for symbol in super().symbols(market) if symbol not in self.hidden]

    def book(self, market: Market, symbol: str, levels: int):
        self.reads += 1
        return None if symbol in self.gone else super().book(market, symbol, levels)


@pytest.fixture
def market() -> CountingMarket:
    return CountingMarket()


@pytest.fixture
def model(market: CountingMarket) -> SymbolsModel:
    return SymbolsModel(market, LinkBus())


def read_all(model: SymbolsModel) -> None:
    while model.poll(budget=50):
        pass


def pairs(model: SymbolsModel) -> list[str]:
    return [model.row(position).pair for position in range(len(model))]


def test_pairs_are_merged_over_markets_in_order_of_importance(model: SymbolsModel) -> None:
    assert pairs(model) == [f"{base}USDT" for base in BASES]
    shib = model.row(BASES.index("SHIB"))
    assert [cell.symbol for cell in shib.cells] == ["SHIBUSDT", "1000SHIBUSDT"]


def test_one_poll_stays_within_its_budget_and_comes_round_to_everybody(
    model: SymbolsModel, market: CountingMarket
) -> None:
    for _ in range(12):
        before = market.reads
        model.poll(range(5), budget=12)
        assert market.reads - before <= 13
    assert all(cell.state != "not listed" for row in map(model.row, range(len(model))) for cell in row.cells)
    still = market.reads
    assert model.poll(range(5)) == 0
    assert market.reads == still


def test_the_rows_on_screen_come_first(model: SymbolsModel, market: CountingMarket) -> None:
    model.poll(range(40, 43), budget=12)
    assert all(model.row(position).cells[0].live for position in range(40, 43))


def test_values_carry_how_well_they_are_known(model: SymbolsModel) -> None:
    read_all(model)
    btc, eth, xrp = (model.row(position).cells[0] for position in range(3))
    assert btc.known_pct == pytest.approx(0.34)
    assert (btc.delta5_known, xrp.delta5_known) == (Known.PARTIAL, Known.EXACT)
    assert eth.delta5 == pytest.approx(1.05, abs=0.2)
    ton = model.row(BASES.index("TON")).cells[0]
    assert ton.delta5_known is Known.MISSING
    assert math.isnan(ton.delta5)
    assert not ton.live


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("column", [Column.SPOT_MID, Column.FUTURES_DELTA, Column.SPOT_KNOWN])
def test_sorting_puts_unknown_values_last_both_ways(model: SymbolsModel, column: Column, descending: bool) -> None:
    read_all(model)
    model.set_sorting(column, descending)
    name = {Column.SPOT_MID: "mid", Column.FUTURES_DELTA: "delta5", Column.SPOT_KNOWN: "known_pct"}[column]
    values = [getattr(model.row(position).cells[int(column) % 2], name) for position in range(len(model))]
    known = [value for value in values if not math.isnan(value)]
    assert known == sorted(known, reverse=descending)
    assert values[: len(known)] == known
    assert len(known) == len(values) - 1


def test_favourites_lead_and_the_filter_narrows(model: SymbolsModel) -> None:
    model.toggle_favourite("SOLUSDT")
    assert pairs(model)[0] == "SOLUSDT"
    assert model.ranked_pairs()[:2] == ["SOLUSDT", "BTCUSDT"]
    model.set_filter("  etu", only_favourites=False)
    assert pairs(model) == ["VETUSDT", "FETUSDT"]
    assert model.position_of("BTCUSDT") is None
    assert model.position_of("FETUSDT") == 1
    model.set_filter("", only_favourites=True)
    assert pairs(model) == ["SOLUSDT"]
    model.toggle_favourite("SOLUSDT")
    assert pairs(model) == []
    model.set_sorting(Column.PAIR, descending=True)
    model.set_filter("", only_favourites=False)
    assert pairs(model) == sorted(pairs(model), reverse=True)


def test_a_delisted_symbol_stays_as_a_row_that_says_so(model: SymbolsModel, market: CountingMarket) -> None:
    read_all(model)
    market.gone.add("SOLUSDT")
    market.step()
    read_all(model)
    cell = model.row(BASES.index("SOL")).cells[0]
    assert (cell.state, cell.live) == ("delisted", False)
    assert math.isnan(cell.mid)


def test_a_changed_listing_keeps_what_was_read(model: SymbolsModel, market: CountingMarket) -> None:
    read_all(model)
    assert not model.reload()
    market.hidden.add("ETHUSDT")
    assert model.reload()
    assert "ETHUSDT" not in pairs(model)
    assert model.row(0).cells[0].live


def test_an_empty_market_is_an_empty_list() -> None:
    market = CountingMarket()
    market.hidden.update(market.symbols(Market.BINANCE_SPOT), market.symbols(Market.BINANCE_USDM))
    model = SymbolsModel(market, LinkBus())
    assert len(model) == 0
    assert model.poll() == 0
    assert list(model.ranked_pairs()) == []


def test_picking_goes_to_the_chosen_group() -> None:
    links = LinkBus()
    model = SymbolsModel(FakeMarket(), links)
    model.pick("ETHUSDT")
    assert links.current("A") == model.picked == "ETHUSDT"
    model.set_link_group(None)
    model.pick("SOLUSDT")
    assert links.groups() == {"A": "ETHUSDT"}
    assert model.picked is None


def test_the_list_shows_one_venue_at_a_time(model: SymbolsModel, market: CountingMarket) -> None:
    assert model.venues() == (Venue.BINANCE,)
    market.open_venues = (Venue.BINANCE, Venue.HYPERLIQUID)
    assert model.venues() == (Venue.BINANCE, Venue.HYPERLIQUID)
    model.set_venue(Venue.HYPERLIQUID)
    read_all(model)
    assert pairs(model) == [f"{base}USDT" for base in BASES[:12]], "a coin named alone is the pair of the other venues"
    spot, futures = model.row(0).cells
    assert (spot.state, futures.symbol) == ("not listed", "BTC")
    assert futures.mid > 0
