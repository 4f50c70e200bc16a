"""Messages of the simulated TWS beside payloads that a real one sent: the same fields in the same places.

The recorded payloads come from other server versions than 178; what those add or leave out is said beside each.
"""

from __future__ import annotations

import json
import re
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.sim.ibkr.instruments import AAPL, TSLA, SimContract
from app.sim.ibkr.records import SimBar
from app.sim.ibkr.world import World
from app.sim.tws import encoders, order_encoders
from app.sim.tws.requests import BadRequest, Fields, read_history, read_quote
from app.sim.tws.ticks import DELAYED, LIVE, Spoil, TickWriter
from app.sim.tws.wire import UNSET_DOUBLE, fields_of, frame

START_S = datetime(2026, 11, 20, 17, 0, tzinfo=UTC).timestamp()
ACCOUNT = "DU1234567"

Payload = list[str]


@pytest.fixture(name="world", scope="module")
def _world() -> World:
    return World(seed=2, start_s=START_S)


@pytest.fixture(name="recorded", scope="module")
def _recorded(captures: Path) -> dict[int, list[Payload]]:
    found: dict[int, list[Payload]] = {}
    with (captures / "ibkr_tws" / "tws_wire_messages.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            fields = json.loads(line)["fields"]
            found.setdefault(int(fields[0]), []).append(fields)
    return found


def sent(data: bytes) -> Payload:
    """Return the fields of one message."""
    (length,) = struct.unpack(">I", data[:4])
    assert len(data) == 4 + length
    return fields_of(data[4:])


def kind(text: str) -> str:
    """Return what sort of text a field is."""
    if text in ("", UNSET_DOUBLE, "2147483647", "9223372036854775807"):
        return text
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return "number"
    if re.fullmatch(r"\d{8} \d\d:\d\d:\d\d [\w/]+", text):
        return "time"
    return "text"


def kinds(fields: Payload) -> list[str]:
    return [kind(field) for field in fields]


def differing(ours: Payload, theirs: Payload) -> list[tuple[int, str, str]]:
    return [
        (place, one, other)
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True))
        if kind(one) != kind(other)
    ]


def stock(world: World, con_id: int = AAPL) -> SimContract:
    contract = world.contract(con_id)
    assert contract is not None
    return contract


def test_ends_and_accounts_are_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    assert sent(encoders.POSITION_END) == recorded[62][0]
    assert sent(order_encoders.OPEN_ORDER_END) == recorded[53][0]
    assert sent(encoders.contract_details_end(1001)) == recorded[52][0]
    assert sent(encoders.summary_end(1001)) == recorded[64][0]
    assert sent(encoders.next_valid_id(1)) == recorded[9][0]
    assert sent(encoders.managed_accounts(["DU9000001"])) == recorded[15][0]
    assert sent(frame(57, 1, 1001)) == recorded[57][0]
    summary = sent(encoders.summary_value(1001, "DU9000001", "BuyingPower", "300000.00", "EUR"))
    assert summary == recorded[63][0]


def test_an_error_has_the_fields_of_before_error_times_were_sent(recorded: dict[int, list[Payload]]) -> None:
    # server 194 and later leave out the version and add a time
    ours = sent(encoders.error(-1, 2104, "Market data farm connection is OK:usfarm"))
    theirs = next(fields for fields in recorded[4] if fields[2] == "2104")
    assert ours[:1] + ours[2:] == theirs[:-1]
    old = next(fields for fields in recorded[4] if fields[3] == "2158")  # an old server: no reasons of rejects yet
    assert sent(encoders.error(-1, 2158, old[4]))[:-1] == old


def test_a_position_is_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    held = world.position(ACCOUNT, AAPL)
    assert held is not None
    ours = sent(encoders.position(stock(world), held, held.quantity))
    theirs = recorded[61][0]
    assert ours[:4] == ["61", "3", ACCOUNT, "265598"]
    # the only difference: the server recorded names the exchange
    assert differing(ours, theirs) == [(10, "", "NASDAQ")]


def test_a_tick_is_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    writer = TickWriter(1001, stock(world), DELAYED, frozenset())
    begin = [sent(each) for each in writer.begin(0.01)]
    assert begin[0] == recorded[58][0]
    messages = [sent(each) for each in writer.write(world.quote(AAPL))]
    last = next(fields for fields in messages if fields[3] == "68")
    assert kinds(last) == kinds(recorded[1][0])
    assert (last[:4], last[6]) == (recorded[1][0][:4], recorded[1][0][6])
    volume = next(fields for fields in messages if fields[3] == "74")
    assert volume[:4] == recorded[2][0][:4]
    assert kinds(volume) == kinds(recorded[2][0])


def test_contract_details_are_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    ours = sent(encoders.contract_details(1001, stock(world), "SMART", world.hours_texts(AAPL), None))
    theirs = next(fields for fields in recorded[10] if fields[1] == "1001")
    # server 182 and later add a second date after the first, server 200 a last size
    assert differing(ours, theirs[:5] + theirs[6:-1]) == []
    tesla = stock(world, TSLA)
    ours = sent(encoders.contract_details(9001, tesla, "SMART", world.hours_texts(TSLA), None))
    theirs = next(fields for fields in recorded[10] if fields[1] == "9001" and fields[7] == "SMART")
    assert differing(ours, theirs) == [(29, "", "0")]  # the other row recorded has it empty, too


def test_an_execution_is_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    fill = next(each for each in world.fills if each.con_id == AAPL)
    ours = sent(order_encoders.execution(-1, fill, stock(world)))
    theirs = next(fields for fields in recorded[11] if fields[1] == "-1" and len(fields) == 32)
    assert differing(ours, theirs) == []
    assert (ours[18], theirs[18]) == ("BOT", "BOT")


def test_a_commission_is_as_recorded_but_for_the_date_of_a_yield(
    recorded: dict[int, list[Payload]], world: World
) -> None:
    ours = sent(order_encoders.commission_report(world.fills[0]))
    theirs = recorded[59][0]
    # the recording ends with an empty field that its author's splitting left out
    assert ours[-1] == ""
    assert differing(ours[:-1], theirs) == []


def test_an_order_status_is_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    ours = sent(order_encoders.order_status(world.open_orders[0]))
    assert differing(ours, recorded[3][0]) == []


def test_an_open_order_is_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    order = next(each for each in world.open_orders if stock(world, each.con_id).sec_type == "STK")
    ours = sent(order_encoders.open_order(order, stock(world, order.con_id)))
    rows = [fields for fields in recorded[5] if len(fields) == 131 and fields[3] == "TSLA"]
    assert len(rows) == 2
    for theirs in rows:
        # an older server: profiles of advisers (one field more), no pegs (five fields less)
        same_days = theirs[:34] + theirs[35:]
        assert len(ours) == len(same_days) + 5
        assert ours[-5:] == [""] * 5
        assert differing(ours[:-5], same_days) == []


def test_a_completed_order_is_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    order = next(each for each in world.completed_orders if each.status == "Filled" and each.con_id == AAPL)
    ours = sent(order_encoders.completed_order(order, stock(world)))
    theirs = next(fields for fields in recorded[101] if fields[2] == "AAPL")
    same_days = theirs[:30] + theirs[31:]
    assert len(ours) == len(same_days) + 5
    assert differing(ours[:-5], same_days) == []
    assert ours[-6] == f"Filled Size: {order.quantity:g}"


def test_bars_are_as_recorded(recorded: dict[int, list[Payload]], world: World) -> None:
    bars = world.bars(AAPL, 1800, 7)
    dates = [encoders.zoned(bar.time_s) for bar in bars]
    ours = sent(encoders.historical_data(1001, bars, dates, "20261120 09:30:00 US/Eastern", "20261120 16:00:00"))
    theirs = recorded[17][0]
    # server 196 and later send the span in a message of its own
    assert differing(ours[:2] + ours[4:], theirs) == []


def test_chains_scans_samples_and_bars_of_five_seconds_are_as_recorded(
    recorded: dict[int, list[Payload]], world: World
) -> None:
    chain = world.chain(AAPL)
    assert chain is not None
    ours, theirs = sent(encoders.option_parameters(9000, chain, "SMART")), recorded[75][0]
    # the recording has its trading class masked to nothing
    assert (ours[0], ours[1], ours[2], ours[3]) == (theirs[0], theirs[1], theirs[2], theirs[3])
    assert int(ours[6]) == 6
    assert int(ours[7 + 6]) == len(ours) - (7 + 6) - 1
    found = world.scan("TOP_PERC_GAIN", rows=10)
    ours, theirs = sent(encoders.scanner_data(9000, found)), recorded[20][0]
    rows = 4 + 9 * 16  # the recording breaks off within its tenth row
    assert differing(ours[:rows], theirs[:rows]) == []
    assert len(ours) == 4 + 10 * 16
    samples = sent(encoders.symbol_samples(9000, [(stock(world), True)]))
    assert samples[:8] == ["79", "9000", "1", "265598", "AAPL", "STK", "NASDAQ", "USD"]
    assert samples[8:] == ["3", "CFD", "OPT", "WAR", "APPLE INC", ""]  # the last two: server 176 and later
    bar = SimBar("", START_S, 1.25, 2.0, 1.0, 1.5, 3.0, 1.4, 2)
    assert kinds(sent(encoders.realtime_bar(9001, bar))) == kinds(recorded[50][1])


# Ticks


def ids(messages: list[bytes]) -> dict[int, Payload]:
    """Return messages by their kind of tick."""
    found = {}
    for message in messages:
        fields = sent(message)
        found[int(fields[2] if fields[0] == "21" else fields[3])] = fields
    return found


def test_a_line_tells_everything_at_first_and_then_what_changed(world: World) -> None:
    writer = TickWriter(4, stock(world), LIVE, frozenset({"100", "101", "104", "106", "165", "221", "233", "236"}))
    first = ids(writer.write(world.quote(AAPL)))
    assert {1, 2, 4, 6, 7, 8, 9, 14, 45, 49, 29, 30, 27, 28, 23, 24, 19, 20, 21, 37, 48, 46, 89} == set(first)
    assert writer.write(world.quote(AAPL)) == []
    assert [first[48][4].split(";")[place] for place in (1, 5)] == ["100", "true"]
    for _ in range(40):
        world.step(0.05)
    changed = ids(writer.write(world.quote(AAPL)))
    assert {1, 2} & set(changed) or {0, 3} & set(changed)
    assert 9 not in changed


def test_what_is_spoiled_is_told_as_tws_tells_it(world: World) -> None:
    option = next(iter(world.catalogue.options.values()))
    quote = world.quote(option.con_id)
    writer = TickWriter(5, option, LIVE, frozenset())
    ticks = ids(writer.write(quote, Spoil(no_prices=True, unset=True)))
    assert (ticks[1][4], ticks[1][5], ticks[2][4]) == ("-1.0", "0", "-1.0")
    assert 4 not in ticks
    assert ticks[13][4:] == ["-1", "-2", "-1", "-1", "-2", "-2", "-2", "-1"]
    assert 10 not in ticks
    clean = ids(writer.write(quote))
    assert len(clean[13]) == 12
    assert float(clean[13][4]) == pytest.approx(quote.iv)
    apple = TickWriter(6, stock(world), LIVE, frozenset())
    crossed = ids(apple.write(world.quote(AAPL), Spoil(crossed=True)))
    assert float(crossed[1][4]) > float(crossed[2][4])
    mended = ids(apple.write(world.quote(AAPL)))
    assert float(mended[1][4]) < float(crossed[2][4])


# Requests


CONTRACT = ["265598", "AAPL", "STK", "", "0.0", "", "", "SMART", "", "USD", "AAPL", "NMS"]


def test_requests_are_read_with_and_without_combinations() -> None:
    plain = read_quote(Fields(["11", "7", *CONTRACT, "0", "100,233", "1", "0", ""]))
    assert (plain.req_id, plain.contract.con_id, plain.snapshot) == (7, 265598, True)
    assert plain.generic_ticks == {"100", "233"}
    bag = [*CONTRACT[:2], "BAG", *CONTRACT[3:]]
    legs = ["2", "1", "1", "BUY", "SMART", "2", "1", "SELL", "SMART"]
    combination = read_quote(Fields(["11", "7", *bag, *legs, "1", "5", "0.5", "10", "", "0", "1", ""]))
    assert (combination.snapshot, combination.regulatory) == (False, True)
    asked = read_history(
        Fields(["3", *CONTRACT, "0", "", "1 day", "1 Y", "1", "OPTION_IMPLIED_VOLATILITY", "1", "0", ""])
    )
    assert (asked.duration, asked.what, asked.regular_only, asked.date_format) == (
        "1 Y",
        "OPTION_IMPLIED_VOLATILITY",
        True,
        1,
    )


@pytest.mark.parametrize("words", [[], ["11"], ["11", "seven", *CONTRACT], ["11", "7", *CONTRACT[:5]]])
def test_a_request_that_cannot_be_read_says_so(words: list[str]) -> None:
    with pytest.raises(BadRequest, match="expected"):
        read_quote(Fields(words))
