"""Whoever finds an open session cannot try passwords in it for as long as they like."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from backend.accounts import own_password, sign_in
from backend.accounts.own_password import WrongPassword
from backend.accounts.schemas import AccountView
from backend.core.access import Actor
from backend.core.database import Database
from backend.core.errors import InvalidInput, TooManyAttempts
from tests.backend.accounts.conftest import PASSWORD

NEW = "another fine pass phrase"


@pytest.fixture
def ann(add_account: Callable[..., AccountView]) -> Actor:
    made = add_account("ann")
    return Actor(id=made.id, name=made.name, role=made.role, kind="user")


def _change(database: Database, ann: Actor, current: str, new: str = NEW) -> int:
    return own_password.change(database, ann, current=current, new=new, session_id=0)


def test_guesses_wait_as_at_the_sign_in(
    database: Database, ann: Actor, move_clock: Callable[[timedelta], None]
) -> None:
    for _ in range(5):
        with pytest.raises(WrongPassword):
            _change(database, ann, "a wrong guess")
    with pytest.raises(TooManyAttempts, match="Wait 5 seconds"):
        _change(database, ann, PASSWORD)
    move_clock(timedelta(seconds=6))
    assert _change(database, ann, PASSWORD) == 0
    assert sign_in.authenticate(database, name="ann", password=NEW, address="10.0.0.1").id == ann.id


def test_a_new_password_that_may_not_be_used_is_no_guess(database: Database, ann: Actor) -> None:
    for _ in range(8):
        with pytest.raises(InvalidInput, match="at least 8"):
            _change(database, ann, PASSWORD, new="short")
    assert _change(database, ann, PASSWORD) == 0
