"""Whom of the suite's workers a test is dealt to."""

import pytest

from tests.fixtures.order import in_parts

DEAR = [f"dear {number}" for number in range(3)]
SLOW = [f"slow {number}" for number in range(7)]
REST = [f"rest {number}" for number in range(30)]


def dealt(order: list[str], workers: int) -> list[list[str]]:
    """As xdist's WorkStealingScheduling.check_schedule does at the start."""
    left, parts = list(order), []
    for number in range(workers):
        size = len(left) // (workers - number)
        parts.append(left[:size])
        del left[:size]
    return parts


@pytest.mark.parametrize("workers", [2, 3, 4, 7])
def test_one_begins_with_what_is_dear_and_the_others_with_what_is_slow(workers: int) -> None:
    first, *others = dealt(in_parts(DEAR, SLOW, REST, workers), workers)
    assert first[: len(DEAR)] == DEAR
    assert all("rest" in each for each in first[len(DEAR) :])
    counts = []
    for part in others:
        slow = [each for each in part if "slow" in each]
        assert part[: len(slow)] == slow
        counts.append(len(slow))
    assert sum(counts) == len(SLOW)
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 9, 50])
def test_each_is_there_once(workers: int) -> None:
    everything = sorted([*DEAR, *SLOW, *REST])
    assert sorted(in_parts(DEAR, SLOW, REST, workers)) == everything
    assert sorted(in_parts([], SLOW, REST, workers)) == sorted([*SLOW, *REST])
    assert sorted(in_parts(DEAR, SLOW, [], workers)) == sorted([*DEAR, *SLOW])


def test_without_workers_what_is_dear_and_slow_comes_first() -> None:
    assert in_parts(DEAR, SLOW, REST, 1) == [*DEAR, *SLOW, *REST]
