"""The simulated Bybit's texts: exact numbers, and messages of the very shape of recorded ones."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import Market
from app.sim.bybit import BybitSim, encoders
from app.sim.bybit.contracts import build_catalogue
from app.sim.bybit.deals import Deals
from app.sim.bybit.fields import changed, linear_fields, next_funding_ms, quiet_quote, spot_fields
from app.sim.bybit.tape import Tape

LINEAR, SPOT = Market.BYBIT_LINEAR, Market.BYBIT_SPOT
CATALOGUE = build_catalogue(["BTC", "DOGE", "PEPE"])
BTC, _, PEPE = CATALOGUE.contracts[LINEAR][:3]
SPOT_BTC = CATALOGUE.contracts[SPOT][0]
CAPTURE = "bybit/cryptofeed_v5_BTC_SOL_linear_BTC_spot.jsonl.gz"


@given(st.integers(1, 10**12), st.sampled_from([*CATALOGUE.contracts[LINEAR], *CATALOGUE.contracts[SPOT]]))
def test_numbers_are_exact(value: int, contract: Any) -> None:
    price, quantity = encoders.price_writer(contract)(value), encoders.quantity_writer(contract)(value)
    assert Decimal(price) == Decimal(value).scaleb(-contract.listing.price_decimals)
    assert Decimal(quantity) == Decimal(value).scaleb(-contract.listing.quantity_decimals)
    if contract.linear:
        assert Decimal(price).as_tuple().exponent == Decimal(contract.tick_size).as_tuple().exponent
    else:
        assert not ("." in price and price.endswith("0"))


def test_levels_are_written_as_the_markets_do() -> None:
    assert encoders.levels(BTC, [(651142, 6054), (651141, 0)]) == '[["65114.20","6.054"],["65114.10","0"]]'
    assert encoders.levels(SPOT_BTC, [(651400, 14_000)]) == '[["65140","0.014"]]'
    assert encoders.levels(PEPE, [(98_000, 12)]) == '[["0.00980000","1200"]]'
    assert encoders.levels(BTC, []) == "[]"


def test_answers_echo_the_request() -> None:
    yes = json.loads(encoders.reply("subscribe", "", "c", None, linear=True, success=True))
    assert list(yes.items()) == [
        ("success", True),
        ("ret_msg", ""),
        ("conn_id", "c"),
        ("req_id", ""),
        ("op", "subscribe"),
    ]
    no = json.loads(encoders.reply("subscribe", "why", "c", "7", linear=False, success=False))
    assert (no["success"], no["ret_msg"], no["req_id"]) == (False, "why", "7")


def test_what_belongs_together_changes_together() -> None:
    before = {"bid1Price": "1", "bid1Size": "2", "lastPrice": "3", "volume24h": "4", "turnover24h": "5"}
    assert changed(before, {**before, "bid1Size": "9"}) == {"bid1Size": "9", "bid1Price": "1"}
    assert changed(before, {**before, "volume24h": "6"}) == {"volume24h": "6", "turnover24h": "5"}
    assert changed(before, dict(before)) == {}


@pytest.mark.parametrize(("hours", "now_h", "expected_h"), [(8, 0, 8), (8, 7, 8), (8, 8, 16), (1, 5, 6), (4, 23, 24)])
def test_funding_is_next_paid_at_a_multiple_of_its_interval(hours: int, now_h: int, expected_h: int) -> None:
    contract = next(each for each in build_catalogue().contracts[LINEAR] if each.funding_hours == hours)
    assert next_funding_ms(contract, now_h * 3_600_000 + 5) == expected_h * 3_600_000


def shape(value: object) -> object:
    """Return the keys in order and the kinds of values; lists by their first element."""
    if isinstance(value, dict):
        return [(key, shape(each)) for key, each in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.fixture(name="recorded", scope="module")
def _recorded(captures: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the first recorded message by market, kind of topic and type."""
    path = captures / CAPTURE
    if not path.is_file():
        pytest.skip(f"no capture {path}")
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    markets: dict[str, str] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record["t"] == "connect":
                markets[record["conn"]] = record["addr"].rpartition("/")[2]
            elif record["t"] == "recv":
                message = json.loads(record["data"])
                kind = message.get("topic", message.get("op")).partition(".")[0]
                found.setdefault((markets[record["conn"]], kind, message.get("type", "")), message)
    return found


@pytest.mark.parametrize("market", [LINEAR, SPOT])
def test_messages_have_the_shape_of_recorded_ones(
    market: Market, recorded: dict[tuple[str, str, str], dict[str, Any]]
) -> None:
    contract = BTC if market is LINEAR else SPOT_BTC
    tape = Tape(CATALOGUE, np.random.default_rng(1), rate=1.0)
    tape.step()
    figures = tape.figures[market]
    fields = linear_fields(figures, 0, quiet_quote(figures, 0), 10**12) if contract.linear else spot_fields(figures, 0)
    ours = [
        encoders.ticker(contract, "snapshot", fields, cross_sequence=5, now_ms=6),
        encoders.trades(contract, [Deals(figures, lambda: 7).trade(0, 10**12)], 8),
        encoders.reply("subscribe", "", "id", None, linear=contract.linear, success=True),
    ]
    row = encoders.levels(contract, [(651_142, 6054)])
    ours += [
        encoders.depth(
            contract, f"orderbook.200.{contract.symbol}", kind, bids=row, asks=row, u=1, seq=2, now_ms=3, changed_ms=4
        )
        for kind in ("snapshot", "delta")
    ]
    compared = 0
    for text in ours:
        message = json.loads(text)
        kind = message.get("topic", message.get("op")).partition(".")[0]
        theirs = recorded[(market.word, kind, message.get("type", ""))]
        if kind == "publicTrade":
            assert dict(shape(message)[-1][1][0]) == dict(shape(theirs)[-1][1][0])  # type: ignore[index]
            assert list(message) == list(theirs)
        else:
            assert shape(message) == shape(theirs)
        compared += 1
    assert compared == 5


def test_instruments_have_the_fields_of_recorded_ones(captures: Path) -> None:
    path = captures / CAPTURE
    if not path.is_file():
        pytest.skip(f"no capture {path}")
    sim = BybitSim(coins=("BTC", "PEPE"), auto=False)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    answers = {record["url"]: json.loads(record["data"]) for record in records if record["t"] == "http"}
    assert len(answers) == 2
    for url, theirs in answers.items():
        word = "linear" if "category=linear" in url else "spot"
        ours = json.loads(sim.desk.answer("/v5/market/instruments-info", f"category={word}").body)
        assert list(ours) == list(theirs)
        by_symbol = {row["symbol"]: row for row in theirs["result"]["list"]}
        assert shape(ours["result"]["list"][0]) == shape(by_symbol["BTCUSDT"])
