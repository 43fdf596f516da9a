"""One-time tickets: once, soon, and only in the browser that typed the password."""

import contextlib
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from backend.accounts import own_password, repository, service, sessions, tickets
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import NotAuthenticated
from backend.models.accounts import SignInTicket
from tests.backend.accounts.conftest import PASSWORD, AddAccount, MoveClock
from tests.fixtures.database import wait_until_blocked


def issue(database: Database, account_id: int, browser: str = "nonce") -> str:
    with database.write() as session:
        return tickets.issue(session, account_id=account_id, browser=browser)


def redeem(database: Database, raw: str, browser: str = "nonce") -> str:
    with database.write() as session:
        return tickets.redeem(
            session, raw, browser=browser, address="10.0.0.1", user_agent="Firefox"
        )


class TestRedeem:
    def test_opens_a_session_of_the_account(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        raw = redeem(database, issue(database, ann.id))
        with database.read() as session:
            signed_in = sessions.actor_for(session, raw)
        assert signed_in is not None
        assert signed_in.actor.id == ann.id

    def test_serves_once(self, database: Database, add_account: AddAccount) -> None:
        ticket = issue(database, add_account().id)
        redeem(database, ticket)
        with pytest.raises(NotAuthenticated, match="This sign-in is not valid any more"):
            redeem(database, ticket)

    def test_is_worth_nothing_after_a_minute(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        ticket, in_time = (issue(database, add_account(name).id) for name in ("ann", "ben"))
        move_clock(tickets.LIFETIME - timedelta(seconds=1))
        assert redeem(database, in_time)
        move_clock(timedelta(seconds=1))
        with pytest.raises(NotAuthenticated, match="This sign-in is not valid any more"):
            redeem(database, ticket)

    def test_is_worth_nothing_in_another_browser(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ticket = issue(database, add_account().id, browser="of mallory")
        for browser in ("of the victim", ""):
            with pytest.raises(NotAuthenticated, match="This sign-in is not valid any more"):
                redeem(database, ticket, browser=browser)
        assert redeem(database, ticket, browser="of mallory")

    def test_is_worth_nothing_when_the_account_was_disabled_meanwhile(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        ticket = issue(database, ann.id)
        with database.write() as session:
            service.set_disabled(
                session, SYSTEM, account_id=ann.id, disabled=True, version=ann.version
            )
        with pytest.raises(NotAuthenticated, match="This sign-in is not valid any more"):
            redeem(database, ticket)

    def test_is_worth_nothing_when_the_password_was_reset_meanwhile(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann, ben = add_account("ann"), add_account("ben")
        ticket, of_another = issue(database, ann.id), issue(database, ben.id)
        with database.write() as session:
            service.reset_password(session, SYSTEM, account_id=ann.id, version=ann.version)
        with pytest.raises(NotAuthenticated, match="This sign-in is not valid any more"):
            redeem(database, ticket)
        assert redeem(database, of_another)

    def test_is_worth_nothing_when_the_password_was_changed_meanwhile(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        actor = Actor(id=ann.id, name=ann.name, role=ann.role, kind="user")
        ticket = issue(database, ann.id)
        own_password.change(
            database, actor, current=PASSWORD, new="another word for lamps", session_id=0
        )
        with pytest.raises(NotAuthenticated, match="This sign-in is not valid any more"):
            redeem(database, ticket)

    @pytest.mark.parametrize("reset_first", [True, False])
    def test_a_reset_at_the_same_instant_leaves_no_session_open(
        self, any_database: Database, reset_first: bool
    ) -> None:
        with any_database.write() as session:
            ann = service.add_account(
                session, SYSTEM, name="ann", role=Role.VIEWER, stored="no password"
            )
        ticket, raws = issue(any_database, ann.id), list[str]()

        def reset() -> None:
            with any_database.write() as session:
                service.reset_password(session, SYSTEM, account_id=ann.id, version=ann.version)

        def sign_in() -> None:
            with contextlib.suppress(NotAuthenticated):
                raws.append(redeem(any_database, ticket))

        with any_database.write() as session:
            repository.get_account_locked(session, ann.id)
            threads = [threading.Thread(target=run) for run in (reset, sign_in)]
            for thread in threads if reset_first else reversed(threads):
                thread.start()
                wait_until_blocked(any_database, thread)  # both wait for the account
        for thread in threads:
            thread.join(60)
        with any_database.read() as session:
            assert [sessions.actor_for(session, raw) for raw in raws] == [None] * len(raws)

    def test_of_many_redemptions_at_one_instant_one_wins(self, any_database: Database) -> None:
        with any_database.write() as session:
            ann = service.add_account(
                session, SYSTEM, name="ann", role=Role.VIEWER, stored="no password"
            )
        ticket, won, lost = issue(any_database, ann.id), [], []

        def run() -> None:
            try:
                won.append(redeem(any_database, ticket))
            except NotAuthenticated:
                lost.append(1)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 5)


class TestIssue:
    def test_a_browser_without_cookies_is_told(
        self, database: Database, add_account: AddAccount
    ) -> None:
        with pytest.raises(NotAuthenticated, match="Allow cookies"):
            issue(database, add_account().id, browser="")

    def test_only_hashes_are_stored(self, database: Database, add_account: AddAccount) -> None:
        raw = issue(database, add_account().id, browser="the-nonce")
        with database.read() as session:
            row = session.scalars(select(SignInTicket)).one()
        assert raw not in str(vars(row))
        assert "the-nonce" not in str(vars(row))

    def test_old_tickets_are_cleared_away(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        ann = add_account()
        issue(database, ann.id)
        move_clock(timedelta(minutes=2))
        issue(database, ann.id)
        with database.read() as session:
            assert len(session.scalars(select(SignInTicket)).all()) == 1
