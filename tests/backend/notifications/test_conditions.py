"""Each job's own states as events: told once when it begins, once when it is over, and again later.

The states come about as they do in production: a catalog that refuses, a lost commit, a directory
that is away, an execution that fails, a changed row of the audit log. The others of the issue's
list are test_emitted.py.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from backend.connections import client_info, environments, testing
from backend.connections import service as connections
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import UpstreamUnavailable
from backend.core.events import Event
from backend.ingestion import runs, tracker
from backend.ingestion.schemas import Request
from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.models import DataHubClientInfo, Job, SyncSettings
from backend.notifications import dispatch
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.aws.outcome_simulator import Behaviour
from backend.sandbox.datahub import StandIn
from backend.tokenization import tasks as tokenization_tasks
from backend.tokenization.engines.base import CommitUnknown
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.engines.postgres.engine import PostgresEngine
from backend.user_sync import service
from backend.user_sync import tasks as user_sync_tasks
from tests.backend.ingestion import conftest as ingestion
from tests.backend.tokenization import conftest as tokenization
from tests.backend.tokenization.world import World as Customers
from tests.backend.user_sync import conftest as user_sync
from tests.backend.user_sync.conftest import World as People

directory, om, people = user_sync.directory, user_sync.om, user_sync.world
source, gms, customers = tokenization.source, tokenization.gms, tokenization.catalogued
aws_server, aws, environment = ingestion.aws_server, ingestion.aws, ingestion.environment
add_rule = ingestion.add_rule

Told = Callable[[str], list[str]]
BEGAN, OVER = ["raised"], ["raised", "over"]


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


@pytest.fixture
def told(database: Database) -> Told:
    """told(kind) → the phases of its events in their order, after two looks at everything."""

    def look(kind: str) -> list[str]:
        dispatch.watch(database)
        dispatch.watch(database)
        with database.read() as session:
            query = select(Event.phase).where(Event.kind == kind).order_by(Event.id)
            return list(session.scalars(query))

    return look


def work(database: Database) -> None:
    """Run what is queued, as a worker does."""
    while True:
        with database.read() as session:
            waiting = jobs.list_jobs(session, SYSTEM, states=("queued",)).items
        if not waiting:
            return
        for job in waiting:
            runner.run(job.id, database)


class TestClientInfo:
    KIND = "connections.client_info"

    @pytest.fixture
    def datahub(self, database: Database, gms: StandIn) -> StandIn:
        with database.write() as session:
            environments.add(session, SYSTEM, name="prod")
            connections.save(
                session, SYSTEM, environment="prod", kind="datahub",
                settings={"server": gms.url, "timeout": "60"}, secrets_in={"token": gms.token},
            )  # fmt: skip
        assert testing.run(database, SYSTEM, environment="prod", kind="datahub").ok
        return gms

    def test_older_than_a_day(self, database: Database, datahub: StandIn, told: Told) -> None:
        assert told(self.KIND) == []
        self._age(database)
        assert told(self.KIND) == BEGAN
        client_info.refresh(database, SYSTEM, environment="prod")
        assert told(self.KIND) == OVER
        self._age(database)
        assert told(self.KIND) == [*OVER, *BEGAN]

    def test_refused_by_the_catalog(self, database: Database, datahub: StandIn, told: Told) -> None:
        with datahub.faults.inject(status=503):
            client_info.refresh(database, SYSTEM, environment="prod")
            assert told(self.KIND) == BEGAN
        client_info.refresh(database, SYSTEM, environment="prod")
        assert told(self.KIND) == OVER

    def _age(self, database: Database) -> None:
        old = clock.now() - client_info.STALE_AFTER - timedelta(minutes=1)
        with database.write() as session:
            session.execute(update(DataHubClientInfo).values(last_success_at=old))


def test_a_tokenization_whose_commit_nobody_knows(
    customers: Customers, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "tokenization.unknown"

    def away(*_: Any, **__: Any) -> None:
        raise UpstreamUnavailable("PostgreSQL", "nothing listens")

    def lose(connection: Any) -> None:
        commit(connection)
        raise CommitUnknown("PostgreSQL", "the connection broke")

    commit = rewrite.commit
    with monkeypatch.context() as patch:
        patch.setattr(rewrite, "commit", lose)
        patch.setattr(PostgresEngine, "outcome", away)
        run = customers.work(customers.start("customers", "email"))
        assert (run.state, told(kind)) == ("unknown", BEGAN)
        tokenization_tasks.reconcile_abandoned(customers.database)
        assert told(kind) == BEGAN, "asked in vain"
    with customers.database.write() as session:
        session.execute(update(Job).values(state="interrupted"))
    tokenization_tasks.reconcile_abandoned(customers.database)
    assert (customers.view(run.id).state, told(kind)) == ("succeeded", OVER)


class TestUserSync:
    def _by_schedule(self, world: People) -> None:
        world.settings(plan_cron="*/5 * * * *")
        with world.database.write() as session:
            past = clock.now() - timedelta(minutes=1)
            session.execute(update(SyncSettings).values(next_plan_at=past))
        user_sync_tasks.plan_by_schedule(world.database)
        work(world.database)

    def test_planning_by_schedule_that_fails(self, people: People, told: Told) -> None:
        kind = "user_sync.failing"
        people.directory.faults.add(status=403)
        self._by_schedule(people)
        assert told(kind) == BEGAN
        self._by_schedule(people)
        assert told(kind) == BEGAN, "the same every night"
        people.directory.faults.clear()
        self._by_schedule(people)
        assert told(kind) == OVER

    def test_a_plan_with_changes_until_it_was_applied(self, people: People, told: Told) -> None:
        kind = "user_sync.plan_waiting"
        self._by_schedule(people)
        assert told(kind) == BEGAN
        with people.database.read() as session:
            (waiting,) = service.list_plans(session, people.steward, environment=people.env)
        people.apply(waiting)
        assert told(kind) == OVER


def test_an_ingestion_that_failed_until_the_next_one_ends_well(
    database: Database, aws: AwsStandIn, add_rule: ingestion.AddRule, told: Told
) -> None:
    kind = "ingestion.failed"
    add_rule("exact", ingestion.URN, aws.add_machine("nightly", seconds=600))

    def ended(outcome: str) -> None:
        run = runs.start(database, SYSTEM, Request(ingestion.URN))
        aws._simulator._finish("us-east-1", run.execution_arn or "", Behaviour(1, outcome))
        tracker.check(database, run.run_id)

    ended("fail")
    assert told(kind) == BEGAN
    ended("fail")
    assert told(kind) == BEGAN, "the same dataset"
    ended("succeed")
    assert told(kind) == OVER


def test_an_audit_log_that_was_changed(database: Database, told: Told) -> None:
    kind = "accounts.state_damaged"

    def check() -> None:
        with database.write() as session:
            enqueue(session, SYSTEM, "accounts.check_state", {"full": True}, subject="the state")
        work(database)

    def write(subject: str) -> None:
        with database.write() as session:
            session.execute(
                text("UPDATE audit_events SET subject = :subject WHERE id = 1"),
                {"subject": subject},
            )

    with database.write() as session:
        environments.add(session, SYSTEM, name="prod")
    check()
    assert told(kind) == []
    write("another")
    check()
    check()
    assert told(kind) == BEGAN
    write("prod")
    check()
    assert told(kind) == OVER
