"""The scanner's rows: which are shown, in which order, when the order holds still, and what is remembered."""

from __future__ import annotations

import json

import pytest
from scanner_market import ScannerMarket

from app.domain.ids import Market, MarketKind, Venue
from app.domain.units import NS_PER_S
from app.scanner.events import EventKind
from app.viewmodels.linking import LinkBus
from app.viewmodels.scanner import ScannerModel
from app.viewmodels.scanner_lists import ScanList

PERP = Market.HYPERLIQUID_PERP
LINEAR = Market.BYBIT_LINEAR


@pytest.fixture
def market() -> ScannerMarket:
    made = ScannerMarket(coins=12)
    made.open()
    return made


@pytest.fixture
def links() -> LinkBus:
    return LinkBus()


@pytest.fixture
def model(market: ScannerMarket, links: LinkBus) -> ScannerModel:
    made = ScannerModel(market.scanning, market.books, links)
    made.advance(market.now_ns)
    return made


def shown(model: ScannerModel) -> list[str]:
    return [f"{model.board.markets[row].value}:{model.board.symbols[row]}" for row in model.order.tolist()]


def values(model: ScannerModel, key: str) -> list[float]:
    from app.scanner.columns import BY_KEY

    return model.board.numbers(BY_KEY[key])[model.order].tolist()


def advance(model: ScannerModel, market: ScannerMarket, seconds: float = 1.0, *, hold: bool = False) -> bool:
    market.now_ns += round(seconds * NS_PER_S)
    market.scanning.advance(market.now_ns)
    return model.advance(market.now_ns, hold=hold)


# order


def test_rows_come_by_turnover_until_another_column_is_chosen(model: ScannerModel, market: ScannerMarket) -> None:
    assert len(model) == model.total == 12 * 6
    assert values(model, "volume_24h") == sorted(values(model, "volume_24h"), reverse=True)
    model.set_sorting("last", False)
    advance(model, market, 0.0)
    assert values(model, "last") == sorted(values(model, "last"))


def test_unknown_figures_come_last_in_both_directions(model: ScannerModel, market: ScannerMarket) -> None:
    for descending in (True, False):
        model.set_sorting("funding", descending)
        advance(model, market, 0.0)
        kinds = [model.board.markets[row].kind for row in model.order.tolist()]
        assert kinds == [MarketKind.FUTURES] * 36 + [MarketKind.SPOT] * 36


def test_words_are_ordered_by_the_alphabet(model: ScannerModel, market: ScannerMarket) -> None:
    model.set_sorting("symbol", False)
    advance(model, market, 0.0)
    symbols = [model.board.symbols[row] for row in model.order.tolist()]
    assert symbols == sorted(symbols)


def test_the_events_column_brings_the_newest_event_first(model: ScannerModel, market: ScannerMarket) -> None:
    market.happen(PERP, "SOL", EventKind.GAP, "opened lower", ago_s=30)
    market.happen(LINEAR, "BTC", EventKind.NEW_HIGH, "new high", ago_s=90)
    model.set_sorting("events", True)
    advance(model, market, 0.0)
    assert shown(model)[:2] == ["hyperliquid.perp:SOL", "bybit.linear:BTCUSDT"]


def test_an_unknown_column_is_refused(model: ScannerModel) -> None:
    with pytest.raises(ValueError, match="expected a column"):
        model.set_sorting("nonsense", True)


def test_a_held_order_stands_still_and_new_rows_come_at_its_end(model: ScannerModel, market: ScannerMarket) -> None:
    model.set_filter("volume_24h > 0")
    advance(model, market, 0.0)
    before = shown(model)
    market.tell(PERP, ["TRX"], volume=9e12)
    assert not advance(model, market, 2.0, hold=True)
    assert shown(model) == before
    assert model.is_held
    market.coins = (*market.coins, "UNI")
    market.tell(PERP, ["UNI"], volume=8e12)
    assert advance(model, market, 2.0, hold=True)
    assert shown(model) == [*before, "hyperliquid.perp:UNI"]
    assert advance(model, market, 0.2)
    assert shown(model)[:2] == ["hyperliquid.perp:TRX", "hyperliquid.perp:UNI"]
    assert not model.is_held


def test_rows_that_no_longer_pass_stay_while_the_order_is_held(model: ScannerModel, market: ScannerMarket) -> None:
    model.set_filter("change_24h > 5")
    market.tell(PERP, ["BTC"], change_pct=6.0)
    advance(model, market, 1.0)
    assert "hyperliquid.perp:BTC" in shown(model)
    market.tell(PERP, ["BTC"], change_pct=4.0)
    advance(model, market, 1.0, hold=True)
    assert "hyperliquid.perp:BTC" in shown(model)
    advance(model, market, 0.2)
    assert "hyperliquid.perp:BTC" not in shown(model)


def test_the_user_may_sort_a_held_table(model: ScannerModel, market: ScannerMarket) -> None:
    advance(model, market, 0.2, hold=True)
    model.set_sorting("last", True)
    assert advance(model, market, 0.2, hold=True)
    assert values(model, "last") == sorted(values(model, "last"), reverse=True)


def test_the_order_is_worked_out_at_most_once_a_second(model: ScannerModel, market: ScannerMarket) -> None:
    market.tell(PERP, ["TRX"], volume=9e12)
    assert not advance(model, market, 0.2)
    assert advance(model, market, 0.9)


def test_positions_and_rows_are_each_others_inverse(model: ScannerModel) -> None:
    assert [model.position_of(model.row_at(position)) for position in range(len(model))] == list(range(len(model)))
    assert model.position_of(-1) is None
    assert model.position_of(10_000) is None


# filter, lists, chips


def test_words_and_conditions_go_through_the_same_box(model: ScannerModel, market: ScannerMarket) -> None:
    assert model.set_filter("btc bybit") is None
    advance(model, market, 0.0)
    assert sorted(shown(model)) == ["bybit.linear:BTCUSDT", "bybit.spot:BTCUSDT"]
    assert model.set_filter('venue == "hyperliquid" and last > 1000') is None
    advance(model, market, 0.0)
    assert set(shown(model)) == {
        f"{market.value}:{coin}{quote}"
        for coin in ("BTC", "ETH")
        for market, quote in ((Market.HYPERLIQUID_SPOT, "/USDC"), (PERP, ""))
    }


def test_a_fault_names_its_place_and_leaves_the_last_filter_in_force(
    model: ScannerModel, market: ScannerMarket
) -> None:
    model.set_filter("btc")
    advance(model, market, 0.0)
    fault = model.set_filter("  volume_24h > 5e6 and chnge_24h > 3")
    assert fault is not None
    assert fault.position == len("  volume_24h > 5e6 and ")
    assert fault.sentence().startswith("column 24, “chnge_24h > 3”: there is no column chnge_24h")
    assert "change_24h" in fault.sentence()
    advance(model, market, 1.0)
    assert len(model) == 6
    assert model.filter_in_force == "btc"
    assert model.set_filter("") is None
    advance(model, market, 0.0)
    assert len(model) == model.total


def test_ranked_lists_bring_their_rows_and_order(model: ScannerModel, market: ScannerMarket) -> None:
    model.set_quick(ScanList.LOSERS)
    advance(model, market, 0.0)
    changes = values(model, "change_24h")
    assert changes == sorted(changes)
    model.set_quick(ScanList.GAINERS)
    advance(model, market, 0.0)
    assert values(model, "change_24h") == sorted(changes, reverse=True)


def test_a_ranked_list_holds_a_hundred(links: LinkBus) -> None:
    market = ScannerMarket()
    market.open()
    model = ScannerModel(market.scanning, market.books, links)
    every = ScannerModel(market.scanning, market.books, links)
    every.advance(market.now_ns)
    model.set_quick(ScanList.ACTIVE)
    model.advance(market.now_ns)
    assert len(model) == 100
    assert values(model, "volume_24h") == values(every, "volume_24h")[:100]


def test_lists_of_events_highs_and_lows_go_by_the_chosen_minutes(model: ScannerModel, market: ScannerMarket) -> None:
    market.happen(LINEAR, "BTC", EventKind.NEW_HIGH, "new high", ago_s=4 * 60)
    market.happen(PERP, "SOL", EventKind.VOLUME_SPIKE, "much", ago_s=60)
    market.happen(PERP, "ETH", EventKind.NEW_LOW, "new low", ago_s=20 * 60)
    model.set_quick(ScanList.EVENTS)
    advance(model, market, 0.0)
    assert set(shown(model)) == {"bybit.linear:BTCUSDT", "hyperliquid.perp:SOL"}
    model.set_quick(ScanList.EXTREMES)
    advance(model, market, 0.0)
    assert shown(model) == ["bybit.linear:BTCUSDT"]
    model.set_minutes(30)
    advance(model, market, 0.0)
    assert set(shown(model)) == {"bybit.linear:BTCUSDT", "hyperliquid.perp:ETH"}


def test_an_event_grows_old_without_any_news(model: ScannerModel, market: ScannerMarket) -> None:
    market.happen(LINEAR, "BTC", EventKind.NEW_HIGH, "new high")
    model.set_quick(ScanList.EVENTS)
    advance(model, market, 1.0)
    assert len(model) == 1
    advance(model, market, 15 * 60)
    assert len(model) == 0


def test_chips_choose_venues_and_kinds_and_none_means_all(model: ScannerModel, market: ScannerMarket) -> None:
    model.set_markets([Venue.BYBIT], [MarketKind.SPOT])
    advance(model, market, 0.0)
    assert {model.board.markets[row] for row in model.order.tolist()} == {Market.BYBIT_SPOT}
    model.set_markets([], [])
    advance(model, market, 0.0)
    assert len(model) == model.total


def test_favourites_are_a_list_of_their_own(model: ScannerModel, market: ScannerMarket) -> None:
    row = market.row(PERP, "ETH")
    model.toggle_favourite(row)
    model.set_quick(ScanList.FAVOURITES)
    advance(model, market, 0.0)
    assert shown(model) == ["hyperliquid.perp:ETH"]
    model.toggle_favourite(row)
    advance(model, market, 0.0)
    assert shown(model) == []


def test_hot_instruments_are_a_list_and_pins_get_a_place(model: ScannerModel, market: ScannerMarket) -> None:
    market.scanning.budget.set_capacity(PERP, 1)
    model.budget.set_pinned(PERP, "ADA", True)
    model.set_quick(ScanList.HOT)
    advance(model, market, 2.0)
    advance(model, market, 0.2)
    assert shown(model) == ["hyperliquid.perp:ADA"]
    assert model.budget.lines()[0].pinned == 1


def test_promotion_gives_a_place_for_a_while(model: ScannerModel, market: ScannerMarket) -> None:
    market.scanning.budget.set_capacity(PERP, 1)
    row = market.row(PERP, "TRX")
    model.budget.promote(row, market.now_ns)
    model.budget.show_rows((), market.now_ns)
    advance(model, market, 2.0)
    assert model.budget.hot() == {(PERP, "TRX")}
    assert model.budget.reason_of(PERP, "TRX") == "hot: on screen"
    later_ns = market.now_ns + 11 * 60 * NS_PER_S
    model.budget.show_rows((), later_ns)
    assert market.scanning._on_screen == frozenset()


def test_lost_places_are_told_newest_first(model: ScannerModel, market: ScannerMarket) -> None:
    budget = market.scanning.budget
    budget.set_capacity(PERP, 2)
    advance(model, market, 2.0)
    budget.set_capacity(PERP, 0)
    advance(model, market, 2.0)
    turns = model.budget.turns()
    assert len(turns) == 2
    assert all(turn.reason == "only 0 places" for turn in turns)
    assert not any(turn.got for turn in turns)


# link group


def test_picking_a_row_drives_the_group_by_its_pair(model: ScannerModel, market: ScannerMarket, links: LinkBus) -> None:
    assert model.pick(market.row(PERP, "ETH")) == (PERP, "ETH")
    assert links.current("A") == "ETHUSDT"
    assert model.picked == market.row(PERP, "ETH")


def test_a_pair_picked_elsewhere_is_followed_in_the_market_last_used(
    model: ScannerModel, market: ScannerMarket, links: LinkBus
) -> None:
    model.pick(market.row(LINEAR, "ETH"))
    links.publish("A", "SOLUSDT")
    assert model.picked == market.row(LINEAR, "SOL")
    links.publish("A", "NOSUCHUSDT")
    assert model.picked is None
    links.publish("A", "BTCUSDT")
    assert model.picked is not None
    assert model.board.symbols[model.picked].startswith("BTC")


def test_without_a_group_picking_stays_here(model: ScannerModel, market: ScannerMarket, links: LinkBus) -> None:
    model.link_group = None
    model.pick(market.row(PERP, "ETH"))
    assert links.groups() == {}
    assert model.picked == market.row(PERP, "ETH")


# columns, scans, state


def test_a_column_comes_where_it_stands_among_all(model: ScannerModel) -> None:
    model.set_columns(["symbol", "last", "age"])
    model.toggle_column("bid")
    assert model.columns == ("symbol", "last", "bid", "age")
    model.toggle_column("symbol")
    assert "symbol" in model.columns


def test_a_saved_scan_brings_back_columns_sorting_and_filter(model: ScannerModel, market: ScannerMarket) -> None:
    model.set_columns(["symbol", "last", "funding"])
    model.set_sorting("funding", True)
    model.set_filter("funding > 0.01")
    assert model.save_scan("  high\n funding ") == ""
    assert model.current_scan() == "high funding"
    model.set_columns(())
    model.set_filter("btc")
    assert model.current_scan() == ""
    model.apply_scan("high funding")
    advance(model, market, 0.0)
    assert model.columns == ("symbol", "last", "funding")
    assert all(value > 0.01 for value in values(model, "funding"))
    model.delete_scan("high funding")
    assert model.scans == {}


@pytest.mark.parametrize("name", ["", "   ", "\n\t"])
def test_a_scan_needs_a_name(model: ScannerModel, name: str) -> None:
    assert model.save_scan(name) == "A scan needs a name."


def test_a_faulty_filter_is_not_saved(model: ScannerModel) -> None:
    model.set_filter("volume_24h >")
    assert "cannot be read" in model.save_scan("mine")
    assert model.scans == {}


def test_what_was_chosen_survives_as_json(model: ScannerModel, market: ScannerMarket, links: LinkBus) -> None:
    model.set_columns(["last", "symbol", "age"])
    model.set_filter("change_24h > -50")
    model.save_scan("mine")
    model.set_quick(ScanList.GAINERS)
    model.set_minutes(60)
    model.set_markets([Venue.BYBIT, Venue.BINANCE], [MarketKind.FUTURES])
    model.set_depth(15.0)
    model.toggle_favourite(market.row(PERP, "ETH"))
    model.link_group = "C"
    stored = json.loads(json.dumps(model.state()))
    market.books.depth_pct = 5.0
    fresh = ScannerModel(market.scanning, market.books, links)
    fresh.restore(stored)
    assert fresh.state() == model.state()
    assert market.books.depth_pct == 15.0
    fresh.advance(market.now_ns)
    model.advance(market.now_ns)
    assert shown(fresh) == shown(model)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"columns": 3, "sort": "x", "filter": 5, "list": [], "minutes": "15", "venues": {}, "kinds": [1]},
        {"columns": ["no"], "sort": ["no", True], "filter": "volume_24h >>", "list": "no", "minutes": 7},
        {"favourites": ["no", "usdm:", ":x", 4], "scans": {"a": 1, "": {}, "b": {"columns": [None]}}},
        {"depth_pct": 4.0, "link_group": "Z", "event_kinds": ["no"]},
        {"depth_pct": True, "link_group": 5, "scans": []},
    ],
)
def test_a_broken_state_leaves_a_working_table(
    model: ScannerModel, market: ScannerMarket, state: dict[str, object]
) -> None:
    model.restore(state)
    advance(model, market, 0.0)
    assert len(model) == model.total
    assert "symbol" in model.columns
    assert model.favourites == set()


def test_an_unknown_depth_is_refused(model: ScannerModel) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        model.set_depth(4.0)


def test_an_empty_board_is_shown_as_no_rows(links: LinkBus) -> None:
    market = ScannerMarket()
    model = ScannerModel(market.scanning, market.books, links)
    for chosen in ScanList:
        model.set_quick(chosen)
        model.set_sorting("events", True)
        model.advance(market.now_ns)
        assert (len(model), model.total, model.picked) == (0, 0, None)
