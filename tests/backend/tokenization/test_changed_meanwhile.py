"""Between the request and its end, connections and environments can change under a run."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from backend.connections import environments
from backend.connections import service as connections
from backend.models import TokenizationRun
from backend.tokenization import catalog, reconcile, sources, tags, write_back
from backend.tokenization.engines.base import Outcome
from backend.tokenization.engines.postgres import identity, rewrite
from backend.tokenization.schemas import RunState
from tests.backend.tokenization.world import ADMIN, Source, World, customers, make_world
from tests.fixtures.postgres import PostgresServer


def save(world: World, kind: str, settings: dict[str, str], secrets: dict[str, str]) -> None:
    with world.database.write() as session:
        connections.save(
            session,
            ADMIN,
            environment=world.environment,
            kind=kind,
            settings=settings,
            secrets_in=secrets,
        )


def plain(source: Source) -> int:
    return int(source.column("SELECT count(*) FROM customers WHERE email LIKE '%@%'")[0])


@pytest.fixture(scope="module")
def second_server() -> Iterator[PostgresServer]:
    server = PostgresServer.launch()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def elsewhere(source: Source, second_server: PostgresServer) -> Source:
    """Another server's database of the same name, with the same table."""
    connection = second_server.connect("postgres")
    connection.cursor().execute(f'CREATE DATABASE "{source.database}"')
    connection.close()
    found = Source(second_server.url(source.database))
    customers(found, rows=7)
    return found


def cut_off(world: World, monkeypatch: pytest.MonkeyPatch, *, committed: bool = False) -> int:
    """Leave a run as a killed process would: running, its transaction ended either way."""
    view = world.start("customers", "email")
    original = rewrite.commit

    def die(connection: Any) -> None:
        if committed:
            original(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rewrite, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            world.work(view)
    return view.id


def active_key(world: World, run_id: int) -> str:
    with world.database.read() as session:
        row = session.get(TokenizationRun, run_id)
        assert row is not None
        return row.active_key or ""


def number_of(world: World, run_id: int) -> int:
    """The source's transaction number of a run."""
    with world.database.read() as session:
        row = session.get(TokenizationRun, run_id)
        assert row is not None
        return int((row.transaction_id or "").partition("@")[0])


class TestQueued:
    """A queued run does what was asked for, or nothing."""

    def refused(self, world: World, view: Any, what: str) -> None:
        ended = world.work(view)

        assert (ended.state, ended.rows_updated) == (RunState.FAILED, 0)
        assert f"{what} of the environment test was changed after this run" in ended.details
        assert plain(world.source) == 50

    def test_the_connection_points_at_another_server(
        self, catalogued: World, elsewhere: Source
    ) -> None:
        view = catalogued.start("customers", "email")
        save(catalogued, "postgres", elsewhere.settings, elsewhere.secrets)

        self.refused(catalogued, view, "the postgres connection")
        assert plain(elsewhere) == 7

    def test_the_scheme_became_reversible(self, catalogued: World) -> None:
        view = catalogued.start("customers", "email")
        save(catalogued, "tokenization", {"scheme": "base64"}, {})

        self.refused(catalogued, view, "the tokenization scheme")

    def test_the_key_is_another_one(self, catalogued: World) -> None:
        view = catalogued.start("customers", "email")
        other = base64.b64encode(b"x" * 32).decode()
        save(catalogued, "tokenization", {}, {"key": other})

        self.refused(catalogued, view, "the tokenization key")

    def test_a_new_password_is_no_other_server(self, catalogued: World) -> None:
        view = catalogued.start("customers", "email")
        save(catalogued, "postgres", catalogued.source.settings, catalogued.source.secrets)

        assert catalogued.work(view).state is RunState.SUCCEEDED


class TestRenamed:
    """A run belongs to its environment, whatever that is called by now."""

    def rename(self, world: World) -> None:
        with world.database.write() as session:
            environments.update(
                session,
                ADMIN,
                name="test",
                version=environments.get(session, ADMIN, name="test").version,
                new_name="renamed",
            )

    def test_a_queued_run_goes_on_and_is_written_back(self, catalogued: World) -> None:
        view = catalogued.start("customers", "email")
        self.rename(catalogued)

        ended = catalogued.work(view)

        assert (ended.state, ended.write_back) == (RunState.SUCCEEDED, "succeeded")
        shown = catalog.status_of_run(catalogued.database, ADMIN, run_id=view.id)
        assert shown is not None
        assert tags.DONE in shown.tags

    def test_an_unknown_run_is_settled_and_written_back(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = cut_off(catalogued, monkeypatch, committed=True)
        self.rename(catalogued)

        assert reconcile.reconcile(catalogued.database, run_id).state is RunState.SUCCEEDED
        assert write_back.attempt(catalogued.database, run_id).write_back == "succeeded"

    def test_one_that_was_deleted_and_made_anew_settles_its_runs(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = cut_off(catalogued, monkeypatch, committed=True)
        with catalogued.database.write() as session:
            environments.remove(session, ADMIN, name="test", confirm_name="test")
        make_world(catalogued.database, catalogued.source, catalogued.gms)

        assert reconcile.reconcile(catalogued.database, run_id).state is RunState.SUCCEEDED


class TestUnknown:
    """Only the server that ran a transaction is believed about how it ended."""

    def commit_number(self, source: Source, number: int) -> None:
        """Let transactions of this server commit until the number is one of them."""
        with source.connection() as connection, connection.cursor() as cursor:
            found = 0
            while found <= number:
                cursor.execute("SELECT txid_current()")
                found = (cursor.fetchone() or (0,))[0]

    @pytest.mark.parametrize("same_address", [False, True])
    def test_another_server_committed_a_transaction_of_that_number(
        self,
        catalogued: World,
        elsewhere: Source,
        monkeypatch: pytest.MonkeyPatch,
        same_address: bool,
    ) -> None:
        """As after a fail-over: the name leads to a server that never got the run's changes."""
        run_id = cut_off(catalogued, monkeypatch)
        self.commit_number(elsewhere, number_of(catalogued, run_id))
        save(catalogued, "postgres", elsewhere.settings, elsewhere.secrets)
        if same_address:
            monkeypatch.setattr(sources, "active_key", lambda _: active_key(catalogued, run_id))

        ended = reconcile.reconcile(catalogued.database, run_id, patience=0.0)

        assert ended.state is RunState.INTERRUPTED
        assert "7 rows hold plain values" in ended.details

    def test_the_content_of_the_server_that_took_over_proves_a_commit(
        self, world: World, elsewhere: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(world.source)
        run_id = cut_off(world, monkeypatch, committed=True)
        elsewhere.run("UPDATE customers SET email = 'tok_QUJD_poc'")
        save(world, "postgres", elsewhere.settings, elsewhere.secrets)

        assert reconcile.reconcile(world.database, run_id, patience=0.0).state is RunState.SUCCEEDED

    def test_the_same_server_under_another_name_is_asked_for_the_content(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(world.source)
        run_id = cut_off(world, monkeypatch, committed=True)
        save(
            world,
            "postgres",
            {**world.source.settings, "host": "localhost"},
            dict(world.source.secrets),
        )

        ended = reconcile.reconcile(world.database, run_id, patience=0.0)

        assert ended.state is RunState.SUCCEEDED
        assert "holds tokens only" in ended.details


class TestWitness:
    def test_a_login_without_rights_gets_a_mark_too(self, source: Source) -> None:
        source.run("DROP ROLE IF EXISTS plain_login", "CREATE ROLE plain_login")
        with source.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SET ROLE plain_login")
            cursor.execute("BEGIN")
            name = identity.name_transaction(cursor)
            cursor.execute("COMMIT")

            assert len(name.partition("@")[2]) == 16
            assert identity.outcome_of(cursor, name) is Outcome.COMMITTED
        source.run("DROP ROLE plain_login")

    def test_a_server_that_hides_its_identity_is_not_believed_and_can_still_say_busy(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(identity, "_CLUSTER", "SELECT no_such_function()")
        with (
            source.connection() as connection,
            connection.cursor() as cursor,
            source.connection() as other,
            other.cursor() as asking,
        ):
            cursor.execute("BEGIN")
            name = identity.name_transaction(cursor)
            assert identity.outcome_of(asking, name) is Outcome.IN_PROGRESS
            cursor.execute("COMMIT")

            assert name.endswith("@")
            assert identity.outcome_of(asking, name) is Outcome.UNKNOWN
