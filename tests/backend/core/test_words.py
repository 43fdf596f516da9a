"""Counted words."""

import pytest

from backend.core.words import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 mounts"), (1, "1 mount"), (2, "2 mounts"), (1_000, "1,000 mounts")]
)
def test_an_s_is_added(count: int, text: str) -> None:
    assert counted(count, "mount") == text


@pytest.mark.parametrize(("count", "text"), [(1, "1 entry is"), (3, "3 entries are")])
def test_other_forms_are_given(count: int, text: str) -> None:
    assert counted(count, "entry is", "entries are") == text
