"""How a request for a change can end, and what the Overview says of it."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from sqlalchemy import update

from backend.changes import alerts
from backend.changes.schemas import Status
from backend.core import access, clock
from backend.core.access import SYSTEM
from backend.core.alerts import Alert
from backend.core.database import Database
from backend.core.errors import InvalidPayload
from backend.models import Change
from tests.backend.changes.conftest import ONE, World

#: Status of a request → how severe its alert is, or "" and why there is none.
OUTCOMES: dict[Status, tuple[str, str]] = {
    "waiting": ("info", ""),
    "approved": ("", "its job is about to begin; one that does not is an alert of the jobs"),
    "running": ("", "it has not ended; one whose worker is gone is an alert of the jobs"),
    "succeeded": ("", "it was done"),
    "failed": ("warning", ""),
    "unknown": ("error", ""),
    "refused": ("warning", ""),
    "rejected": ("", "an approver decided it, and who asked is told"),
    "withdrawn": ("", "who asked decided it"),
    "expired": ("", "nobody approved it, and who asked is told"),
}


def ended(world: World, status: str, *, days: int = 0, text: str = "hello") -> int:
    world.rule(ONE)
    number = world.ask(text=text)
    assert number is not None
    at = None if status in ("waiting", "approved", "running") else clock.now() - timedelta(days)
    values = {"state": status, "finished_at": at, "open_key": None, "outcome": "So it was."}
    with world.database.write() as session:
        session.execute(update(Change).where(Change.id == number).values(**values))
    return number


def said(database: Database) -> list[Alert]:
    with database.read() as session:
        return alerts.alerts(session, SYSTEM)


def test_every_status_of_a_request_is_in_the_table() -> None:
    assert set(OUTCOMES) == set(get_args(Status))
    assert all(bool(severity) != bool(why) for severity, why in OUTCOMES.values())


@pytest.mark.parametrize("status", OUTCOMES)
def test_what_is_said_of_it(world: World, status: Status) -> None:
    number = ended(world, status)
    severity, _ = OUTCOMES[status]
    assert [item.severity for item in said(world.database)] == [severity] * bool(severity)
    for item in said(world.database):
        assert status == "waiting" or dict(item.query) == {"change": str(number)}


def test_what_was_approved_and_then_could_not_be_done_says_why(world: World) -> None:
    world.rule(ONE)
    number = world.ask()
    assert number is not None
    world.approve(number)
    world.fail = InvalidPayload("The table is gone.")
    world.carry_out(number)
    (item,) = said(world.database)
    words = "was approved and then not carried out. The table is gone."
    assert (item.severity, item.text) == (
        "warning",
        f"Change {number}, write a line in prod, {words}",
    )


@pytest.mark.parametrize(
    ("later", "left"), [("succeeded", 0), ("failed", 1), ("rejected", 1), ("refused", 2)]
)
def test_a_later_one_that_was_carried_out_answers_it(
    world: World, later: Status, left: int
) -> None:
    ended(world, "failed")
    ended(world, later, text="again")
    assert len(said(world.database)) == left


def test_a_week_later_it_is_history(world: World) -> None:
    ended(world, "unknown", days=8)
    assert said(world.database) == []


def test_a_token_of_one_environment_hears_of_no_other(world: World) -> None:
    ended(world, "failed")
    access.limit_environments(replace(SYSTEM, environments=frozenset({4_711})))
    try:
        assert said(world.database) == []
    finally:
        access.limit_environments(None)
