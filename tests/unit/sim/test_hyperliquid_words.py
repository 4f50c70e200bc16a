"""What people and clients write to the simulated Hyperliquid: faults, options, subscriptions."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from app.domain.errors import FathomError
from app.sim.fault_text import FaultError
from app.sim.hyperliquid import HyperOptions, add_arguments, options_from
from app.sim.hyperliquid.faults import HyperFault, make_fault, read_fault
from app.sim.hyperliquid.info import Malformed
from app.sim.hyperliquid.subscriptions import Subscription, read_frame, read_subscription


@pytest.mark.parametrize(
    ("text", "fault", "at_s"),
    [
        ("stall@3", HyperFault(name="stall"), 3.0),
        ("stall:4@10", HyperFault(name="stall", duration=4.0), 10.0),
        ("delist:BTC@5", HyperFault(name="delist", coin="BTC"), 5.0),
        ("delist:@142@5", HyperFault(name="delist", coin="@142"), 5.0),
        ("nullmid:coin=kPEPE@0.5", HyperFault(name="nullmid", coin="kPEPE"), 0.5),
        ("badframe:truncated@1", HyperFault(name="badframe", kind="truncated"), 1.0),
    ],
)
def test_faults_are_read_from_words(text: str, fault: HyperFault, at_s: float) -> None:
    timed = read_fault(text)
    assert (timed.fault, timed.at_s) == (fault, at_s)


@pytest.mark.parametrize(
    "text", ["stall", "dance@1", "delist@1", "stall:BTC@1", "grow:3@1", "stall@-1", "badframe:odd=1@1", "stall@soon"]
)
def test_faults_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(FaultError, match="expected"):
        read_fault(text)


def test_a_fault_lasts_a_finite_time() -> None:
    for seconds in ("nan", "-1", "1e12", "long"):
        with pytest.raises(FaultError, match="seconds"):
            make_fault("stall", duration=seconds)


def options(*words: str) -> HyperOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(words))


def test_options_come_from_arguments() -> None:
    chosen = options(
        "--symbols", "12", "--seed", "5", "--rate", "0.5", "--fault", "grow@3", "--idle", "9", "--weight", "50"
    )
    assert (chosen.symbols, chosen.seed, chosen.rate, chosen.limits.idle_close_s) == (12, 5, 0.5, 9.0)
    assert chosen.limits.weight_per_minute == 50
    assert [(each.fault.name, each.at_s) for each in chosen.faults] == [("grow", 3.0)]
    assert options("--connections", "40").limits.connections == 40
    assert options().symbols is None


@pytest.mark.parametrize(
    "words",
    [
        ("--symbols", "0"),
        ("--port", "70000"),
        ("--fault", "dance@1"),
        ("--weight", "0"),
        ("--connections", "0"),
        ("--idle", "0"),
        ("--seed", "-1"),
        ("--rate", "nan"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_sentence(words: tuple[str, ...]) -> None:
    with pytest.raises(FathomError, match="expected"):
        options(*words)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "l2Book", "coin": "BTC"}, Subscription("l2Book", "BTC")),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None}, Subscription("l2Book", "BTC")),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 2}, Subscription("l2Book", "BTC", 5, 2)),
        ({"type": "allMids"}, Subscription("allMids")),
        ({"type": "assetCtxs", "dex": "xyz"}, Subscription("assetCtxs", dex="xyz")),
    ],
)
def test_subscriptions_are_read(value: dict[str, Any], expected: Subscription) -> None:
    assert read_subscription(value) == expected
    assert read_subscription(read_frame(f'{{"subscription":{expected.text()}}}')["subscription"]) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"type": "nothing"},
        {"type": "bbo"},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 1},
        {"type": "assetCtxs", "dex": "no"},
    ],
)
def test_subscriptions_that_do_not_exist_are_refused(value: Any) -> None:
    with pytest.raises(Malformed):
        read_subscription(value)
