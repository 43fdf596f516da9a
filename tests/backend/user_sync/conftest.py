"""An environment on two stand-ins, and short ways to plan and apply."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from backend.connections import environments
from backend.connections import service as connections
from backend.core import clock
from backend.core.access import Actor
from backend.core.database import Database
from backend.integrations.openmetadata import transport
from backend.models import SyncPlan
from backend.sandbox import directory as directory_standin
from backend.sandbox.directory import seeding as people
from backend.sandbox.openmetadata import StandIn, seeding
from backend.user_sync import planning, service
from backend.user_sync.schemas import PlanView, RowFilter, RowView, RunView, Settings


@dataclass
class World:
    """Everything a test of user sync needs; `env` is the environment's name."""

    database: Database
    steward: Actor
    admin: Actor
    om: StandIn
    directory: directory_standin.StandIn
    env: str = "test"

    def use(self, server: StandIn, account: str = "portal-admin", expires: float = 3600) -> None:
        """Point the environment at a server, as an account."""
        with self.database.write() as session:
            connections.save(
                session,
                self.admin,
                environment=self.env,
                kind="openmetadata",
                settings={"host_port": server.url},
                secrets_in={"jwt_token": server.token(account, expires)},
            )

    def plan(self, **more: Any) -> PlanView:
        return service.plan_now(self.database, self.steward, environment=self.env, **more)

    def rows(self, plan: PlanView | int, **wanted: Any) -> list[RowView]:
        plan_id = plan if isinstance(plan, int) else plan.id
        with self.database.read() as session:
            return list(
                service.all_rows(session, self.steward, plan_id=plan_id, wanted=RowFilter(**wanted))
            )

    def row(self, plan: PlanView, email: str) -> RowView:
        return next(r for r in self.rows(plan) if r.email.lower() == email.lower())

    def start(self, plan: PlanView, **more: Any) -> RunView:
        with self.database.write() as session:
            return service.apply(session, self.steward, plan_id=plan.id, background=False, **more)

    def apply(self, plan: PlanView, control: Any = None, **more: Any) -> RunView:
        run = self.start(plan, **more)
        return service.execute(self.database, self.steward, run_id=run.id, control=control)

    def resume(self, run: RunView) -> RunView:
        with self.database.write() as session:
            service.resume(session, self.steward, run_id=run.id, background=False)
        return service.execute(self.database, self.steward, run_id=run.id)

    def items(self, run: RunView) -> dict[str, Any]:
        with self.database.read() as session:
            return {
                item.email.lower(): item
                for item in service.all_items(session, self.steward, run_id=run.id)
            }

    def settings(self, **options: Any) -> None:
        with self.database.write() as session:
            service.save_settings(
                session, self.admin, environment=self.env, settings=Settings(**options)
            )

    def stored(self, name: str) -> dict[str, Any]:
        user = self.om.store.user_named(name)
        assert user is not None
        return user


def sent(world: World) -> list[str]:
    """E-mails of the users PATCHed so far; the empty probes of If-Match left out."""
    return [path for method, path in world.om.requests if method == "PATCH"]


def lose(world: World, user_id: str) -> None:
    """The user's PATCH is stored; its answer and every read after it are lost.

    Whichever row comes first carries the empty probe of If-Match: it is let through.
    """
    path = f"/users/{user_id}$"
    world.om.faults.add(method="PATCH", path=path, holding=b'"op"', drop="after")
    world.om.faults.add(method="GET", path=f"/users/{user_id}$", after=1, status=500)


def expire(world: World, ago: timedelta) -> None:
    """Let every plan have expired so long ago."""
    with world.database.write() as session:
        session.execute(update(SyncPlan).values(expires_at=clock.now() - ago))


class StopAt(planning.Silent):
    """Raises once so many users are done."""

    def __init__(self, done: int, error: Exception) -> None:
        self.at, self.error = done, error

    def progress(self, done: int, total: int | None = None, *, note: str = "") -> None:
        if done >= self.at:
            raise self.error


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads are tried again at once."""
    monkeypatch.setattr(transport, "pause", lambda _seconds: None)


@pytest.fixture
def directory() -> Iterator[directory_standin.StandIn]:
    with directory_standin.StandIn(seed=people.seed_demo) as server:
        yield server


@pytest.fixture
def om() -> Iterator[StandIn]:
    with StandIn(seed=seeding.seed_demo) as server:
        yield server


def make_world(
    database: Database, actors: Any, om: StandIn, directory: directory_standin.StandIn
) -> World:
    """The environment and its connections, in this state database."""
    found = World(database, actors.steward, actors.admin, om, directory)
    with database.write() as session:
        environments.add(session, actors.admin, name=found.env)
        connections.save(
            session,
            actors.admin,
            environment=found.env,
            kind="directory",
            settings={"endpoint": directory.url},
        )
    found.use(om)
    return found


@pytest.fixture
def world(
    database: Database, actors: Any, om: StandIn, directory: directory_standin.StandIn
) -> World:
    return make_world(database, actors, om, directory)


@pytest.fixture
def many(world: World) -> Callable[[int], World]:
    """many(count): the world with `count` more people in both systems, each to be renamed."""

    def _many(count: int) -> World:
        for number in range(count):
            world.om.store.add_user(f"user{number:04d}", display_name=f"User {number:04d}")
        world.directory.users = [
            {"email": f"user{n:04d}@example.com", "displayName": f"Renamed {n:04d}", "domain": None}
            for n in range(count)
        ]
        return world

    return _many
