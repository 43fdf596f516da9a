"""The REST frame: health, one error shape, tokens, CORS."""

import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from backend.api.app import create_app
from backend.api.bodies import MAX_BODY
from backend.api.callers import FREE_PATHS
from backend.core.database import Database

Bearer = Callable[[str], dict[str, str]]


class TestHealth:
    @pytest.mark.parametrize("path", ["/healthz", "/api/healthz"])
    def test_needs_no_token(self, client: TestClient, path: str) -> None:
        answer = client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")

    @pytest.mark.parametrize("path", ["/healthz", "/api/healthz"])
    def test_answers_monitors_that_ask_for_the_head_only(
        self, client: TestClient, path: str
    ) -> None:
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


class TestDocs:
    def test_the_page_and_its_files_come_from_the_portal_itself(self, client: TestClient) -> None:
        page = client.get("/api/docs").text
        assert "http://" not in page
        assert "https://" not in page
        assert "<script>" not in page
        for path in ("start.js", "static/swagger-ui-bundle.js", "static/swagger-ui.css"):
            assert f"/api/docs/{path}" in page
            assert client.get(f"/api/docs/{path}").status_code == 200


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "token", "status"),
        [("/api/jobs", None, 401), ("/api/jobs", "nonsense", 401), ("/api/nothing", None, 404)],
    )
    def test_have_one_shape(
        self, client: TestClient, path: str, token: str | None, status: int
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = client.get(path, headers=headers)
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "detail", "reference"}

    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/healthz", "GET, HEAD"),
            ("/api/tokenization/runs", "GET, POST"),
            ("/api/environments/prod/connections/aws", "DELETE, GET, PUT"),
            ("/trigger", "POST"),
        ],
    )
    def test_a_wrong_method_is_told_all_that_are_right(
        self, client: TestClient, bearer: Bearer, path: str, allowed: str
    ) -> None:
        answer = client.request("PROPFIND", path, headers=bearer("admin"))
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)

    def test_the_words_of_our_own_rules_come_alone(
        self, client: TestClient, bearer: Bearer
    ) -> None:
        answer = client.post("/api/ingestion/run", headers=bearer("operator"), json={})
        said = "datasetUrn is required, or the jobUrn of a job that names its ARN"
        assert (answer.status_code, answer.json()["detail"]) == (422, f"body: {said}")
        assert answer.json()["problems"] == [{"loc": ["body"], "msg": said}]

    def test_a_missing_token_is_asked_for_without_masks(self, client: TestClient) -> None:
        detail = client.get("/api/jobs").json()["detail"]
        assert "the word Bearer, a space and an API token" in detail
        assert "***" not in detail

    @pytest.mark.parametrize(
        ("method", "path", "status", "words"),
        [
            ("GET", "/api/nothing", 404, "There is no address /api/nothing; /api/docs lists all."),
            ("PUT", "/trigger", 405, "/trigger takes no PUT; /api/docs lists what it takes."),
        ],
    )
    def test_an_address_that_is_none_is_named(
        self, client: TestClient, bearer: Bearer, method: str, path: str, status: int, words: str
    ) -> None:
        answer = client.request(method, path, headers=bearer("viewer"))
        assert (answer.status_code, answer.json()["detail"]) == (status, words)

    @pytest.mark.parametrize(
        ("content", "kind", "status", "words"),
        [
            (b'{"dataset":', "application/json", 400, "the body is not JSON"),
            (b'{"dataset":"\xff"}', "application/json", 400, "the body cannot be read as JSON"),
            (b"[" * 100_000, "application/json", 400, "the body cannot be read as JSON"),
            (b"dataset=x", "application/x-www-form-urlencoded", 422, "Content-Type: application/"),
            (b"", "", 422, "the body is missing, or came without its type: send JSON"),
            (b"[]", "application/json", 422, "body: Input should be a valid dictionary"),
        ],
    )
    def test_a_body_in_the_wrong_form_is_told_which(
        self, client: TestClient, bearer: Bearer, content: bytes, kind: str, status: int, words: str
    ) -> None:
        headers = {**bearer("admin"), "Content-Type": kind}
        answer = client.post("/trigger", content=content, headers=headers)
        assert answer.status_code == status
        assert words in answer.json()["detail"]

    def test_every_operation_needs_a_token_except_health(self, client: TestClient) -> None:
        document = client.get("/api/openapi.json").json()
        for path, operations in document["paths"].items():
            for method in operations:
                concrete = path
                while "{" in concrete:
                    start, rest = concrete.split("{", 1)
                    concrete = start + "1" + rest.split("}", 1)[1]
                answer = client.request(method, concrete, json={})
                expected = {"/healthz": 200, "/readyz": 503}.get(path, 401)
                assert answer.status_code == expected, (method, path, answer.text)


class TestBodies:
    """Read whole before the work begins, and not at all from strangers."""

    @pytest.mark.parametrize("path", ["/trigger", "/api/ingestion/run", "/api/mounts/mount"])
    @pytest.mark.parametrize("announced", [True, False])
    def test_too_large_ones_are_not_read(
        self, client: TestClient, bearer: Bearer, path: str, announced: bool
    ) -> None:
        pieces = (b" " * 1_000_000 for _ in range(MAX_BODY // 1_000_000 + 2))
        content = b" " * (MAX_BODY + 1) if announced else pieces
        headers = {"Content-Type": "application/json", **bearer("admin")}
        answer = client.post(path, content=content, headers=headers)
        assert answer.status_code == 413
        triggers = {"status", "message"} if path == "/api/ingestion/run" else set()
        assert set(answer.json()) == {"error", "detail", "reference"} | triggers

    def test_as_large_as_allowed_is_read(self, client: TestClient, bearer: Bearer) -> None:
        content = b" " * (MAX_BODY - 2) + b"{}"
        headers = {"Content-Type": "application/json", **bearer("admin")}
        assert client.post("/trigger", content=content, headers=headers).status_code == 422

    def test_a_strangers_is_not_read(self, client: TestClient) -> None:
        pieces = (b" " * 1_000_000 for _ in range(MAX_BODY // 1_000_000 + 2))
        assert client.post("/trigger", content=pieces).status_code == 401


class TestCors:
    def test_only_named_origins_are_answered(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from backend.core.settings import get_settings

        monkeypatch.setenv("PORTAL_API_ALLOWED_ORIGINS", "https://datahub.example.org")
        get_settings.cache_clear()
        with TestClient(create_app()) as client:
            for origin, allowed in (
                ("https://datahub.example.org", "https://datahub.example.org"),
                ("https://evil.example.org", None),
            ):
                answer = client.options(
                    "/api/ingestion/run",
                    headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
                )
                assert answer.headers.get("access-control-allow-origin") == allowed


class TestParameters:
    def test_one_that_the_address_does_not_take_is_refused(
        self, client: TestClient, bearer: Bearer
    ) -> None:
        answer = client.get("/api/jobs?state=failed&limit=1", headers=bearer("viewer"))
        assert answer.status_code == 422
        assert answer.json()["detail"] == (
            "query.state: is no parameter here; it takes cursor, kind, limit, status"
        )
        assert client.get("/api/jobs?state=failed").status_code == 401, "strangers learn nothing"

    def test_so_is_a_body_by_every_operation_that_takes_none(
        self, client: TestClient, bearer: Bearer
    ) -> None:
        """`{"dryRun": true}` to a revert was no dry run, and nobody said so."""
        headers, asked = bearer("admin"), 0
        for path, operations in client.get("/api/openapi.json").json()["paths"].items():
            taken = {method for method, each in operations.items() if "requestBody" in each}
            for method in set(operations) - taken:
                if path in FREE_PATHS:
                    continue
                address = re.sub(r"{\w+}", "1", path)
                answer = client.request(method, address, headers=headers, json={"dryRun": True})
                assert (answer.status_code, answer.json().get("detail")) == (
                    422,
                    "body: is not taken here; send none",
                ), f"{method} {path}"
                asked += 1
        assert asked > 50

    @pytest.mark.parametrize("content", [b"dryRun=true", b'{"dryRun": true', b"[]", b"\xff", b"0"])
    def test_whatever_the_body_is(self, client: TestClient, bearer: Bearer, content: bytes) -> None:
        answer = client.post(
            "/api/user-sync/runs/77/revert", headers=bearer("admin"), content=content
        )
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "body: is not taken here; send none",
        )

    @pytest.mark.parametrize("content", [b"", b"{}", b" { }\n", b"null"])
    def test_an_empty_one_says_nothing(
        self, client: TestClient, bearer: Bearer, content: bytes
    ) -> None:
        answer = client.post(
            "/api/user-sync/runs/77/revert", headers=bearer("admin"), content=content
        )
        assert answer.status_code == 404, answer.text

    @pytest.mark.parametrize(("path", "role"), [("/api/mounts", "viewer"), ("/api/audit", "admin")])
    def test_a_number_is_no_moment(
        self, client: TestClient, bearer: Bearer, path: str, role: str
    ) -> None:
        answer = client.get(f"{path}?since=2026", headers=bearer(role))
        assert answer.status_code == 422
        assert "write an ISO date or time" in answer.json()["detail"]
