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


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(seconds=2), "a few seconds"),
        (timedelta(seconds=44), "a few seconds"),
        (timedelta(seconds=50), "a minute"),
        (timedelta(minutes=44), "44 minutes"),
        (timedelta(minutes=53), "an hour"),
        (timedelta(hours=11, minutes=59, seconds=50), "12 hours"),
        (timedelta(hours=23), "a day"),
        (timedelta(days=25), "25 days"),
        (timedelta(days=40), "a month"),
        (timedelta(days=100), "3 months"),
        (timedelta(days=400), "a year"),
        (timedelta(days=800), "2 years"),
    ],
)
def test_a_distance_is_said_as_the_tables_of_streamlit_say_it(away: timedelta, words: str) -> None:
    assert times.relative(clock.now() - away) == f"{words} ago"
    assert times.relative(clock.now() + away) == f"in {words}"
