"""As a steward would, over REST: ingest, read the suggestion, run, clean up, ingest again.

Both ingestions are the official `datahub ingest` with the shipped recipe; the table is a real one.
"""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.core.database import Database
from backend.tokenization import check, inline, tags, watch
from backend.tokenization.schemas import RunState
from tests.backend.tokenization import conftest as rooms
from tests.backend.tokenization import test_recipes
from tests.backend.tokenization.world import STEWARD, TOKENIZER, World, customers, make_world

source, gms, overlay = rooms.source, rooms.gms, test_recipes.overlay
RUNS = "/api/tokenization/runs"
COMPARISONS = "/api/tokenization/comparisons"


@pytest.fixture
def steward(bearer: Callable[[str], dict[str, str]]) -> dict[str, str]:
    return bearer("steward")


def ingest(world: World, overlay: Path) -> None:
    done = test_recipes.ingest(
        test_recipes.RECIPES / "postgres.yml",
        overlay,
        POSTGRES_HOST_PORT=f"{world.source.settings['host']}:{world.source.settings['port']}",
        POSTGRES_DATABASE=world.source.database,
        POSTGRES_USERNAME=world.source.settings["user"],
        POSTGRES_PASSWORD=world.source.secrets["password"],
        TABLE_PATTERN=rf"^{world.source.database}\.public\.customers$",
        DATAHUB_GMS_URL=world.gms.url,
        DATAHUB_GMS_TOKEN=world.gms.token,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def aspect(world: World, name: str) -> dict[str, Any]:
    return world.gms.aspect(world.source.urn("customers"), name) or {}


def documentation(world: World) -> str:
    return str(aspect(world, "editableDatasetProperties").get("description", ""))


def property_of(world: World) -> str | None:
    """The custom property, which the next ingestion drops."""
    found = aspect(world, "datasetProperties").get("customProperties", {})
    return found.get(tags.LAST_RUN_PROPERTY)


def structured(world: World) -> list[str]:
    """The run's ids that the structured property holds."""
    return [
        json.loads(next(iter(value.values())))["run_id"]
        for each in aspect(world, "structuredProperties").get("properties", [])
        if each["propertyUrn"] == tags.LAST_RUN_URN
        for value in each["values"]
    ]


def compared(client: TestClient, steward: dict[str, str]) -> dict[str, Any]:
    """A comparison from its start to its end."""
    queued = client.post(COMPARISONS, json={}, headers=steward)
    assert queued.status_code == 202, queued.text
    deadline = time.monotonic() + 120
    while True:
        found: dict[str, Any] = client.get(f"{COMPARISONS}/latest", headers=steward).json()
        assert found["job_id"] == queued.json()["job_id"]
        if found["finished_at"]:
            assert found["status"] == "succeeded", found
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_from_the_tag_to_a_proof_that_the_next_ingestion_leaves(
    database: Database,
    source: rooms.Source,
    gms: Any,
    overlay: Path,
    client: TestClient,
    workers: None,
    steward: dict[str, str],
) -> None:
    customers(source)
    world = make_world(database, source, gms)
    ingest(world, overlay)
    assert world.tags() == {"tokenize/run"}

    (answer,) = watch.poll(database, STEWARD)
    assert answer.run is None
    assert world.tags() == {"tokenize/run", "tokenize/status:WAITING"}
    suggested = re.findall(r"^  - `(\w+)`: ", documentation(world), re.MULTILINE)
    assert {"email", "phone"} <= set(suggested)

    body = {
        "dataset": source.urn("customers"),
        "columns": suggested,
        "method": "rewrite",
        "cleanUp": True,
    }
    preview = client.post(RUNS, json={**body, "dryRun": True}, headers=steward).json()
    assert (preview["blockers"], preview["rows_to_update"]) == ([], 50)
    run = client.post(RUNS, json={**body, "wait": 200}, headers=steward).json()

    assert (run["status"], run["rows_updated"], run["method"]) == ("succeeded", 50, "rewrite")
    assert run["clean_up"] == "succeeded", run["clean_up_details"]
    assert source.column("SELECT email FROM customers WHERE id = 1") == [
        TOKENIZER.token("person1@example.org")
    ]
    assert world.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}
    assert json.loads(property_of(world) or "{}")["run_id"] == run["run_id"]
    proof = documentation(world)
    assert f"/tokenization?run={run['run_id']})" in proof

    ingest(world, overlay)

    assert property_of(world) is None, "an ingestion replaces the custom properties as a whole"
    assert documentation(world) == proof
    assert structured(world) == [run["run_id"]]
    found = compared(client, steward)
    assert [(each["finding"], each["repaired"]) for each in found["findings"]] == [
        (check.PROOF_LOST, True)
    ]
    assert json.loads(property_of(world) or "{}")["run_id"] == run["run_id"]
    assert compared(client, steward)["findings"] == []

    # The recipe has put its tag on again: what is known to be personal is run once more.
    (again,) = watch.poll(database, STEWARD)
    assert again.run is not None
    ended = inline.complete(database, again.run)
    assert [column.name for column in ended.columns] == suggested
    assert (ended.state, ended.rows_updated) == (RunState.SUCCEEDED, 0)
    assert world.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}
    assert f"/tokenization?run={ended.id})" in documentation(world)
