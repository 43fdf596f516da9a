"""Accounts that an identity provider vouches for."""

import threading
from datetime import timedelta

import pytest

from backend.accounts import external, service
from backend.accounts.external import Identity
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import NotPermitted
from tests.backend.accounts.conftest import AddAccount, MoveClock
from tests.fixtures.database import wait_until_blocked


def said(subject: str = "s-1", name: str = "ann@example.org") -> Identity:
    return Identity("https://idp.example.org", subject, name)


def enter(database: Database, identity: Identity, role: Role | None = Role.STEWARD) -> Actor:
    with database.write() as session:
        return external.sign_in(session, identity=identity, role=role, address="10.0.0.1")


class TestSignIn:
    def test_makes_the_account_at_the_first_time_and_finds_it_again(
        self, database: Database, move_clock: MoveClock
    ) -> None:
        first = enter(database, said())
        move_clock(timedelta(seconds=2))
        assert enter(database, said(name="renamed@example.org")).id == first.id
        assert first.role is Role.STEWARD

    def test_the_role_follows_the_provider_at_each_sign_in(
        self, database: Database, move_clock: MoveClock
    ) -> None:
        enter(database, said())
        move_clock(timedelta(seconds=2))
        assert enter(database, said(), Role.VIEWER).role is Role.VIEWER
        with database.read() as session:
            assert service.list_accounts(session, SYSTEM).items[0].role is Role.VIEWER

    def test_two_browsers_in_the_same_second_are_both_let_in(self, any_database: Database) -> None:
        entered: list[Actor] = []

        def other_tab() -> None:
            entered.append(enter(any_database, said()))

        with any_database.write() as session:
            first = external.sign_in(session, identity=said(), role=Role.STEWARD, address="x")
            thread = threading.Thread(target=other_tab)
            thread.start()
            wait_until_blocked(any_database, thread)  # on this one's commit
        thread.join(60)
        assert [actor.id for actor in entered] == [first.id]

    def test_the_name_follows_the_provider_and_a_kept_role_does_not(
        self, database: Database
    ) -> None:
        enter(database, said())
        with database.write() as session:
            actor = external.sign_in(
                session,
                identity=said(name="ann.new"),
                role=Role.ADMIN,
                address="x",
                keep_role=True,
            )
        assert (actor.name, actor.role) == ("ann.new", Role.STEWARD)

    def test_without_a_mapped_role_nothing_is_made(self, database: Database) -> None:
        with pytest.raises(NotPermitted, match="no role"):
            enter(database, said(), None)
        with database.read() as session:
            assert service.list_accounts(session, SYSTEM).items == []

    def test_a_disabled_account_stays_out(self, database: Database, move_clock: MoveClock) -> None:
        actor = enter(database, said())
        with database.write() as session:
            service.set_disabled(session, SYSTEM, account_id=actor.id, disabled=True, version=1)
        move_clock(timedelta(seconds=2))
        with pytest.raises(NotPermitted, match="disabled"):
            enter(database, said())

    def test_never_takes_over_a_local_account_of_the_same_name(
        self, database: Database, add_account: AddAccount
    ) -> None:
        add_account("ann@example.org", Role.ADMIN)
        assert enter(database, said()).name == "ann@example.org (2)"
        assert enter(database, said()).name == "ann@example.org (2)"
        assert enter(database, said("s-2")).name == "ann@example.org (3)"

    def test_the_same_subject_of_another_provider_is_another_person(
        self, database: Database
    ) -> None:
        first = enter(database, said())
        other = Identity("https://other.example.org", "s-1", "b@x.org")
        assert enter(database, other).id != first.id

    def test_a_name_that_nobody_can_tell_from_a_local_one_gets_a_number(
        self, database: Database, add_account: AddAccount
    ) -> None:
        add_account("ann", Role.ADMIN)
        assert enter(database, said(name="ann\ufe0f")).name == "ann (2)"
        assert enter(database, said("s-2", name="a\u034fnn")).name == "ann (3)"

    @pytest.mark.parametrize("name", ["\uff21nn", "Ann\ufe0f", "A\u030ake"])
    def test_a_name_in_another_spelling_stays_as_it_is(self, database: Database, name: str) -> None:
        first = enter(database, said(name=name)).name
        assert {enter(database, said(name=name)).name for _ in range(3)} == {first}
