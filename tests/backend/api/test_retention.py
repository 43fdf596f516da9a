"""Retention over REST: who may look and who may start it."""

from collections.abc import Callable

from fastapi.testclient import TestClient

from backend.core.database import Base

Bearer = Callable[[str], dict[str, str]]


def test_an_auditor_reads_every_rule_and_starts_nothing(client: TestClient, bearer: Bearer) -> None:
    items = client.get("/api/retention", headers=bearer("auditor")).json()["items"]
    assert sorted(item["table"] for item in items) == sorted(Base.metadata.tables)
    refused = client.post("/api/retention/run", headers=bearer("auditor"))
    assert (refused.status_code, "(state:retention:run)" in refused.json()["detail"]) == (403, True)


def test_an_admin_starts_the_job(client: TestClient, bearer: Bearer) -> None:
    made = client.post("/api/retention/run", headers=bearer("admin"))
    assert (made.status_code, made.json()["kind"]) == (202, "jobs.retention")
