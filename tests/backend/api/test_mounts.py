"""The mounts room over REST."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from backend.core.database import Database
from tests.fixtures.api import rest_app
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment

Headers = dict[str, str]


@pytest.fixture
def client(database: Database, lab: MountsEnvironment) -> Iterator[TestClient]:
    with TestClient(rest_app(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def viewer(bearer: Callable[[str], Headers]) -> Headers:
    return bearer("viewer")


@pytest.fixture
def operator(bearer: Callable[[str], Headers]) -> Headers:
    return bearer("operator")


class TestReading:
    def test_needs_a_token(self, client: TestClient) -> None:
        answer = client.get("/api/mounts")
        assert answer.status_code == 401
        assert set(answer.json()) == {"error", "detail", "reference"}

    def test_lists_active_mounts_page_by_page(self, client: TestClient, viewer: Headers) -> None:
        seen: list[int] = []
        cursor = ""
        while True:
            answer = client.get(
                "/api/mounts", params={"active": True, "limit": 7, "cursor": cursor}, headers=viewer
            ).json()
            seen += [item["id"] for item in answer["items"]]
            assert all(item["mounted"] for item in answer["items"])
            if answer["next_cursor"] is None:
                break
            cursor = answer["next_cursor"]
        assert len(seen) == len(set(seen)) == 31

    def test_filters(self, client: TestClient, viewer: Headers) -> None:
        params: dict[str, str | int] = {"host": "compute-10", "target": "s3-prod-us", "job": 20_103}
        [item] = client.get("/api/mounts", params=params, headers=viewer).json()["items"]
        assert {
            "id", "backup_target_id", "jobid", "host", "mounted", "created_at",
        } <= set(item)  # fmt: skip
        assert item["created_at"].endswith("Z")

    def test_empty_filters_are_none(self, client: TestClient, viewer: Headers) -> None:
        empty = "/api/mounts?active=&host=&target=&job=&cursor=&limit="
        every = client.get("/api/mounts", headers=viewer).json()
        assert client.get(empty, headers=viewer).json() == every
        assert len(every["items"]) == 50
        assert client.get("/api/mounts?limit=0", headers=viewer).status_code == 422
        assert client.get("/api/mounts?job=%20", headers=viewer).status_code == 422

    def test_orphans_operations_and_status(self, client: TestClient, viewer: Headers) -> None:
        orphans = client.get("/api/mounts/orphans", headers=viewer).json()
        assert {r["kind"] for o in orphans["items"] for r in o["reasons"]} >= {"no_queue"}
        refused = client.get("/api/mounts/operations?status=unkown", headers=viewer)
        assert (refused.status_code, refused.json()["error"]) == (400, "UnknownChoice")
        assert "in_flight, succeeded" in refused.json()["detail"]
        found = client.get("/api/mounts/operations?status=unknown", headers=viewer).json()
        assert len(found["items"]) == 1
        status = client.get("/api/mounts/20103/s3-prod-us", headers=viewer).json()
        assert status["items"][0]["mounted"]
        assert status["jobid"] == 20_103
        assert client.get("/api/mounts/1/nothing", headers=viewer).status_code == 404

    def test_exports_csv(self, client: TestClient, viewer: Headers) -> None:
        answer = client.get("/api/mounts/export.csv?host=compute-01", headers=viewer)
        assert answer.headers["content-type"].startswith("text/csv")
        lines = answer.text.splitlines()
        assert lines[0].startswith("id,")
        assert len(lines) > 10

    def test_an_export_takes_the_filters_of_the_list(
        self, client: TestClient, viewer: Headers
    ) -> None:
        def lines(query: str) -> int:
            answer = client.get(f"/api/mounts/export.csv?{query}", headers=viewer)
            return len(answer.text.splitlines()) - 1

        def listed(query: str) -> int:
            answer = client.get(f"/api/mounts?limit=500&{query}", headers=viewer)
            return len(answer.json()["items"])

        for query in ("active=true", "deleted=true", "host=compute-01&until=2000-01-01T00:00:00"):
            assert lines(query) == listed(query), query
        assert lines("deleted=true") > 0

    @pytest.mark.parametrize(
        ("query", "status"),
        [("limit=0", 422), ("cursor=zzz", 400), ("job=x", 422), ("environment=none", 404)],
    )
    def test_wrong_questions(
        self, client: TestClient, viewer: Headers, query: str, status: int
    ) -> None:
        assert client.get(f"/api/mounts?{query}", headers=viewer).status_code == status


class TestActing:
    def test_a_viewer_may_not(self, client: TestClient, viewer: Headers) -> None:
        answer = client.post("/api/mounts/mount", json=mount_request(), headers=viewer)
        assert answer.status_code == 403

    def test_mount_share_unmount_delete(self, client: TestClient, operator: Headers) -> None:
        first = mount_request(jobid=1, target="rest", host="compute-02")
        second = mount_request(jobid=2, target="rest", host="compute-02")
        mounted = client.post("/api/mounts/mount", json=first, headers=operator)
        assert (mounted.status_code, mounted.json()["outcome"]) == (200, "replied")
        shared = client.post("/api/mounts/mount", json=second, headers=operator)
        assert shared.json()["outcome"] == "shared"
        assert client.delete("/api/mounts/1/rest", headers=operator).status_code == 409
        for request in (first, second):
            done = client.post("/api/mounts/unmount", json=request, headers=operator)
            assert done.json()["status"] == "success"
        assert client.delete("/api/mounts/1/rest", headers=operator).json() == {"deleted": 1}
        assert client.delete("/api/mounts/1/rest", headers=operator).status_code == 404

    def test_failures_carry_the_response_and_the_error_shape(
        self, client: TestClient, operator: Headers
    ) -> None:
        refused = client.post(
            "/api/mounts/mount",
            json=mount_request(target="nfs-archive-offline", host="compute-02"),
            headers=operator,
        )
        absent = client.post(
            "/api/mounts/mount", json=mount_request(host="compute-09"), headers=operator
        )
        assert (refused.status_code, refused.json()["outcome"]) == (502, "replied")
        assert refused.json()["detail"].startswith("The DMS server on compute-02 refused: Mount")
        assert (absent.status_code, absent.json()["outcome"]) == (503, "not_delivered")
        assert {"error", "detail", "reference", "status", "error_msg"} <= set(absent.json())

    def test_nothing_to_unmount_is_no_failure_of_the_broker(
        self, client: TestClient, operator: Headers
    ) -> None:
        request = mount_request(jobid=77, target="never-mounted", host="compute-02")
        answer = client.post("/api/mounts/unmount", json=request, headers=operator)
        assert (answer.status_code, answer.json()["outcome"]) == (409, "not_delivered")
        assert "no active mount" in answer.json()["detail"]

    def test_a_wrong_request_names_everything(self, client: TestClient, operator: Headers) -> None:
        answer = client.post("/api/mounts/mount", json={"host": "a b"}, headers=operator)
        assert answer.status_code == 422
        for field in ("context", "keystone_token", "job.jobid", "host", "backup_target"):
            assert field in answer.json()["detail"]

    def test_recheck(self, client: TestClient, operator: Headers) -> None:
        found = client.get("/api/mounts/operations?status=unknown", headers=operator).json()
        operation = found["items"][0]["operation_id"]
        path = f"/api/mounts/operations/{operation}/recheck"
        answer = client.post(path, headers=operator)
        assert (answer.status_code, answer.json()["outcome"]) == (504, "unknown")
        missing = client.post("/api/mounts/operations/nobody/recheck", headers=operator)
        assert missing.status_code == 404

    def test_verify(self, client: TestClient, operator: Headers) -> None:
        request = mount_request(jobid=88)
        client.post("/api/mounts/mount", headers=operator, json=request)
        path = "/api/mounts/88/target-1/verify"
        answer = client.post(path, headers=operator, json=request)
        assert answer.status_code == 200, answer.text
        assert answer.json()["verdict"] == "agreed"
        other = client.post(path, headers=operator, json=mount_request(jobid=89))
        assert other.status_code == 400
        missing = client.post("/api/mounts/89/target-1/verify", headers=operator)
        assert missing.status_code == 404


class TestRelease:
    PATH = "/api/mounts/hosts/compute-10/release"

    def test_a_plan_and_its_digest_release_a_dead_host(
        self, client: TestClient, viewer: Headers, operator: Headers
    ) -> None:
        plan = client.get(self.PATH, headers=viewer).json()
        assert plan["refused"] == ""
        many = len(plan["entries"])
        assert many
        wrong = client.post(self.PATH, json={"digest": "0"}, headers=operator)
        assert wrong.status_code == 409
        assert "changed since the plan" in wrong.json()["detail"]
        done = client.post(self.PATH, json={"digest": plan["digest"]}, headers=operator)
        assert done.status_code == 200
        assert (done.json()["released"], done.json()["skipped"]) == (many, 0)
        assert client.get(self.PATH, headers=viewer).status_code == 404


class TestTemplates:
    PATH = "/api/mounts/templates"

    def test_one_is_made_changed_and_forgotten_and_its_secret_is_never_read(
        self, client: TestClient, viewer: Headers, operator: Headers
    ) -> None:
        made = {"type": "s3", "mount_path": "/mnt/new", "secret_ref": "barbican/secret-of-new"}
        answer = client.put(f"{self.PATH}/s3-new", json=made, headers=operator)
        assert (answer.status_code, answer.json()["secret_set"]) == (200, True), answer.text
        changed = {"type": "s3", "mount_path": "/mnt/newer"}
        assert client.put(f"{self.PATH}/s3-new", json=changed, headers=operator).status_code == 200
        listed = client.get(self.PATH, headers=viewer)
        (item,) = listed.json()["items"]
        assert (item["target_id"], item["mount_path"]) == ("s3-new", "/mnt/newer")
        assert item["secret_set"], "an empty one keeps what is stored"
        assert "secret-of-new" not in answer.text + listed.text

        assert client.delete(f"{self.PATH}/s3-new", headers=operator).status_code == 204
        gone = client.delete(f"{self.PATH}/s3-new", headers=operator)
        assert (gone.status_code, gone.json()["error"]) == (404, "TargetNotFound")
        assert client.get(self.PATH, headers=viewer).json()["items"] == []

    def test_what_is_missing_is_named(self, client: TestClient, operator: Headers) -> None:
        wrong = {"type": "nfs", "mount_path": "mnt"}
        answer = client.put(f"{self.PATH}/nfs-new", json=wrong, headers=operator)
        assert answer.status_code == 400
        assert "an absolute mount path, a filesystem export" in answer.json()["detail"]
