"""Name and password: what a refusal tells (nothing), and what is written down."""

from datetime import timedelta

import pytest

from backend.accounts import audit_log, passwords, service, sign_in
from backend.accounts.audit_log import AuditFilter, AuditRow
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import NotAuthenticated, PortalError, TooManyAttempts
from tests.backend.accounts.conftest import PASSWORD, AddAccount, MoveClock


def enter(
    database: Database, name: str, password: str = PASSWORD, address: str = "10.0.0.1"
) -> Actor:
    return sign_in.authenticate(database, name=name, password=password, address=address)


def events(database: Database) -> list[AuditRow]:
    with database.read() as session:
        wanted = AuditFilter(action=sign_in.ACTION)
        return audit_log.list_events(session, SYSTEM, filters=wanted).items


class TestAuthenticate:
    def test_the_right_password_answers_the_account_with_its_role(
        self, database: Database, add_account: AddAccount
    ) -> None:
        added = add_account("Ann", Role.STEWARD)
        actor = enter(database, "Ann")
        assert actor == Actor(id=added.id, name="Ann", role=Role.STEWARD, kind="user")
        with database.read() as session:
            assert service.get_by_name(session, SYSTEM, name="ann").last_sign_in_at is not None

    def test_a_password_that_is_replaced_while_it_is_looked_at_is_refused(
        self, database: Database, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann = add_account()
        real = passwords.verify

        def verify(password: str, stored: str | None) -> bool:
            fits = real(password, stored)
            with database.write() as session:
                service.reset_password(session, SYSTEM, account_id=ann.id, version=ann.version)
            return fits

        monkeypatch.setattr(passwords, "verify", verify)
        with pytest.raises(NotAuthenticated, match=sign_in.REFUSED):
            enter(database, "ann")
        assert [row.outcome for row in events(database)] == ["refused"]

    @pytest.mark.parametrize("typed", ["ann", "ANN", "  Ann ", "Ａnn"])
    def test_a_name_is_the_same_in_any_case_and_width(
        self, database: Database, add_account: AddAccount, typed: str
    ) -> None:
        add_account("Ann")
        assert enter(database, typed).name == "Ann"

    def test_every_refusal_says_the_same(self, database: Database, add_account: AddAccount) -> None:
        add_account("ann")
        gone = add_account("ben")
        with database.write() as session:
            service.set_disabled(
                session, SYSTEM, account_id=gone.id, disabled=True, version=gone.version
            )
        said = []
        for name, password in (
            ("ann", "wrong"),
            ("nobody", PASSWORD),
            ("ben", PASSWORD),
            ("", ""),
            ("x" * 5_000, PASSWORD),
            ("ann", PASSWORD * 20),
            ("ann'; DROP TABLE accounts; --", PASSWORD),
            ("\0\ud800", "\0\ud800"),
        ):
            with pytest.raises(NotAuthenticated) as refused:
                enter(database, name, password, address=f"10.1.{len(said)}.1")
            said.append(refused.value.message)
        assert set(said) == {sign_in.REFUSED}

    def test_every_refusal_costs_one_hash_of_the_same_cost(
        self, database: Database, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_account("ann")
        looked: list[str] = []
        real = passwords.bcrypt.checkpw

        def counted(password: bytes, stored: bytes) -> bool:
            looked.append(stored[:7].decode())
            return bool(real(password, stored))

        monkeypatch.setattr(passwords.bcrypt, "checkpw", counted)
        for name, password in (("ann", "wrong"), ("nobody", "wrong"), ("ann", "x" * 500)):
            with pytest.raises(NotAuthenticated, match=sign_in.REFUSED):
                enter(database, name, password)
        assert len(looked) == 3
        assert len(set(looked)) == 1

    def test_no_session_is_held_while_the_hash_is_computed(
        self, database: Database, add_account: AddAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_account("ann")
        real = passwords.verify

        def writes_meanwhile(password: str, stored: str | None) -> bool:
            add_account("made-meanwhile")
            return real(password, stored)

        monkeypatch.setattr(passwords, "verify", writes_meanwhile)
        assert enter(database, "ann").name == "ann"

    def test_an_account_of_the_identity_provider_has_no_password_to_guess(
        self, database: Database
    ) -> None:
        with database.write() as session:
            service.add_account(
                session, SYSTEM, name="oidc@example.org", role=Role.ADMIN, stored=None
            )
        for password in ("", "None", PASSWORD):
            with pytest.raises(NotAuthenticated, match=sign_in.REFUSED):
                enter(database, "oidc@example.org", password)


class TestBackOff:
    def test_the_right_password_is_refused_while_the_wait_is_on_and_taken_after_it(
        self, database: Database, add_account: AddAccount, move_clock: MoveClock
    ) -> None:
        add_account("ann")
        for _ in range(5):
            with pytest.raises(NotAuthenticated, match=sign_in.REFUSED):
                enter(database, "ann", "wrong")
        with pytest.raises(TooManyAttempts, match="Wait 5 seconds"):
            enter(database, "ann")
        move_clock(timedelta(seconds=6))
        assert enter(database, "ann").name == "ann"

    def test_unknown_names_wait_like_known_ones(
        self, database: Database, add_account: AddAccount
    ) -> None:
        add_account("ann")
        seen: dict[str, list[str]] = {"ann": [], "nobody": []}
        for name, kinds in seen.items():
            for _ in range(8):
                with pytest.raises(PortalError) as refused:
                    enter(database, name, "wrong", address="10.2.0.1")
                kinds.append(type(refused.value).__name__)
        assert seen["ann"] == seen["nobody"]

    def test_the_right_password_starts_the_count_again(
        self, database: Database, add_account: AddAccount
    ) -> None:
        add_account("ann")
        for _ in range(3):
            for _ in range(4):
                with pytest.raises(NotAuthenticated, match=sign_in.REFUSED):
                    enter(database, "ann", "wrong")
            assert enter(database, "ann").name == "ann"


class TestAudit:
    def test_success_and_refusal_are_written_down_with_where(
        self, database: Database, add_account: AddAccount
    ) -> None:
        add_account("ann")
        enter(database, "ann")
        with pytest.raises(NotAuthenticated, match=sign_in.REFUSED):
            enter(database, "ann", "wrong")
        refused, accepted = events(database)
        assert (accepted.actor_name, accepted.outcome) == ("ann", "succeeded")
        assert accepted.details["address"] == "10.0.0.1"
        assert (refused.actor_name, refused.subject) == ("anonymous", "account ann")
        assert refused.outcome == "refused"

    def test_what_was_typed_is_written_nowhere(
        self, database: Database, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(NotAuthenticated, match=sign_in.REFUSED):
            enter(database, "my-Secret-typed-as-name", "my-Secret-typed")
        (row,) = events(database)
        assert row.subject == "unknown account"
        assert "my-secret" not in (str(row) + "".join(capfd.readouterr())).lower()
