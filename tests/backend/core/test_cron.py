"""The times of a schedule in words."""

import pytest

from backend.core import cron


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 5 * * *", "Every day at 05:00 UTC"),
        ("30 18 * * 1-5", "Every Monday to Friday at 18:30 UTC"),
        ("0 9 * * 7", "Every Sunday at 09:00 UTC"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("5 * * * *", "Every day in each hour at minute 5, UTC"),
        # What has no usual words is said as it was written; */7 begins anew with each hour.
        ("*/7 * * * *", "*/7 * * * * UTC"),
        ("0 5 1 * *", "0 5 1 * * UTC"),
        ("0 5 * 6 1", "0 5 * 6 1 UTC"),
        ("0,30 5 * * *", "0,30 5 * * * UTC"),
        ("0 5 * * MON", "0 5 * * MON UTC"),
        ("*/15 5 * * *", "*/15 5 * * * UTC"),
    ],
)
def test_the_usual_expressions_are_said_and_others_stand_as_they_are(
    expression: str, words: str
) -> None:
    assert cron.in_words(expression) == words
