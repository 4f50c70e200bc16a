"""The Live Trading model: what is shown of orders and fills, from which source, and what is said when it cannot be."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from trading_desks import AAPL, CALL, READ_ONLY, T0, Rig, S, Store, fill, order

from app.domain.account import DetailsSeen, LineRefused, Source
from app.domain.contracts import ContractDetails
from app.domain.health import LinkState
from app.domain.orders import OrdersListed, OrderStatus, Side
from app.domain.quotes import QuoteField
from app.portfolio.lines import LineGroup
from app.portfolio.orders import OrderBook
from app.viewmodels.order_export import FILL_HEADER, ORDER_HEADER, fill_rows, order_rows
from app.viewmodels.order_filter import Group, OrderFilter, Period
from app.viewmodels.order_lines import price_text, when_text

LISTED = OrdersListed(True, "")
SUBMITTED, CANCELLED = OrderStatus.SUBMITTED, OrderStatus.CANCELLED


@pytest.fixture
def rig() -> Rig:
    """TWS with an order of each kind."""
    made = Rig(Source.TWS)
    made.tws.tell(LISTED, at_s=-10)
    made.tws.tell(order(SUBMITTED, 1), fill("a.1.01", 2, quantity=30, commission=1.0))
    made.tws.tell(order(SUBMITTED, 3, order_id="1002", contract=CALL, side=Side.SELL, limit=4.15))
    made.tws.tell(order(SUBMITTED, 4, order_id="1003"), fill("b.1.01", 5, order_id="1003", quantity=100))
    made.tws.tell(order(CANCELLED, 6, order_id="1004", reason="=expired"))
    made.tws.tell(order(OrderStatus.INACTIVE, 7, order_id="1005", reason="no margin"))
    made.tws.tell(fill("c.1.01", 8, order_id="1006", quantity=5))
    return made


def test_orders_are_shown_newest_first_with_sign_and_word(rig: Rig) -> None:
    assert rig.statuses() == {
        "1006": "◇ Fills only",
        "1005": "! Inactive",
        "1004": "✕ Cancelled",
        "1003": "✓ Filled",
        "1002": "● Submitted",
        "1001": "◐ Part filled",
    }
    assert [line.filled_text for line in rig.model.orders] == ["5", "0/100", "0/100", "100/100", "0/100", "30/100"]
    assert {line.tone for line in rig.model.orders} == {"muted", "bad", "good", "accent"}


def test_a_tip_says_what_a_status_means_and_why(rig: Rig) -> None:
    tips = {line.state.order_id: line.status_tip for line in rig.refresh().orders}
    assert "Reason: no margin" in tips["1005"]
    assert "only its fills are known" in tips["1006"]


@pytest.mark.parametrize(
    ("group", "ids"),
    [
        (Group.ALL, {"1001", "1002", "1003", "1004", "1005", "1006"}),
        (Group.WORKING, {"1001", "1002"}),
        (Group.FILLED, {"1001", "1003", "1006"}),
        (Group.CANCELLED, {"1004", "1005"}),
    ],
)
def test_groups_of_statuses(rig: Rig, group: Group, ids: set[str]) -> None:
    rig.model.set_group(group)
    assert set(rig.statuses()) == ids
    assert len(rig.model.fills) == 3
    assert rig.model.total == 6


@pytest.mark.parametrize(
    ("text", "ids"),
    [("200 c", {"1002"}), ("MARGIN", {"1005"}), ("aapl sell", {"1002"}), ("msft", set()), ("1004", {"1004"})],
)
def test_words_narrow_the_lists(rig: Rig, text: str, ids: set[str]) -> None:
    rig.model.set_text(text)
    assert set(rig.statuses()) == ids


def test_commissions_are_summed_by_currency_and_pending_ones_said(rig: Rig) -> None:
    rig.tws.tell(replace(fill("d.1.01", 9, commission=2.5), commission_currency="EUR"))
    rig.refresh()
    assert rig.model.commission_text() == "Commissions 2.50 EUR + 1.00 USD + 2 … not told yet"
    texts = [line.commission_text for line in rig.model.fills]
    assert texts == ["2.50 EUR", "…", "…", "1.00 USD"]


def test_a_quiet_source_is_grey_and_says_since_when(rig: Rig) -> None:
    health = rig.tws.health
    health.state, health.since_ns, health.reason = LinkState.BACKOFF, T0 + 20 * S, "nothing answers"
    health.retry_at_ns = T0 + 68 * S
    rig.refresh()
    assert {line.state.order_id for line in rig.model.orders if line.is_old} == {"1001", "1002"}
    clock = datetime.fromtimestamp(T0 // S + 20, UTC).strftime("%H:%M:%S")
    assert [note.text for note in rig.model.notes()] == [
        f"TWS is not connected since {clock}: nothing answers. "
        "It is tried again in 8.0 s. Shown is what was last heard."
    ]


def test_what_the_user_must_do_is_said(rig: Rig) -> None:
    rig.tws.health.state, rig.tws.health.needs = LinkState.BANNED, "Log in to TWS."
    assert rig.model.notes()[0].text == "TWS is not connected. Log in to TWS."


def test_read_only_tws_says_so_shows_fills_and_offers_the_portal() -> None:
    rig = Rig(Source.TWS, Source.PORTAL)
    rig.tws.tell(OrdersListed(False, READ_ONLY), fill("a.1.01", 2))
    rig.portal.tell(LISTED, order(SUBMITTED, 1))
    rig.model.choose(Source.TWS)
    rig.refresh()
    note = rig.model.notes()[0]
    assert note.text.startswith(READ_ONLY)
    assert note.offer is Source.PORTAL
    assert len(rig.model.fills) == 1
    rig.model.choose(Source.PORTAL)
    assert rig.statuses() == {"1001": "● Submitted"}
    assert rig.model.notes() == []
    rig.model.choose(None)
    assert [(note.tone, note.offer) for note in rig.model.notes()] == [("muted", None)]


def test_without_a_portal_it_is_told_how_to_switch_it_on() -> None:
    rig = Rig(Source.TWS)
    rig.tws.tell(OrdersListed(False, READ_ONLY))
    note = rig.model.notes()[0]
    assert "ibkr.portal.enabled" in note.text
    assert note.offer is None


def test_without_any_source_it_says_how_to_get_one() -> None:
    rig = Rig()
    rig.refresh()
    assert "ibkr.tws.enabled" in rig.model.notes()[0].text
    assert rig.model.chosen_text == "no source"


def test_one_order_of_two_sources_is_one_line() -> None:
    rig = Rig(Source.TWS, Source.PORTAL)
    rig.tws.tell(OrdersListed(False, READ_ONLY), fill("a.1.01", 2, order_id="900", commission=1.1))
    rig.portal.tell(LISTED, order(SUBMITTED, 1, order_id="77"), fill("a.1.01", 2, order_id="77"))
    rig.portal.tell(order(SUBMITTED, 1, order_id="78"))
    assert rig.statuses() == {"77": "◐ Part filled", "78": "● Submitted"}
    merged = next(line for line in rig.model.orders if line.state.order_id == "77")
    assert merged.source_text == "Client Portal + TWS"
    assert [line.commission_text for line in rig.model.fills] == ["1.10 USD"]
    rig.model.choose(Source.TWS)
    assert rig.statuses() == {"900": "◇ Fills only"}


def test_the_same_id_and_contract_in_both_sources_is_one_order() -> None:
    rig = Rig(Source.TWS, Source.PORTAL)
    for desk in rig.desks.values():
        desk.tell(LISTED, order(SUBMITTED, 1), order(SUBMITTED, 1, order_id="1002", contract=CALL))
    assert len(rig.statuses()) == 2


def test_paper_and_live_are_named() -> None:
    rig = Rig(Source.TWS, Source.PORTAL)
    assert rig.model.paper == "PAPER"
    rig.portal.health.paper = False
    assert rig.model.paper == "LIVE + PAPER"
    rig.model.choose(Source.PORTAL)
    assert rig.model.paper == "LIVE"
    assert rig.model.paper_why == "Client Portal: account and port"


def test_the_timeline_of_the_picked_order_is_newest_first(rig: Rig) -> None:
    rig.refresh()
    rig.model.pick((Source.TWS.value, "1001"))
    assert [event.text for event in rig.model.timeline()] == [
        "filled 30 at 189.5 on NASDAQ (30/100), commission 1.00 USD",
        "received, Submitted",
    ]


def test_a_fill_picks_its_order_and_a_vanished_order_is_let_go_of(rig: Rig) -> None:
    rig.refresh()
    rig.model.pick("b.1")
    assert rig.model.picked == ("tws", "1003")
    rig.model.pick(("tws", "nothing"))
    assert rig.model.picked is None
    assert rig.model.timeline() == []
    assert rig.model.quote() is None


def test_quotes_are_asked_for_the_picked_order_only(rig: Rig) -> None:
    rig.model.set_active(True)
    rig.refresh()
    rig.model.pick(("tws", "1002"))
    rig.model.pick(("tws", "1001"))
    rig.model.set_active(False)
    rig.model.shut()
    asked = [(ids, visible) for group, ids, visible in rig.tws.wishes if group is LineGroup.ORDERS]
    assert ((CALL.con_id,), True) in asked
    assert asked[-2:] == [((AAPL.con_id,), False), ((), False)]


def test_the_quick_quote_says_how_far_the_limit_is(rig: Rig) -> None:
    rig.tws.tell(DetailsSeen(ContractDetails(contract=AAPL, tick_size=0.01)))
    rig.refresh()
    rig.model.pick(("tws", "1001"))
    assert rig.model.quote().bid == "…"
    rig.tws.quote(AAPL.con_id, {QuoteField.BID: 189.58, QuoteField.ASK: 189.6, QuoteField.LAST: 189.6}, 59)
    quote = rig.model.quote()
    assert (quote.bid, quote.ask, quote.age) == ("189.58", "189.60", "1.0 s")
    assert quote.distance == "limit 189.50 is 0.10 below the ask (0.05 %)"
    assert not quote.is_old
    rig.tws.quote(AAPL.con_id, {QuoteField.ASK: 189.4, QuoteField.HALTED: 1, QuoteField.KIND: 3}, 59)
    quote = rig.model.quote()
    assert quote.distance == "limit 189.50 is 0.10 above the ask (0.05 %), it can be filled at once"
    assert quote.mark == "delayed, halted, bid above ask"


def test_a_quote_that_is_old_or_refused_does_not_look_live(rig: Rig) -> None:
    rig.refresh()
    rig.model.pick(("tws", "1002"))
    rig.tws.tell(LineRefused(CALL.con_id, 354, "no permission", limit=False))
    quote = rig.model.quote()
    assert (quote.bid, quote.note, quote.is_old) == ("—", "no permission", True)
    rig.tws.quote(CALL.con_id, {QuoteField.BID: math.nan, QuoteField.ASK: 4.2}, 30)
    quote = rig.model.quote()
    assert quote.is_old
    assert quote.bid == "—"
    assert quote.distance == "limit 4.15, bid unknown"
    rig.tws.health.state = LinkState.BACKOFF
    assert "not connected" in rig.model.quote().note


def test_a_stop_is_measured_from_the_last_price(rig: Rig) -> None:
    rig.tws.tell(replace(order(SUBMITTED, 20, order_id="1007", limit=None, side=Side.SELL), stop_price=180.0))
    rig.tws.quote(AAPL.con_id, {QuoteField.LAST: 200.0}, 59)
    rig.refresh()
    rig.model.pick(("tws", "1007"))
    assert rig.model.quote().distance == "stop 180.00 is 20.00 below the last (10.00 %)"


def test_the_time_from_arrival_to_screen_is_known(rig: Rig) -> None:
    rig.refresh()
    first = rig.model.note_shown(rig.now_ns)
    rig.tws.tell(order(SUBMITTED, 61, order_id="1008"), at_s=61)
    rig.now_ns = T0 + 61 * S + 40_000_000
    rig.refresh()
    assert rig.model.note_shown(rig.now_ns) == T0 + 61 * S
    assert rig.model.note_shown(rig.now_ns) is None
    shown = rig.model.shown(rig.now_ns)
    assert (shown.last_ms, shown.count) == (40.0, 1)
    assert first is None


def test_a_poll_that_says_nothing_new_moves_nothing(rig: Rig) -> None:
    before = rig.model.revision
    rig.tws.tell(order(SUBMITTED, 30, order_id="1002", contract=CALL, side=Side.SELL, limit=4.15), at_s=30)
    assert rig.model.revision == before
    rig.tws.tell(order(SUBMITTED, 31, order_id="1002", contract=CALL, side=Side.SELL, limit=4.2), at_s=31)
    assert rig.model.revision != before


def test_lines_are_made_anew_only_where_something_has_changed() -> None:
    rig = Rig(Source.TWS, Source.PORTAL)
    for desk in rig.desks.values():
        desk.tell(LISTED, order(SUBMITTED, 1), order(SUBMITTED, 1, order_id="1002"), fill("a.1.01", 2))
    before = {line.key: line for line in rig.refresh().orders}
    fills = rig.model.fills
    rig.tws.tell(order(CANCELLED, 3, order_id="1002"))
    after = {line.key: line for line in rig.refresh().orders}
    assert after["tws", "1001"] is before["tws", "1001"]
    assert after["tws", "1002"] is not before["tws", "1002"]
    assert rig.model.fills[0] is fills[0]
    rig.tws.tell(DetailsSeen(ContractDetails(contract=AAPL, tick_size=0.25)))
    assert {line.tick for line in rig.refresh().orders if line.source is Source.TWS} == {"0.25"}


def test_windows_of_days_follow_the_calendar() -> None:
    noon = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * S
    day_s = 86_400

    def window(period: Period, day: date | None = None) -> tuple[float, float | None]:
        start, end = OrderFilter(period=period, day=day).window(noon, UTC)
        return (noon - start) / S / day_s, (end - start) / S / day_s if end < 2**61 else None

    assert window(Period.LAST_DAY) == (1, None)
    assert window(Period.TODAY) == (0.5, None)
    assert window(Period.YESTERDAY) == (1.5, 1)
    assert window(Period.WEEK) == (6.5, None)
    assert window(Period.MONTH) == (29.5, None)
    assert window(Period.DAY, date(2026, 11, 10)) == (11.5, 1)


@pytest.mark.parametrize(
    ("value", "tick", "text"),
    [
        (189.5, None, "189.50"),
        (189.47333333, None, "189.4733"),
        (1.08435, None, "1.08435"),
        (6710.25, "0.25", "6,710.25"),
        (-1.5, None, "-1.50"),
        (None, None, "—"),
        (math.nan, None, "—"),
    ],
)
def test_prices_without_a_tick_have_two_decimals_or_more(value: float | None, tick: str | None, text: str) -> None:
    assert price_text(value, tick) == text


def test_times_of_other_days_name_the_day() -> None:
    noon = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * S
    assert when_text(noon, noon + S, UTC) == "12:00:00"
    assert when_text(noon - 86_400 * S, noon, UTC) == "20 Nov 12:00"
    assert when_text(0, noon, UTC) == "—"


async def test_orders_of_earlier_days_are_read_when_asked_for() -> None:
    earlier = OrderBook(Source.TWS)
    long_ago_s = -3 * 86_400
    earlier.on_order(T0 + long_ago_s * S, order(SUBMITTED, long_ago_s, order_id="1"))
    earlier.on_execution(T0 + long_ago_s * S, fill("z.1.01", long_ago_s, order_id="1", quantity=100))
    store = Store(earlier.take_unsaved())
    rig = Rig(Source.TWS, store=store)
    rig.tws.tell(LISTED, order(SUBMITTED, 1))
    assert set(rig.statuses()) == {"1001"}
    assert not rig.model.wants_reading()
    rig.model.set_period(Period.WEEK)
    assert rig.model.wants_reading()
    await rig.model.read()
    assert not rig.model.wants_reading()
    assert set(rig.statuses()) == {"1", "1001"}
    assert len(rig.model.fills) == 1
    rig.model.pick(("tws", "1"))
    assert len(rig.model.timeline()) == 2
    rig.model.set_period(Period.LAST_DAY)
    assert set(rig.statuses()) == {"1001"}


async def test_a_store_that_is_away_stops_nothing_and_is_tried_again() -> None:
    store = Store()
    store.error = "The database does not answer."
    rig = Rig(Source.TWS, store=store)
    rig.tws.tell(LISTED, order(SUBMITTED, 1))
    rig.model.set_period(Period.MONTH)
    await rig.model.read()
    assert set(rig.statuses()) == {"1001"}
    assert rig.model.notes()[0].text == "Orders of earlier days cannot be read: The database does not answer."
    assert not rig.model.wants_reading()
    rig.now_ns += 31 * S
    assert rig.model.wants_reading()
    store.error = ""
    await rig.model.read()
    assert rig.model.notes() == []
    rig.trouble = "The disk is full."
    assert rig.model.notes()[0].text.startswith("The disk is full.")


def test_rows_for_a_file_hold_plain_numbers(rig: Rig) -> None:
    rig.refresh()
    orders = [dict(zip(ORDER_HEADER, row, strict=True)) for row in order_rows(rig.model.orders)]
    assert orders[-1] | {"time_utc": ""} == {
        "time_utc": "",
        "account": "DU1234567",
        "contract": "AAPL",
        "con_id": 265598,
        "side": "BUY",
        "quantity": 100,
        "type": "LMT",
        "limit": 189.5,
        "stop": None,
        "status": "Submitted",
        "filled": 30,
        "remaining": 70,
        "average_price": 189.5,
        "currency": "USD",
        "time_in_force": "DAY",
        "reason": "",
        "reference": "",
        "order_id": "1001",
        "client": "",
        "source": "TWS",
    }
    assert orders[0]["quantity"] is None
    fills = [dict(zip(FILL_HEADER, row, strict=True)) for row in fill_rows(rig.model.fills)]
    assert [(each["commission"], each["exec_id"]) for each in fills] == [
        (None, "c.1.01"),
        (None, "b.1.01"),
        (1.0, "a.1.01"),
    ]
