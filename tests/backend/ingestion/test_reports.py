"""DataHub is told of runs where its connection says so, in the SDK's form, never wrongly."""

from datetime import timedelta

import pytest
import requests
from sqlalchemy import update

from backend.connections import service as connections
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import reports, service
from backend.ingestion.alerts import alerts
from backend.integrations.datahub import process_runs
from backend.integrations.datahub.process_runs import FLOW_URN, proposals
from backend.models.ingestion import IngestionRun
from tests.backend.ingestion.conftest import JOB, URN

ENDED = clock.now() - timedelta(seconds=5)


@pytest.fixture
def told(database, datahub, mapped):
    """The stand-in DataHub, whose connection says that it is told of runs."""
    save(database, datahub, report_runs="on")
    return datahub


def save(database: Database, datahub, **settings: str) -> None:
    with database.write() as session:
        connections.save(
            session,
            SYSTEM,
            environment="dev",
            kind="datahub",
            settings={"server": datahub.url, **settings},
            secrets_in={"token": datahub.token},
        )


def change(database: Database, run_id: str, **values: object) -> None:
    with database.write() as session:
        session.execute(update(IngestionRun).where(IngestionRun.run_id == run_id).values(**values))


def end(database: Database, run_id: str, status: str, **values: object) -> None:
    change(
        database, run_id, status=status, settled=True, finished_at=ENDED, active_key=None, **values
    )


def tell(database: Database, run_id: str) -> None:
    change(database, run_id, report_at=clock.now() - timedelta(seconds=1))
    reports.sweep(database)


def seen(database: Database, actors, run_id: str):
    with database.read() as session:
        return service.get_run(session, actors.viewer, run_id=run_id)


def aspects(gms) -> dict[str, dict]:
    """The one run's aspects in DataHub, {} when it knows none."""
    found = gms.store.urns("dataProcessInstance")
    assert len(found) <= 1
    return {
        name.removeprefix("dataProcessInstance"): record["value"]
        for urn in found
        for name, record in gms.store.records(urn).items()
    }


def test_by_default_nothing_is_told(database, actors, datahub, mapped, start):
    run = start()
    end(database, run.run_id, "succeeded")
    tell(database, run.run_id)

    assert aspects(datahub) == {}
    assert seen(database, actors, run.run_id).datahub == ""


def test_a_run_is_shown_as_started_and_then_with_its_end(database, actors, told, start):
    run = start(reason="of nobody's concern")
    tell(database, run.run_id)

    there = aspects(told)
    assert there["RunEvent"]["status"] == "STARTED"
    assert there["Output"] == {"outputs": [URN]}
    assert there["Relationships"]["parentTemplate"] == FLOW_URN
    assert told.aspect(FLOW_URN, "dataFlowInfo")["name"] == "Steward Portal"
    assert there["Properties"]["created"]["actor"] == f"urn:li:corpuser:{actors.operator.name}"
    assert not [name for name in ("nobody", "earnings-lambda") if name in str(there)]

    end(database, run.run_id, "succeeded")
    tell(database, run.run_id)

    event = aspects(told)["RunEvent"]
    assert (event["status"], event["result"]["type"]) == ("COMPLETE", "SUCCESS")
    assert event["timestampMillis"] == int(ENDED.timestamp() * 1000)
    assert seen(database, actors, run.run_id).datahub == "DataHub shows how it ended."


def test_the_job_is_the_parent_when_datahub_has_it(database, told, aws, add_rule, start):
    told.seed_data_job(JOB)
    run = start(job_urn=JOB)
    tell(database, run.run_id)

    assert aspects(told)["Relationships"]["parentTemplate"] == JOB
    assert not told.store.exists(FLOW_URN)


@pytest.mark.parametrize(
    ("status", "values", "result"),
    [
        ("failed", {"started_at": ENDED}, "FAILURE"),
        ("failed", {"error_status": 502}, "SKIPPED"),
        ("succeeded", {}, "SUCCESS"),
    ],
)
def test_how_it_ended(database, told, start, status, values, result):
    run = start()
    end(database, run.run_id, status, **values)
    tell(database, run.run_id)

    assert aspects(told)["RunEvent"]["result"]["type"] == result


def test_an_unknown_outcome_has_no_end(database, actors, told, start):
    run = start()
    end(database, run.run_id, "unknown")
    tell(database, run.run_id)

    there = aspects(told)
    assert there["RunEvent"]["status"] == "STARTED"
    assert "result" not in there["RunEvent"]
    assert there["Properties"]["customProperties"]["status"] == "unknown"
    assert "no end" in seen(database, actors, run.run_id).datahub


def test_a_refusal_is_beside_the_run_and_told_again(database, actors, told, start):
    run = start()
    end(database, run.run_id, "succeeded")
    with told.faults.inject(status=500, times=50):
        for tried in range(1, reports.ALERT_TRIES + 1):
            tell(database, run.run_id)
            view = seen(database, actors, run.run_id)
            assert view.status == "succeeded"
            assert view.datahub.startswith("DataHub could not be told:")
            with database.read() as session:
                heard = [each.text for each in alerts(session, actors.viewer)]
            expected = f"DataHub of dev could not be told of run {run.run_id}."
            assert heard == ([expected] if tried == reports.ALERT_TRIES else [])
    assert aspects(told) == {}

    tell(database, run.run_id)

    assert aspects(told)["RunEvent"]["result"]["type"] == "SUCCESS"
    with database.read() as session:
        assert alerts(session, actors.viewer) == []


def test_after_the_last_try_it_is_left(database, actors, told, start):
    run = start()
    end(database, run.run_id, "succeeded")
    change(database, run.run_id, report_tries=len(reports.PAUSES))
    with told.faults.inject(status=500, times=50):
        tell(database, run.run_id)

    assert seen(database, actors, run.run_id).datahub.endswith("It is not told again.")


def test_a_lost_answer_is_asked_for_again_and_makes_no_second_run(
    database, actors, told, start, monkeypatch
):
    run = start()
    end(database, run.run_id, "succeeded")
    emit = process_runs._emit

    def lose(graph, wanted):
        emit(graph, wanted)
        raise requests.exceptions.ReadTimeout("no answer")

    monkeypatch.setattr(process_runs, "_emit", lose)
    tell(database, run.run_id)
    assert seen(database, actors, run.run_id).datahub.startswith("DataHub could not be told:")
    tell(database, run.run_id)  # it is there: nothing is sent again

    assert aspects(told)["RunEvent"]["result"]["type"] == "SUCCESS"
    assert seen(database, actors, run.run_id).datahub == "DataHub shows how it ended."


def test_a_server_that_accepts_and_does_not_keep_is_not_believed(
    database, actors, told, start, monkeypatch
):
    run = start()
    monkeypatch.setattr(process_runs, "_emit", lambda graph, wanted: None)
    tell(database, run.run_id)

    assert "does not show it" in seen(database, actors, run.run_id).datahub


@pytest.mark.parametrize(
    ("name", "version", "known"),
    [
        ("linkedin/datahub", "v0.10.5", False),
        ("acryldata/datahub", "v0.13.1", False),
        ("acryldata/datahub", "v0.13.2", True),
        ("acryldata/datahub", "v0.13.2.1rc3", True),
        ("acryldata/datahub", "v1.7.0", True),
        ("acryldata/datahub", "null", True),  # a build of one's own is tried
    ],
)
def test_a_server_that_is_too_old_is_named_and_the_run_stays_what_it_is(
    database, actors, told, start, name, version, known
):
    told.config["versions"] = {name: {"version": version}}
    run = start()
    end(database, run.run_id, "succeeded")
    tell(database, run.run_id)

    view = seen(database, actors, run.run_id)
    assert view.status == "succeeded"
    assert (aspects(told) != {}) is known
    if not known:
        assert f"its version {version} does not know all" in view.datahub
        assert "told to 0.13.2 and newer" in view.datahub


def test_a_servers_refusal_is_one_sentence_and_no_failed_run(database, actors, told, start):
    run = start()
    with told.faults.inject(status=400, method="POST"):
        tell(database, run.run_id)

    view = seen(database, actors, run.run_id)
    assert view.status == "accepted"
    assert "refused the request as invalid: refused" in view.datahub
    assert "Check that the server's version fits this portal" in view.datahub


def test_switched_off_it_is_told_no_more(database, told, start):
    run = start()
    save(database, told, report_runs="off")
    tell(database, run.run_id)

    assert aspects(told) == {}
    with database.read() as session:
        assert session.query(IngestionRun).one().report_at is None


def test_what_is_sent_is_valid_for_the_sdks_own_schema(database, told, start):
    run = start()
    end(database, run.run_id, "failed", started_at=ENDED)
    with database.read() as session:
        sent = reports.process_run(session.query(IngestionRun).one(), "failed")

    found = proposals(sent, job_urn="", output=URN, with_flow=True)

    assert [each.aspectName for each in found] == [
        "dataFlowInfo",
        "dataProcessInstanceProperties",
        "dataProcessInstanceRelationships",
        "dataProcessInstanceOutput",
        "dataProcessInstanceRunEvent",
        "dataProcessInstanceRunEvent",
    ]
    assert all(each.validate() and each.make_mcp().validate() for each in found)


def test_the_sandbox_shows_the_run_on_the_datasets_page(database, told, start):
    run = start()
    end(database, run.run_id, "succeeded")
    tell(database, run.run_id)

    page = requests.get(f"{told.url}/dataset/{URN}", timeout=10).text

    assert run.run_id in page
    assert "<td>SUCCESS</td>" in page
