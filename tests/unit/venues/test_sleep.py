"""Sleep, a stopped process and a set clock are told from ordinary time."""

from __future__ import annotations

from app.domain.units import NS_PER_S
from app.venues.sleep import SleepSensor


class Wall:
    """A wall clock that the test moves."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000 * NS_PER_S

    def __call__(self) -> int:
        return self.now_ns


def test_ordinary_time_is_not_sleep() -> None:
    wall = Wall()
    sensor = SleepSensor(0, 5.0, wall)
    for tick in range(1, 100):
        wall.now_ns += NS_PER_S
        assert sensor.look(tick * NS_PER_S) is None


def test_wall_time_that_moved_alone_is_sleep_and_is_told_once() -> None:
    wall = Wall()
    sensor = SleepSensor(0, 5.0, wall)
    wall.now_ns += 600 * NS_PER_S
    told = sensor.look(NS_PER_S)
    assert told is not None
    assert "forward by 599 s" in told
    wall.now_ns += NS_PER_S
    assert sensor.look(2 * NS_PER_S) is None


def test_a_clock_set_back_is_told() -> None:
    wall = Wall()
    sensor = SleepSensor(0, 5.0, wall)
    wall.now_ns -= 3600 * NS_PER_S
    told = sensor.look(0)
    assert told is not None
    assert "back by 3600 s" in told


def test_a_process_that_stood_still_is_told_and_short_stalls_are_not() -> None:
    wall = Wall()
    sensor = SleepSensor(0, 5.0, wall)
    wall.now_ns += 4 * NS_PER_S
    assert sensor.look(4 * NS_PER_S) is None
    wall.now_ns += 10 * NS_PER_S
    assert sensor.look(14 * NS_PER_S) == "the program stood still for 10 s"


def test_slow_drift_of_the_clock_is_not_sleep_until_it_adds_up() -> None:
    wall = Wall()
    sensor = SleepSensor(0, 5.0, wall)
    told = []
    for tick in range(1, 60):
        wall.now_ns += NS_PER_S + NS_PER_S // 10
        told.append(sensor.look(tick * NS_PER_S))
    assert [word is not None for word in told].count(True) == 1
