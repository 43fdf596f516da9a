"""The migrations make exactly the models' schema on SQLite, PostgreSQL and MariaDB."""

import importlib
import threading
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import IntegrityError

from backend.core import clock, startup
from backend.core.database import Base, Database
from backend.migrations import runner
from backend.models import (
    Account,
    AccountIdentity,
    AccountSession,
    Change,
    ChangeText,
    Connection,
    Environment,
    SyncRow,
)
from benchmarks import _history_rows


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def empty(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/empty.sqlite"
    else:
        url = request.getfixturevalue(f"{request.param}_url")
    database = Database(url)
    yield database
    database.dispose()


def _differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return list(compare_metadata(context, Base.metadata))


class TestUpgrade:
    def test_makes_the_schema_of_the_models(self, empty: Database) -> None:
        runner.upgrade(empty)
        assert _differences(empty) == []
        assert runner.current(empty) == runner.newest() == startup.SCHEMA_REVISION

    def test_is_safe_when_several_processes_start_at_once(self, empty: Database) -> None:
        errors: list[BaseException] = []

        def start() -> None:
            other = Database(empty.url)
            try:
                runner.upgrade(other)
            except BaseException as exc:
                errors.append(exc)
            finally:
                other.dispose()

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert runner.current(empty) == runner.newest()


class TestTokenMakers:
    """Migration 0027 finds the account that made each API token by its name of then."""

    def test_a_namesake_who_came_later_made_none(self, empty: Database) -> None:
        runner.upgrade(empty, revision="0026_alerts_seen")
        with empty.write() as session:
            for name, made in (("ann", "2026-01-01"), ("ben", "2026-03-01")):
                session.execute(_ACCOUNT, {"name": name, "at": f"{made} 00:00:00.000000"})
            for by in ("ann", "ben", "cli:root"):
                session.execute(_TOKEN, {"by": by, "at": "2026-02-01 00:00:00.000000"})
        runner.upgrade(empty)
        with empty.read() as session:
            found = session.execute(
                text(
                    "SELECT t.created_by, a.name FROM api_tokens t"
                    " LEFT JOIN accounts a ON a.id = t.account_id"
                )
            )
            assert dict(map(tuple, found)) == {"ann": "ann", "ben": None, "cli:root": None}


_ACCOUNT = text(
    "INSERT INTO accounts (name, name_key, role, must_change_password, disabled, name_pinned,"
    " created_at, created_by, version)"
    " VALUES (:name, :name, 'admin', false, false, false, :at, 'system', 1)"
)
_TOKEN = text(
    "INSERT INTO api_tokens (name, prefix, token_hash, role, created_at, created_by, last_address,"
    " actions, environments, ask_only, revoked_by)"
    " VALUES ('ci', :by, 'x', 'viewer', :at, :by, '', '', '', false, '')"
)


class TestEnvironmentNumbers:
    """Migration 0006 makes SQLite's table of environments anew."""

    def test_keeps_environments_and_all_that_belongs_to_them(self, empty: Database) -> None:
        runner.upgrade(empty, revision="0005_ingestion")
        kept = _add_environment(empty, "Kept")
        with empty.write() as session:
            session.add(_connection(kept))
        runner.upgrade(empty)
        with empty.read() as session:
            assert [row.name for row in session.scalars(select(Environment))] == ["Kept"]
            assert [row.environment_id for row in session.scalars(select(Connection))] == [kept]

    def test_foreign_keys_hold_afterwards(self, empty: Database) -> None:
        runner.upgrade(empty)
        kept = _add_environment(empty, "Kept")
        with empty.write() as session:
            session.add(_connection(kept))
        with pytest.raises(IntegrityError), empty.write() as session:
            session.add(_connection(kept + 1))
        with empty.write() as session:
            session.execute(delete(Environment))
        with empty.read() as session:
            assert session.scalars(select(Connection)).all() == []

    def test_a_deleted_environments_number_is_not_used_again(self, empty: Database) -> None:
        runner.upgrade(empty)
        first = _add_environment(empty, "First")
        with empty.write() as session:
            session.execute(delete(Environment))
        assert _add_environment(empty, "Second") > first

    def test_nor_is_one_that_was_deleted_before_the_migration(self, empty: Database) -> None:
        runner.upgrade(empty, revision="0005_ingestion")
        first = _add_environment(empty, "First")
        with empty.write() as session:
            session.execute(
                text(
                    "INSERT INTO mount_watches (environment_id, environment, max_age_hours, "
                    "active, orphans, too_old, unknown, complete, problem) "
                    "VALUES (:id, 'First', 24, 0, 0, 0, 0, :yes, '')"
                ),
                {"id": first, "yes": True},
            )
            session.execute(delete(Environment))
        runner.upgrade(empty)
        assert _add_environment(empty, "Second") > first


class TestLongTexts:
    """Migration 0007 makes MariaDB's columns of names longer."""

    def test_keeps_rows_and_takes_longer_names_afterwards(self, empty: Database) -> None:
        runner.upgrade(empty, revision="0006_environment_numbers")
        with empty.write() as session:
            session.execute(insert(SyncRow).values(_sync_row(0, "Ann")))
        runner.upgrade(empty)
        with empty.write() as session:
            session.execute(insert(SyncRow).values(_sync_row(1, "😀" * 20_000)))
        with empty.read() as session:
            names = list(session.scalars(select(SyncRow.search).order_by(SyncRow.position)))
        assert names == ["Ann", "😀" * 20_000]


class TestIdentities:
    """Migration 0023 gives each person of an identity provider a row of their own."""

    def test_who_could_sign_in_still_can_and_live_sessions_stay(self, empty: Database) -> None:
        runner.upgrade(empty, revision="0021_releases")
        with empty.write() as session:
            for name, key in (("ann", "a" * 64), ("ben", None)):
                session.execute(
                    text(
                        "INSERT INTO accounts (name, name_key, role, external_key, "
                        "must_change_password, disabled, created_at, created_by, version) "
                        "VALUES (:name, :name, 'viewer', :key, :no, :no, :now, 'x', 1)"
                    ),
                    {"name": name, "key": key, "no": False, "now": clock.now()},
                )
            ann = session.execute(text("SELECT id FROM accounts WHERE name = 'ann'")).scalar_one()
            session.execute(insert(AccountSession).values(_account_session(ann)))
        runner.upgrade(empty)
        with empty.read() as session:
            known = session.scalars(select(AccountIdentity)).all()
            assert [(row.account_id, row.external_key) for row in known] == [(ann, "a" * 64)]
            assert session.scalars(select(AccountSession.account_id)).all() == [ann]
            rows = session.scalars(select(Account).order_by(Account.name)).all()
            assert [(row.name, row.name_pinned, row.deleted_at) for row in rows] == [
                ("ann", False, None),
                ("ben", False, None),
            ]


class TestChangeTexts:
    """Migration 0035 puts what requests are searched in into a table of its own."""

    def test_requests_of_before_are_found(
        self, empty: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runner.upgrade(empty, revision="0034_user_sync_filters")
        with empty.write() as session:
            for number in range(1, 4):
                row = _history_rows.change(number, clock.now(), 1)
                session.execute(insert(Change).values({**row, "subject": f"STRAßE {number}"}))
        module = importlib.import_module("backend.migrations.versions.0035_change_texts")
        monkeypatch.setattr(module, "_STEP", 2)
        runner.upgrade(empty)
        with empty.read() as session:
            found = session.execute(select(ChangeText.change_id, ChangeText.text))
            assert dict(map(tuple, found)) == {
                number: f"strasse {number}\nadmin\nmounts.mount" for number in range(1, 4)
            }


def _account_session(account_id: int) -> dict[str, object]:
    now = clock.now()
    return {
        "account_id": account_id,
        "token_hash": "t" * 64,
        "created_at": now,
        "proven_at": now,
        "last_seen_at": now,
        "expires_at": now,
        "address": "",
        "user_agent": "",
        "ended_reason": "",
    }


def _sync_row(position: int, name: str) -> dict[str, object]:
    """The columns that every revision has."""
    return {
        "plan_id": 1,
        "position": position,
        "kind": "update",
        "reason": "",
        "email": "ann@example.com",
        "old_name": name,
        "new_name": name,
        "sets_name": True,
        "look_alike": False,
        "old_domains": "[]",
        "new_domains": "",
        "inherited": "[]",
        "sets_domains": False,
        "domain_keys": "",
        "search": name,
    }


def _add_environment(database: Database, name: str) -> int:
    """With the columns that every revision has."""
    now = clock.now()
    values = {
        "name": name,
        "name_key": name.casefold(),
        "default_marker": None,
        "is_sandbox": False,
        "is_production": False,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "updated_by": "test",
    }
    with database.write() as session:
        session.execute(insert(Environment).values(values))
        number = session.scalar(select(Environment.id).where(Environment.name == name))
        assert number is not None
        return number


def _connection(environment_id: int) -> Connection:
    now = clock.now()
    return Connection(
        environment_id=environment_id,
        kind="datahub",
        settings={},
        version=1,
        created_at=now,
        updated_at=now,
        updated_by="test",
    )
