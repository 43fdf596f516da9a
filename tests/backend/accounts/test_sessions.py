"""Server-side sessions: every way one begins, counts and ends."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from backend.accounts import service, sessions, tasks, tokens
from backend.accounts.schemas import AccountView, SignedIn
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import NotFound, NotPermitted
from backend.models.accounts import AccountSession
from tests.backend.accounts.conftest import AddAccount, MoveClock


def begin(database: Database, account: AccountView) -> str:
    with database.write() as session:
        return sessions.open_session(
            session, account_id=account.id, address="10.0.0.1", user_agent="Firefox"
        )


def who(database: Database, raw: str, *, active: bool = True) -> SignedIn | None:
    with database.read() as session:
        return sessions.actor_for(session, raw, active=active)


def rows(database: Database) -> list[AccountSession]:
    with database.read() as session:
        return list(session.scalars(select(AccountSession).order_by(AccountSession.id)))


def as_actor(account: AccountView) -> Actor:
    return Actor(id=account.id, name=account.name, role=account.role, kind="user")


class TestOpenSession:
    def test_every_sign_in_gets_a_new_token_of_256_bits(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        made = {begin(database, ann) for _ in range(20)}
        assert len(made) == 20
        assert all(len(raw) >= 43 for raw in made)

    def test_only_the_hash_is_stored(self, database: Database, add_account: AddAccount) -> None:
        raw = begin(database, add_account())
        (row,) = rows(database)
        assert row.token_hash == tokens.hashed(raw)
        assert raw not in str(vars(row))

    def test_a_long_user_agent_is_cut_not_refused(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        with database.write() as session:
            sessions.open_session(
                session, account_id=ann.id, address="f" * 500, user_agent="x" * 9_000
            )
        assert len(rows(database)[0].user_agent) == 300


class TestActorFor:
    def test_answers_the_role_of_now(self, database: Database, add_account: AddAccount) -> None:
        ann = add_account("ann", Role.STEWARD)
        raw = begin(database, ann)
        signed_in = who(database, raw)
        assert signed_in is not None
        assert signed_in.actor == as_actor(ann)
        with database.write() as session:
            service.set_role(session, SYSTEM, account_id=ann.id, role="viewer", version=ann.version)
        after = who(database, raw)
        assert after is not None
        assert after.actor.role is Role.VIEWER

    def test_ends_after_two_idle_hours(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        raw = begin(database, add_account())
        move_clock(sessions.IDLE_TIMEOUT + timedelta(seconds=1))
        assert who(database, raw) is None

    def test_activity_keeps_it_until_the_absolute_end(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        raw = begin(database, add_account())
        for _ in range(11):
            move_clock(timedelta(hours=1))
            assert who(database, raw) is not None
        move_clock(timedelta(hours=1))
        assert who(database, raw) is None

    def test_a_page_that_only_refreshes_itself_is_no_activity(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        raw = begin(database, add_account())
        for _ in range(4):
            move_clock(timedelta(minutes=31))
            last = who(database, raw, active=False)
        assert last is None

    def test_writes_the_last_seen_time_once_a_minute_at_most(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        raw = begin(database, add_account())
        seen = []
        for step in (10, 30, 30, 10):
            move_clock(timedelta(seconds=step))
            who(database, raw)
            seen.append(rows(database)[0].last_seen_at)
        assert seen[0] == seen[1]
        assert seen[1] < seen[2]
        assert seen[2] == seen[3]

    def test_works_inside_a_unit_of_work_that_writes(
        self, any_database: Database, move_clock: MoveClock
    ) -> None:
        with any_database.write() as session:
            ann = service.add_account(
                session, SYSTEM, name="ann", role=Role.VIEWER, stored="no password"
            )
            raw = sessions.open_session(session, account_id=ann.id, address="", user_agent="")
        move_clock(timedelta(minutes=5))
        with any_database.write() as session:
            assert sessions.actor_for(session, raw) is not None
        assert rows(any_database)[0].last_seen_at > rows(any_database)[0].created_at

    def test_a_disabled_account_is_out_at_once(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        raw = begin(database, ann)
        with database.write() as session:
            session.execute(update(AccountSession).values(ended_at=None))
            service.set_disabled(
                session, SYSTEM, account_id=ann.id, disabled=True, version=ann.version
            )
            session.execute(update(AccountSession).values(ended_at=None))
        assert who(database, raw) is None

    @settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.text(max_size=100))
    def test_no_made_up_cookie_opens_anything(self, database: Database, raw: str) -> None:
        assert who(database, raw) is None

    def test_the_stored_hash_itself_is_no_key(
        self, database: Database, add_account: AddAccount
    ) -> None:
        begin(database, add_account())
        assert who(database, rows(database)[0].token_hash) is None


class TestEnd:
    def test_a_signed_out_cookie_cannot_be_replayed(
        self, database: Database, add_account: AddAccount
    ) -> None:
        raw = begin(database, add_account())
        with database.write() as session:
            assert sessions.sign_out(session, raw)
        assert who(database, raw) is None
        with database.write() as session:
            assert not sessions.sign_out(session, raw)

    def test_an_admin_ends_anybodys_and_others_only_their_own(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann, ben, root = add_account("ann"), add_account("ben"), add_account("root", Role.ADMIN)
        first, second = begin(database, ann), begin(database, ann)
        one, two = (row.id for row in rows(database))
        with pytest.raises(NotPermitted), database.write() as session:
            sessions.end(session, as_actor(ben), session_id=one)
        with database.write() as session:
            sessions.end(session, as_actor(ann), session_id=one)
        with database.write() as session:
            sessions.end(session, as_actor(root), session_id=two)
        assert who(database, first) is None
        assert who(database, second) is None

    def test_strangers_cannot_find_out_which_sessions_there_are(
        self, database: Database, add_account: AddAccount
    ) -> None:
        with pytest.raises(NotPermitted), database.write() as session:
            sessions.end(session, as_actor(add_account("ben")), session_id=12345)

    def test_an_unknown_session_is_not_found(
        self, database: Database, add_account: AddAccount
    ) -> None:
        with pytest.raises(NotFound), database.write() as session:
            sessions.end(session, as_actor(add_account("root", Role.ADMIN)), session_id=12345)


class TestListLive:
    def test_lists_ones_own_and_for_an_admin_everybodys(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann, ben, root = add_account("ann"), add_account("ben"), add_account("root", Role.ADMIN)
        for account in (ann, ann, ben):
            begin(database, account)
        with database.read() as session:
            assert len(sessions.list_live(session, as_actor(ann), account_id=ann.id)) == 2
            assert len(sessions.list_live(session, as_actor(root))) == 3
            with pytest.raises(NotPermitted, match=r"\(accounts:account:read\)"):
                sessions.list_live(session, as_actor(ann), account_id=ben.id)
            with pytest.raises(NotPermitted, match=r"\(accounts:account:read\)"):
                sessions.list_live(session, as_actor(ann))

    def test_an_api_token_with_the_same_number_is_somebody_else(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        token = Actor(id=ann.id, name="ci", role=Role.VIEWER, kind="api_token")
        with pytest.raises(NotPermitted), database.read() as session:
            sessions.list_live(session, token, account_id=ann.id)


class TestCleanUp:
    def test_forgets_sessions_a_month_after_their_end(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        begin(database, add_account())
        tasks.clean_up(database)
        assert len(rows(database)) == 1
        move_clock(sessions.KEEP_ENDED + timedelta(days=1))
        tasks.clean_up(database)
        assert rows(database) == []
