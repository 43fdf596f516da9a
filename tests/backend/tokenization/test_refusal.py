"""A tag that no run can answer is answered in DataHub, where the person put it."""

import copy
from typing import Any
from urllib.parse import quote

import pytest

from backend.connections import service as connections
from backend.core.database import Database
from backend.tokenization import inline, tags, watch
from backend.tokenization.schemas import RunState
from tests.backend.tokenization.world import (
    ADMIN,
    SHORT,
    STEWARD,
    Source,
    World,
    customers,
    make_world,
    seed_dataset,
)


@pytest.fixture
def untagged(database: Database, source: Source, gms: Any) -> World:
    """The dataset carries the tag, and none of its fields does."""
    customers(source)
    seed_dataset(gms, source, field_tags={})
    return make_world(database, source, gms)


def poll(world: World) -> list[Any]:
    return list(watch.poll(world.database, STEWARD))


def documentation(world: World, urn: str = "") -> str:
    aspect = world.gms.aspect(urn or world.source.urn("customers"), "editableDatasetProperties")
    return str((aspect or {}).get("description") or "")


def tag_field(world: World, column: str) -> None:
    urn = world.source.urn("customers")
    schema = copy.deepcopy(world.gms.aspect(urn, "schemaMetadata"))
    for field in schema["fields"]:
        if field["fieldPath"] == column:
            field["globalTags"] = {"tags": [{"tag": "urn:li:tag:pii"}]}
    world.gms.store.upsert(urn, "schemaMetadata", schema)


def prefer(world: World, dataset_tag: str) -> None:
    with world.database.write() as session:
        connections.save(
            session,
            ADMIN,
            environment=world.environment,
            kind="tokenization",
            settings={"dataset_tag": dataset_tag},
            secrets_in={},
        )


def test_a_tag_on_the_dataset_alone_is_answered_with_suggestions(untagged: World) -> None:
    (answer,) = poll(untagged)

    assert answer.run is None
    assert untagged.tags() == {"tokenize/run", "tokenize/status:WAITING"}
    text = documentation(untagged)
    assert "- Status: **WAITING**" in text
    assert "no field of it carries a tag for personal data" in text
    assert "  - `email`: " in text
    assert "  - `phone`: " in text
    assert f"/tokenization?dataset={quote(untagged.source.urn('customers'))}" in text
    assert untagged.source.column("SELECT email FROM customers WHERE id = 1") == [
        "person1@example.org"
    ]


def test_it_is_said_once(untagged: World) -> None:
    poll(untagged)

    assert poll(untagged) == []


def test_a_tag_on_a_field_later_starts_it(untagged: World) -> None:
    poll(untagged)
    tag_field(untagged, "email")

    (answer,) = poll(untagged)
    view = inline.complete(untagged.database, answer.run)

    assert view.state is RunState.SUCCEEDED, view.details
    assert [column.name for column in view.columns] == ["email"]
    assert untagged.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}
    assert "WAITING" not in documentation(untagged)


def test_what_was_tokenized_before_is_run_again_and_a_dropped_column_is_not(
    untagged: World,
) -> None:
    untagged.source.run("ALTER TABLE customers ALTER phone TYPE varchar(40)")
    ran = untagged.start("customers", "email", "phone", schemes={"phone": "hmac-sha256-144"})
    assert untagged.work(ran).state is RunState.SUCCEEDED
    other = untagged.work(untagged.start("customers", "name"))
    untagged.source.run(
        "ALTER TABLE customers DROP COLUMN name", "UPDATE customers SET phone = '1' WHERE id = 1"
    )
    untagged.gms.store.upsert(
        untagged.source.urn("customers"), "globalTags", {"tags": [{"tag": tags.RUN}]}
    )

    (answer,) = poll(untagged)
    view = inline.complete(untagged.database, answer.run)

    assert (view.state, view.rows_updated) == (RunState.SUCCEEDED, 1), view.details
    assert {column.name: column.reason for column in view.columns} == dict.fromkeys(
        ("email", "phone"), f"tokenized before, by run {ran.id}"
    )
    assert other.state is RunState.SUCCEEDED
    assert untagged.source.column("SELECT phone FROM customers WHERE id = 1") == [SHORT.token("1")]


def test_taking_the_tag_off_takes_the_waiting_back(untagged: World) -> None:
    poll(untagged)
    urn = untagged.source.urn("customers")
    waiting = [{"tag": tags.WAITING}]
    untagged.gms.store.upsert(urn, "globalTags", {"tags": waiting})

    assert poll(untagged) == []

    assert untagged.tags() == set()
    assert documentation(untagged) == ""


def test_an_environment_may_run_the_likely_columns(untagged: World) -> None:
    prefer(untagged, "run")

    (answer,) = poll(untagged)
    view = inline.complete(untagged.database, answer.run)

    assert view.state is RunState.SUCCEEDED, view.details
    assert {"email", "phone"} <= {column.name for column in view.columns}
    assert all("value" in column.reason or "name" in column.reason for column in view.columns)


def test_a_table_that_is_not_there_is_a_failure_with_its_reason(untagged: World) -> None:
    urn = untagged.source.urn("nowhere")
    untagged.gms.seed_dataset(
        urn, fields={"a": "text"}, tags=[tags.RUN], field_tags={"a": ["urn:li:tag:pii"]}
    )

    answers = {answer.dataset: answer for answer in poll(untagged)}

    assert answers[urn].run is None
    text = documentation(untagged, urn)
    assert "- Status: **FAILED**" in text
    assert "has no table public.nowhere" in text.replace("\\", "")
    found = untagged.gms.aspect(urn, "globalTags")["tags"]
    assert {each["tag"] for each in found} == {tags.RUN, tags.FAILED}

    untagged.source.run("CREATE TABLE nowhere (a text)")
    (again,) = poll(untagged)
    assert again.run is not None, "it is tried again, and there is such a table now"
