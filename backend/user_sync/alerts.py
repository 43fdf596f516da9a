"""What of user sync needs somebody's attention, for the Overview page."""

from collections.abc import Mapping
from datetime import timedelta

from backend.connections import resolve
from backend.core import clock
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession
from backend.core.words import counted
from backend.user_sync import plans, repository, run_repository
from backend.user_sync.schemas import ITEM_STATES, RunView

_LOOKED_AT = 20
_RECENT = timedelta(days=7)


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """Changes that wait for review, runs that stopped or were not stored for everybody, and
    planning that fails by schedule.

    Only of environments that still exist: nobody can do anything about the others.
    """
    if not actor.may(Permission.USER_SYNC_READ):
        return []
    known = resolve.reached(session)
    numbers = {name: number for number, name in known.items()}
    waiting = [
        Alert(
            "info",
            f"{counted(found.changes, 'user change waits', 'user changes wait')} for review in "
            f"{found.environment}.",
            "user-sync",
            found.planned_at,
            (("environment", found.environment), ("plan", str(found.plan_id))),
            "user_sync.plan_waiting",
            str(found.plan_id),
            f"Plan {found.plan_id} of {found.environment}: {found.changes:,} changes",
            numbers.get(found.environment, 0),
            count=found.changes,
            waiting="to review",
        )
        for found in plans.waiting(session, actor)
    ]
    return [
        *_stopped(session, known),
        *_partial(session, known),
        *_failing(session, known),
        *waiting,
    ]


def _stopped(session: ReadSession, known: Mapping[int, str]) -> list[Alert]:
    return [
        Alert(
            "warning",
            f"Run {run.id} in {known[run.environment_id]} stopped after {run.done:,} of "
            f"{run.total:,} users: {run.note}",
            "user-sync",
            run.finished_at,
            _to(run, known),
            waiting="stopped",
        )
        for run in run_repository.list_stopped(session, limit=_LOOKED_AT)
        if run.unsettled and run.environment_id in known
    ]


def _partial(session: ReadSession, known: Mapping[int, str]) -> list[Alert]:
    """The last run of an environment that ended, where not every user was stored."""
    since = clock.now() - _RECENT
    return [
        Alert(
            "error" if run.counts.get("unknown") else "warning",
            f"Run {run.id} in {known[run.environment_id]} stored {run.counts.get('applied', 0):,} "
            f"of {counted(run.total, 'user')}: {_left(run)}.",
            "user-sync",
            run.finished_at,
            _to(run, known),
            waiting="incomplete",
        )
        for run in run_repository.list_last_partial(session, since=since, limit=_LOOKED_AT)
        if run.environment_id in known
    ]


def _left(run: RunView) -> str:
    """How those ended who were not stored, as the run's page counts them."""
    ends = [state for state in ITEM_STATES if state != "applied" and run.counts.get(state)]
    return ", ".join(f"{run.counts[state]:,} {state}" for state in ends)


def _to(run: RunView, known: Mapping[int, str]) -> tuple[tuple[str, str], ...]:
    return (
        ("environment", known[run.environment_id]),
        ("view", "history"),
        ("run", str(run.id)),
    )


def _failing(session: ReadSession, known: Mapping[int, str]) -> list[Alert]:
    """The newest plan of an environment, made by schedule, that could not be made."""
    found, seen = [], set()
    for plan in repository.list_plans(session, environment_id=None, limit=_LOOKED_AT, before=None):
        if plan.environment_id in seen or plan.environment_id not in known:
            continue
        seen.add(plan.environment_id)
        name = known[plan.environment_id]
        if plan.state == "failed" and plan.origin == "schedule":
            found.append(
                Alert(
                    "warning",
                    f"Planning user changes by schedule fails in {name}: {plan.error}",
                    "user-sync",
                    plan.created_at,
                    (("environment", name), ("plan", str(plan.id))),
                    "user_sync.failing",
                    str(plan.environment_id),
                    name,
                    plan.environment_id,
                    waiting="failing",
                )
            )
    return found
