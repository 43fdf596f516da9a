"""The timed back-off: it slows a guesser down and never locks anybody out for good."""

import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.accounts import backoff
from backend.core.database import Database
from backend.core.errors import TooManyAttempts
from tests.backend.accounts.conftest import MoveClock

PAIR = backoff.POLICIES["name+address"]


def tries(database: Database, count: int, *, name: str = "ann", address: str = "10.0.0.1") -> int:
    """How many of `count` tries are let through."""
    let = 0
    for _ in range(count):
        try:
            with database.write() as session:
                backoff.count_try(session, name_key=name, address=address)
            let += 1
        except TooManyAttempts:
            pass
    return let


class TestPolicy:
    @given(st.integers(0, 10_000), st.sampled_from(sorted(backoff.POLICIES)))
    def test_waits_never_shrink_and_never_pass_the_longest(self, n: int, kind: str) -> None:
        policy = backoff.POLICIES[kind]
        assert timedelta(0) <= policy.wait(n) <= policy.wait(n + 1) <= policy.longest

    def test_the_first_tries_are_free(self) -> None:
        assert [PAIR.wait(n).total_seconds() for n in range(4, 9)] == [0, 5, 10, 20, 40]


class TestCountTry:
    def test_lets_five_wrong_tries_through_and_then_asks_to_wait(self, database: Database) -> None:
        assert tries(database, 8) == 5

    def test_says_how_long_to_wait(self, database: Database) -> None:
        tries(database, 5)
        with (
            pytest.raises(TooManyAttempts, match=r"Wait [1-5] seconds"),
            database.write() as session,
        ):
            backoff.count_try(session, name_key="ann", address="10.0.0.1")

    def test_tries_during_a_wait_do_not_make_it_longer(
        self, database: Database, move_clock: MoveClock
    ) -> None:
        tries(database, 105)
        move_clock(backoff.FIRST_WAIT)
        assert tries(database, 1) == 1

    def test_nobody_is_locked_out_for_good(self, database: Database, move_clock: MoveClock) -> None:
        for _ in range(30):
            tries(database, 5)
            move_clock(timedelta(minutes=5))
        assert tries(database, 1) == 1

    def test_a_guesser_elsewhere_keeps_the_owner_out_for_a_minute_at_most(
        self, database: Database, move_clock: MoveClock
    ) -> None:
        for number in range(40):
            tries(database, 3, address=f"10.9.0.{number}")
            move_clock(timedelta(seconds=20))
        move_clock(backoff.POLICIES["name"].longest)
        assert tries(database, 1, address="10.0.0.1") == 1

    def test_one_address_that_tries_many_names_has_to_wait_too(self, database: Database) -> None:
        assert sum(tries(database, 1, name=f"person{n}") for n in range(50)) == 30

    def test_another_name_at_another_address_is_not_touched(self, database: Database) -> None:
        tries(database, 20)
        assert tries(database, 1, name="ben", address="10.0.0.2") == 1

    def test_an_hour_without_a_wrong_try_forgets_them(
        self, database: Database, move_clock: MoveClock
    ) -> None:
        tries(database, 20)
        move_clock(PAIR.forget_after + timedelta(seconds=1))
        assert tries(database, 8) == 5

    def test_tries_at_the_same_instant_share_one_counter(self, any_database: Database) -> None:
        for number in range(5):
            assert sum(self._at_once(any_database, f"person{number}", f"10.1.0.{number}")) == 5

    def _at_once(self, database: Database, name: str, address: str) -> list[int]:
        let: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: let.append(tries(database, 2, name=name, address=address))
            )
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return let


class TestForgive:
    def test_the_right_password_sets_the_counters_of_the_name_back(
        self, database: Database
    ) -> None:
        tries(database, 4)
        with database.write() as session:
            backoff.forgive(session, name_key="ann", address="10.0.0.1")
        assert tries(database, 8) == 5

    def test_a_guesser_cannot_wash_an_address_clean_with_an_account_of_his_own(
        self, database: Database
    ) -> None:
        let = 0
        for number in range(60):
            let += tries(database, 1, name=f"victim{number}")
            if tries(database, 1, name="mallory"):
                with database.write() as session:
                    backoff.forgive(session, name_key="mallory", address="10.0.0.1")
        assert let <= 31
