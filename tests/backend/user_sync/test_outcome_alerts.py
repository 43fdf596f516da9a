"""How a run of user sync can end, and what the Overview says of it."""

from datetime import timedelta
from typing import get_args

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.core.alerts import Alert
from backend.models import SyncItem, SyncRun
from backend.user_sync import alerts
from backend.user_sync.schemas import RunState, RunView
from tests.backend.user_sync.conftest import World

#: State of a run → how severe its alert is, or "" and why there is none.
OUTCOMES: dict[RunState, tuple[str, str]] = {
    "queued": ("", "it has not ended; what no worker takes is an alert of the jobs"),
    "running": ("", "it has not ended; one whose worker is gone is an alert of the jobs"),
    "succeeded": ("", "everybody was stored"),
    "partial": ("warning", ""),
    "stopped": ("warning", ""),
    "cancelled": ("", "somebody asked for it"),
}


def ended(world: World, state: str, *, days: int = 0, item: str = "failed") -> RunView:
    """A run of a plan, ended like this so long ago, its first user like item."""
    run = world.start(world.plan())
    at = clock.now() - timedelta(days=days)
    with world.database.write() as session:
        mine = SyncItem.run_id == run.id
        session.execute(update(SyncItem).where(mine).values(state="applied"))
        first = update(SyncItem).where(mine, SyncItem.position == _first(world, run))
        session.execute(first.values(state="pending" if state == "stopped" else item))
        session.execute(
            update(SyncRun).where(SyncRun.id == run.id).values(state=state, finished_at=at)
        )
    return run


def _first(world: World, run: RunView) -> int:
    return min(each.position for each in world.items(run).values())


def said(world: World) -> list[Alert]:
    """Alerts of runs; those of plans are left out."""
    with world.database.read() as session:
        found = alerts.alerts(session, world.admin)
    return [item for item in found if "run" in dict(item.query)]


def test_every_state_of_a_run_is_in_the_table() -> None:
    assert set(OUTCOMES) == set(get_args(RunState))
    assert all(bool(severity) != bool(why) for severity, why in OUTCOMES.values())


@pytest.mark.parametrize("state", OUTCOMES)
def test_what_is_said_of_it(world: World, state: RunState) -> None:
    run = ended(world, state)
    severity, _ = OUTCOMES[state]
    assert [item.severity for item in said(world)] == [severity] * bool(severity)
    for item in said(world):
        assert dict(item.query) == {"environment": "test", "view": "history", "run": str(run.id)}


def test_a_partial_run_says_how_many_were_left_and_how(world: World) -> None:
    run = ended(world, "partial", item="conflict")
    (item,) = said(world)
    stored = f"{run.total - 1} of {run.total} users"
    assert item.text == f"Run {run.id} in test stored {stored}: 1 conflict."


def test_a_write_of_unknown_outcome_is_an_error(world: World) -> None:
    ended(world, "partial", item="unknown")
    assert [item.severity for item in said(world)] == ["error"]


@pytest.mark.parametrize(("later", "left"), [("succeeded", 0), ("cancelled", 1), ("partial", 1)])
def test_a_later_run_that_ended_answers_it_and_a_cancelled_one_does_not(
    world: World, later: str, left: int
) -> None:
    ended(world, "partial")
    newest = ended(world, later)
    assert len(said(world)) == left
    assert (str(newest.id) in str([item.query for item in said(world)])) == (later == "partial")


def test_a_week_later_it_is_history(world: World) -> None:
    ended(world, "partial", days=8)
    assert said(world) == []
