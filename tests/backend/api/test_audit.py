"""The audit log over REST."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from backend.core import audit
from backend.core.access import SYSTEM
from backend.core.database import Database

Bearer = Callable[[str], dict[str, str]]


@pytest.fixture(autouse=True)
def events(database: Database) -> None:
    with database.write() as session:
        for number in range(5):
            audit.record(
                session,
                SYSTEM,
                "mounts:mount:write",
                subject=f"target {number}",
                outcome="succeeded" if number else "failed",
            )


class TestAuditor:
    def test_lists_filters_and_pages(self, client: TestClient, bearer: Bearer) -> None:
        headers = bearer("auditor")
        wanted = {"action": "mounts:", "limit": 2}
        first = client.get("/api/audit", params=wanted, headers=headers).json()
        assert [item["subject"] for item in first["items"]] == ["target 4", "target 3"]
        wanted["cursor"] = first["next_cursor"]
        second = client.get("/api/audit", params=wanted, headers=headers).json()
        assert [item["subject"] for item in second["items"]] == ["target 2", "target 1"]
        failed = client.get("/api/audit", params={"outcome": "failed"}, headers=headers).json()
        assert [item["subject"] for item in failed["items"]] == ["target 0"]

    @pytest.mark.parametrize("zone", ["-14:00", "+14:00", "Z"])
    def test_a_range_may_reach_to_the_ends_of_the_calendar(
        self, client: TestClient, bearer: Bearer, zone: str
    ) -> None:
        ends = {"since": f"0001-01-01T00:00:00{zone}", "until": f"9999-12-31T23:59:59{zone}"}
        answer = client.get("/api/audit", params=ends, headers=bearer("auditor"))
        assert (answer.status_code, len(answer.json()["items"])) == (200, 6)

    def test_reads_one_event_and_verifies(self, client: TestClient, bearer: Bearer) -> None:
        headers = bearer("auditor")
        assert client.get("/api/audit/1", headers=headers).json()["subject"] == "target 0"
        gone = client.get("/api/audit/777", headers=headers)
        assert (gone.status_code, gone.json()["error"]) == (404, "NotFound")
        found = client.post("/api/audit/verify", json={"full": True}, headers=headers).json()
        assert (found["ok"], found["first_broken"]) == (True, None)

    def test_may_not_export(self, client: TestClient, bearer: Bearer) -> None:
        headers = bearer("auditor")
        for method, path in (("GET", "/api/audit/export.csv"), ("POST", "/api/audit/digest")):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 403
            assert "(audit:event:export)" in answer.json()["detail"]


class TestExport:
    def test_csv_holds_what_matches(self, client: TestClient, bearer: Bearer) -> None:
        answer = client.get(
            "/api/audit/export.csv", params={"about": "target 3"}, headers=bearer("admin")
        )
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["x-truncated"] == "false"
        assert len(answer.text.splitlines()) == 2

    def test_a_digest_is_taken_back_and_a_changed_one_is_not(
        self, client: TestClient, bearer: Bearer
    ) -> None:
        headers = bearer("admin")
        digest = client.post("/api/audit/digest", headers=headers).json()
        good = client.post("/api/audit/verify", json={"against": digest}, headers=headers)
        assert good.json()["ok"] is True
        for changed in ("ä", None, "0" * 64):
            body = {"against": {**digest, "signature": changed}}
            refused = client.post("/api/audit/verify", json=body, headers=headers)
            assert refused.status_code == 400
            assert "signature is not this portal's" in refused.json()["detail"]
