"""What the scanner's cells, badges and filter box say."""

from __future__ import annotations

import pytest
from scanner_market import START_NS, ScannerMarket

from app.domain.ids import Market
from app.scanner.columns import BY_KEY
from app.scanner.events import EventKind, ScanEvent
from app.viewmodels.scanner_cells import ScannerCells, age_text
from app.viewmodels.scanner_events import ScannerEvents, badge_words, direction_of, event_lines
from app.viewmodels.scanner_filter import COMPLETIONS, FilterFault, is_condition, read_filter, word_before
from app.viewmodels.scanner_scans import columns_of, scan_name, scans_of, widths_of

PERP = Market.HYPERLIQUID_PERP
LINEAR = Market.BYBIT_LINEAR
SPOT = Market.BINANCE_SPOT


@pytest.fixture
def market() -> ScannerMarket:
    made = ScannerMarket(coins=60)
    made.open()
    made.tell_books()
    return made


@pytest.fixture
def cells(market: ScannerMarket) -> ScannerCells:
    return ScannerCells(market.board, market.books, 60.0)


def say(cells: ScannerCells, row: int, key: str) -> str:
    return cells.text(row, BY_KEY[key])


# cells


def test_prices_have_the_decimals_of_their_step(cells: ScannerCells, market: ScannerMarket) -> None:
    row = market.row(SPOT, "BTC")
    market.tell(SPOT, ["BTC"], last=67000.0)
    assert say(cells, row, "last") == "67,000.0"


def test_prices_without_a_step_have_the_decimals_seen(cells: ScannerCells, market: ScannerMarket) -> None:
    row = market.row(PERP, "SOL")
    market.tell(PERP, ["SOL"], last=171.5, bid=171.45, ask=171.5, high=180.0, low=160.0)
    assert say(cells, row, "last") == "171.50"
    market.tell(PERP, ["SOL"], last=171.5, bid=171.453, ask=171.5, high=180.0, low=160.0)
    assert say(cells, row, "last") == "171.500"
    market.tell(PERP, ["SOL"], last=172.0, bid=172.0, ask=172.0, high=180.0, low=160.0)
    assert say(cells, row, "last") == "172.000"


def test_tiny_prices_are_not_written_as_powers_of_ten(cells: ScannerCells, market: ScannerMarket) -> None:
    row = market.row(PERP, "PEPE")
    market.tell(PERP, ["PEPE"], last=1.184e-5, bid=1.18e-5, ask=1.19e-5, high=1.2e-5, low=1.1e-5)
    assert say(cells, row, "last") == "0.00001184"


@pytest.mark.parametrize(
    ("key", "figure", "value", "text"),
    [
        ("change_24h", "change_pct", 3.456, "+3.46"),
        ("change_24h", "change_pct", -3.456, "-3.46"),
        ("change_24h", "change_pct", 0.0, "0.00"),
        ("volume_24h", "volume", 1_250_000.0, "1.25 M"),
        ("volume_24h", "volume", 0.0, "0"),
        ("funding", "funding", -0.000125, "-0.0125"),
        ("funding_hours", "funding_hours", 8.0, "8"),
    ],
)
def test_figures_are_worded_by_their_kind(
    cells: ScannerCells, market: ScannerMarket, key: str, figure: str, value: float, text: str
) -> None:
    market.tell(LINEAR, ["ADA"], **{figure: value})
    market.scanning.advance(market.now_ns)
    assert say(cells, market.row(LINEAR, "ADA"), key) == text


@pytest.mark.parametrize(
    ("where", "coin", "key", "reason"),
    [
        (SPOT, "BTC", "funding", "there is none on a spot market"),
        (SPOT, "BTC", "open_interest_usd", "there is none on a spot market"),
        (SPOT, "BTC", "liq_long", "publishes no liquidations"),
        (LINEAR, "BTC", "liq_long", "nothing was told about liquidations"),
        (SPOT, "BTC", "bid", "not every market's tickers carry quotes"),
        (PERP, "TRX", "delta", "no order book of it is kept"),
        (LINEAR, "BTC", "index", "Bybit FUTURES has not told it"),
    ],
)
def test_an_unknown_figure_is_a_dash_with_a_reason(
    cells: ScannerCells, market: ScannerMarket, where: Market, coin: str, key: str, reason: str
) -> None:
    row = market.row(where, coin)
    assert say(cells, row, key) == "—"
    tip = cells.tip(row, BY_KEY[key])
    assert "unknown" in tip
    assert reason in tip
    assert "nan" not in tip.lower().split()


def test_a_delta_that_rests_on_floors_is_approximate(cells: ScannerCells, market: ScannerMarket) -> None:
    exact, partial = market.row(LINEAR, "BTC"), market.row(LINEAR, "ETH")
    assert not say(cells, exact, "delta").startswith("≈")
    assert say(cells, partial, "delta").startswith("≈ ")
    market.books.depth_pct = 15.0
    assert "approximate: the book is not known as far as 15 %" in cells.tip(partial, BY_KEY["delta"])
    assert "approximate" not in cells.tip(exact, BY_KEY["delta"])


def test_a_row_nothing_was_told_about_grows_stale(cells: ScannerCells, market: ScannerMarket) -> None:
    row = market.row(PERP, "BTC")
    assert not cells.is_stale(row)
    assert "last told 0.0 s ago" in cells.tip(row, BY_KEY["last"])
    market.scanning.advance(market.now_ns + 192_000_000_000)
    assert cells.is_stale(row)
    assert "STALE: last told 3 m 12 s ago (22:13:20 UTC)" in cells.tip(row, BY_KEY["last"])


def test_a_row_that_was_only_named_by_a_book_is_stale(market: ScannerMarket) -> None:
    row = market.board.row(LINEAR, "NEWUSDT")
    cells = ScannerCells(market.board, market.books, 60.0)
    market.scanning.advance(market.now_ns + 1)
    assert cells.is_stale(row)
    assert cells.tip(row, BY_KEY["age"]).endswith("the venue has told nothing about it yet")


def test_cells_follow_a_board_that_grows(cells: ScannerCells, market: ScannerMarket) -> None:
    say(cells, 0, "last")
    rows = [market.board.row(LINEAR, f"X{number}USDT") for number in range(market.board.capacity)]
    assert say(cells, rows[-1], "last") == "—"


def test_files_get_plain_numbers_and_nothing_for_unknown_ones(cells: ScannerCells, market: ScannerMarket) -> None:
    row = market.row(SPOT, "BTC")
    market.tell(SPOT, ["BTC"], last=67000.5)
    assert cells.export(row, BY_KEY["last"]) == 67000.5
    assert cells.export(row, BY_KEY["funding"]) == ""
    assert cells.export(row, BY_KEY["venue"]) == "Binance"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (9.94, "9.9 s"), (42.9, "42 s"), (180.0, "3 m"), (7300.0, "2 h"), (500_000.0, "5 d")],
)
def test_ages_fit_a_narrow_cell(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


# badges


def test_badges_are_one_per_kind_most_recent_first(market: ScannerMarket) -> None:
    for kind, ago_s in ((EventKind.NEW_HIGH, 300), (EventKind.VOLUME_SPIKE, 200), (EventKind.NEW_HIGH, 100)):
        market.happen(PERP, "BTC", kind, "text", ago_s=ago_s)
    events = ScannerEvents(market.board)
    events.take(market.scanning.events, market.scanning.events_revision, market.now_ns)
    badges = events.badges(market.row(PERP, "BTC"))
    assert [badge_words(badge) for badge in badges] == ["▲HIGH×2", "VOL"]
    assert badges[0].newest.ts_ns == market.now_ns - 100 * 10**9
    assert events.badges(market.row(PERP, "ETH")) == []


@pytest.mark.parametrize(
    ("kind", "numbers", "direction"),
    [
        (EventKind.NEW_HIGH, {}, 1),
        (EventKind.NEW_LOW, {}, -1),
        (EventKind.PRICE_SURGE, {"change_pct": 3.2}, 1),
        (EventKind.PRICE_SURGE, {"change_pct": -3.2}, -1),
        (EventKind.GAP, {"gap_pct": -4.0}, -1),
        (EventKind.VOLUME_SPIKE, {"turnover_usd": 5e6}, 0),
    ],
)
def test_events_up_and_down_are_told_apart(kind: EventKind, numbers: dict[str, float], direction: int) -> None:
    event = ScanEvent(ts_ns=START_NS, market=PERP, symbol="BTC", kind=kind, text="", numbers=numbers)
    assert direction_of(event) == direction


def test_an_event_is_worded_with_its_numbers() -> None:
    event = ScanEvent(
        ts_ns=START_NS,
        market=PERP,
        symbol="BTC",
        kind=EventKind.VOLUME_SPIKE,
        text="much was traded",
        numbers={"turnover_usd": 3_100_000.4, "threshold_ratio": 3.0, "normal_usd": float("nan"), "price": 1.184e-5},
    )
    assert event_lines(event) == [
        "22:13:20  volume spike: much was traded",
        "    turnover usd: 3,100,000",
        "    threshold ratio: 3",
        "    normal usd: —",
        "    price: 0.00001184",
    ]


def test_the_list_of_events_is_filtered_by_words_and_kinds(market: ScannerMarket) -> None:
    market.happen(PERP, "BTC", EventKind.NEW_HIGH, "first")
    market.happen(LINEAR, "SOL", EventKind.VOLUME_SPIKE, "second")
    events = ScannerEvents(market.board)
    assert [event.text for event in events.listed(market.scanning.events)] == ["second", "first"]
    events.filter = "bybit volume"
    assert [event.text for event in events.listed(market.scanning.events)] == ["second"]
    events.filter, events.kinds = "", frozenset({EventKind.NEW_HIGH})
    assert [event.text for event in events.listed(market.scanning.events)] == ["first"]


# filter box


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("btc", False),
        ("btc bybit", False),
        ("mark", False),
        ("index", False),
        ("spread_bp", True),
        ("spread_bp <", True),
        ("symbol contains", True),
        ("not", False),
        ("not last", True),
        ('venue == "bybit"', True),
        ("", False),
        ("BTC/USDC", False),
        ("PURR-USDC", False),
    ],
)
def test_conditions_are_told_from_words(text: str, expected: bool) -> None:
    assert is_condition(text) is expected


def test_a_fault_at_the_end_says_so() -> None:
    fault = read_filter("spread_bp <")
    assert isinstance(fault, FilterFault)
    assert fault.sentence().startswith("column 12, the end: expected a column or a number")


@pytest.mark.parametrize(
    ("text", "cursor", "expected"),
    [
        ("vol", 3, (0, "vol")),
        ("last > 1 and chan", 17, (13, "chan")),
        ("last > 1", 8, (8, "")),
        ('symbol contains "pe', 19, (19, "")),
        ("abs(chan)", 8, (4, "chan")),
        ("", 0, (0, "")),
    ],
)
def test_the_word_before_the_cursor_is_found(text: str, cursor: int, expected: tuple[int, str]) -> None:
    assert word_before(text, cursor) == expected


def test_every_column_is_offered_with_its_meaning() -> None:
    offered = {completion.word: completion.meaning for completion in COMPLETIONS}
    assert set(BY_KEY) <= set(offered)
    assert offered["spread_bp"].startswith("Spread (bp): ")


# stored values


def test_scans_of_a_broken_file_are_left_out() -> None:
    found = scans_of({"good": {"columns": ["last", "last", "x"], "sort": ["age", True], "filter": "btc"}, "bad": 5})
    assert list(found) == ["good"]
    assert found["good"].columns == ("symbol", "last")
    assert found["good"].sorting.key == "age"


def test_names_of_scans_are_one_short_printable_line() -> None:
    assert scan_name(" a\x00b\nc " + "d" * 99) == "a b c " + "d" * 34


def test_columns_and_widths_are_checked() -> None:
    assert columns_of("symbol") == ()
    assert columns_of(["age", "symbol"]) == ("age", "symbol")
    assert widths_of({"last": 90, "bid": 9999, "ask": True, "no": 50, "low_24h": "80"}) == {"last": 90}
