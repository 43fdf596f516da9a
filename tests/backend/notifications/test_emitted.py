"""From what truly is the case to the event: raised by it, and over when it is no more."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from backend.accounts import api_tokens
from backend.connections import health
from backend.connections import service as connections
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.events import Event
from backend.jobs import runner, schedule
from backend.jobs.enqueue import enqueue
from backend.models import ApiToken, ConnectionTest, Job, Lease, MountWatch
from backend.notifications import dispatch
from tests.backend.changes.conftest import World, world  # noqa: F401 - a fixture


@pytest.fixture
def told(world: World) -> Callable[[], set[tuple[str, bool]]]:  # noqa: F811 - as above
    """(kind, whether it is over) of every event, after a look at everything; what happens once is
    over at once."""

    def look() -> set[tuple[str, bool]]:
        dispatch.watch(world.database)
        with world.database.read() as session:
            every = session.scalars(select(Event)).all()
        lasting = {(row.kind, False) for row in every if row.open_key is not None}
        return lasting | {(row.kind, True) for row in every if row.phase != "raised"}

    return look


Told = Callable[[], set[tuple[str, bool]]]


def _number(database: Database) -> int:
    with database.read() as session:
        (found,) = health.overview(session, SYSTEM)
        return found.environment.id


def test_mounts(world: World, told: Told) -> None:  # noqa: F811 - as above
    now = clock.now()
    found = {"orphans": 5, "too_old": 2, "unknown": 1, "failing_since": now}
    with world.database.write() as session:
        session.add(
            MountWatch(
                environment_id=_number(world.database),
                environment="prod",
                max_age_hours=24,
                scanned_at=now,
                active=9,
                complete=True,
                problem="no",
                **found,
            )
        )
    kinds = {"mounts.orphans", "mounts.too_old", "mounts.unknown", "mounts.unwatched"}
    assert told() == {(kind, False) for kind in kinds}
    nothing: dict[str, Any] = {**dict.fromkeys(found, 0), "failing_since": None}
    with world.database.write() as session:
        session.execute(update(MountWatch).values(**nothing))
    assert told() >= {(kind, True) for kind in kinds}
    assert not {kind for kind, over in told() if not over}


def _tested(database: Database, *, ok: bool, **more: Any) -> None:
    with database.write() as session:
        session.add(
            ConnectionTest(
                **{
                    "environment_id": _number(database),
                    "kind": "datahub",
                    "tested_at": clock.now(),
                    "tested_by": "test",
                    "draft": False,
                    "version": 1,
                    "ok": ok,
                    "latency_ms": 1,
                    "server_version": "",
                    "cause": "" if ok else "refused",
                    "advice": "",
                    "warnings": [],
                    "tls": None,
                    **more,
                }
            )
        )


@pytest.fixture
def datahub(world: World) -> None:  # noqa: F811 - as above
    with world.database.write() as session:
        settings = {"server": "http://datahub.example.org:8080"}
        connections.save(session, SYSTEM, environment="prod", kind="datahub", settings=settings)


@pytest.mark.usefixtures("datahub")
def test_a_connection_that_fails_and_is_back(world: World, told: Told) -> None:  # noqa: F811 - as above
    _tested(world.database, ok=False)
    assert ("connections.failing", False) in told()
    _tested(world.database, ok=True)
    assert ("connections.failing", True) in told()
    assert ("connections.failing", False) not in told()


@pytest.mark.usefixtures("datahub")
def test_a_jwt_that_ends_soon(world: World, told: Told) -> None:  # noqa: F811 - as above
    soon = clock.now() + timedelta(days=3)
    _tested(world.database, ok=True, ends={"token": soon.isoformat()})
    assert ("connections.expiring", False) in told()
    _tested(world.database, ok=True)
    assert ("connections.expiring", True) in told()


@pytest.mark.usefixtures("datahub")
def test_a_certificate_that_ends_soon(
    world: World,  # noqa: F811 - as above
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _tested(world.database, ok=True)
    monkeypatch.setattr(
        "backend.connections.tls.expiring", lambda *_: "its TLS certificate expires in 3 days"
    )
    assert ("connections.expiring", False) in told()
    monkeypatch.undo()
    assert ("connections.expiring", True) in told()


def test_an_api_token_that_ends_soon(world: World, told: Told) -> None:  # noqa: F811 - as above
    with world.database.write() as session:
        api_tokens.add(session, SYSTEM, name="etl", role="steward")
        soon = clock.now() + timedelta(days=2)
        session.execute(update(ApiToken).values(expires_at=soon))
    assert ("accounts.token_ends", False) in told()
    with world.database.write() as session:
        session.execute(update(ApiToken).values(expires_at=soon + timedelta(days=90)))
    assert ("accounts.token_ends", True) in told()


def test_a_leader_that_was_lost(
    world: World,  # noqa: F811 - as above
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert schedule.lead(world.database)
    monkeypatch.setattr(runner, "worker_name", lambda: "other:1:x")
    assert not schedule.lead(world.database)
    assert "jobs.leader_lost" not in {kind for kind, _ in told()}
    with world.database.write() as session:
        session.execute(update(Lease).values(expires_at=clock.now() - timedelta(seconds=1)))
    assert schedule.lead(world.database)
    assert "jobs.leader_lost" in {kind for kind, _ in told()}


def test_a_worker_that_was_lost(world: World, told: Told) -> None:  # noqa: F811 - as above
    with world.database.write() as session:
        enqueue(session, SYSTEM, "changes.carry_out", {"change_id": 1}, subject="change 1")
        long_ago = clock.now() - timedelta(days=1)
        session.execute(
            update(Job).values(
                state="running", started_at=long_ago, heartbeat_at=long_ago, created_at=long_ago
            )
        )
    assert ("jobs.stuck", False) in told()
    with world.database.write() as session:
        session.execute(update(Job).values(state="succeeded", finished_at=clock.now()))
    assert ("jobs.stuck", True) in told()
