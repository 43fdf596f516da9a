"""Times and durations as people read them."""

from datetime import timedelta

import pytest

from backend.core import clock
from pages.shared import times


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "250 ms"),
        (61, "61.0 s"),
        (95, "1 min 35 s"),
        (3599, "59 min 59 s"),
        (3600 + 14 * 60, "1 h 14 min"),
        (47 * 3600, "47 h 0 min"),
        (76 * 3600, "3 d 4 h"),
    ],
)
def test_a_duration_grows_into_larger_units(seconds: float, words: str) -> None:
    assert times.duration(seconds) == words


def test_what_will_come_is_rounded_and_what_has_passed_is_not() -> None:
    soon = timedelta(hours=11, minutes=59, seconds=50)
    assert times.relative(clock.now() + soon) == "in 12 hours"
    assert times.relative(clock.now() - soon) == "11 hours ago"
