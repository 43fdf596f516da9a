"""What admins do with accounts, and who may."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from backend.accounts import (
    api_tokens,
    audit_log,
    own_password,
    repository,
    service,
    sessions,
    sign_in,
)
from backend.accounts.audit_log import AuditFilter
from backend.accounts.schemas import AccountView
from backend.core import access, clock
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.database import Database
from backend.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from tests.backend.accounts.conftest import PASSWORD, AddAccount

NEW = "another fine pass phrase"


def change(database: Database, function: Callable[..., Any], actor: Actor, **more: Any) -> Any:
    with database.write() as session:
        return function(session, actor, **more)


def look(database: Database, name: str) -> AccountView:
    with database.read() as session:
        return service.get_by_name(session, SYSTEM, name=name)


def signed_in_sessions(database: Database, account: AccountView, count: int) -> list[str]:
    with database.write() as session:
        return [
            sessions.open_session(session, account_id=account.id, address="", user_agent="")
            for _ in range(count)
        ]


def live(database: Database, raw: str) -> bool:
    with database.read() as session:
        return sessions.actor_for(session, raw) is not None


def as_actor(account: AccountView) -> Actor:
    return Actor(id=account.id, name=account.name, role=account.role, kind="user")


def actions_in_log(database: Database) -> list[str]:
    with database.read() as session:
        page = audit_log.list_events(session, SYSTEM, filters=AuditFilter())
    return [row.action for row in page.items]


class TestPermissions:
    """The role × action table, called directly (ASVS 8.2.1, 8.3.1)."""

    ADMIN_ONLY: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
        (service.create, {"name": "x", "role": "admin", "password": NEW}),
        (service.create_for, {"name": "x", "role": "admin", "password": ""}),
        (service.set_role, {"account_id": 1, "role": "admin", "version": 1}),
        (service.set_disabled, {"account_id": 1, "disabled": True, "version": 1}),
        (service.reset_password, {"account_id": 1, "version": 1}),
        (service.list_accounts, {}),
        (service.get_by_name, {"name": "ann"}),
        (api_tokens.add, {"name": "x", "role": "admin"}),
        (api_tokens.list_tokens, {}),
        (api_tokens.revoke, {"token_id": 1}),
        (audit_log.list_events, {"filters": AuditFilter()}),
        (audit_log.verify, {}),
        (audit_log.export_csv, {"filters": AuditFilter()}),
    )

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.STEWARD, Role.OPERATOR])
    @pytest.mark.parametrize(
        ("function", "arguments"), ADMIN_ONLY, ids=lambda v: getattr(v, "__name__", "")
    )
    def test_only_an_admin_may(
        self,
        database: Database,
        add_account: AddAccount,
        role: Role,
        function: Callable[..., Any],
        arguments: dict[str, Any],
    ) -> None:
        add_account("ann")
        with pytest.raises(NotPermitted, match=r"\((accounts|audit):"):
            change(database, function, Actor(7, "somebody", role, "user"), **arguments)
        assert look(database, "ann").version == 1

    def test_everybody_may_change_their_own_password(self) -> None:
        assert all(Permission.OWN_ACCOUNT in access.PERMISSIONS[role] for role in Role)


class TestCreate:
    def test_makes_an_account_that_can_sign_in_and_is_audited(self, database: Database) -> None:
        view = change(database, service.create, SYSTEM, name=" Ann ", role="viewer", password=NEW)
        assert (view.name, view.role, view.version) == ("Ann", Role.VIEWER, 1)
        assert sign_in.authenticate(database, name="ann", password=NEW, address="").id == view.id
        assert "accounts:account:create" in actions_in_log(database)

    @pytest.mark.parametrize("name", ["ann", "ANN", " Ann ", "Ａnn", "An\ufe0fn", "\u034fann"])
    def test_refuses_a_name_that_is_taken_in_any_case(
        self, database: Database, add_account: AddAccount, name: str
    ) -> None:
        add_account("Ann")
        with pytest.raises(service.NameTaken):
            change(database, service.create, SYSTEM, name=name, role="viewer", password=NEW)

    @pytest.mark.parametrize(
        "name", ["", "   ", "x" * 151, "ΐ" * 100, "a\nb", "a\x1b[31m", "a\0", "\ud800"]
    )
    def test_refuses_names_that_could_forge_a_line(self, database: Database, name: str) -> None:
        with pytest.raises(InvalidInput):
            change(database, service.create, SYSTEM, name=name, role="viewer", password=NEW)

    @pytest.mark.parametrize("name", ["\u0430dmin", "team of \u03bfps", "\u0410nn (2)"])
    def test_refuses_a_word_of_two_alphabets(self, database: Database, name: str) -> None:
        with pytest.raises(InvalidInput, match="mixes letters of two alphabets"):
            change(database, service.create, SYSTEM, name=name, role="viewer", password=NEW)

    @pytest.mark.parametrize("name", ["Иван (Ivan)", "\u03a9 team", "Ann Ødegård", "李雷 Li"])
    def test_takes_names_of_any_one_alphabet(self, database: Database, name: str) -> None:
        made = change(database, service.create, SYSTEM, name=name, role="viewer", password=NEW)
        assert made.name == name

    def test_refuses_an_unknown_role_naming_the_known_ones(self, database: Database) -> None:
        with pytest.raises(InvalidInput, match="viewer, steward, operator, admin"):
            change(database, service.create, SYSTEM, name="x", role="king", password=NEW)

    def test_an_empty_password_makes_a_random_one_to_be_changed(self, database: Database) -> None:
        made = change(database, service.create_for, SYSTEM, name="x", role="viewer", password="")
        assert made.account.must_change_password
        sign_in.authenticate(database, name="x", password=made.raw, address="")

    def test_two_at_the_same_instant_make_one_account(self, any_database: Database) -> None:
        outcomes: list[str] = []

        def run() -> None:
            try:
                with any_database.write() as session:
                    service.create(session, SYSTEM, name="x", role="viewer", password=NEW)
                outcomes.append("made")
            except service.NameTaken:
                outcomes.append("taken")

        in_parallel(run, run, run)
        assert sorted(outcomes) == ["made", "taken", "taken"]


class TestSetRole:
    def test_the_second_of_two_admins_is_told(
        self, database: Database, add_account: AddAccount
    ) -> None:
        seen = add_account("ann")
        change(database, service.set_role, SYSTEM, account_id=seen.id, role="viewer", version=1)
        with pytest.raises(service.ChangedMeanwhile, match="somebody else"):
            change(database, service.set_role, SYSTEM, account_id=seen.id, role="admin", version=1)
        assert look(database, "ann").role is Role.VIEWER

    def test_the_last_admin_stays(self, database: Database, add_account: AddAccount) -> None:
        root = add_account("root", Role.ADMIN)
        for function, more in (
            (service.set_role, {"role": "viewer"}),
            (service.set_disabled, {"disabled": True}),
        ):
            with pytest.raises(service.LastAdmin):
                change(database, function, SYSTEM, account_id=root.id, version=1, **more)
        assert look(database, "root").role is Role.ADMIN

    def test_a_disabled_or_external_admin_does_not_count_as_another(
        self, database: Database, add_account: AddAccount
    ) -> None:
        root, other = add_account("root", Role.ADMIN), add_account("other", Role.ADMIN)
        change(
            database, service.set_disabled, SYSTEM, account_id=other.id, disabled=True, version=1
        )
        with database.write() as session:
            service.add_account(session, SYSTEM, name="oidc", role=Role.ADMIN, stored=None)
        with pytest.raises(service.LastAdmin):
            change(database, service.set_role, SYSTEM, account_id=root.id, role="viewer", version=1)

    def test_two_admins_who_demote_one_another_leave_one(self, any_database: Database) -> None:
        with any_database.write() as session:
            one, two = (
                service.add_account(
                    session, SYSTEM, name=name, role=Role.ADMIN, stored="no password"
                )
                for name in ("one", "two")
            )
        outcomes: list[str] = []

        def demote(actor: AccountView, target: AccountView) -> Callable[[], None]:
            def run() -> None:
                try:
                    change(
                        any_database, service.set_role, as_actor(actor),
                        account_id=target.id, role="viewer", version=1,
                    )  # fmt: skip
                    outcomes.append("done")
                except service.LastAdmin:
                    outcomes.append("last")

            return run

        in_parallel(demote(one, two), demote(two, one))
        assert sorted(outcomes) == ["done", "last"]

    def test_an_unknown_account_is_not_found(self, database: Database) -> None:
        with pytest.raises(NotFound):
            change(database, service.set_role, SYSTEM, account_id=9, role="viewer", version=1)


class TestSetDisabled:
    def test_ends_every_session_at_once_and_enabling_brings_none_back(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        cookies = signed_in_sessions(database, ann, 3)
        view = change(
            database, service.set_disabled, SYSTEM, account_id=ann.id, disabled=True, version=1
        )
        change(
            database, service.set_disabled, SYSTEM,
            account_id=ann.id, disabled=False, version=view.version,
        )  # fmt: skip
        assert not any(live(database, raw) for raw in cookies)
        assert sign_in.authenticate(database, name="ann", password=PASSWORD, address="")

    def test_nobody_disables_themselves(self, database: Database, add_account: AddAccount) -> None:
        root = add_account("root", Role.ADMIN)
        add_account("other", Role.ADMIN)
        with pytest.raises(Conflict, match="your own"):
            change(
                database, service.set_disabled, as_actor(root),
                account_id=root.id, disabled=True, version=1,
            )  # fmt: skip


class TestResetPassword:
    def test_gives_a_random_one_and_ends_the_sessions(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        (raw,) = signed_in_sessions(database, ann, 1)
        made = change(database, service.reset_password, SYSTEM, account_id=ann.id, version=1)
        assert not live(database, raw)
        assert sign_in.authenticate(database, name="ann", password=made.raw, address="")
        assert look(database, "ann").must_change_password

    def test_the_password_is_in_no_audit_row(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        made = change(database, service.reset_password, SYSTEM, account_id=ann.id, version=1)
        with database.write() as session:
            exported = audit_log.export_csv(session, SYSTEM, filters=AuditFilter()).text
        assert "reset_password" in exported
        assert made.raw not in exported
        assert PASSWORD not in exported

    def test_an_account_of_the_identity_provider_has_none(self, database: Database) -> None:
        with database.write() as session:
            view = service.add_account(session, SYSTEM, name="x", role=Role.VIEWER, stored=None)
        with pytest.raises(InvalidInput, match="identity provider"):
            change(database, service.reset_password, SYSTEM, account_id=view.id, version=1)


class TestChangeOwnPassword:
    def own(self, database: Database, account: AccountView, **more: Any) -> Any:
        arguments = {"current": PASSWORD, "new": NEW, "session_id": 1, **more}
        return own_password.change(database, as_actor(account), **arguments)

    def test_ends_the_other_sessions_and_keeps_this_one(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann, ben = add_account("ann"), add_account("ben")
        this, other = signed_in_sessions(database, ann, 2)
        (bens,) = signed_in_sessions(database, ben, 1)
        with database.read() as session:
            mine = sessions.actor_for(session, this)
        assert mine is not None
        assert self.own(database, ann, session_id=mine.session_id) == 1
        assert live(database, this)
        assert not live(database, other)
        assert live(database, bens)
        assert sign_in.authenticate(database, name="ann", password=NEW, address="")

    @pytest.mark.parametrize(
        ("more", "why"),
        [
            ({"current": "wrong"}, "current password is wrong"),
            ({"current": "x" * 10_000}, "current password is wrong"),
            ({"new": PASSWORD}, "is the current one"),
            ({"new": "short"}, "at least 8"),
            ({"new": "password1"}, "first that anybody tries"),
        ],
    )
    def test_refuses_and_changes_nothing(
        self, database: Database, add_account: AddAccount, more: dict[str, str], why: str
    ) -> None:
        ann = add_account("ann")
        (raw,) = signed_in_sessions(database, ann, 1)
        with pytest.raises(InvalidInput, match=why):
            self.own(database, ann, **more)
        assert live(database, raw)
        assert sign_in.authenticate(database, name="ann", password=PASSWORD, address="")

    def test_an_api_token_with_the_accounts_number_may_not(
        self, database: Database, add_account: AddAccount
    ) -> None:
        ann = add_account("ann")
        token = Actor(id=ann.id, name="ci", role=Role.ADMIN, kind="api_token")
        with pytest.raises(InvalidInput):
            own_password.change(database, token, current=PASSWORD, new=NEW, session_id=1)


class TestListAccounts:
    def test_is_the_access_review(self, database: Database, add_account: AddAccount) -> None:
        ann, ben = add_account("ann"), add_account("Ben", Role.ADMIN)
        signed_in_sessions(database, ann, 2)
        sign_in.authenticate(database, name="ben", password=PASSWORD, address="")
        with database.read() as session:
            first, second = service.list_accounts(session, as_actor(ben)).items
        assert (first.name, first.live_sessions, first.last_sign_in_at) == ("ann", 2, None)
        assert (second.name, second.live_sessions) == ("Ben", 0)
        assert second.last_sign_in_at is not None
        assert "password" not in str(vars(first)).replace("must_change_password", "")

    @pytest.mark.parametrize(
        ("part", "found"),
        [
            ("AN", ["ann", "Hanna"]),
            ("ß", ["straße"]),  # folded to "ss", as names are
            ("50%", ["50% off"]),
            ("%", ["50% off"]),
            ("a_n", ["a_n"]),
            ("nobody", []),
        ],
    )
    def test_a_part_of_a_name_finds_it_as_written_on_every_database(
        self, any_database: Database, part: str, found: list[str]
    ) -> None:
        names = ["ann", "Hanna", "straße", "50% off", "a_n"]
        with any_database.write() as session:
            for name in names:
                service.add_account(session, SYSTEM, name=name, role=Role.VIEWER, stored="none")
            gone = service.add_account(
                session, SYSTEM, name="anna was here", role=Role.VIEWER, stored="none"
            )
            repository.get_account(session, gone.id).deleted_at = clock.now()
        with any_database.read() as session:
            page = service.list_accounts(session, SYSTEM, part=part)
            assert sorted(item.name for item in page.items) == sorted(found)
            first = service.list_accounts(session, SYSTEM, part=part, limit=1)
            assert (first.next_cursor is not None) == (len(found) > 1)


def in_parallel(*functions: Callable[[], None]) -> None:
    """Run them at the same instant and wait for all."""
    start = threading.Barrier(len(functions))

    def run(function: Callable[[], None]) -> None:
        start.wait()
        function()

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
