"""/metrics: off by default, for this machine or with a token, and what it counts."""

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from backend.api import measured
from backend.api.app import create_app
from backend.api.measured import Measured
from backend.core import clock, metrics
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import SettingsError, UpstreamUnavailable
from backend.core.settings import get_settings, load_settings
from backend.integrations.webhook import client as webhook
from backend.jobs import retention, runner
from backend.jobs.enqueue import enqueue
from backend.models import Job
from backend.mounts import repository

TOKEN = "a-token-of-prometheus"


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def be(value: str) -> None:
        monkeypatch.setenv("PORTAL_METRICS", value)
        get_settings.cache_clear()

    yield be
    monkeypatch.undo()
    get_settings.cache_clear()


def local(database: Database) -> TestClient:
    return TestClient(create_app(), client=("127.0.0.1", 5000))


def values(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_client_that_went_away_is_no_fault_of_the_portal() -> None:
    """Nothing was sent to it: the answer of nobody is not counted as one of 500."""

    async def nobody() -> Message:
        return {"type": "http.disconnect"}

    async def unheard(_message: Message) -> None:
        raise AssertionError("answered")

    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("a fault")

    def counted(status: str) -> float:
        (found,) = metrics.REQUESTS.collect()
        labels = {"method": "GET", "route": "other", "status": status}
        return sum(s.value for s in found.samples if s.labels == labels and "total" in s.name)

    before = counted("499"), counted("500")
    scope: Scope = {"type": "http", "method": "GET", "path": "/readyz", "headers": []}
    asyncio.run(create_app()({**scope, "query_string": b"", "server": ("x", 1)}, nobody, unheard))
    assert (counted("499"), counted("500")) == (before[0] + 1, before[1])
    with pytest.raises(RuntimeError):
        asyncio.run(Measured(fails)(scope, nobody, unheard))
    assert (counted("499"), counted("500")) == (before[0] + 1, before[1] + 1)


def test_what_only_the_mount_answers_is_counted_under_its_path() -> None:
    """/api/openapi.json is no route of FastAPI's own kind, so the scope names the mount's."""
    scope = {"path": "/api/openapi.json", "route": SimpleNamespace(path="/api")}
    assert measured._pattern(scope) == "/api"


class TestWhoMayRead:
    def test_nobody_without_the_setting(self, database: Database) -> None:
        assert local(database).get("/metrics").status_code == 404

    def test_this_machine(
        self, client: TestClient, database: Database, allow: Callable[[str], None]
    ) -> None:
        allow("loopback")
        assert local(database).get("/metrics").status_code == 200
        passed_on = local(database).get("/metrics", headers={"X-Forwarded-For": "10.0.0.9"})
        elsewhere = client.get("/metrics")
        for answer in (passed_on, elsewhere):
            assert answer.status_code == 403
            assert "for this machine alone" in answer.json()["detail"]

    def test_who_sends_the_token(self, client: TestClient, allow: Callable[[str], None]) -> None:
        allow(TOKEN)
        assert (
            client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        )
        for wrong in ("", TOKEN, "Bearer", "Bearer another", f"Basic {TOKEN}", "Bearer \xe4"):
            answer = client.get("/metrics", headers={"Authorization": wrong.encode("latin-1")})
            assert answer.status_code == 401
            assert "PORTAL_METRICS" in answer.json()["detail"]

    def test_a_short_token_is_refused_at_the_start(self) -> None:
        with pytest.raises(SettingsError, match=re.escape("PORTAL_METRICS: must be empty")):
            load_settings({"PORTAL_METRICS": "short"})


class TestWhatItSays:
    def test_requests_by_route_and_jobs_that_wait(
        self,
        database: Database,
        allow: Callable[[str], None],
        bearer: Callable[[str], dict[str, str]],
    ) -> None:
        allow("loopback")
        client = local(database)
        route = ("portal_requests_total", "GET", "/api/jobs/{job_id}", "404")
        before = values(client.get("/metrics").text)
        assert (before["portal_jobs", "queued"], before[("portal_job_queue_seconds",)]) == (0, 0)
        headers = bearer("viewer")
        client.get("/api/jobs/4711", headers=headers)
        client.get("/nowhere/at/all")
        with database.write() as session:
            enqueue(session, SYSTEM, "accounts.check_state", {"full": False}, subject="x")
            for job in session.query(Job):
                job.created_at = job.created_at.replace(year=2020)
        after = values(client.get("/metrics").text)
        assert after[route] == before.get(route, 0) + 1
        assert after["portal_requests_total", "GET", "other", "404"] >= 1
        assert after["portal_jobs", "queued"] == 1
        assert after[("portal_job_queue_seconds",)] > 86_400
        assert not any("4711" in word or "nowhere" in word for key in after for word in key)
        assert ("portal_database_connections", "in_use") in after

    def test_jobs_by_kind_and_outcome(
        self, database: Database, allow: Callable[[str], None]
    ) -> None:
        allow("loopback")
        ended = ("portal_jobs_ended_total", "jobs.retention", "succeeded")
        took = ("portal_job_seconds_count", "jobs.retention")
        before = values(local(database).get("/metrics").text)
        with database.write() as session:
            job_id = retention.start(session, SYSTEM)
        runner.run(job_id, database)
        after = values(local(database).get("/metrics").text)
        assert after[ended] == before.get(ended, 0) + 1
        assert after[took] == before.get(took, 0) + 1

    def test_calls_to_systems_outside(
        self, database: Database, allow: Callable[[str], None]
    ) -> None:
        allow("loopback")
        key = ("portal_outside_calls_total", "unavailable", "webhook")
        before = values(local(database).get("/metrics").text)
        with socket.socket() as nobody, pytest.raises(UpstreamUnavailable):
            nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
            address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            webhook.send(address, key=f"whsec_{'a' * 32}", message_id="1", document={})
        assert values(local(database).get("/metrics").text)[key] == before.get(key, 0) + 1

    def test_what_the_last_scan_of_a_ledger_counted(
        self, database: Database, allow: Callable[[str], None]
    ) -> None:
        allow("loopback")
        with database.write() as session:
            row = repository.watch(session, 7, "prod")
            row.scanned_at, row.active, row.orphans = clock.now(), 41, 2
            repository.watch(session, 8, "never scanned")
        after = values(local(database).get("/metrics").text)
        assert after["portal_ledger_entries", "prod", "active"] == 41
        assert after["portal_ledger_entries", "prod", "orphans"] == 2
        assert not any("never scanned" in key for key in after)
