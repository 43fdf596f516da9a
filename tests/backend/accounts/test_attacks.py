"""What somebody tries who has a password, a session or a code, and not all that is asked for."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from sqlalchemy import select

from backend.accounts import (
    emergency,
    own_password,
    passwords,
    second_factor,
    service,
    sessions,
    sign_in,
    step_up,
)
from backend.accounts.own_password import ChangedWhileAsked, WrongPassword
from backend.accounts.schemas import AccountView
from backend.core import clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database, WriteSession
from backend.core.errors import Conflict, NotAuthenticated, PortalError, TooManyAttempts
from backend.models.accounts import SecondFactor
from tests.backend.accounts.conftest import PASSWORD, AddAccount, MoveClock
from tests.backend.accounts.test_second_factor import STEP, code_of, password_passed, set_up
from tests.backend.accounts.test_step_up import in_browser

NEW = "another fine pass phrase"


def at_once(*functions: Callable[[], Any]) -> list[Any]:
    """What each answers or raises when all are called at the same instant."""
    start, found = threading.Barrier(len(functions)), [None] * len(functions)

    def run(place: int, function: Callable[[], Any]) -> None:
        start.wait()
        try:
            found[place] = function()
        except PortalError as exc:
            found[place] = exc

    threads = [threading.Thread(target=run, args=each) for each in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def kinds(found: list[Any]) -> list[str]:
    return sorted(type(each).__name__ for each in found)


@pytest.fixture
def ann(any_database: Database) -> AccountView:
    with any_database.write() as session:
        return service.create(session, SYSTEM, name="ann", role=Role.STEWARD, password=PASSWORD)


class TestOneCodeAtOnce:
    """On each kind of state database: of two with one code, exactly one comes in."""

    @pytest.mark.parametrize("which", ["code", "recovery code"])
    def test_at_two_sign_ins(
        self, any_database: Database, ann: AccountView, move_clock: MoveClock, which: str
    ) -> None:
        secret, recovery = set_up(any_database, ann)
        move_clock(2 * STEP)
        code = code_of(secret) if which == "code" else recovery[0]
        half_way = [password_passed(any_database) for _ in range(3)]
        found = at_once(
            *(
                lambda at=at, each=each: sign_in.enter_code(
                    any_database, each, code=code, address=f"10.0.{at}.1"
                )
                for at, each in enumerate(half_way)
            )
        )
        assert kinds(found) == ["Actor", "NotAuthenticated", "NotAuthenticated"]
        assert {str(each) for each in found if not isinstance(each, Actor)} == {sign_in.WRONG_CODE}
        if which == "recovery code":
            with any_database.read() as session:
                row = session.scalars(select(SecondFactor)).one()
                assert len(json.loads(row.recovery_hashes)) == 9

    def test_at_a_sign_in_and_a_step_up(
        self, any_database: Database, ann: AccountView, move_clock: MoveClock
    ) -> None:
        secret, _ = set_up(any_database, ann)
        actor, half_way = in_browser(any_database, ann.id), password_passed(any_database)
        move_clock(timedelta(hours=1))
        half_way = password_passed(any_database)
        code = code_of(secret)
        found = at_once(
            lambda: sign_in.enter_code(any_database, half_way, code=code, address="10.0.0.1"),
            lambda: step_up.prove(any_database, actor, proof=code),
        )
        assert sum(isinstance(each, NotAuthenticated) for each in found) == 1
        with any_database.read() as session:
            assert step_up.is_proven(session, actor) is (found[1] is None)


class TestGuessingCodes:
    def test_from_many_addresses_for_a_day_gets_few_tries(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        """Each minute with the right password from a new address. Of a million codes three fit."""
        set_up(database, add_account())
        tried = 0
        for minute in range(24 * 60):
            move_clock(timedelta(minutes=1))
            half_way = sign_in.HalfWay(1, "ann", _changed_at(database), clock.now())
            with contextlib.suppress(TooManyAttempts):
                with pytest.raises(NotAuthenticated):
                    address = f"10.{minute // 250}.{minute % 250}.1"
                    sign_in.enter_code(database, half_way, code="none", address=address)
                tried += 1
        assert 5 < tried < 45

    def test_who_pauses_gains_nothing(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        set_up(database, add_account())
        for _ in range(5):
            with pytest.raises(NotAuthenticated):
                _guess(database)
        move_clock(timedelta(hours=2))
        with pytest.raises(NotAuthenticated):
            _guess(database)  # the wait is over, and the next one is longer
        with pytest.raises(TooManyAttempts, match="Wait 10 seconds"):
            _guess(database)

    def test_one_that_was_begun_and_left_is_not_turned_on_by_guessing(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        """Whoever guesses it would be shown the recovery codes."""
        actor = in_browser(database, add_account().id)
        with database.write() as session:
            secret = second_factor.begin(session, actor).secret
        for _ in range(5):
            with pytest.raises(second_factor.WrongCode):
                second_factor.confirm(database, actor, code="none")
        with pytest.raises(TooManyAttempts):
            second_factor.confirm(database, actor, code=code_of(secret))
        move_clock(second_factor.SET_UP + timedelta(seconds=1))
        with pytest.raises(Conflict, match="Begin again"):
            second_factor.confirm(database, actor, code=code_of(secret))

    def test_codes_of_an_app_that_was_taken_off_open_nothing(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        view = add_account()
        old, old_recovery = set_up(database, view)
        actor = in_browser(database, view.id)
        with database.write() as session:
            second_factor.turn_off(session, actor)
        new, _ = set_up(database, view)
        move_clock(5 * STEP)
        for code in (code_of(old), old_recovery[0]):
            if code != code_of(new):
                with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
                    _guess(database, code)
                with pytest.raises(NotAuthenticated, match="The code is wrong"):
                    step_up.prove(database, actor, proof=code)


def _guess(database: Database, code: str = "none") -> Actor:
    half_way = password_passed(database)
    return sign_in.enter_code(database, half_way, code=code, address="10.0.0.1")


def _changed_at(database: Database) -> Any:
    from backend.models.accounts import Account

    with database.read() as session:
        return session.scalars(select(Account.password_changed_at)).first()


class TestStepUp:
    def test_nothing_is_proven_in_a_session_that_ended(
        self, database: Database, add_account: AddAccount
    ) -> None:
        actor = in_browser(database, add_account().id)
        with database.write() as session:
            assert step_up.is_proven(session, actor)
            sessions.end(session, actor, session_id=actor.session_id or 0)
            assert not step_up.is_proven(session, actor)
        with pytest.raises(NotAuthenticated, match="The password is wrong"):
            step_up.prove(database, actor, proof=PASSWORD)

    def test_a_session_of_somebody_else_proves_nothing(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        ann, ben = add_account("ann"), add_account("ben", Role.ADMIN)
        hers = in_browser(database, ann.id)
        forged = Actor(ben.id, ben.name, ben.role, "user", session_id=hers.session_id)
        with database.read() as session:
            assert step_up.is_proven(session, hers)
            assert not step_up.is_proven(session, forged)
            with pytest.raises(step_up.NotFresh):
                step_up.require(session, forged)
        move_clock(step_up.lifetime() + timedelta(seconds=1))
        with pytest.raises(NotAuthenticated):
            step_up.prove(database, forged, proof=PASSWORD)
        with database.read() as session:
            assert not step_up.is_proven(session, hers)

    def test_a_proof_is_of_one_browser(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        view = add_account()
        one, other = in_browser(database, view.id), in_browser(database, view.id)
        move_clock(step_up.lifetime() + timedelta(seconds=1))
        step_up.prove(database, one, proof=PASSWORD)
        with database.read() as session:
            assert step_up.is_proven(session, one)
            assert not step_up.is_proven(session, other)


class TestPasswords:
    def test_of_two_changes_at_once_one_wins(
        self, any_database: Database, ann: AccountView
    ) -> None:
        actors = [in_browser(any_database, ann.id) for _ in range(2)]
        found = at_once(
            *(
                lambda actor=actor, new=f"{NEW} {at}": own_password.change(
                    any_database,
                    actor,
                    current=PASSWORD,
                    new=new,
                    session_id=actor.session_id or 0,
                )
                for at, actor in enumerate(actors)
            )
        )
        (won,) = [at for at, each in enumerate(found) if each == 1]
        assert isinstance(found[1 - won], (ChangedWhileAsked, WrongPassword))
        opened = sign_in.authenticate(
            any_database, name="ann", password=f"{NEW} {won}", address="10.0.0.1"
        )
        assert opened.id == ann.id
        with any_database.read() as session:
            left = sessions.list_live(session, SYSTEM, account_id=ann.id)
        assert [each.id for each in left] == [actors[won].session_id]

    def test_one_that_was_reset_while_it_was_looked_at_is_not_changed(
        self, database: Database, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        view = add_account()
        actor, verify, given = in_browser(database, view.id), passwords.verify, []

        def meanwhile(password: str, stored: str | None) -> bool:
            with database.write() as session:
                reset = service.reset_password(
                    session, SYSTEM, account_id=view.id, version=view.version
                )
            given.append(reset.raw)
            return verify(password, stored)

        with monkeypatch.context() as patch:
            patch.setattr(passwords, "verify", meanwhile)
            with pytest.raises(ChangedWhileAsked):
                own_password.change(
                    database, actor, current=PASSWORD, new=NEW, session_id=actor.session_id or 0
                )
        assert sign_in.authenticate(database, name="ann", password=given[0], address="")


class TestNobodyWaitsForBcrypt:
    """SQLite has one writer: while a password is hashed or looked at, others can write."""

    @pytest.fixture
    def watched(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        done: list[str] = []
        path = database.engine.url.database or ""

        def watch(name: str) -> None:
            plain = getattr(passwords, name)

            def watching(*arguments: Any) -> Any:
                other = sqlite3.connect(path, timeout=0, isolation_level=None)
                with contextlib.closing(other):
                    other.execute("BEGIN IMMEDIATE")  # raises while somebody else may write
                    other.execute("ROLLBACK")
                done.append(name)
                return plain(*arguments)

            monkeypatch.setattr(passwords, name, watching)

        watch("hash_password")
        watch("verify")
        return done

    @pytest.mark.parametrize(
        ("act", "expected"),
        [
            (
                lambda s, a: service.create(s, a, name="eve", role="viewer", password=NEW),
                ["hash_password"],
            ),
            (
                lambda s, a: service.create_for(s, a, name="eve", role="viewer", password=""),
                ["hash_password"],
            ),
            (
                lambda s, a: service.reset_password(s, a, account_id=a.id, version=1),
                ["hash_password"],
            ),
        ],
    )
    def test_at_what_an_admin_does(
        self,
        database: Database,
        add_account: AddAccount,
        watched: list[str],
        act: Callable[[WriteSession, Actor], object],
        expected: list[str],
    ) -> None:
        admin = in_browser(database, add_account("root", Role.ADMIN).id)
        watched.clear()
        with database.write() as session:
            act(session, admin)
        assert watched == expected

    def test_at_a_break_glass_account(self, database: Database, watched: list[str]) -> None:
        cli = Actor(0, "cli:ann", Role.ADMIN, "cli")
        with database.write() as session:
            emergency.open_account(session, cli, name="glass")
        assert watched == ["hash_password"]

    def test_at_ones_own(
        self, database: Database, add_account: AddAccount, watched: list[str]
    ) -> None:
        actor = in_browser(database, add_account().id)
        watched.clear()
        number = actor.session_id or 0
        own_password.change(database, actor, current=PASSWORD, new=NEW, session_id=number)
        sign_in.authenticate(database, name="ann", password=NEW, address="")
        step_up.prove(database, actor, proof=NEW)
        assert watched == ["verify", "hash_password", "verify", "verify"]


def test_a_secret_of_somebody_elses_row_is_not_read(
    database: Database, add_account: AddAccount, move_clock: MoveClock
) -> None:
    """A ciphertext copied to another account's row: the binding refuses it."""
    ann, ben = add_account("ann"), add_account("ben")
    secret, _ = set_up(database, ann)
    set_up(database, ben)
    with database.write() as session:
        rows = {row.account_id: row for row in session.scalars(select(SecondFactor))}
        rows[ben.id].ciphertext = rows[ann.id].ciphertext
    move_clock(3 * STEP)
    with pytest.raises(PortalError) as refused:
        sign_in.enter_code(
            database,
            password_passed(database, "ben"),
            code=pyotp.TOTP(secret).at(clock.now()),
            address="10.0.0.1",
        )
    assert not isinstance(refused.value, NotAuthenticated)
