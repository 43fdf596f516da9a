"""What a list may be asked for."""

import pytest

from backend.core import choices
from backend.core.errors import InvalidInput, UnknownChoice


@pytest.mark.parametrize("limit", [-1, 0, 201])
def test_a_page_has_at_least_one_and_at_most_what_its_list_allows(limit: int) -> None:
    with pytest.raises(InvalidInput, match=r"^limit must be between 1 and 200\.$"):
        choices.check_limit(limit, 200)


@pytest.mark.parametrize("limit", [1, 200])
def test_both_bounds_are_allowed(limit: int) -> None:
    choices.check_limit(limit, 200)


def test_a_word_that_is_none_of_the_known_names_those() -> None:
    with pytest.raises(UnknownChoice, match=r"^'done' is no status; choose open, ended\.$"):
        choices.check("status", "done", ("open", "ended"))
