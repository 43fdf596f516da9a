"""The list of datasets: what is in it, in which order, and what each role sees."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from backend.core import clock
from backend.core.access import Actor
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.ingestion import datasets
from backend.ingestion.datasets import DatasetPage
from backend.ingestion.schemas import RunView
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion.conftest import OTHER, URN, AddRule, Run

List = Callable[..., DatasetPage]
THIRD = URN.replace("prices", "abc")


@pytest.fixture
def listed(database: Database, actors: SimpleNamespace) -> List:
    def go(actor: Actor | None = None, **given: object) -> DatasetPage:
        with database.read() as session:
            return datasets.list_datasets(session, actor or actors.operator, **given)  # type: ignore[arg-type]

    return go


@pytest.fixture
def failed(
    aws: AwsStandIn, add_rule: AddRule, start: Callable[..., RunView], database: Database
) -> RunView:
    """Three mapped datasets; one was run, took 90 seconds and failed."""
    aws.add_function("f", outcome="silent")
    for urn in (URN, OTHER, THIRD):
        add_rule("exact", urn, "f")
    run, now = start(), clock.now()
    with database.write() as session:
        session.execute(
            update(IngestionRun).values(
                status="failed", started_at=now - timedelta(seconds=90), finished_at=now
            )
        )
    return run


def test_says_which_are_not_looked_at_and_never_calls_a_mapped_one_unrun(
    failed: RunView,
    listed: List,
    start: Callable[..., RunView],
    aws: AwsStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where more datasets were run than are looked at, the older one is in the list by its rule."""
    later = start(THIRD)
    assert listed().note == ""
    monkeypatch.setattr(datasets, "MAX_RAN", 1)
    page = listed()
    assert "Only the 1 datasets that were run last" in page.note
    assert page.document()["note"] == page.note
    last = {item.urn: item.last_run_id for item in page.items}
    assert last == {THIRD: later.run_id, URN: failed.run_id, OTHER: None}


def test_says_when_there_were_more_runs_than_its_trends_show(
    failed: RunView,
    listed: List,
    start: Callable[..., RunView],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = start(THIRD)
    monkeypatch.setattr(datasets, "MAX_RUNS", 2)
    assert listed().note == ""
    monkeypatch.setattr(datasets, "MAX_RUNS", 1)
    page = listed()
    assert "Trends show the newest 1 runs only, since " in page.note
    assert clock.iso(later.created_at) in page.note
    assert {item.urn: sum(item.daily) for item in page.items} == {THIRD: 1, URN: 0, OTHER: 0}


def test_the_last_run_comes_first_and_the_others_by_name(failed: RunView, listed: List) -> None:
    page = listed()
    assert [item.urn for item in page.items] == [URN, THIRD, OTHER]
    first = page.items[0]
    assert (first.last_run_id, first.last_status) == (failed.run_id, "failed")
    assert (sum(first.daily), first.daily[-1], first.seconds) == (1, 1, (90.0,))
    assert page.counts == {"all": 3, "failed": 1, "running": 0, "never": 2}
    assert {item.target.name for item in page.items if item.target} == {"f"}


def test_filters_and_pages(failed: RunView, listed: List) -> None:
    assert [item.urn for item in listed(only="failed").items] == [URN]
    assert [item.urn for item in listed(text="TRADES").items] == [OTHER]
    page = listed(limit=2)
    assert page.next_cursor == 2
    assert [item.urn for item in listed(limit=2, cursor=2).items] == [OTHER]
    with pytest.raises(InvalidInput, match="is no filter of datasets"):
        listed(only="some")


def test_who_may_not_read_the_mapping_sees_no_target(
    failed: RunView, listed: List, actors: SimpleNamespace
) -> None:
    assert {item.target for item in listed(actors.viewer).items} == {None}
    assert listed(actors.viewer, text="f-of-nobody").items == ()


def test_a_prefix_is_not_shown_where_a_tag_may_answer_first(
    failed: RunView, listed: List, add_rule: AddRule, start: Callable[..., RunView]
) -> None:
    unmapped = URN.replace("prices", "fx")
    add_rule("prefix", "AwsDataCatalog.", "f")
    start(unmapped)
    add_rule("prefix", "AwsDataCatalog.financial_data.f", "g")
    by_urn = {item.urn: item for item in listed().items}
    assert by_urn[unmapped].target is not None
    assert by_urn[unmapped].target.name == "g"
    add_rule("tag", "layer/gold", "h")
    by_urn = {item.urn: item for item in listed().items}
    assert by_urn[unmapped].target is not None
    assert by_urn[unmapped].target.name == "f", "the last run's, as the mapping cannot tell"


class TestFaces:
    def test_over_rest_and_command_line(
        self, add_rule: AddRule, client: TestClient, token: Callable[[str], dict[str, str]],
        run: Run,
    ) -> None:  # fmt: skip
        add_rule("exact", URN, "f")
        answer = client.get("/api/ingestion/datasets", headers=token("viewer")).json()
        assert [item["datasetUrn"] for item in answer["items"]] == [URN]
        assert answer["counts"]["never"] == 1
        shown = run("datasets", "--only", "never")
        assert (shown.status, "financial_data.prices" in shown.out) == (0, True)


def test_favourites_come_first_for_who_has_them(
    failed: RunView, listed: List, database: Database, actors: SimpleNamespace
) -> None:
    new = URN.replace("prices", "never_mapped")
    for urn in (OTHER, new):
        with database.write() as session:
            datasets.set_favourite(session, actors.operator, dataset_urn=urn, on=True)
            datasets.set_favourite(session, actors.operator, dataset_urn=urn, on=True)
    assert [item.urn for item in listed().items] == [new, OTHER, URN, THIRD]
    assert [item.favourite for item in listed().items] == [True, True, False, False]
    assert [item.urn for item in listed(actors.viewer).items] == [URN, THIRD, OTHER]
    with database.write() as session:
        datasets.set_favourite(session, actors.operator, dataset_urn=new, on=False)
    assert [item.urn for item in listed().items] == [OTHER, URN, THIRD]


def test_a_favourite_is_a_dataset_and_they_are_not_endless(
    database: Database, environment: str, actors: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "MAX_FAVOURITES", 1)
    with database.write() as session:
        with pytest.raises(InvalidInput, match="URN"):
            datasets.set_favourite(session, actors.operator, dataset_urn="prices", on=True)
        datasets.set_favourite(session, actors.operator, dataset_urn=URN, on=True)
        with pytest.raises(InvalidInput, match="take one off first"):
            datasets.set_favourite(session, actors.operator, dataset_urn=OTHER, on=True)


def test_favourites_over_rest_and_on_the_command_line(
    client: TestClient, token: Callable[[str], dict[str, str]], failed: RunView, run: Run
) -> None:
    headers = token("viewer")
    body = {"datasetUrn": OTHER, "favourite": True}
    answer = client.put("/api/ingestion/datasets/favourite", headers=headers, json=body)
    assert answer.status_code == 204
    first = client.get("/api/ingestion/datasets", headers=headers).json()["items"][0]
    assert (first["datasetUrn"], first["favourite"]) == (OTHER, True)
    assert run("favourite", "--dataset-urn", THIRD).status == 0
    assert "abc" in run("datasets").out.splitlines()[1]
    assert run("favourite", "--dataset-urn", THIRD, "--off").status == 0
