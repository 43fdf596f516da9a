"""How a run of tokenization can end, and what the Overview says of it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.alerts import Alert
from backend.jobs import alerts as job_alerts
from backend.jobs import runner
from backend.jobs.enqueue import enqueue
from backend.models import Job, TokenizationRun
from backend.tokenization import alerts, cleaning, write_back
from backend.tokenization.schemas import CleanUpState, RunState, RunView, WriteBackState
from tests.backend.tokenization import world as worlds
from tests.backend.tokenization.world import STEWARD, World

#: State of a run → how severe its alert is, or "" and why there is none.
OUTCOMES: dict[RunState, tuple[str, str]] = {
    RunState.QUEUED: ("", "it has not begun; what no worker takes is an alert of the jobs"),
    RunState.RUNNING: ("", "it has not ended; one whose worker is gone is an alert of the jobs"),
    RunState.SUCCEEDED: ("", "the table holds tokens"),
    RunState.FAILED: ("warning", ""),
    RunState.CANCELLED: ("", "somebody asked for it, and nothing was changed"),
    RunState.INTERRUPTED: ("warning", ""),
    RunState.UNKNOWN: ("error", ""),
    RunState.SKIPPED: ("", "nothing was there to do it with, and the answer said so"),
}
#: The same of its proof in DataHub.
PROOFS: dict[WriteBackState, tuple[str, str]] = {
    WriteBackState.PENDING: ("", "the first try is about to come"),
    WriteBackState.SUCCEEDED: ("", "DataHub has it"),
    WriteBackState.FAILED: ("warning", ""),
    WriteBackState.SKIPPED: ("", "a later run is shown, or there is no DataHub"),
}
#: The same of the clean-up after it: what is told is the job that did it.
CLEAN_UPS: dict[CleanUpState, tuple[str, str]] = {
    CleanUpState.NONE: ("", "nobody asked for one"),
    CleanUpState.WANTED: (
        "",
        "its job is about to come; one that is stuck is an alert of the jobs",
    ),
    CleanUpState.SUCCEEDED: ("", "nothing stays behind"),
    CleanUpState.LEFT: ("warning", ""),
    CleanUpState.FAILED: ("warning", ""),
}


@pytest.fixture
def table(world: World) -> World:
    worlds.customers(world.source)
    return world


def run(world: World, state: RunState, *, days: int = 0, **more: Any) -> RunView:
    """A run that was asked for, in this state since so long."""
    view = world.start("customers", "email")
    ended = None if state in (RunState.QUEUED, RunState.RUNNING, RunState.UNKNOWN) else clock.now()
    if ended is not None:
        ended -= timedelta(days=days)
    values = {"state": state, "finished_at": ended, "write_back": "skipped", **more}
    values |= {} if ended is None else {"active_key": None}
    with world.database.write() as session:
        mine = update(TokenizationRun).where(TokenizationRun.id == view.id)
        session.execute(mine.values(**values))
    return view


def said(world: World) -> list[Alert]:
    with world.database.read() as session:
        return alerts.alerts(session, STEWARD)


def numbers(found: list[Alert]) -> list[str]:
    return [dict(item.query)["run"] for item in found]


def test_every_state_is_in_a_table() -> None:
    assert (set(OUTCOMES), set(PROOFS), set(CLEAN_UPS)) == (
        set(RunState),
        set(WriteBackState),
        set(CleanUpState),
    )
    for told in (OUTCOMES, PROOFS, CLEAN_UPS):
        assert all(bool(severity) != bool(why) for severity, why in told.values())


@pytest.mark.parametrize("state", OUTCOMES)
def test_what_is_said_of_it(table: World, state: RunState) -> None:
    view = run(table, state)
    severity, _ = OUTCOMES[state]
    assert [item.severity for item in said(table)] == [severity] * bool(severity)
    assert numbers(said(table)) == [str(view.id)] * bool(severity)


@pytest.mark.parametrize("state", PROOFS)
def test_what_is_said_of_its_proof(table: World, state: WriteBackState) -> None:
    tried = 1 if state is WriteBackState.FAILED else 0
    view = run(table, RunState.SUCCEEDED, write_back=state, write_back_attempts=tried)
    severity, _ = PROOFS[state]
    assert [item.severity for item in said(table)] == [severity] * bool(severity)
    assert numbers(said(table)) == [str(view.id)] * bool(severity)


def test_a_proof_that_was_refused_ends_as_the_table_says(catalogued: World) -> None:
    view = catalogued.start("customers")
    with catalogued.gms.faults.inject(status=500):
        catalogued.work(view)
        assert write_back.attempt(catalogued.database, view.id).write_back is WriteBackState.FAILED
    assert numbers(said(catalogued)) == [str(view.id)]


@pytest.mark.parametrize("state", CLEAN_UPS)
def test_what_is_said_of_its_clean_up(
    table: World, state: CleanUpState, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = run(table, RunState.SUCCEEDED)
    with table.database.write() as session:
        session.execute(update(Job).values(state="succeeded", finished_at=clock.now()))

    def attempt(*_: Any) -> RunView:
        values = {"clean_up": state, "clean_up_details": "pg_toast stays"}
        with table.database.write() as session:
            session.execute(update(TokenizationRun).values(**values))
        return table.view(view.id)

    monkeypatch.setattr(cleaning, "attempt", attempt)
    if state not in (CleanUpState.NONE, CleanUpState.WANTED):
        with table.database.write() as session:
            job_id = enqueue(
                session, SYSTEM, "tokenization.clean_up", {"run_id": view.id}, subject=""
            )
        runner.run(job_id, table.database)
    severity, _ = CLEAN_UPS[state]
    with table.database.read() as session:
        found = job_alerts.alerts(session, SYSTEM)
    assert [item.severity for item in found] == [severity] * bool(severity)
    assert all("pg_toast stays" in item.text for item in found)


@pytest.mark.parametrize(
    ("later", "left"),
    [
        (RunState.SUCCEEDED, 0),
        (RunState.FAILED, 1),
        (RunState.CANCELLED, 1),
        (RunState.SKIPPED, 1),
        (RunState.RUNNING, 1),
    ],
)
def test_a_later_end_answers_it_and_one_that_changed_nothing_does_not(
    table: World, later: RunState, left: int
) -> None:
    run(table, RunState.FAILED)
    newest = run(table, later)
    assert len(said(table)) == left
    assert (str(newest.id) in numbers(said(table))) == (later is RunState.FAILED)


def test_a_week_later_it_is_history(table: World) -> None:
    run(table, RunState.FAILED, days=8)
    assert said(table) == []


def test_many_are_all_named(table: World) -> None:
    for number in range(7):
        run(table, RunState.FAILED, dataset=f"urn:li:dataset:{number}")
    assert len(said(table)) == 7
