"""How a mount operation and a scan can end, and what the Overview says of it."""

from dataclasses import fields
from datetime import timedelta
from typing import Any, get_args

import pytest
from sqlalchemy import delete, update

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.alerts import Alert
from backend.core.database import Database
from backend.dms import recheck, schema
from backend.dms.ledger import Ledger
from backend.dms.schema import Operation, State
from backend.jobs import alerts as job_alerts
from backend.jobs import runner
from backend.jobs.enqueue import enqueue
from backend.models.mounts import MountWatch
from backend.mounts import actions, alerts, orphans
from tests.fixtures.mounts import MountsEnvironment

#: State of an operation → how severe the alert of its job is, or "" and why there is none. Who asks
#: by REST or at the command line has the answer at once, and there is no job.
OUTCOMES: dict[State, tuple[str, str]] = {
    "in_flight": ("", "it has not ended; one whose client is gone counts as unknown in the scan"),
    "succeeded": ("", "it was done"),
    "failed": ("warning", ""),
    "not_delivered": ("warning", ""),
    "shared": ("", "others hold the mount, so that nothing had to be sent"),
    "unknown": ("warning", ""),
    "settled": ("warning", ""),
    "released": ("warning", ""),
}
#: What the scan tells of, beside the job: nobody else hears of what REST left without an answer.
UNANSWERED = {"unknown"}


def _operation(state: str) -> Operation:
    values: dict[str, Any] = {each.name: None for each in fields(Operation)}
    status = {"succeeded": "success", "failed": "error"}.get(state, "error")
    reply = f'{{"status": "{status}", "error_msg": "denied", "success_msg": "done"}}'
    values |= {"state": state, "note": "so it is", "operation_id": "o-1", "settled_by": "o-2"}
    return Operation(**{**values, "reply": reply})


def of_jobs(database: Database) -> list[Alert]:
    with database.read() as session:
        return job_alerts.alerts(session, SYSTEM)


def of_mounts(database: Database) -> list[Alert]:
    with database.read() as session:
        found = alerts.alerts(session, SYSTEM)
    return [item for item in found if item.event in ("mounts.unknown", "mounts.unwatched")]


def test_every_state_of_an_operation_is_in_the_table() -> None:
    assert set(OUTCOMES) == set(get_args(State))
    assert all(bool(severity) != bool(why) for severity, why in OUTCOMES.values())


@pytest.mark.parametrize("state", [state for state in OUTCOMES if state != "in_flight"])
def test_what_is_said_of_the_job_that_did_it(
    database: Database, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = recheck.told(_operation(state))
    monkeypatch.setattr(actions, "run_submitted", lambda *_, **__: answer)
    with database.write() as session:
        job_id = enqueue(session, SYSTEM, "mounts.operate", {"request_id": 1}, subject="mount")
    runner.run(job_id, database)
    severity, _ = OUTCOMES[state]
    assert [item.severity for item in of_jobs(database)] == [severity] * bool(severity)


@pytest.mark.parametrize("state", OUTCOMES)
def test_what_the_scan_says_of_it(database: Database, lab: MountsEnvironment, state: State) -> None:
    ledger = Ledger(lab.ledger_url)
    soon = clock.now().replace(tzinfo=None) + timedelta(hours=1)
    ledger.write(
        lambda c: c.execute(update(schema.operation).values(state=state, lease_until=soon))
    )
    ledger.close()
    orphans.scan(database, SYSTEM)
    told = state in UNANSWERED
    assert [item.severity for item in of_mounts(database)] == ["warning"] * told
    for item in of_mounts(database):
        assert dict(item.query) == {
            "environment": "Lab",
            "view": "operations",
            "state": "unknown",
        }


def test_an_operation_whose_client_is_gone_is_of_unknown_outcome(
    database: Database, lab: MountsEnvironment
) -> None:
    ledger = Ledger(lab.ledger_url)
    past = clock.now().replace(tzinfo=None) - timedelta(hours=1)
    ledger.write(
        lambda c: c.execute(update(schema.operation).values(state="in_flight", lease_until=past))
    )
    ledger.close()
    orphans.scan(database, SYSTEM)
    assert [item.event for item in of_mounts(database)] == ["mounts.unknown"]


@pytest.mark.parametrize(
    ("found", "severity"),
    [
        ({"failing_since": None, "complete": True}, []),
        # Its page says how far the scan came; what it did find is told.
        ({"failing_since": None, "complete": False}, []),
        ({"failing_since": clock.now(), "complete": True}, ["error"]),
    ],
    ids=["looked", "looked at a part", "failed"],
)
def test_what_is_said_of_a_scan(
    database: Database, lab: MountsEnvironment, found: dict[str, Any], severity: list[str]
) -> None:
    ledger = Ledger(lab.ledger_url)
    ledger.write(lambda c: c.execute(delete(schema.operation)))
    ledger.close()
    orphans.scan(database, SYSTEM)
    with database.write() as session:
        session.execute(update(MountWatch).values(**found))
    assert [item.severity for item in of_mounts(database)] == severity
