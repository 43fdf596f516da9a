"""Recipes and DataHub's own sources on the command line and over REST."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from backend.ingestion import managed, recipes
from backend.jobs import broker
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import Headers, Run
from tests.fixtures.recipes import Programmed

SECRET = "source:\n  type: file\n  config:\n    path: ${API_TOKEN}\n"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker takes what a test wants to run itself."""
    monkeypatch.setattr(broker, "send", lambda *_: None)
    monkeypatch.setattr(managed, "PAUSES", (0.3,))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "recipes"
    root.mkdir()
    (root / "secret.yml").write_text(SECRET)
    (root / "wrong.yml").write_text("source: {type: no-such-source}")
    monkeypatch.setattr(recipes, "FOLDER", root)
    return root


class TestCommandLine:
    def test_recipes_say_what_they_ask_for_and_why_they_cannot_run(
        self, run: Run, environment: str, folder: Path
    ) -> None:
        [secret, wrong] = json.loads(run("recipes", "list", "--json").out)["items"]
        assert secret["asked"] == [{"name": "API_TOKEN", "default": None, "secret": True}]
        assert wrong["problem"] == "DataHub has no source called 'no-such-source'"
        ended = run("recipes", "run", "wrong.yml")
        assert (ended.status, "no source called" in ended.err) == (1, True)

    def test_a_secret_is_not_taken_from_the_argument_list(
        self, run: Run, environment: str, folder: Path
    ) -> None:
        ended = run("recipes", "run", "secret.yml", "--value", "API_TOKEN=/nowhere.json")
        assert (ended.status, "may not stand in the argument list" in ended.err) == (1, True)

    def test_a_recipe_runs_here_to_its_end(
        self, run: Run, environment: str, folder: Path, programmed: Programmed
    ) -> None:
        programmed("#!/bin/sh\ncat\nexit 3\n")
        ended = run(
            "recipes", "run", "secret.yml", "--secret", "API_TOKEN", "--json",
            stdin="/nowhere/s3cr3t.json\n",
        )  # fmt: skip
        assert (ended.status, json.loads(ended.out)["status"]) == (1, "failed")
        assert "s3cr3t" not in ended.out + ended.err

    def test_a_source_is_listed_with_its_schedule_and_run(self, run: Run, datahub: StandIn) -> None:
        urn = datahub.seed_ingestion_source("Athena hourly", "athena")
        [source] = json.loads(run("sources", "list", "--json").out)["items"]
        assert (source["urn"], source["last_status"]) == (urn, "")
        assert "never run" in run("sources", "list").out
        ended = run("sources", "run", urn, "--json")
        assert (ended.status, json.loads(ended.out)["status"]) == (0, "succeeded")


class TestRest:
    def test_recipes(
        self, client: TestClient, token: Headers, environment: str, folder: Path
    ) -> None:
        headers = token("operator")
        found = client.get("/api/ingestion/recipes", headers=headers).json()["items"]
        assert [recipe["name"] for recipe in found] == ["secret.yml", "wrong.yml"]
        body = {"values": {"API_TOKEN": "s3cr3t"}}
        ran = client.post("/api/ingestion/recipes/secret.yml/run", headers=headers, json=body)
        job = client.get(f"/api/jobs/{ran.json()['job_id']}", headers=headers)
        assert (ran.status_code, job.json()["subject"]) == (200, "secret.yml on dev")
        assert "s3cr3t" not in job.text
        for name, status in (("wrong.yml", 400), ("none.yml", 404)):
            path = f"/api/ingestion/recipes/{name}/run"
            assert client.post(path, headers=headers, json={}).status_code == status

    def test_sources(self, client: TestClient, token: Headers, datahub: StandIn) -> None:
        headers = token("operator")
        urn = datahub.seed_ingestion_source("Athena hourly", "athena")
        found = client.get("/api/ingestion/sources", headers=headers).json()
        assert (found["total"], found["items"][0]["urn"]) == (1, urn)
        ran = client.post("/api/ingestion/sources/run", headers=headers, json={"sourceUrn": urn})
        assert ran.status_code == 200
        again = client.post("/api/ingestion/sources/run", headers=headers, json={"sourceUrn": urn})
        assert (again.status_code, "does this already" in again.json()["detail"]) == (409, True)
