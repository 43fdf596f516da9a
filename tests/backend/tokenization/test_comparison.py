"""Compare DataHub with the tables: each difference has a name and a repair, and can be an alert."""

from datetime import timedelta
from typing import Any

import pytest

from backend.connections import service as connections
from backend.core import clock
from backend.core.errors import InvalidInput, NotFound
from backend.jobs import runner
from backend.tokenization import check, comparison, tags, write_back
from backend.tokenization.alerts import alerts
from backend.tokenization.schemas import RunState, Trigger
from tests.backend.tokenization.world import ADMIN, STEWARD, World


@pytest.fixture
def done(catalogued: World) -> World:
    """The customers' email and phone are tokens, and DataHub says so."""
    assert catalogued.work(catalogued.start("customers")).state is RunState.SUCCEEDED
    return catalogued


def compare(world: World) -> dict[str, Any]:
    with world.database.write() as session:
        job_id = comparison.start(session, STEWARD)
    runner.run(job_id, world.database)
    with world.database.read() as session:
        found = comparison.latest(session, STEWARD)
    assert found is not None
    return found.document()


def found(world: World) -> list[tuple[str, list[str], str]]:
    return [
        (each["finding"], each["columns"], each["repair"]) for each in compare(world)["findings"]
    ]


def test_agreement(done: World) -> None:
    document = compare(done)

    assert (document["checked"], document["agree"], document["findings"]) == (1, 1, [])


def test_what_the_result_leaves_out_is_said(done: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done.source.run("ALTER TABLE customers DROP COLUMN phone")
    monkeypatch.setattr(check, "MAX_FINDINGS", 0)
    monkeypatch.setattr(check, "MAX_DATASETS", 0)
    compare(done)
    with done.database.read() as session:
        newest = comparison.latest(session, STEWARD)
    assert newest is not None
    assert newest.rest == f"… and 1 more. {check._MORE_TAGGED}"


def test_a_dropped_column_is_no_agreement(done: World) -> None:
    done.source.run("ALTER TABLE customers DROP COLUMN phone")

    assert found(done) == [(check.COLUMN_GONE, ["phone"], check.BY_HAND)]


def test_columns_of_an_earlier_run_count(done: World) -> None:
    done.work(done.start("customers", "email"))
    done.source.run("UPDATE customers SET phone = '+49 170 1' WHERE id = 1")

    assert found(done) == [(check.PLAIN_BUT_DONE, ["phone"], check.RUN_AGAIN)]


def test_a_lost_property_is_written_again_at_once(done: World) -> None:
    urn = done.source.urn("customers")
    before = done.gms.aspect(urn, "datasetProperties")["customProperties"]
    done.gms.store.upsert(urn, "datasetProperties", {"customProperties": {"own": "1"}})

    document = compare(done)

    (finding,) = document["findings"]
    assert (finding["finding"], finding["repaired"]) == (check.PROOF_LOST, True)
    assert document["agree"] == 1
    after = done.gms.aspect(urn, "datasetProperties")["customProperties"]
    assert after == {"own": "1", tags.LAST_RUN_PROPERTY: before[tags.LAST_RUN_PROPERTY]}
    assert compare(done)["findings"] == []


class TestRepair:
    def mend(self, world: World, finding: str) -> Any:
        return comparison.repair(
            world.database,
            STEWARD,
            dataset=world.source.urn("customers"),
            finding=finding,
            trigger=Trigger.API,
        )

    def test_by_a_run(self, done: World) -> None:
        done.source.run("UPDATE customers SET phone = '+49 170 1' WHERE id = 1")
        compare(done)

        view = done.work(self.mend(done, check.PLAIN_BUT_DONE))

        assert (view.state, view.rows_updated) == (RunState.SUCCEEDED, 1)
        assert [column.name for column in view.columns] == ["phone"]
        assert found(done) == []

    def test_by_another_write_back(self, done: World) -> None:
        urn = done.source.urn("customers")
        done.gms.store.upsert(urn, "globalTags", {"tags": []})
        assert found(done) == [(check.TOKENS_BUT_NOT_DONE, ["email", "phone"], check.WRITE_AGAIN)]

        view = self.mend(done, check.TOKENS_BUT_NOT_DONE)
        write_back.attempt(done.database, view.id)

        assert "tokenize/done" in done.tags()
        assert found(done) == []

    def test_what_only_a_person_can_mend(self, done: World) -> None:
        done.source.run("ALTER TABLE customers DROP COLUMN phone")
        compare(done)

        with pytest.raises(InvalidInput, match="only a person can mend"):
            self.mend(done, check.COLUMN_GONE)

    def test_what_the_comparison_did_not_find(self, done: World) -> None:
        compare(done)

        with pytest.raises(NotFound, match="no such difference"):
            self.mend(done, check.PLAIN_BUT_DONE)


def test_a_difference_is_an_alert_until_it_is_gone(done: World) -> None:
    done.source.run("UPDATE customers SET phone = '+49 170 1' WHERE id = 1")
    compare(done)

    with done.database.read() as session:
        (alert,) = alerts(session, STEWARD)

    assert f"tables of {done.environment} disagree in 1 place" in alert.text


def test_the_schedule_compares_once_per_interval(
    done: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(comparison.start_due(done.database)) == 1
    assert comparison.start_due(done.database) == []

    later = clock.now() + timedelta(days=8)
    monkeypatch.setattr("backend.core.clock.now", lambda: later)
    assert len(comparison.start_due(done.database)) == 1


def test_the_schedule_can_be_off(done: World) -> None:
    with done.database.write() as session:
        connections.save(
            session,
            ADMIN,
            environment=done.environment,
            kind="tokenization",
            settings={"compare": "never"},
            secrets_in={},
        )

    assert comparison.start_due(done.database) == []
