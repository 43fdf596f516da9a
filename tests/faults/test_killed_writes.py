"""kill -9 while a job writes to an outside system: what that holds is neither lost nor doubled."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from backend.core import audit, clock
from backend.core.access import SYSTEM
from backend.core.database import Database, get_database
from backend.ingestion import runs, tracker
from backend.ingestion import service as ingestion
from backend.ingestion.errors import AlreadyRunning
from backend.ingestion.schemas import Request
from backend.jobs import recovery, runner
from backend.jobs.enqueue import enqueue
from backend.models import Job, SyncPlan, SyncRun
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from backend.user_sync import service as user_sync
from tests.backend.ingestion.conftest import AddRule, add_rule, aws, aws_server, environment
from tests.backend.tokenization.conftest import catalogued, gms, source
from tests.backend.tokenization.world import World as TokenWorld
from tests.backend.user_sync.conftest import World, _no_pauses, directory, many, om, world
from tests.faults.killing import MOMENTS, killed, tell
from tests.fixtures.database import fall_silent

__all__ = [
    "_no_pauses", "add_rule", "aws", "aws_server", "catalogued", "directory", "environment",
    "gms", "many", "om", "source", "world",
]  # fmt: skip
PEOPLE = 6
Many = Callable[[int], World]


def take_back() -> None:
    """What another worker does with the dead one's job a minute later."""
    fall_silent(get_database())
    recovery.recover(get_database(), at_start=True)


def open_jobs(database: Database) -> list[int]:
    with database.read() as session:
        states = ("queued", "running")
        return list(session.scalars(select(Job.id).where(Job.state.in_(states))))


def work_off(database: Database) -> None:
    """As a worker: every job that waits."""
    for job_id in open_jobs(database):
        runner.run(job_id, database)


def whole() -> None:
    with get_database().read() as session:
        assert audit.verify(session).ok


def versions(world: World) -> set[float]:
    """What OpenMetadata counted: how often each of our people was written."""
    users = world.om.store.users.values()
    return {u["version"] for u in users if str(u["name"]).startswith("user0")}


def rows_of(world: World, plan_id: int) -> list[tuple[Any, ...]]:
    rows = replace(world, database=get_database()).rows(plan_id)
    return sorted((row.email, row.kind, row.old_name, row.new_name) for row in rows)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_plan_of_the_user_sync_is_whole_or_is_not_there(
    many: Many, moment: str, request: pytest.FixtureRequest
) -> None:
    world = many(PEOPLE)
    undisturbed = rows_of(world, world.plan().id)
    with world.database.write() as session:
        plan = user_sync.start_plan(session, world.steward, environment=world.env)
    deaths = 0
    for _ in killed(work_off, moment, port=world.om.server.port):
        deaths += 1
        with get_database().read() as session:
            found = session.get_one(SyncPlan, plan.id)
            assert found.state == "planning" or rows_of(world, plan.id) == undisturbed
        take_back()
    tell(request, deaths)
    assert deaths >= 4
    with get_database().read() as session:
        assert session.get_one(SyncPlan, plan.id).state == "ready"
        assert len(session.scalars(select(SyncPlan)).all()) == 2
    assert rows_of(world, plan.id) == undisturbed
    assert {method for method, _ in world.om.requests} == {"GET"}
    whole()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_of_the_user_sync_writes_each_person_once(
    many: Many, moment: str, request: pytest.FixtureRequest
) -> None:
    world = many(PEOPLE)
    plan = world.plan()
    with world.database.write() as session:
        run = user_sync.apply(session, world.steward, plan_id=plan.id)
    deaths = 0
    for _ in killed(work_off, moment, port=world.om.server.port):
        deaths += 1
        assert versions(world) <= {0.1, 0.2}
        take_back()
    tell(request, deaths)
    assert deaths >= 4
    with get_database().read() as session:
        ended = user_sync.get_run(session, world.steward, run_id=run.id)
    assert (ended.state, ended.counts) == ("succeeded", {"applied": PEOPLE})
    assert versions(world) == {0.2}
    whole()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_revert_takes_each_change_back_once(
    many: Many, moment: str, request: pytest.FixtureRequest
) -> None:
    world = many(PEOPLE)
    run = world.apply(world.plan())
    assert versions(world) == {0.2}

    def revert(database: Database) -> None:
        """As a person: ask for the inverse unless it is there, apply it unless that was asked."""
        with database.read() as session:
            inverse = session.scalar(select(SyncPlan.id).where(SyncPlan.origin == "revert"))
        if inverse is None:
            with database.write() as session:
                inverse = user_sync.revert(session, world.steward, run_id=run.id).id
        with database.read() as session:
            asked = session.scalar(select(SyncRun.id).where(SyncRun.plan_id == inverse))
        if asked is None:
            with database.write() as session:
                user_sync.apply(session, world.steward, plan_id=inverse)
        work_off(database)

    deaths = 0
    for _ in killed(revert, moment, port=world.om.server.port):
        deaths += 1
        assert versions(world) <= {0.2, 0.3}
        take_back()
    tell(request, deaths)
    assert deaths >= 4
    with get_database().read() as session:
        states = Counter(row.state for row in session.scalars(select(SyncRun)))
        assert len(session.scalars(select(SyncPlan)).all()) == 2
    assert states == {"succeeded": 2}
    assert versions(world) == {0.3}
    assert {world.stored(f"user{n:04d}")["displayName"] for n in range(PEOPLE)} == {
        f"User {n:04d}" for n in range(PEOPLE)
    }
    whole()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_write_back_says_it_once_and_keeps_what_others_wrote(
    catalogued: TokenWorld, moment: str, request: pytest.FixtureRequest
) -> None:
    world, urn = catalogued, catalogued.source.urn("customers")
    run = world.start("customers")
    with world.gms.faults.inject(status=500):
        assert world.work(run).write_back == "failed"
    with world.database.write() as session:
        enqueue(
            session, SYSTEM, "tokenization.write_back", {"run_id": run.id}, subject="a test",
            environment="",
        )  # fmt: skip
    before = world.tags()
    deaths = 0
    for _ in killed(work_off, moment, port=int(world.gms.url.rpartition(":")[2])):
        deaths += 1
        assert sections(world, urn) <= 1
        take_back()
    tell(request, deaths)
    assert deaths >= 3
    assert replace(world, database=get_database()).view(run.id).write_back == "succeeded"
    assert sections(world, urn) == 1
    assert before == {"tokenize/run"}
    assert world.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}
    whole()


def sections(world: TokenWorld, urn: str) -> int:
    found = world.gms.aspect(urn, "editableDatasetProperties") or {}
    return str(found.get("description", "")).count("## Tokenization")


def dataset(number: int) -> str:
    return f"urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.killed.t{number},PROD)"


@pytest.mark.parametrize("target", ["lambda", "stepfunctions"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_ingestion_is_started_once_or_said_never_to_have_arrived(
    database: Database, aws: AwsStandIn, add_rule: AddRule, moment: str, target: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    if target == "lambda":
        aws.add_function(name := "killed", seconds=600)
    else:
        name = aws.add_machine("killed", seconds=600)
    add_rule("prefix", "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.killed.", name)
    port, deaths = int(aws.url.rpartition(":")[2]), 0

    def start(database: Database) -> None:
        runs.start(database, SYSTEM, Request(dataset(deaths)))

    for _ in killed(start, moment, port=port):
        urn = dataset(deaths)
        deaths += 1
        judge_start(aws, urn, target, arrived=len(starts(aws, urn)))
    tell(request, deaths)
    assert deaths >= 2
    assert len(starts(aws, dataset(deaths))) == 1
    whole()


def starts(aws: AwsStandIn, urn: str) -> list[Any]:
    return [each for each in aws.starts() if urn in json.dumps(each.payload)]


TIMES = ("created_at", "sent_at", "next_look_at")


def judge_start(aws: AwsStandIn, urn: str, target: str, *, arrived: int) -> None:
    """The record against what AWS holds, at once and when the time for an answer is over."""
    assert arrived <= 1
    with get_database().read() as session:
        row = session.scalar(select(IngestionRun).where(IngestionRun.dataset_urn == urn))
    if row is None:
        assert arrived == 0, "what is not on record was not sent"
        return
    with pytest.raises(AlreadyRunning):
        runs.start(get_database(), SYSTEM, Request(urn))
    ago = clock.now() - timedelta(days=1)
    times = {"next_look_at": ago} if arrived else dict.fromkeys(TIMES, ago)
    with get_database().write() as session:
        due = update(IngestionRun).where(IngestionRun.dataset_urn == urn)
        session.execute(due.values(times))
    tracker.sweep(get_database())
    with get_database().read() as session:
        seen = ingestion.get_run(session, SYSTEM, run_id=row.run_id)
    never = "failed" if target == "stepfunctions" else "unknown"
    assert (seen.status, seen.active) == (("running", True) if arrived else (never, False))
    assert len(starts(aws, urn)) == arrived
