"""Where else a value lives: copies that DataHub knows, and the previews of all of them."""

import pytest

from backend.core.access import Actor, Role
from backend.core.errors import InvalidInput, NotFound, NotPermitted
from backend.jobs import runner
from backend.tokenization import copies
from backend.tokenization.copies import CopyList
from backend.tokenization.schemas import RunState
from tests.backend.tokenization.world import STEWARD, World

ELSEWHERE = "urn:li:dataset:(urn:li:dataPlatform:snowflake,dwh.mart.people,PROD)"
VIEWER = Actor(id=9, name="viewer@example.org", role=Role.VIEWER, kind="user")


@pytest.fixture
def copied(catalogued: World) -> World:
    """customers → mart (email as mail) → snowflake; mart has a sibling; leads has an email too."""
    source, gms = catalogued.source, catalogued.gms
    customers, mart = source.urn("customers"), source.urn("mart")
    for name, column in (("mart", "mail"), ("twin", "MAIL"), ("leads", "email")):
        source.run(
            f'CREATE TABLE {name} ("{column}" text)',
            f"INSERT INTO {name} SELECT 'a' || n || '@example.org' FROM generate_series(1, 3) n",
        )
        gms.seed_dataset(source.urn(name), fields={column: "text"})
    gms.seed_dataset(ELSEWHERE, fields={"contact": "text"})
    gms.seed_lineage(mart, {"mail": [(customers, "email")]})
    gms.seed_lineage(ELSEWHERE, {"contact": [(mart, "mail")]})
    gms.seed_siblings(mart, source.urn("twin"))
    return catalogued


def find(world: World, *columns: str) -> CopyList:
    return copies.find(
        world.database,
        STEWARD,
        dataset=world.source.urn("customers"),
        columns=list(columns) or None,
    )


def places(found: CopyList) -> list[tuple[str, str, str]]:
    return [(each.table.rsplit(".", 1)[-1], each.column, each.via) for each in found.items]


def test_lineage_of_any_length_siblings_and_equal_names(copied: World) -> None:
    found = find(copied, "email")

    assert places(found) == [
        ("mart", "mail", "lineage"),
        ("people", "contact", "lineage"),
        ("twin", "MAIL", "sibling"),
        ("leads", "email", "name"),
    ]
    assert found.items[0].reason == f"made from email of {copied.source.database}.public.customers"
    assert [bool(each.problem) for each in found.items] == [False, True, False, False]
    assert "snowflake cannot be tokenized" in found.items[1].problem
    assert (found.tokenized, found.note) == (0, "")


def test_upstream_and_sideways_too(copied: World) -> None:
    found = copies.find(
        copied.database, STEWARD, dataset=copied.source.urn("mart"), columns=["mail"]
    )

    assert ("customers", "email", "lineage") in places(found)
    assert ("people", "contact", "lineage") in places(found)
    assert found.items[0].reason == f"source of mail of {copied.source.database}.public.mart"


def test_what_a_run_took_is_counted_and_not_listed(copied: World) -> None:
    assert copied.work(copied.start("mart", "mail")).state is RunState.SUCCEEDED

    found = find(copied, "email")

    assert found.tokenized == 1
    assert ("mart", "mail", "lineage") not in places(found)


def test_columns_of_the_runs_else_the_tagged_ones(copied: World) -> None:
    assert find(copied).columns == ("email", "phone")
    copied.work(copied.start("customers", "email"))
    assert find(copied).columns == ("email",)


def test_without_a_column_to_follow_one_is_asked_for(copied: World) -> None:
    with pytest.raises(InvalidInput, match="none is tagged; name one"):
        copies.find(copied.database, STEWARD, dataset=copied.source.urn("leads"))


def test_circles_end(copied: World) -> None:
    customers = copied.source.urn("customers")
    copied.gms.seed_lineage(customers, {"email": [(copied.source.urn("mart"), "mail")]})

    assert len(find(copied, "email").items) == 4


def test_what_is_left_out_is_said(copied: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MAX_ASKED", 1)

    found = find(copied, "email")

    assert ("people", "contact", "lineage") not in places(found)
    assert "only a part of the lineage" in found.note


def test_one_call_previews_every_copy(copied: World) -> None:
    copied.source.run("ALTER TABLE leads ADD CHECK (email LIKE '%@%')")
    urn = copied.source.urn("customers")
    with copied.database.read() as session, pytest.raises(NotFound, match="asked for yet"):
        copies.previews(session, STEWARD, dataset=urn)
    with copied.database.write() as session:
        job_id = copies.queue_previews(session, STEWARD, dataset=urn, columns=["email"])
    runner.run(job_id, copied.database)
    with copied.database.read() as session:
        found = copies.previews(session, STEWARD, dataset=urn)

    assert (found.job_id, found.status) == (job_id, "succeeded")
    assert [each.table.rsplit(".", 1)[-1] for each in found.items] == ["mart", "twin", "leads"]
    assert [each.rows_to_update for each in found.items] == [3, 3, None]
    assert [bool(each.blockers) for each in found.items] == [False, False, True]
    assert "check constraint" in found.items[2].blockers[0]
    assert copied.source.column("SELECT count(*) FROM mart WHERE mail LIKE 'tok%'") == [0]


def test_only_who_may_preview_queues_previews(copied: World) -> None:
    with copied.database.write() as session, pytest.raises(NotPermitted):
        copies.queue_previews(session, VIEWER, dataset=copied.source.urn("customers"))
    assert copies.find(
        copied.database, VIEWER, dataset=copied.source.urn("customers"), columns=["email"]
    ).items
