"""What a rule asks for: modes, sizes, windows, tokens; and which of two is weaker."""

from datetime import UTC, datetime

import pytest

from backend.changes import policy
from backend.changes.rules import Rule
from backend.core.access import Actor, Role
from backend.core.errors import InvalidInput

ANN = Actor(1, "ann", Role.STEWARD, "user")
TOKEN = Actor(2, "etl", Role.STEWARD, "api_token")
#: A Friday.
FRIDAY = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def _at(day: int, hour: int) -> datetime:
    return FRIDAY.replace(day=day, hour=hour)


class TestApproversFor:
    @pytest.mark.parametrize("mode", ["direct", "confirm"])
    def test_none_without_approve(self, mode: str) -> None:
        assert policy.checked({"mode": mode}).approvers_for(TOKEN, None, FRIDAY) == 0

    def test_always_without_a_condition(self) -> None:
        assert Rule(mode="approve", approvers=2).approvers_for(ANN, 0, FRIDAY) == 2

    @pytest.mark.parametrize(("size", "needed"), [(100, 0), (101, 1), (None, 1)])
    def test_above_a_size(self, size: int | None, needed: int) -> None:
        assert Rule(mode="approve", above=100).approvers_for(ANN, size, FRIDAY) == needed

    def test_by_token(self) -> None:
        rule = Rule(mode="approve", by_token=True)
        assert rule.approvers_for(ANN, 1, FRIDAY) == 0
        assert rule.approvers_for(TOKEN, 1, FRIDAY) == 1

    def test_one_condition_of_two_is_enough(self) -> None:
        rule = Rule(mode="approve", above=100, by_token=True)
        assert rule.approvers_for(TOKEN, 1, FRIDAY) == 1
        assert rule.approvers_for(ANN, 101, FRIDAY) == 1
        assert rule.approvers_for(ANN, 1, FRIDAY) == 0

    @pytest.mark.parametrize(
        ("at", "needed"),
        [
            (_at(27, 17), 0),  # Friday before it begins
            (_at(27, 18), 1),
            (_at(28, 7), 1),  # Saturday morning belongs to Friday's night
            (_at(28, 8), 0),
            (_at(28, 20), 0),  # Saturday has no night of its own
            (_at(23, 7), 0),  # nor has Monday's morning a Sunday
        ],
    )
    def test_a_window_over_midnight_belongs_to_its_first_day(
        self, at: datetime, needed: int
    ) -> None:
        rule = Rule(mode="approve", window="mon-fri 18:00-08:00")
        assert rule.approvers_for(ANN, 1, at) == needed

    def test_a_window_over_the_weekend_and_by_name(self) -> None:
        rule = Rule(mode="approve", window="Sat-Mon,Wed 09:00-17:00")
        covered = [day for day in range(23, 30) if rule.approvers_for(ANN, 1, _at(day, 12))]
        assert covered == [23, 25, 28, 29]


class TestChecked:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"mode": "never"}, "'never' is no mode; choose direct, confirm, approve."),
            ({"mode": "approve", "approvers": 3}, "approvers: "),
            ({"mode": "approve", "window": "at night"}, "is no time window; write for example"),
            ({"mode": "approve", "window": "foo 18:00-08:00"}, "names no days"),
            ({"mode": "approve", "window": "25:00-26:00"}, "an hour that no day has"),
            ({"mode": "approve", "window": "08:00-08:00"}, "begins when it ends"),
            ({"mode": "confirm", "above": 5}, "belong to the mode approve"),
        ],
    )
    def test_says_what_is_wrong(self, values: dict[str, object], said: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            policy.checked(values)
        assert said in caught.value.message


@pytest.mark.parametrize(
    ("new", "old", "weaker"),
    [
        (Rule(), Rule(mode="approve"), True),
        (Rule(mode="approve"), Rule(), False),
        (Rule(mode="approve"), Rule(mode="approve", approvers=2), True),
        (Rule(mode="approve", approvers=2), Rule(mode="approve"), False),
        (Rule(mode="approve", above=5), Rule(mode="approve"), True),
        (Rule(mode="approve"), Rule(mode="approve", above=5), False),
        (Rule(mode="approve", above=5, approvers=2), Rule(mode="approve", above=5), False),
        (Rule(mode="approve", above=9), Rule(mode="approve", above=5), True),
    ],
)
def test_which_is_weaker(new: Rule, old: Rule, weaker: bool) -> None:
    assert new.is_weaker_than(old) is weaker


def test_in_words() -> None:
    rule = Rule(mode="approve", approvers=2, above=1000, by_token=True)
    assert rule.in_words("rows") == "2 approvals, above 1,000 rows or when asked by an API token"
    assert Rule(mode="approve").in_words() == "1 approval"
