"""Role × action × policy: what happens at once, what waits, what is refused; on every face.

The first half asks the one gate for every action there is; the second one action on every face.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from mcp import Client
from sqlalchemy import delete

from backend import composition
from backend.accounts import api_tokens
from backend.accounts.schemas import SignedIn
from backend.changes import gate, policy
from backend.changes.actions import Action
from backend.changes.rules import Rule
from backend.connections import environments
from backend.core import access, clock
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.database import Database
from backend.core.errors import NotPermitted, Waiting
from backend.jobs import broker
from backend.mcp import server
from backend.models import Change, ChangePolicy, ChangeStep, SyncItem, SyncRun
from backend.user_sync import service as sync
from tests.backend.cli.conftest import RunCli, run_cli  # noqa: F401 - a fixture
from tests.backend.user_sync.conftest import *  # noqa: F403 - the world of user sync
from tests.backend.user_sync.conftest import World
from tests.fixtures.api import rest_app
from tests.fixtures.pages import OpenPage

ANN = Actor(0, "cli:ann", Role.ADMIN, "cli")

DONE, WAITS, REFUSED = "done", "waits", "refused"

#: A policy in words → the rule, and for whom it asks: (people, API tokens), with a size of 10.
POLICIES: dict[str, tuple[Rule, tuple[int, int]]] = {
    "direct": (Rule(mode="direct"), (0, 0)),
    "confirm": (Rule(mode="confirm"), (0, 0)),
    "approve": (Rule(mode="approve"), (1, 1)),
    "two approvals": (Rule(mode="approve", approvers=2), (2, 2)),
    "above ten": (Rule(mode="approve", above=10), (0, 0)),
    "above nine": (Rule(mode="approve", above=9), (1, 1)),
    "asked by a token": (Rule(mode="approve", by_token=True), (0, 1)),
}

#: Who holds the permission of an action, as DESIGN section 4 has it.
HOLDERS = {
    Permission.USER_SYNC_APPLY: {"steward", "admin"},
    Permission.TOKENIZATION_RUN: {"steward", "admin"},
    Permission.MOUNTS_WRITE: {"operator", "admin"},
    Permission.INGESTION_RUN: {"operator", "admin"},
    Permission.CONNECTIONS_WRITE: {"admin"},
    Permission.ACCOUNTS_WRITE: {"admin"},
    Permission.API_TOKENS_WRITE: {"admin"},
    Permission.CHANGES_CONFIGURE: {"admin"},
}
ACTIONS = sorted(composition._actions().values(), key=lambda action: action.name)


def _actors(role: Role) -> dict[str, Actor]:
    return {
        "person": Actor(1, "ann", role, "user"),
        "token": Actor(1, "etl", role, "api_token"),
        "asks only": Actor(2, "bot", role, "api_token", ask_only=True),
    }


def _outcome(database: Database, actor: Actor, action: Action) -> tuple[str, int]:
    """What a service with this action does; how many approvals it waits for."""
    try:
        with database.write() as session:
            access.require_to_ask(actor, action.permission)
            intent = gate.Intent(action.name, "prod", actor.name, {}, size=10)
            gate.check(session, actor, intent)
    except NotPermitted:
        return REFUSED, 0
    except Waiting as exc:
        with database.read() as session:
            row = session.get(Change, exc.document["change_id"])
            assert row is not None
            return WAITS, row.needed
    return DONE, 0


def _expected(role: Role, kind: str, action: Action, asks: tuple[int, int]) -> tuple[str, int]:
    if role.value not in HOLDERS[action.permission]:
        return REFUSED, 0
    needed = asks[0 if kind == "person" else 1]
    if kind == "asks only":
        needed = max(needed, 1)
    return (WAITS, needed) if needed else (DONE, 0)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_role_and_policy_of(database: Database, action: Action) -> None:
    with database.write() as session:
        number = environments.add(session, SYSTEM, name="prod").id
    wrong = []
    for words, (rule, asks) in POLICIES.items():
        _forget(database)
        with database.write() as session:
            session.add(_row(number, action.name, rule))
        for role in Role:
            for kind, actor in _actors(role).items():
                found = _outcome(database, actor, action)
                if found != _expected(role, kind, action, asks):
                    wrong.append((words, role.value, kind, found))
    assert wrong == []


def _row(number: int, action: str, rule: Rule) -> ChangePolicy:
    from backend.changes import rules
    from backend.core import clock

    return ChangePolicy(
        environment_id=number,
        action=action,
        updated_at=clock.now(),
        updated_by="test",
        **rules.values(rule),
    )


def _forget(database: Database) -> None:
    with database.write() as session:
        for table in (ChangeStep, Change, ChangePolicy, SyncItem, SyncRun):
            session.execute(delete(table))


# One action on every face: applying a user plan.

Asked = Callable[[Role, int], str]


class Faces:
    """Ask for a plan to be applied, as each face is used; "done", "waits" or "refused"."""

    def __init__(self, world: World, run_cli: RunCli) -> None:  # noqa: F811 - as above
        self.world, self._run_cli = world, run_cli

    def service(self, role: Role, plan: int) -> str:
        try:
            with self.world.database.write() as session:
                sync.apply(session, Actor(1, "ann", role, "user"), plan_id=plan)
        except NotPermitted:
            return REFUSED
        except Waiting:
            return WAITS
        return DONE

    def rest(self, role: Role, plan: int) -> str:
        with self.world.database.write() as session:
            raw = api_tokens.add(session, SYSTEM, name=f"t-{role}", role=role).raw
        with TestClient(rest_app()) as client:
            answer = client.post(
                f"/api/user-sync/plans/{plan}/apply",
                headers={"Authorization": f"Bearer {raw}"},
                json={"wait": 0},
            )
        if answer.status_code == 202 and answer.json()["status"] == "waiting":
            number = answer.json()["change_id"]
            assert answer.headers["Location"] == f"/api/changes/{number}"
            assert answer.json()["runId"] == f"change-{number}"
            return WAITS
        return {403: REFUSED, 202: DONE, 200: DONE, 201: DONE}[answer.status_code]

    def cli(self, role: Role, plan: int) -> str:
        assert role is Role.ADMIN, "a login at the machine is an admin"
        ended = self._run_cli("users", "apply", str(plan), "--yes", "--json")
        return WAITS if json.loads(ended.out).get("change_id") else DONE

    def mcp(self, role: Role, plan: int) -> str:
        async def call() -> Any:
            built = server.build(self.world.database, server.actor(ANN, role))
            async with Client(built) as client:
                return await client.call_tool("ask_to_apply_user_plan", {"plan_id": plan})

        answer = json.loads(asyncio.run(call()).content[0].text)
        if answer.get("error") == "NotPermitted":
            return REFUSED
        return WAITS if answer["status"] == "waiting" else DONE


@pytest.fixture
def faces(world: World, run_cli: RunCli) -> Iterator[Faces]:  # noqa: F811 - as above
    broker.reset()
    yield Faces(world, run_cli)
    broker.reset()


def _plan(world: World, rule: Rule) -> int:
    """A plan to apply, with the rule in force and nothing left of the case before."""
    _forget(world.database)
    with world.database.write() as session:
        policy.save(session, SYSTEM, environment=world.env, action="user_sync.apply", rule=rule)
    return world.plan().id


def _window(begins: int, ends: int) -> Rule:
    """A rule for a time window, by hours from now."""
    begin, end = (f"{(clock.now() + timedelta(hours=each)):%H}:00" for each in (begins, ends))
    return Rule(mode="approve", window=f"mon-sun {begin}-{end}")


#: Every kind of rule, for a plan of some users.
FOR_A_PLAN = {
    **{words: found for words, found in POLICIES.items() if not words.startswith("above")},
    "above no user": (Rule(mode="approve", above=0), (1, 1)),
    "above many users": (Rule(mode="approve", above=1_000_000), (0, 0)),
    "within a window": (_window(-2, 3), (1, 1)),
    "outside of a window": (_window(4, 8), (0, 0)),
}


@pytest.mark.parametrize("words", FOR_A_PLAN)
@pytest.mark.parametrize("face", ["service", "rest", "cli", "mcp"])
def test_a_user_plan_on(faces: Faces, face: str, words: str) -> None:
    rule, asks = FOR_A_PLAN[words]
    wrong = []
    for role in [Role.ADMIN] if face == "cli" else list(Role):
        plan = _plan(faces.world, rule)
        found = getattr(faces, face)(role, plan)
        waits = face == "mcp" or asks[1 if face == "rest" else 0] > 0
        expected = WAITS if waits else DONE
        if role.value not in HOLDERS[Permission.USER_SYNC_APPLY]:
            expected = REFUSED
        if found != expected:
            wrong.append((role.value, found))
        with faces.world.database.read() as session:
            runs = session.query(SyncRun).count()
            filed = session.query(Change).count()
        assert (runs, filed) == (int(found == DONE), int(found == WAITS)), role
    assert wrong == []


@pytest.mark.parametrize("words", FOR_A_PLAN)
def test_a_user_plan_on_the_page(
    world: World, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    rule, asks = FOR_A_PLAN[words]
    for role in (Role.STEWARD, Role.VIEWER):
        plan = _plan(world, rule)
        signed_in = SignedIn(
            actor=Actor(900, f"{role}@example.org", role, "user"),
            session_id=1,
            must_change_password=False,
        )
        app = open_page("user_sync/page.py", role=role, plan=str(plan))
        monkeypatch.setattr("auth.current.signed_in", lambda who=signed_in: who)
        if role is Role.VIEWER:
            assert "user_sync.apply_open" not in {each.key for each in app.button}
            continue
        app.button(key="user_sync.tick_all").click().run()
        app.button(key="user_sync.apply_open").click().run()
        if rule.mode != "direct":
            app.button(key="user_sync.apply.confirm").click().run()
        with world.database.read() as session:
            found = (session.query(SyncRun).count(), session.query(Change).count())
        assert found == ((0, 1) if asks[0] else (1, 0))
        said = " ".join(each.value for each in [*app.info, *app.success])
        assert ("needs somebody else's approval" in said) == bool(asks[0])
