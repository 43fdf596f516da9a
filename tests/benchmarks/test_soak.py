"""What a soak calls flat, growing or not to be told."""

import math
import random

import pytest

from benchmarks import _soak


def points(seconds: int, an_hour: float, noise: float) -> list[tuple[float, float]]:
    """Readings every two seconds of the second half: a line and chance."""
    chance = random.Random(7)
    times = range(0, seconds // 2, 2)
    return [(at, 300 + an_hour / 3600 * at + chance.gauss(0, noise)) for at in times]


@pytest.mark.parametrize("an_hour", [0.0, 600.0])
def test_the_slope_is_the_lines_within_its_error(an_hour: float) -> None:
    slope, error = _soak._slope(points(600, an_hour, 1.0))
    assert abs(slope - an_hour) <= error
    assert error < _soak.CLEAR["files"]


def test_a_growth_that_matters_is_seen_in_ten_minutes() -> None:
    slope, error = _soak._slope(points(600, 120.0, 0.5))
    assert slope - error > _soak.FLAT["memory"]


@pytest.mark.parametrize("seconds", [20, 30, 60])
def test_a_short_run_tells_nothing(seconds: int) -> None:
    _, error = _soak._slope(points(seconds, 0.0, 2.0))
    assert error > max(_soak.CLEAR.values())


def test_too_few_readings_tell_nothing_at_all() -> None:
    assert _soak._slope(points(20, 0.0, 0.0)) == (0.0, math.inf)
