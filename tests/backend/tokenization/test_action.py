"""The Action under the official `datahub actions` command, fed from a file of events."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.connections import environments
from backend.tokenization import service, tags
from backend.tokenization.schemas import RunState, Trigger
from tests.backend.tokenization.world import ADMIN, STEWARD, World, customers, seed_dataset

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "data" / "tokenize_action.yaml"


def entity_change(urn: str, *, field: str | None = None, operation: str = "ADD") -> dict[str, Any]:
    parameters = {"tagUrn": tags.RUN, "context": "{}"}
    entity = urn
    if field:
        parameters |= {"fieldPath": field, "parentUrn": urn}
        entity = f"urn:li:schemaField:({urn},{field})"
    return {
        "event_type": "EntityChangeEvent_v1",
        "event": {
            "entityUrn": entity,
            "entityType": "schemaField" if field else "dataset",
            "category": "TAG",
            "operation": operation,
            "modifier": tags.RUN,
            "parameters": parameters,
            "auditStamp": {"time": 1700000000000, "actor": "urn:li:corpuser:datahub"},
            "version": 0,
        },
        "meta": {},
    }


def change_log(urn: str, before: list[str], after: list[str]) -> dict[str, Any]:
    def aspect(names: list[str]) -> dict[str, str]:
        value = json.dumps({"tags": [{"tag": name} for name in names]})
        return {"value": value, "contentType": "application/json"}

    return {
        "event_type": "MetadataChangeLogEvent_v1",
        "event": {
            "entityType": "dataset",
            "entityUrn": urn,
            "changeType": "UPSERT",
            "aspectName": "globalTags",
            "aspect": aspect(after),
            "previousAspectValue": aspect(before),
            "created": {"time": 1700000000000, "actor": "urn:li:corpuser:datahub"},
        },
        "meta": {},
    }


def pipeline(tmp_path: Path, events: list[dict[str, Any]]) -> Path:
    """The shipped file with nothing but its event source exchanged."""
    (tmp_path / "events.json").write_text(json.dumps(events))
    document = yaml.safe_load(SHIPPED.read_text())
    document["source"] = {
        "type": "tests.backend.tokenization.event_file_source:EventFileSource",
        "config": {"path": str(tmp_path / "events.json")},
    }
    document["options"]["failed_events_dir"] = str(tmp_path / "failed")
    path = tmp_path / "action.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def run_actions(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "datahub"), "actions", "-c", str(path)],
        cwd=ROOT,
        env={**os.environ, "DATAHUB_TELEMETRY_ENABLED": "false", "PORTAL_LOG_LEVEL": "INFO"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def failed_events(folder: Path) -> str:
    return "".join(file.read_text() for file in (folder / "failed").rglob("failed_events.log"))


@pytest.mark.slow
def test_tags_on_datasets_and_fields_start_runs_once(catalogued: World, tmp_path: Path) -> None:
    source, gms = catalogued.source, catalogued.gms
    source.run("ALTER TABLE customers RENAME TO people")
    customers(source)
    seed_dataset(gms, source, run_tag=False, field_tags={"name": [tags.RUN]}, table="people")
    first, second = source.urn("customers"), source.urn("people")
    events = [
        entity_change(first),
        change_log(first, [], [tags.RUN]),
        entity_change(first),  # delivered twice
        change_log(first, [tags.RUN], [tags.DONE]),  # the portal's own write
        entity_change(second, field="name"),
        entity_change("urn:li:dataset:(urn:li:dataPlatform:postgres,no.such.table,PROD)"),
        entity_change(second, field="name", operation="REMOVE"),
    ]

    done = run_actions(pipeline(tmp_path, events))

    assert done.returncode == 0, done.stderr[-3000:]
    with catalogued.database.read() as session:
        found = {run.dataset: run for run in service.list_runs(session, STEWARD).items}
        count = len(service.list_runs(session, STEWARD).items)
    assert count == 2
    for run in found.values():
        assert (run.state, run.trigger) == (RunState.SUCCEEDED, Trigger.ACTION)
    assert [column.name for column in found[first].columns] == ["email", "phone"]
    assert [column.name for column in found[second].columns] == ["name"]
    assert catalogued.tags("customers") == {"tokenize/done", "tokenize/status:SUCCESS"}
    assert catalogued.tags("people") == {"tokenize/done", "tokenize/status:SUCCESS"}
    assert failed_events(tmp_path) == ""
    assert "person1@" not in done.stdout + done.stderr


@pytest.mark.slow
def test_an_outage_keeps_the_event_for_later(catalogued: World, tmp_path: Path) -> None:
    path = pipeline(tmp_path, [entity_change(catalogued.source.urn("customers"))])

    with catalogued.gms.faults.inject(drop="before"):
        run_actions(path)

    assert catalogued.source.urn("customers") in failed_events(tmp_path)
    assert catalogued.tags() == {"tokenize/run"}


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ("prodution", "There is no environment named 'prodution'"),
        ("bare", "Environment 'bare' has no DataHub connection"),
    ],
)
def test_an_environment_without_a_datahub_ends_it_at_the_start(
    catalogued: World, tmp_path: Path, environment: str, says: str
) -> None:
    with catalogued.database.write() as session:
        environments.add(session, ADMIN, name="bare")
    path = pipeline(tmp_path, [])
    config = yaml.safe_load(path.read_text())
    config["action"]["config"] = {"environment": environment}
    path.write_text(yaml.safe_dump(config))
    done = run_actions(path)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert "is now running" not in done.stdout + done.stderr
