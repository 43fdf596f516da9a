"""DataHub client info against the stand-in server: automatic, stored per environment, refreshed."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import select, update

from backend.connections import (
    alerts,
    client_info,
    environments,
    resolve,
    service,
    tasks,
    testing,
)
from backend.connections.errors import EnvironmentNotFound
from backend.connections.schemas import ConnectionConfig
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import NotPermitted
from backend.integrations.datahub.schemas import ClientInfo
from backend.models import DataHubClientInfo
from backend.sandbox.datahub import StandIn
from tests.backend.connections.conftest import Save

TOKEN = "planted-datahub-token"


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with StandIn(token=TOKEN) as gms:
        yield gms


@pytest.fixture
def connected(save: Save, server: StandIn) -> StandIn:
    """The default environment's DataHub is the stand-in."""
    save("datahub", {"server": server.url, "timeout": "60"}, {"token": TOKEN})
    return server


def probe_datahub(database: Database, environment: str | None = None) -> list[dict[str, object]]:
    """Run the connection test; returns the log's events."""
    with structlog.testing.capture_logs() as events:
        result = testing.run(database, SYSTEM, environment=environment, kind="datahub")
    assert result.ok, result
    return list(events)


class TestAfterASuccessfulTest:
    def test_everything_is_stored_without_being_asked_for(
        self, connected: StandIn, database: Database
    ) -> None:
        probe_datahub(database)
        with database.read() as session:
            info = client_info.get(session, SYSTEM)
        assert info.connection_status == "connected"
        assert info.client_id
        assert info.server_id
        assert info.server_config
        assert info.error_message == ""
        assert info.last_connection_test
        assert info.created_at
        assert info.last_updated
        assert not info.stale

    def test_the_log_says_the_agreed_sentences(
        self, connected: StandIn, database: Database
    ) -> None:
        sentences = [str(event["event"]) for event in probe_datahub(database)]
        with database.read() as session:
            client_id = client_info.get(session, SYSTEM).client_id
        assert "Auto-retrieving client info for default environment: Prod" in sentences
        assert f"Successfully auto-retrieved client info: {client_id}" in sentences

    def test_a_failure_is_logged_stored_and_the_test_stays_successful(
        self, connected: StandIn, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from backend.core.errors import UpstreamTimeout
        from backend.integrations.datahub.client import DataHubClient

        def fails(_: object) -> None:
            raise UpstreamTimeout("DataHub", "Connection timeout")

        monkeypatch.setattr(DataHubClient, "client_info", fails)
        events = probe_datahub(database)
        said = [str(e["event"]) for e in events if e["log_level"] == "warning"]
        assert said == ["Failed to auto-retrieve client info: DataHub: Connection timeout."]
        with database.read() as session:
            info = client_info.get(session, SYSTEM)
        assert (info.connection_status, info.error_message) == (
            "failed",
            "DataHub: Connection timeout.",
        )

    def test_any_environment_gets_its_own_row_also_with_the_same_id(
        self, connected: StandIn, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Stage")
            service.save(
                session,
                SYSTEM,
                environment="Stage",
                kind="datahub",
                settings={"server": connected.url},
                secrets_in={"token": TOKEN},
            )
        probe_datahub(database)
        sentences = [str(event["event"]) for event in probe_datahub(database, "stage")]
        assert "Auto-retrieving client info for environment: Stage" in sentences
        with database.read() as session:
            both = client_info.list_all(session, SYSTEM)
        assert [info.connection_status for info in both] == ["connected", "connected"]
        assert both[0].client_id == both[1].client_id

    def test_a_second_test_updates_the_row_and_keeps_when_it_was_made(
        self, connected: StandIn, database: Database
    ) -> None:
        probe_datahub(database)
        with database.read() as session:
            first = client_info.get(session, SYSTEM)
        probe_datahub(database)
        with database.read() as session:
            second = client_info.get(session, SYSTEM)
            assert len(session.scalars(select(DataHubClientInfo)).all()) == 1
        assert second.created_at == first.created_at
        assert second.last_updated > first.last_updated

    def test_a_draft_test_leaves_it_alone(self, connected: StandIn, database: Database) -> None:
        draft = testing.Draft({"server": connected.url})
        assert testing.run(database, SYSTEM, environment=None, kind="datahub", draft=draft).ok
        with database.read() as session:
            assert client_info.get(session, SYSTEM).connection_status == "unknown"

    def test_a_later_failure_keeps_the_id_and_says_since_when(
        self, connected: StandIn, database: Database, save: Save
    ) -> None:
        probe_datahub(database)
        with StandIn(token=TOKEN) as other:
            save("datahub", {"server": other.url}, {"token": TOKEN})
            probe_datahub(database)
        assert not testing.run(database, SYSTEM, environment=None, kind="datahub").ok
        with database.read() as session:
            info = client_info.get(session, SYSTEM)
        assert info.connection_status == "failed"
        assert info.client_id
        assert info.failing_since
        assert "refused" in info.error_message

    @pytest.mark.parametrize("ask", ["test", "refresh"])
    def test_a_refused_token_clears_what_was_known(
        self, connected: StandIn, database: Database, save: Save, ask: str
    ) -> None:
        probe_datahub(database)
        save("datahub", {}, {"token": "revoked"})
        if ask == "test":
            assert not testing.run(database, SYSTEM, environment=None, kind="datahub").ok
        else:
            assert client_info.refresh(database, SYSTEM).outcome == "failed"
        with database.read() as session:
            info = client_info.get(session, SYSTEM)
        assert (info.connection_status, info.client_id, info.server_id) == ("unknown", "", "")
        assert not info.server_config
        assert "oes not accept the token" in info.error_message

    def test_another_address_clears_what_was_known(
        self, connected: StandIn, database: Database, save: Save
    ) -> None:
        probe_datahub(database)
        save("datahub", {"timeout": "20"})
        with database.read() as session:
            assert client_info.get(session, SYSTEM).connection_status == "connected"
        save("datahub", {"server": "http://127.0.0.1:1"}, {"token": TOKEN})
        with database.read() as session:
            info = client_info.get(session, SYSTEM)
        assert (info.connection_status, info.client_id) == ("unknown", "")


class TestDocumentedFunction:
    """`get_datahub_client_info`, as document 000 shows it."""

    def test_is_the_documented_dictionary(self, connected: StandIn, database: Database) -> None:
        with database.read() as session:
            environment = resolve.environment(session)
        found = client_info.get_datahub_client_info(environment, database=database)
        assert found["success"] is True
        assert found["client_id"] == "8f0c1d1e-0000-4000-8000-5a4d0b0c0001"
        assert found["connection_status"] == "connected"
        assert {"frontend_base_url", "server_id", "server_config", "error"} <= found.keys()
        assert found == client_info.get_datahub_client_info(environment.name, database=database)

    def test_says_why_there_is_none(self, database: Database, save: Save) -> None:
        save("datahub", {"server": "http://127.0.0.1:1"})
        found = client_info.get_datahub_client_info(database=database)
        assert found["success"] is False
        assert "refuses connections" in found["error"]
        missing = client_info.get_datahub_client_info("nowhere", database=database)
        assert missing["error"].startswith("There is no environment named 'nowhere'")


class TestRefresh:
    def test_of_all_goes_on_after_a_failure(self, connected: StandIn, database: Database) -> None:
        with database.write() as session:
            for name, server in (("A bad one", "http://127.0.0.1:1"), ("Bare", None)):
                environments.add(session, SYSTEM, name=name)
                if server:
                    service.save(
                        session,
                        SYSTEM,
                        environment=name,
                        kind="datahub",
                        settings={"server": server},
                    )
        outcomes = {r.environment: r.outcome for r in client_info.refresh_all(database)}
        assert outcomes == {"Prod": "refreshed", "A bad one": "failed", "Bare": "skipped"}

    def test_of_an_unknown_environment_is_refused(
        self, connected: StandIn, database: Database
    ) -> None:
        with pytest.raises(EnvironmentNotFound):
            client_info.refresh(database, SYSTEM, environment="Nope")

    def test_the_schedule_queues_a_job_that_refreshes(
        self, connected: StandIn, database: Database
    ) -> None:
        from backend.jobs import runner
        from backend.models.jobs import Job

        tasks.schedule_refresh(database)
        with database.read() as session:
            job = session.scalars(select(Job)).one()
        assert job.kind == "connections.refresh_client_info"
        runner.run(job.id, database)
        with database.read() as session:
            assert session.get(Job, job.id).result == {"refreshed": 1, "failed": 0, "skipped": 0}
            assert client_info.get(session, SYSTEM).connection_status == "connected"

    def test_the_job_goes_on_when_environments_are_renamed_or_deleted_meanwhile(
        self, connected: StandIn, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from backend.jobs import runner
        from backend.models.jobs import Job

        with database.write() as session:
            for name in ("Goes", "Is renamed"):
                environments.add(session, SYSTEM, name=name)
        fetch = client_info._fetch

        def change_environments(config: ConnectionConfig, *, authenticated: bool) -> ClientInfo:
            with database.write() as session:
                environments.remove(session, SYSTEM, name="Goes", confirm_name="Goes")
                environments.update(session, SYSTEM, name="Is renamed", version=1, new_name="Other")
            return fetch(config, authenticated=authenticated)

        monkeypatch.setattr(client_info, "_fetch", change_environments)
        tasks.schedule_refresh(database)
        with database.read() as session:
            job_id = session.scalars(select(Job.id)).one()
        runner.run(job_id, database)
        with database.read() as session:
            job = session.get_one(Job, job_id)
        assert (job.state, job.error) == ("succeeded", None)
        assert job.result == {"refreshed": 1, "failed": 0, "skipped": 2}

    def test_a_server_that_was_replaced_while_it_was_asked_leaves_nothing(
        self, connected: StandIn, database: Database, save: Save, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetch = client_info._fetch

        def save_another(config: ConnectionConfig, *, authenticated: bool) -> ClientInfo:
            info = fetch(config, authenticated=authenticated)
            save("datahub", {"server": "http://127.0.0.1:1"}, {"token": "another"})
            return info

        monkeypatch.setattr(client_info, "_fetch", save_another)
        outcome = client_info.refresh(database, SYSTEM)
        assert (outcome.outcome, outcome.error) == ("failed", client_info.CHANGED)
        with database.read() as session:
            assert client_info.get(session, SYSTEM).connection_status == "unknown"


class TestStaleness:
    def test_older_than_a_day_is_marked_and_wants_attention(
        self, connected: StandIn, database: Database
    ) -> None:
        probe_datahub(database)
        with database.write() as session:
            old = clock.now() - client_info.STALE_AFTER - timedelta(minutes=1)
            session.execute(update(DataHubClientInfo).values(last_success_at=old))
        with database.read() as session:
            assert client_info.get(session, SYSTEM).stale
            items = alerts.alerts(session, SYSTEM)
        assert any("older than a day" in item.text for item in items)

    def test_failing_wants_attention_with_since_when(
        self, connected: StandIn, database: Database, save: Save
    ) -> None:
        save("datahub", {}, {"token": "revoked"})
        client_info.refresh(database, SYSTEM)
        with database.read() as session:
            items = alerts.alerts(session, SYSTEM)
        found = [item for item in items if "cannot be refreshed" in item.text]
        assert found[0].since
        assert dict(found[0].query) == {"environment": "Prod", "kind": "datahub"}


class TestAccess:
    @pytest.mark.parametrize("role", ["viewer", "steward", "operator"])
    def test_it_is_for_admins_only(
        self, connected: StandIn, database: Database, actors: object, role: str
    ) -> None:
        actor = getattr(actors, role)
        probe_datahub(database)
        with database.read() as session:
            for call in (client_info.get, client_info.list_all):
                with pytest.raises(NotPermitted):
                    call(session, actor)
            assert not [
                item for item in alerts.alerts(session, actor) if "client info" in item.text
            ]


def test_the_token_is_nowhere_in_what_is_stored(connected: StandIn, database: Database) -> None:
    probe_datahub(database)
    with database.read() as session:
        row = session.scalars(select(DataHubClientInfo)).one()
        assert TOKEN not in str(vars(row))
