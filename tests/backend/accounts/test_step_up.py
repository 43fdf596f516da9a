"""Dangerous acts need a fresh proof from a browser, and from nobody else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from backend.accounts import api_tokens, audit_log, service, sessions, sign_in, step_up
from backend.accounts.audit_log import AuditFilter
from backend.accounts.step_up import NotFresh
from backend.connections import environments
from backend.connections import service as connections
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database, WriteSession
from backend.core.errors import InvalidInput, NotAuthenticated, TooManyAttempts
from backend.mounts import targets
from backend.sandbox import control
from tests.backend.accounts.conftest import PASSWORD, AddAccount, MoveClock
from tests.backend.accounts.test_second_factor import STEP, code_of, enter, set_up

Act = Callable[[WriteSession, Actor], object]


def in_browser(database: Database, account_id: int) -> Actor:
    """The account as it acts in a browser that it has just signed in with."""
    with database.write() as session:
        raw = sessions.open_session(session, account_id=account_id, address="", user_agent="")
    with database.read() as session:
        found = sessions.actor_for(session, raw)
    assert found is not None
    assert found.actor.session_id == found.session_id
    return found.actor


@pytest.fixture
def admin(database: Database, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setenv("DMS_DB_URL", "mysql+pymysql://reader@ledger.example.org/dms")
    with database.write() as session:
        environments.add(session, SYSTEM, name="prod")
    return in_browser(database, add_account("ann", Role.ADMIN).id)


def _connection(session: WriteSession, actor: Actor) -> object:
    return connections.save(
        session,
        actor,
        environment="prod",
        kind="datahub",
        settings={"server": "http://datahub.example.org:8080"},
        secrets_in={"token": "a token"},
    )


def _target(session: WriteSession, actor: Actor) -> object:
    return targets.save(
        session,
        actor,
        environment="prod",
        target_id="t1",
        type="s3",
        mount_path="/mnt/t1",
        secret_ref="a reference",
    )


def _token(session: WriteSession, actor: Actor) -> object:
    return api_tokens.add(session, actor, name="nightly", role=Role.VIEWER)


def _account(session: WriteSession, actor: Actor) -> object:
    return service.create(session, actor, name="eve", role=Role.ADMIN, password=PASSWORD)


ACTS = [_connection, _target, _token, _account]


class TestRequire:
    @pytest.mark.parametrize("act", ACTS)
    def test_an_old_sign_in_is_asked_once_more(
        self, database: Database, admin: Actor, move_clock: MoveClock, act: Act
    ) -> None:
        move_clock(timedelta(minutes=16))
        with pytest.raises(NotFresh, match="last 15 minutes"), database.write() as session:
            act(session, admin)
        step_up.prove(database, admin, proof=PASSWORD)
        with database.write() as session:
            assert act(session, admin)

    @pytest.mark.parametrize("act", ACTS)
    def test_a_command_and_a_program_are_not(
        self, database: Database, admin: Actor, move_clock: MoveClock, act: Act
    ) -> None:
        move_clock(timedelta(minutes=16))
        with database.write() as session:
            assert act(session, replace(admin, session_id=None, kind="cli"))

    def test_roles_passwords_and_factors_of_others(
        self, database: Database, admin: Actor, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        ben = add_account("ben")
        set_up(database, ben)
        move_clock(timedelta(minutes=16))
        named = {"account_id": ben.id, "version": ben.version}
        acts: list[Callable[[WriteSession], object]] = [
            lambda s: service.set_role(s, admin, role=Role.ADMIN, **named),
            lambda s: service.reset_password(s, admin, **named),
            lambda s: service.reset_second_factor(s, admin, **named),
            lambda s: service.set_disabled(s, admin, disabled=False, **named),
        ]
        for act in acts:
            with pytest.raises(NotFresh), database.write() as session:
                act(session)
        with database.write() as session:  # taking rights away must never wait
            service.set_disabled(session, admin, disabled=True, **named)

    def test_leaving_the_sandbox(
        self, database: Database, admin: Actor, move_clock: MoveClock
    ) -> None:
        move_clock(timedelta(minutes=16))
        with pytest.raises(NotFresh):
            control.leave(database, admin)

    def test_settings_without_secrets_need_none(
        self, database: Database, admin: Actor, move_clock: MoveClock
    ) -> None:
        with database.write() as session:
            _connection(session, admin)
        move_clock(timedelta(minutes=16))
        with database.write() as session:
            connections.save(
                session, admin, environment="prod", kind="datahub", settings={"timeout": "20"}
            )

    def test_the_proof_belongs_to_one_browser(
        self, database: Database, admin: Actor, move_clock: MoveClock
    ) -> None:
        move_clock(timedelta(minutes=16))
        other = in_browser(database, admin.id)
        with pytest.raises(NotFresh), database.write() as session:
            _token(session, admin)
        with database.write() as session:
            _token(session, other)

    def test_a_session_that_ended_proves_nothing(self, database: Database, admin: Actor) -> None:
        assert admin.session_id is not None
        with database.write() as session:
            sessions.end(session, admin, session_id=admin.session_id)
        with pytest.raises(NotFresh), database.write() as session:
            _token(session, admin)


class TestProve:
    def test_a_wrong_password_proves_nothing_and_waits(
        self, database: Database, admin: Actor, move_clock: MoveClock
    ) -> None:
        move_clock(timedelta(minutes=16))
        for _ in range(5):
            with pytest.raises(NotAuthenticated, match="The password is wrong"):
                step_up.prove(database, admin, proof="wrong")
        with pytest.raises(TooManyAttempts):
            step_up.prove(database, admin, proof=PASSWORD)
        with pytest.raises(NotFresh), database.write() as session:
            _token(session, admin)

    def test_with_a_second_factor_it_is_the_code(
        self, database: Database, admin: Actor, move_clock: MoveClock, add_account: AddAccount
    ) -> None:
        with database.read() as session:
            secret, _ = set_up(database, service.get_by_name(session, SYSTEM, name="ann"))
        move_clock(timedelta(minutes=16))
        with pytest.raises(NotAuthenticated, match="The code is wrong"):
            step_up.prove(database, admin, proof=PASSWORD)
        move_clock(STEP)
        code = code_of(secret)
        step_up.prove(database, admin, proof=code)
        with database.write() as session:
            _token(session, admin)
        with pytest.raises(NotAuthenticated, match="The code is wrong"):
            step_up.prove(database, admin, proof=code)
        with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
            enter(database, code)  # nor does it sign in

    def test_it_is_written_down(self, database: Database, admin: Actor) -> None:
        with pytest.raises(NotAuthenticated):
            step_up.prove(database, admin, proof="wrong")
        step_up.prove(database, admin, proof=PASSWORD)
        with database.read() as session:
            rows = audit_log.list_events(
                session, SYSTEM, filters=AuditFilter(action=step_up.ACTION)
            ).items
        assert [row.outcome for row in rows] == ["succeeded", "refused"]

    def test_only_from_a_browser(self, database: Database, admin: Actor) -> None:
        with pytest.raises(InvalidInput):
            step_up.prove(database, replace(admin, session_id=None), proof=PASSWORD)

    def test_who_has_no_password_here_signs_in_there(self, database: Database) -> None:
        with database.write() as session:
            view = service.add_account(session, SYSTEM, name="eve", role=Role.ADMIN, stored=None)
        eve = in_browser(database, view.id)
        with database.read() as session:
            assert step_up.way(session, eve) == "identity provider"
        with pytest.raises(InvalidInput, match="identity provider again"):
            step_up.prove(database, eve, proof="")


def test_a_person_is_who_they_are_in_any_browser(admin: Actor) -> None:
    assert admin == replace(admin, session_id=None)
