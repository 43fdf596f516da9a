"""What the Overview page says about user sync while somebody can do something about it."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from backend.connections import environments
from backend.core import alerts
from backend.models import SyncPlan, SyncRun
from tests.backend.user_sync.conftest import World


def said(world: World) -> list[tuple[str, str]]:
    """Text and the environment its link names."""
    with world.database.read() as session:
        found = alerts.collect(session, world.admin).items
    mine = [item for item in found if item.page == "user-sync"]
    return [(item.text, dict(item.query)["environment"]) for item in mine]


def _waits(world: World) -> str:
    return f"{world.plan().changes} user changes wait for review in "


def _stopped(world: World) -> str:
    run = world.start(world.plan())
    with world.database.write() as session:
        session.execute(update(SyncRun).values(state="stopped"))
    return f"Run {run.id} in "


def _fails(world: World) -> str:
    world.plan()
    with world.database.write() as session:
        session.execute(update(SyncPlan).values(state="failed", origin="schedule", error="No."))
    return "Planning user changes by schedule fails in "


@pytest.mark.parametrize("happen", [_waits, _stopped, _fails])
def test_it_is_said_under_the_environments_present_name_until_that_is_gone(
    world: World, happen: Callable[[World], str]
) -> None:
    text = happen(world)
    ((first, link),) = said(world)
    assert first.startswith(f"{text}test")
    assert link == "test"

    with world.database.write() as session:
        environments.update(session, world.admin, name="test", version=1, new_name="staging")
    ((first, link),) = said(world)
    assert first.startswith(f"{text}staging")
    assert link == "staging"

    with world.database.write() as session:
        environments.remove(session, world.admin, name="staging", confirm_name="staging")
    assert said(world) == []
