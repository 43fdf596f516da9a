"""What a token that is limited to some environments finds by number, or in a list of all."""

import contextvars
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from backend.accounts import audit_log
from backend.accounts.audit_log import AuditFilter
from backend.changes import policy
from backend.connections import environments
from backend.core import access, clock
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.database import Database
from backend.core.errors import NotPermitted
from backend.core.events import Event
from backend.ingestion import repository as ingestion
from backend.ingestion import service as ingestion_service
from backend.ingestion.schemas import RunFilter
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.models import (
    IngestionRun,
    NotificationChannel,
    NotificationDelivery,
    SyncPlan,
    SyncRun,
    TokenizationRun,
    TokenizationTag,
)
from backend.notifications import inbox
from backend.tokenization import alerts as tokenization_alerts
from backend.tokenization import repository as tokenization
from backend.tokenization.schemas import RunFilters
from backend.user_sync import plans, reverting, runs

Reached = Callable[[Callable[[], Any]], Any]


@pytest.fixture
def numbers(database: Database) -> dict[str, int]:
    with database.write() as session:
        return {
            name: environments.add(session, SYSTEM, name=name).id
            for name in ("Staging", "Production")
        }


@pytest.fixture
def limited(numbers: dict[str, int]) -> Reached:
    """Calls something as the request of an admin's token that reaches Staging only does."""
    actor = Actor(
        7, "narrow", Role.ADMIN, "api_token", environments=frozenset({numbers["Staging"]})
    )

    def call(what: Callable[[], Any]) -> Any:
        def within() -> Any:
            access.limit_environments(actor)
            return what()

        return contextvars.copy_context().run(within)

    return call


def row(model: Any, **known: Any) -> Any:
    """A row with something in each column that must have it."""
    something = {str: "", int: 0, bool: False, datetime: clock.now(), dict: {}, list: []}
    for column in model.__table__.columns:
        if column.nullable or column.name in known or column.name == "id":
            continue
        try:
            kind = column.type.python_type
        except NotImplementedError:
            kind = datetime
        known[column.name] = something[kind]
    return model(**known)


@pytest.mark.parametrize("model", [SyncPlan, SyncRun, TokenizationRun, IngestionRun])
def test_what_ran_elsewhere_is_not_found_by_its_number(
    database: Database, numbers: dict[str, int], limited: Reached, model: Any
) -> None:
    name = "environment_name" if model is IngestionRun else "environment"
    with database.write() as session:
        for environment, number in numbers.items():
            known = {"environment_id": number, name: environment}
            if model in (SyncRun, SyncPlan):
                known["state"] = "stopped"
            if model is SyncRun:
                known["plan_id"] = number
            if model is IngestionRun:
                known["run_id"] = f"run-{environment}"
            session.add(row(model, **known))
    with database.read() as session:
        asked = {
            SyncPlan: [lambda number: plans.get_plan(session, SYSTEM, plan_id=number)],
            SyncRun: [
                lambda number: runs.get_run(session, SYSTEM, run_id=number),
                lambda number: runs.cancel(session, SYSTEM, run_id=number),
                lambda number: runs.resume(session, SYSTEM, run_id=number),
                lambda number: reverting.revert(session, SYSTEM, run_id=number),
            ],
            TokenizationRun: [lambda number: tokenization.get(session, number)],
            IngestionRun: [
                lambda number: ingestion_service.release(
                    session, SYSTEM, run_id=f"run-{list(numbers)[number - 1]}"
                ),
            ],
        }[model]
        found = session.query(model).order_by(model.id).all()
        for ask in asked:
            with pytest.raises(NotPermitted, match="limited to other environments than Production"):
                limited(lambda ask=ask: ask(found[1].id))
        lists = {
            SyncPlan: lambda: plans.list_plans(session, SYSTEM),
            SyncRun: lambda: runs.list_runs(session, SYSTEM),
            TokenizationRun: lambda: (
                tokenization.list_runs(session, RunFilters(), limit=9, before=None).rows
            ),
            IngestionRun: lambda: (
                ingestion.list_runs(session, RunFilter(), limit=9, before=None).rows
            ),
        }[model]
        assert len(lists()) == 2
        assert [each.id for each in limited(lists)] == [found[0].id]


def test_a_job_of_somebody_else_is_not_cancelled(database: Database, limited: Reached) -> None:
    """A job names no environment, and a limited token of an admin's role may cancel its own."""
    narrow = Actor(7, "narrow", Role.ADMIN, "api_token")
    with database.write() as session:
        theirs = enqueue(session, SYSTEM, "connections.test", {}, subject="production")
        own = enqueue(session, narrow, "connections.test", {}, subject="staging")
        with pytest.raises(NotPermitted, match="was started by"):
            limited(lambda: jobs.cancel(session, narrow, job_id=theirs))
        assert limited(lambda: jobs.cancel(session, narrow, job_id=own)).state == "cancelled"
        assert jobs.cancel(session, narrow, job_id=theirs).state == "cancelled"


def test_policies_of_elsewhere_are_not_shown(
    database: Database, numbers: dict[str, int], limited: Reached
) -> None:
    def shown(name: str) -> int:
        with database.read() as session:
            return len(policy.list_policies(session, SYSTEM, environment=name))

    assert limited(lambda: shown("Staging")) == shown("Production")
    with pytest.raises(NotPermitted, match="limited to other environments than Production"):
        limited(lambda: shown("Production"))


def test_the_audit_log_names_no_environment_and_is_refused(
    database: Database, numbers: dict[str, int], limited: Reached
) -> None:
    with database.write() as session:
        asked: list[Callable[[], Any]] = [
            lambda: audit_log.list_events(session, SYSTEM, filters=AuditFilter()),
            lambda: audit_log.get(session, SYSTEM, number=1),
            lambda: audit_log.export_csv(session, SYSTEM, filters=AuditFilter()),
        ]
        for ask in asked:
            assert ask()
            with pytest.raises(NotPermitted, match="The audit log concerns all environments"):
                limited(ask)


def test_alerts_and_messages_are_of_what_is_reached(
    database: Database, numbers: dict[str, int], limited: Reached
) -> None:
    with database.write() as session:
        session.add(row(NotificationChannel, name="pager", owner_id=0, environment_id=None))
        session.flush()
        for number in (0, *numbers.values()):
            known = {"environment_id": number, "dataset": f"d{number}"}
            session.add(row(TokenizationTag, **known, note="x", run_id=None))
            event = row(Event, **known_event(number))
            session.add(event)
            session.flush()
            told = {"event_id": event.id, "channel_id": 1, "state": "sent"}
            session.add(row(NotificationDelivery, **told))
    staging = numbers["Staging"]

    def alerted() -> set[str]:
        with database.read() as session:
            found = tokenization_alerts.alerts(session, SYSTEM)
        return {value for each in found for _, value in each.query}

    def told_of() -> list[str]:
        with database.read() as session:
            return [each.subject for each in inbox.inbox(session, SYSTEM).items]

    def sent() -> int:
        with database.read() as session:
            return len(inbox.deliveries(session, SYSTEM).items)

    assert alerted() == {f"d{number}" for number in numbers.values()}
    assert limited(alerted) == {f"d{staging}"}
    assert (len(told_of()), sent()) == (3, 3)
    assert limited(told_of) == [f"event of {staging}", "event of 0"]
    assert limited(sent) == 2


def known_event(number: int) -> dict[str, Any]:
    return {
        "environment_id": number,
        "subject": f"event of {number}",
        "kind": "ingestion.failed",
        "permission": Permission.INGESTION_READ.value,
        "phase": "once",
        "severity": "warning",
    }
