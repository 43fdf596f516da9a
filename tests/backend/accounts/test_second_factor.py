"""The second factor: set up, asked for at sign-in, used up, reset; and who must have one."""

import json
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select

from backend.accounts import own_password, second_factor, service, sessions, sign_in, totp
from backend.accounts.schemas import AccountView
from backend.core import clock, secret_rotation, secret_store
from backend.core.access import SYSTEM, Actor, Role
from backend.core.crypto import Vault
from backend.core.database import Database
from backend.core.errors import (
    Conflict,
    InvalidInput,
    NotAuthenticated,
    NotPermitted,
    TooManyAttempts,
)
from backend.core.settings import Settings
from backend.models.accounts import SecondFactor
from tests.backend.accounts.conftest import PASSWORD, AddAccount, MoveClock

STEP = timedelta(seconds=30)


def person(view: AccountView) -> Actor:
    return Actor(view.id, view.name, view.role, "user")


def code_of(secret: str, *, steps: int = 0) -> str:
    """What an app shows now, or so many time steps later."""
    return pyotp.TOTP(secret).at(int(clock.now().timestamp()), counter_offset=steps)


def set_up(database: Database, view: AccountView) -> tuple[str, list[str]]:
    """The app's secret and the recovery codes of a factor that is on."""
    actor = person(view)
    with database.write() as session:
        secret = second_factor.begin(session, actor).secret
    return secret, second_factor.confirm(database, actor, code=code_of(secret))


def password_passed(database: Database, name: str = "ann") -> sign_in.HalfWay:
    with pytest.raises(sign_in.CodeNeeded) as needed:
        sign_in.authenticate(database, name=name, password=PASSWORD, address="10.0.0.1")
    return needed.value.half_way


def enter(database: Database, code: str, half_way: sign_in.HalfWay | None = None) -> Actor:
    half_way = half_way or password_passed(database)
    return sign_in.enter_code(database, half_way, code=code, address="10.0.0.1")


class TestSettingUp:
    def test_what_the_qr_code_holds(self, database: Database, add_account: AddAccount) -> None:
        with database.write() as session:
            made = second_factor.begin(session, person(add_account("Ann")))
        parsed = pyotp.parse_uri(made.uri)
        assert (parsed.name, parsed.issuer) == ("Ann", "Steward Portal")
        assert parsed.secret == made.secret
        assert made.secret not in repr(made)

    def test_it_counts_from_the_first_right_code_on(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        with database.write() as session:
            secret = second_factor.begin(session, person(ann)).secret
        sign_in.authenticate(database, name="ann", password=PASSWORD, address="10.0.0.1")
        wrong = str((int(code_of(secret)) + 1) % 1_000_000).zfill(6)
        with pytest.raises(second_factor.WrongCode):
            second_factor.confirm(database, person(ann), code=wrong)
        codes = second_factor.confirm(database, person(ann), code=code_of(secret))
        assert len(set(codes)) == totp.RECOVERY_CODES
        assert password_passed(database).account_id == ann.id

    def test_nothing_is_stored_in_clear(self, database: Database, add_account: AddAccount) -> None:
        secret, codes = set_up(database, add_account())
        with database.read() as session:
            row = session.scalars(select(SecondFactor)).one()
            stored = f"{row.ciphertext} {row.recovery_hashes}"
        assert not [word for word in (secret, *codes) if word in stored]

    def test_another_app_replaces_it_only_once_it_is_confirmed(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        ann = add_account()
        old, _ = set_up(database, ann)
        with database.write() as session:
            new = second_factor.begin(session, person(ann)).secret
        move_clock(STEP)
        assert enter(database, code_of(old)).id == ann.id
        second_factor.confirm(database, person(ann), code=code_of(new))
        move_clock(2 * STEP)
        with pytest.raises(NotAuthenticated, match="The code is wrong"):
            enter(database, code_of(old))
        assert enter(database, code_of(new)).id == ann.id

    def test_it_is_a_persons_with_a_password_here(self, database: Database) -> None:
        program = Actor(3, "nightly", Role.ADMIN, "api_token")
        with pytest.raises(InvalidInput, match="Only a person"), database.write() as session:
            second_factor.begin(session, program)
        with database.write() as session:
            external = service.add_account(
                session, SYSTEM, name="eve", role=Role.VIEWER, stored=None
            )
        with pytest.raises(InvalidInput, match="identity provider"), database.write() as session:
            second_factor.begin(session, person(external))


class TestSignIn:
    def test_the_code_opens_and_serves_once(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        ann = add_account()
        secret, _ = set_up(database, ann)
        with database.read() as session:
            typed = session.scalars(select(SecondFactor.last_step)).one()
        with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
            enter(database, pyotp.HOTP(secret).at(typed))  # at the set-up
        move_clock(STEP)
        code = code_of(secret)
        assert enter(database, f"{code[:3]} {code[3:]}") == person(ann)
        with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
            enter(database, code)

    @pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (1, True), (2, False)])
    def test_clocks_may_differ_by_one_step(
        self,
        database: Database,
        add_account: AddAccount,
        move_clock: MoveClock,
        steps: int,
        fits: bool,
    ) -> None:
        secret, _ = set_up(database, add_account())
        move_clock(10 * STEP)
        # Both must be of one and the same step, also when the test runs at the end of one.
        move_clock(timedelta(seconds=10 - int(clock.now().timestamp()) % 30))
        code = code_of(secret, steps=steps)
        if fits:
            assert enter(database, code).name == "ann"
        else:
            with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
                enter(database, code)

    def test_an_older_code_than_the_last_is_refused(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        secret, _ = set_up(database, add_account())
        move_clock(10 * STEP)
        move_clock(timedelta(seconds=10 - int(clock.now().timestamp()) % 30))
        enter(database, code_of(secret))
        with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
            enter(database, code_of(secret, steps=-1))

    def test_a_recovery_code_serves_once(self, database: Database, add_account: AddAccount) -> None:
        ann = add_account()
        _, codes = set_up(database, ann)
        assert enter(database, codes[0].upper().replace("-", " ")).id == ann.id
        with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
            enter(database, codes[0])
        with database.read() as session:
            assert second_factor.status(session, person(ann)).recovery_codes_left == 9

    def test_new_recovery_codes_end_the_old_ones(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        _, old = set_up(database, ann)
        with database.write() as session:
            new = second_factor.renew_recovery_codes(session, person(ann))
        with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
            enter(database, old[0])
        assert enter(database, new[0]).id == ann.id

    @pytest.mark.parametrize("code", ["", "12345", "1234567", "０００００", "\ud800", "x" * 9_000])
    def test_nonsense_is_a_wrong_code(
        self, database: Database, add_account: AddAccount, code: str
    ) -> None:
        set_up(database, add_account())
        with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
            enter(database, code)

    def test_guessing_waits_and_the_right_password_does_not_help(
        self, database: Database, add_account: AddAccount
    ) -> None:
        set_up(database, add_account())
        for _ in range(5):
            with pytest.raises(NotAuthenticated, match=sign_in.WRONG_CODE):
                enter(database, "none")
        with pytest.raises(TooManyAttempts, match="Too many tries"):
            enter(database, "none", password_passed(database))

    def test_the_password_holds_for_five_minutes_and_while_it_is_the_one(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        ann = add_account()
        secret, _ = set_up(database, ann)
        half_way = password_passed(database)
        move_clock(timedelta(minutes=5, seconds=1))
        with pytest.raises(NotAuthenticated, match="came too late"):
            enter(database, code_of(secret), half_way)
        half_way = password_passed(database)
        own_password.change(
            database, person(ann), current=PASSWORD, new="another long one", session_id=0
        )
        with pytest.raises(NotAuthenticated, match="came too late"):
            enter(database, code_of(secret), half_way)

    def test_a_disabled_account_stays_out(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        ann = add_account()
        secret, _ = set_up(database, ann)
        half_way = password_passed(database)
        with database.write() as session:
            service.set_disabled(
                session, SYSTEM, account_id=ann.id, disabled=True, version=ann.version
            )
        move_clock(STEP)
        with pytest.raises(NotAuthenticated, match="came too late"):
            enter(database, code_of(secret), half_way)


class TestEnforcement:
    @pytest.fixture(autouse=True)
    def _admins_must(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = Settings(second_factor_roles=("admin",))
        monkeypatch.setattr(second_factor, "get_settings", lambda: made)

    def _signed_in(self, database: Database, view: AccountView) -> bool:
        with database.write() as session:
            raw = sessions.open_session(session, account_id=view.id, address="", user_agent="")
        with database.read() as session:
            found = sessions.actor_for(session, raw)
        assert found is not None
        return found.must_add_factor

    def test_the_role_must_have_one(self, database: Database, add_account: AddAccount) -> None:
        admin, steward = add_account("ann", Role.ADMIN), add_account("ben", Role.STEWARD)
        assert self._signed_in(database, admin)
        assert not self._signed_in(database, steward)
        set_up(database, admin)
        assert not self._signed_in(database, admin)

    def test_it_cannot_be_turned_off(self, database: Database, add_account: AddAccount) -> None:
        admin, steward = add_account("ann", Role.ADMIN), add_account("ben", Role.STEWARD)
        set_up(database, admin)
        set_up(database, steward)
        with pytest.raises(Conflict, match="must have a sec"), database.write() as session:
            second_factor.turn_off(session, person(admin))
        with database.write() as session:
            assert second_factor.turn_off(session, person(steward))
        assert sign_in.authenticate(database, name="ben", password=PASSWORD, address="").id


class TestReset:
    def test_an_admin_removes_it_and_ends_the_sessions(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account()
        set_up(database, ann)
        with database.write() as session:
            raw = sessions.open_session(session, account_id=ann.id, address="", user_agent="")
        with database.read() as session:
            assert service.get_by_name(session, SYSTEM, name="ann").second_factor
        with database.write() as session:
            view = service.reset_second_factor(
                session, SYSTEM, account_id=ann.id, version=ann.version
            )
        with database.read() as session:
            assert sessions.actor_for(session, raw) is None
        assert sign_in.authenticate(database, name="ann", password=PASSWORD, address="").id
        with pytest.raises(Conflict, match="has no second factor"), database.write() as session:
            service.reset_second_factor(session, SYSTEM, account_id=ann.id, version=view.version)

    def test_nobody_else_does(self, database: Database, add_account: AddAccount) -> None:
        ann = add_account()
        with pytest.raises(NotPermitted), database.write() as session:
            service.reset_second_factor(
                session, person(ann), account_id=ann.id, version=ann.version
            )


def test_it_rotates_with_the_other_secrets(
    database: Database,
    add_account: AddAccount,
    move_clock: MoveClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cryptography.fernet import Fernet

    ann = add_account()
    secret, _ = set_up(database, ann)
    new = Fernet.generate_key().decode()
    with database.write() as session:
        before = session.scalars(select(SecondFactor.ciphertext)).one()
        both = Vault([new, *_keys()])
        assert totp.rotate(session, both) == 1
    monkeypatch.setattr(secret_store, "get_vault", lambda: both)
    move_clock(STEP)
    with database.write() as session:
        row = session.scalars(select(SecondFactor)).one()
        assert row.ciphertext != before
        assert totp.fits(row, code_of(secret))
        assert Fernet(new).decrypt(row.ciphertext.encode())
        assert json.loads(row.recovery_hashes)
    assert "second_factors" in (secret_rotation._owners or dict)()


def _keys() -> list[str]:
    from backend.core.crypto import configured_keys
    from backend.core.settings import get_settings

    return configured_keys(get_settings().secret_keys.get_secret_value(), get_settings().data_dir)
