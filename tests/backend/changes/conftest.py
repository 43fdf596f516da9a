"""Four people, a production environment, and an action that leaves one line in the audit log."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from backend import composition
from backend.accounts import passwords, sessions
from backend.accounts import service as accounts
from backend.changes import actions, gate, lifecycle, policy, service
from backend.changes.rules import Rule
from backend.changes.schemas import ChangeView
from backend.connections import environments
from backend.core import access, audit, clock
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.errors import Waiting
from backend.jobs import broker, runner
from backend.models import AccountSession, Change

ACTION = "demo.write"
PASSWORD = "seven red bicycles"
ONE = Rule(mode="approve", approvers=1)
TWO = Rule(mode="approve", approvers=2)


@dataclass
class World:
    """target: what the demo's service resolves; change it to make something move."""

    database: Database
    people: dict[str, Actor] = field(default_factory=dict)
    browsers: dict[str, int] = field(default_factory=dict)
    target: str = "table a"
    env: str = "prod"
    fail: Exception | None = None

    def write(self, session: Any, actor: Actor, *, environment: str, text: str) -> int:
        """The demo's service: one permission, one gate, one effect."""
        access.require_to_ask(actor, Permission.TOKENIZATION_RUN)
        intent = gate.Intent(
            ACTION,
            environment,
            self.target,
            {"text": text},
            {"target": self.target},
            size=len(text),
        )
        gate.check(session, actor, intent)
        number = audit.record(session, actor, "demo:thing:written", subject=text)
        if self.fail is not None:
            raise self.fail
        return number

    def ask(self, name: str = "ann", text: str = "hello", env: str = "") -> int | None:
        """The number of the change that waits, None when it was done at once."""
        actor = self.people[name]
        try:
            with self.database.write() as session:
                self.write(session, actor, environment=env or self.env, text=text)
        except Waiting as exc:
            return int(exc.document["change_id"])
        return None

    def rule(self, rule: Rule, action: str = ACTION) -> None:
        with self.database.write() as session:
            policy.save(session, SYSTEM, environment=self.env, action=action, rule=rule)

    def approve(self, change_id: int, name: str = "bob") -> ChangeView:
        with self.database.write() as session:
            return service.approve(session, self.in_browser(name), change_id=change_id)

    def in_browser(self, name: str) -> Actor:
        """The person as their browser's session acts."""
        return replace(self.people[name], session_id=self.browsers.get(name))

    def view(self, change_id: int) -> ChangeView:
        with self.database.read() as session:
            return service.get(session, SYSTEM, change_id=change_id)

    def carry_out(self, change_id: int) -> ChangeView:
        lifecycle.carry_out(self.database, change_id)
        return self.view(change_id)

    def run_job(self, change_id: int) -> ChangeView:
        """Run the change's job as a worker does."""
        job_id = self.view(change_id).job_id
        assert job_id is not None
        runner.run(job_id, self.database)
        return self.view(change_id)

    def written(self) -> list[tuple[str, str]]:
        """(text, by whom) of everything the demo did."""
        with self.database.read() as session:
            query = select(AuditEvent.subject, AuditEvent.actor_name).where(
                AuditEvent.action == "demo:thing:written"
            )
            return [(row[0], row[1]) for row in session.execute(query)]

    def audited(self, action: str) -> list[AuditEvent]:
        with self.database.read() as session:
            return list(session.scalars(select(AuditEvent).where(AuditEvent.action == action)))

    def sign_in(self, name: str) -> None:
        actor = self.people[name]
        with self.database.write() as session:
            sessions.open_session(session, account_id=actor.id, address="", user_agent="")
            newest = select(func.max(AccountSession.id)).where(
                AccountSession.account_id == actor.id
            )
            self.browsers[name] = session.scalars(newest).one()

    def let_pass(self, name: str, **time: float) -> None:
        """The browser of this person was signed in so long ago."""
        with self.database.write() as session:
            session.execute(
                update(AccountSession)
                .where(AccountSession.id == self.browsers[name])
                .values(proven_at=clock.now() - timedelta(**time))
            )

    def expire(self, change_id: int) -> None:
        with self.database.write() as session:
            session.execute(
                update(Change)
                .where(Change.id == change_id)
                .values(expires_at=clock.now() - timedelta(seconds=1))
            )


def _carry_out(world: World) -> actions.CarryOut:
    def carry_out(
        database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
    ) -> actions.Begun:
        with database.write() as session:
            number = world.write(session, actor, environment=environment, **parameters)
        return actions.Begun(str(number), actions.End("succeeded", "written"))

    return carry_out


@pytest.fixture
def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """ann and bob are stewards, cat is an admin, dan an operator; all have just signed in."""
    broker.reset()
    runner.stopping.clear()
    monkeypatch.setattr(passwords, "ROUNDS", 4)
    world = World(database)
    demo = actions.Action(
        ACTION, "Write a line", Permission.TOKENIZATION_RUN, _carry_out(world), unit="letters"
    )
    known = dict(composition._actions())
    monkeypatch.setattr(actions, "_provided", lambda: {**known, ACTION: demo})
    roles = {"ann": "steward", "bob": "steward", "cat": "admin", "dan": "operator"}
    with database.write() as session:
        environments.add(session, SYSTEM, name="prod", is_production=True)
        for name, role in roles.items():
            made = accounts.create(session, SYSTEM, name=name, role=role, password=PASSWORD)
            world.people[name] = Actor(made.id, made.name, Role(role), "user")
    for name in roles:
        world.sign_in(name)
    yield world
    broker.reset()
