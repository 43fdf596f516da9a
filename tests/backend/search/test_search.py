"""Search: what each kind gives, to whom, and that nobody finds what they may not read."""

import pytest

from backend.accounts import service as accounts
from backend.connections import environments
from backend.connections import service as connections
from backend.core.access import PERMISSIONS, SYSTEM, Actor, Permission, Role
from backend.core.clock import now
from backend.core.database import Database
from backend.core.errors import NotPermitted
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext, job
from backend.models.mounts import MountOrphan
from backend.models.user_sync import SyncPlan, SyncRow
from backend.search import service
from backend.search.schemas import Hit

ADMIN = Actor(1, "root", Role.ADMIN, "user")
VIEWER = Actor(2, "ann", Role.VIEWER, "user")


def found(database: Database, text: str, actor: Actor = ADMIN) -> list[Hit]:
    with database.read() as session:
        return service.find(session, actor, text=text).items


@pytest.fixture
def prod(database: Database) -> int:
    with database.write() as session:
        number = environments.add(session, SYSTEM, name="prod").id
        connections.save(
            session,
            SYSTEM,
            environment="prod",
            kind="directory",
            settings={"endpoint": "http://people.example.org/graphql"},
        )
        session.add(
            MountOrphan(environment_id=number, ledger_id=1, backup_target_id="s3", jobid=1,
                        host="compute-04", reasons="", evidence="{}")
        )  # fmt: skip
    return number


def plan(database: Database, environment_id: int, email: str) -> int:
    with database.write() as session:
        made = SyncPlan(
            environment_id=environment_id, environment="prod", state="ready", origin="cli",
            actor_name="x", created_at=now(), host_port="", server_version="", directory_count=1,
            listed_count=1, matched_count=1, kinds={}, fields={}, domain_names=[], digest="",
        )  # fmt: skip
        session.add(made)
        session.flush()
        session.add(
            SyncRow(
                plan_id=made.id,
                position=1,
                kind="changed",
                reason="",
                email=email,
                sets_name=False,
                look_alike=False,
                old_domains="",
                new_domains="",
                inherited="",
                sets_domains=False,
                domain_keys="",
                search=email,
            )
        )
        return made.id


class TestFind:
    def test_a_host_and_a_connection_by_a_part_of_what_they_are_called(
        self, database: Database, prod: int
    ) -> None:
        (host,) = found(database, "UTE-04")
        assert (host.kind, host.page) == ("host", "mounts")
        assert host.query == {
            "environment": "prod",
            "view": "hosts",
            "host": "compute-04",
        }
        (connection,) = found(database, "people.example")
        assert connection.title == "directory of prod"
        assert connection.query == {"environment": "prod", "kind": "directory"}

    def test_people_of_the_newest_plan_alone(self, database: Database, prod: int) -> None:
        plan(database, prod, "old@example.com")
        newest = plan(database, prod, "ann@example.com")
        assert found(database, "old@") == []
        (user,) = found(database, "ann@")
        assert user.query == {
            "environment": "prod", "plan": str(newest), "text": "ann@example.com"
        }  # fmt: skip

    def test_a_run_by_its_number_or_its_subject(self, database: Database) -> None:
        @job("test.search", title="A job of tests")
        def run(ctx: JobContext) -> dict[str, int]:
            return {}

        with database.write() as session:
            number = enqueue(session, SYSTEM, "test.search", {}, subject="the big one")
        assert [hit.query for hit in found(database, str(number))] == [{"job": str(number)}]
        assert [hit.query for hit in found(database, "big one")] == [{"job": str(number)}]

    def test_signs_of_sql_are_letters(self, database: Database, prod: int) -> None:
        assert found(database, "%%") == []
        assert found(database, "__") == []
        assert found(database, "c") == [], "a single letter finds too much"

    def test_each_kind_is_bounded(self, database: Database) -> None:
        with database.write() as session:
            for number in range(9):
                accounts.add_account(
                    session, SYSTEM, name=f"bot-{number}", role=Role.VIEWER, stored=None
                )
        assert len(found(database, "bot-")) == service.MOST


class TestPermissions:
    def test_a_viewer_finds_no_account(self, database: Database) -> None:
        with database.write() as session:
            accounts.add_account(session, SYSTEM, name="ann", role=Role.VIEWER, stored=None)
        assert [hit.kind for hit in found(database, "ann")] == ["account"]
        assert Permission.ACCOUNTS_READ not in PERMISSIONS[Role.VIEWER]
        assert found(database, "ann", VIEWER) == []

    def test_a_token_limited_to_other_actions_finds_nothing(
        self, database: Database, prod: int
    ) -> None:
        limited = Actor(
            3, "bot", Role.ADMIN, "api_token",
            only=frozenset({Permission.OVERVIEW_READ, Permission.CONNECTIONS_READ}),
        )  # fmt: skip
        assert found(database, "compute-04", limited) == []
        blind = Actor(3, "bot", Role.ADMIN, "api_token", only=frozenset())
        with pytest.raises(NotPermitted):
            found(database, "compute-04", blind)
