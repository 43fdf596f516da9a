"""/metrics: off by default, for this machine or with a token, and what it counts."""

import re
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from backend.api.app import create_app
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import SettingsError
from backend.core.settings import get_settings, load_settings
from backend.jobs.enqueue import enqueue
from backend.models import Job

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
