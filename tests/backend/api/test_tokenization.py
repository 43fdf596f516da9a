"""Tokenization over REST: /trigger and /api/tokenization/runs, with real workers and tables."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.backend.tokenization import conftest as rooms
from tests.backend.tokenization.world import TOKENIZER, World

source, gms, world, catalogued = rooms.source, rooms.gms, rooms.world, rooms.catalogued

Headers = Callable[[str], dict[str, str]]
RUNS = "/api/tokenization/runs"


class TestTrigger:
    def test_runs_and_answers_with_the_run_and_a_second_call_updates_nothing(
        self, client: TestClient, catalogued: World, workers: None, bearer: Headers
    ) -> None:
        steward = bearer("steward")
        body = {"dataset": catalogued.source.urn("customers"), "columns": ["email", "phone"]}

        first = client.post("/trigger", json=body, headers=steward)
        second = client.post("/trigger", json=body, headers=steward)

        assert first.status_code == 200, first.text
        document = first.json()
        assert (document["status"], document["rows_scanned"]) == ("succeeded", 50)
        assert (document["rows_updated"], document["writeback"]) == (50, "succeeded")
        assert document["columns"] == ["email", "phone"]
        assert second.json()["rows_updated"] == 0
        assert second.json()["run_id"] != document["run_id"]
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}

    def test_without_columns_takes_what_tags_say(
        self, client: TestClient, catalogued: World, workers: None, bearer: Headers
    ) -> None:
        body = {"dataset": catalogued.source.urn("customers")}

        document = client.post("/trigger", json=body, headers=bearer("steward")).json()

        assert document["columns"] == ["email", "phone"]
        assert document["reasons"]["email"] == "tagged pii in DataHub"

    def test_a_run_under_way_is_a_conflict(
        self, client: TestClient, catalogued: World, bearer: Headers
    ) -> None:
        catalogued.start("customers")

        answer = client.post(
            "/trigger",
            json={"dataset": catalogued.source.urn("customers"), "columns": ["email"]},
            headers=bearer("steward"),
        )

        assert answer.status_code == 409
        assert {"error", "detail", "reference"} <= set(answer.json())

    @pytest.mark.parametrize(
        ("role", "body", "status"),
        [
            (None, {"dataset": "x"}, 401),
            ("viewer", {"dataset": "OWN"}, 403),
            ("operator", {"dataset": "OWN"}, 403),
            ("steward", {"dataset": "customers"}, 400),
            ("steward", {"dataset": "urn:li:dataset:(urn:li:dataPlatform:mysql,a.b.c,PROD)"}, 400),
            ("steward", {"dataset": "OWN-nowhere"}, 400),
            ("steward", {"dataset": "OWN", "columns": ["\ud800"]}, 422),
            ("steward", {"dataset": "OWN", "columns": ["a\x00b"]}, 400),
            ("steward", {"dataset": "OWN\ud800"}, 400),
            ("steward", {}, 422),
            ("steward", {"dataset": 5}, 422),
            ("steward", {"dataset": "OWN", "columns": "email"}, 422),
            ("steward", {"dataset": "OWN", "columns": []}, 422),
            ("steward", {"dataset": "OWN", "colums": ["email"]}, 422),
        ],
    )
    def test_refusals(
        self,
        client: TestClient,
        catalogued: World,
        bearer: Headers,
        role: str | None,
        body: dict[str, Any],
        status: int,
    ) -> None:
        if str(body.get("dataset", "")).startswith("OWN"):
            name = "customers" + str(body["dataset"]).removeprefix("OWN")
            body = {**body, "dataset": catalogued.source.urn(name)}

        headers = {**(bearer(role) if role else {}), "Content-Type": "application/json"}
        answer = client.post("/trigger", content=json.dumps(body), headers=headers)

        assert answer.status_code == status, answer.text
        assert {"error", "detail", "reference"} <= set(answer.json())

    @pytest.mark.parametrize("path", ["/trigger", RUNS])
    def test_an_unknown_column_is_400_and_nothing_is_written(
        self, client: TestClient, catalogued: World, bearer: Headers, path: str
    ) -> None:
        steward = bearer("steward")
        body = {"dataset": catalogued.source.urn("customers"), "columns": ["email", "e-mail"]}

        answer = client.post(path, json=body, headers=steward)

        assert answer.status_code == 400
        assert "has no column e-mail. Its columns are id, name, email, phone" in answer.text
        assert client.get(RUNS, headers=steward).json()["items"] == []
        assert catalogued.tags() == {"tokenize/run"}

    def test_broken_json_is_400(self, client: TestClient, bearer: Headers, world: World) -> None:
        headers = {**bearer("steward"), "Content-Type": "application/json"}

        answer = client.post("/trigger", content=b"{", headers=headers)

        assert answer.status_code == 400

    def test_a_source_that_is_away_is_named(
        self, client: TestClient, catalogued: World, bearer: Headers, monkeypatch: Any
    ) -> None:
        from backend.connections import service as connections
        from tests.backend.tokenization.world import ADMIN

        with catalogued.database.write() as session:
            connections.save(
                session,
                ADMIN,
                environment="test",
                kind="postgres",
                settings={**catalogued.source.settings, "port": "1"},
                secrets_in=catalogued.source.secrets,
            )

        answer = client.post(
            "/trigger",
            json={"dataset": catalogued.source.urn("customers"), "columns": ["email"]},
            headers=bearer("steward"),
        )

        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("PostgreSQL ")

    def test_databricks_without_a_connection(
        self, client: TestClient, world: World, bearer: Headers
    ) -> None:
        urn = "urn:li:dataset:(urn:li:dataPlatform:databricks,main.crm.people,PROD)"

        document = client.post(
            "/trigger", json={"dataset": urn, "columns": ["email"]}, headers=bearer("steward")
        ).json()

        assert document["rows_updated"] == 0
        assert document["details"] == "Databricks connection not configured"


class TestRuns:
    def test_dry_run_answers_with_the_preview_and_changes_nothing(
        self, client: TestClient, catalogued: World, bearer: Headers
    ) -> None:
        body = {"dataset": catalogued.source.urn("customers"), "dryRun": True}

        document = client.post(RUNS, json=body, headers=bearer("steward")).json()

        assert (document["rows_to_update"], document["blockers"]) == (50, [])
        email = next(each for each in document["columns"] if each["name"] == "email")
        assert (email["selected"], email["reason"]) == (True, "tagged pii in DataHub")
        assert email["samples"][0]["after"] == TOKENIZER.token("person1@example.org")
        name = next(each for each in document["columns"] if each["name"] == "name")
        assert (name["selected"], name["suggested"]) == (False, False)
        assert catalogued.source.column(
            "SELECT count(*) FROM customers WHERE email LIKE 'tok%'"
        ) == [0]

    @pytest.mark.parametrize(
        ("role", "status"), [("viewer", 403), ("operator", 403), ("admin", 200)]
    )
    def test_who_may_preview(
        self, client: TestClient, catalogued: World, bearer: Headers, role: str, status: int
    ) -> None:
        body = {"dataset": catalogued.source.urn("customers"), "dryRun": True}

        assert client.post(RUNS, json=body, headers=bearer(role)).status_code == status

    def test_dry_run_lists_every_blocker_at_the_top(
        self, client: TestClient, catalogued: World, bearer: Headers
    ) -> None:
        body = {
            "dataset": catalogued.source.urn("customers"),
            "dryRun": True,
            "columns": ["email", "id", "e-mail"],
        }

        document = client.post(RUNS, json=body, headers=bearer("steward")).json()

        assert document["rows_to_update"] is None
        assert (
            "e-mail: the table has no such column (names are case-sensitive)"
            in document["blockers"]
        )
        assert "id: its type bigint is not text" in document["blockers"]

    def test_pages_follow_one_another_without_gap_or_overlap(
        self, client: TestClient, catalogued: World, workers: None, bearer: Headers
    ) -> None:
        steward = bearer("steward")
        body = {"dataset": catalogued.source.urn("customers"), "wait": 60}
        made = [client.post(RUNS, json=body, headers=steward).json()["run_id"] for _ in range(5)]

        seen: list[int] = []
        before = None
        while True:
            asked = {"limit": 2, **({"cursor": before} if before else {})}
            page = client.get(RUNS, params=asked, headers=steward).json()
            seen += [each["run_id"] for each in page["items"]]
            before = page["next_cursor"]
            if before is None:
                break

        assert seen == sorted(made, reverse=True)

    def test_answers_at_once_and_can_be_looked_up(
        self, client: TestClient, catalogued: World, bearer: Headers
    ) -> None:
        steward = bearer("steward")
        body = {"dataset": catalogued.source.urn("customers")}

        made = client.post(RUNS, json=body, headers=steward).json()

        assert made["status"] == "queued"
        assert client.get(f"{RUNS}/{made['run_id']}", headers=steward).json() == made
        listed = client.get(RUNS, params={"status": "queued"}, headers=steward).json()
        assert [each["run_id"] for each in listed["items"]] == [made["run_id"]]

    def test_unknown_run_is_404_and_viewers_may_look(
        self, client: TestClient, world: World, bearer: Headers
    ) -> None:
        viewer = bearer("viewer")

        assert client.get(f"{RUNS}/99", headers=viewer).status_code == 404
        assert client.get(RUNS, headers=viewer).json() == {"items": [], "next_cursor": None}
        assert client.get(RUNS, params={"limit": 0}, headers=viewer).status_code == 422
