"""The first start: one admin, a password that is random or given, and never a default."""

import threading
from typing import Any

import pytest

from backend.accounts import first_start, service, sign_in
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.core.errors import SettingsError
from backend.core.settings import load_settings
from tests.backend.accounts.conftest import AddAccount


def start(database: Database, **environ: str) -> Any:
    return first_start.ensure_first_admin(database, load_settings(environ))


class TestEnsureFirstAdmin:
    def test_prints_a_random_password_once(
        self, database: Database, capfd: pytest.CaptureFixture[str]
    ) -> None:
        made = start(database)
        out, err = capfd.readouterr()
        assert made.password in out
        assert made.password not in err
        actor = sign_in.authenticate(database, name="admin", password=made.password, address="")
        assert actor.role is Role.ADMIN
        assert start(database) is None
        assert "password" not in capfd.readouterr().out

    def test_every_portal_gets_another_one(self, database: Database, tmp_path: Any) -> None:
        from backend.core import secret_store
        from backend.migrations import runner

        other = Database(f"sqlite:///{tmp_path}/other.sqlite")
        runner.upgrade(other)
        secret_store.ensure(other, secret_store.get_vault())
        assert start(database).password != start(other).password
        other.dispose()

    def test_takes_name_and_password_of_the_environment_and_prints_nothing(
        self, database: Database, capfd: pytest.CaptureFixture[str]
    ) -> None:
        given = "a given pass phrase"
        start(database, PORTAL_ADMIN_USER="root", PORTAL_ADMIN_PASSWORD=given)
        assert sign_in.authenticate(database, name="root", password=given, address="")
        out, err = capfd.readouterr()
        assert given not in out + err

    def test_warns_about_a_weak_given_one(
        self, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        start(database, PORTAL_ADMIN_PASSWORD="admin")
        assert "weak" in caplog.text
        assert sign_in.authenticate(database, name="admin", password="admin", address="")

    def test_makes_none_when_there_is_an_admin(
        self, database: Database, add_account: AddAccount
    ) -> None:
        add_account("ann", Role.ADMIN)
        assert start(database) is None

    def test_makes_one_beside_accounts_of_other_roles(
        self, database: Database, add_account: AddAccount
    ) -> None:
        add_account("ann", Role.VIEWER)
        assert start(database).name == "admin"

    def test_says_when_the_name_belongs_to_somebody_without_the_role(
        self, database: Database, add_account: AddAccount
    ) -> None:
        add_account("admin", Role.VIEWER)
        with pytest.raises(SettingsError, match="PORTAL_ADMIN_USER"):
            start(database)

    @pytest.mark.parametrize(
        ("variable", "value"),
        [("PORTAL_ADMIN_USER", "a\nb"), ("PORTAL_ADMIN_PASSWORD", "x" * 129)],
    )
    def test_refuses_what_could_never_be_typed(
        self, database: Database, variable: str, value: str
    ) -> None:
        with pytest.raises(SettingsError, match=variable):
            start(database, **{variable: value})

    def test_two_processes_at_the_same_instant_make_one(self, any_database: Database) -> None:
        made: list[Any] = []
        threads = [threading.Thread(target=lambda: made.append(start(any_database))) for _ in "12"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([one for one in made if one is not None]) == 1
        with any_database.read() as session:
            assert len(service.list_accounts(session, SYSTEM).items) == 1
