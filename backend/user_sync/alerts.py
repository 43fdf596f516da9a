"""What of user sync needs somebody's attention, for the Overview page."""

from collections.abc import Mapping

from backend.connections import resolve
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession
from backend.user_sync import plans, repository, runs

_LOOKED_AT = 20


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """Changes that wait for review, runs that stopped, and planning that fails by schedule.

    Only of environments that still exist: nobody can do anything about the others.
    """
    if not actor.may(Permission.USER_SYNC_READ):
        return []
    known = resolve.names(session)
    numbers = {name: number for number, name in known.items()}
    waiting = [
        Alert(
            "info",
            f"{found.changes:,} user changes wait for review in {found.environment}.",
            "user-sync",
            found.planned_at,
            (("environment", found.environment), ("plan", str(found.plan_id))),
            "user_sync.plan_waiting",
            str(found.plan_id),
            f"Plan {found.plan_id} of {found.environment}: {found.changes:,} changes",
            numbers.get(found.environment, 0),
        )
        for found in plans.waiting(session, actor)
    ]
    return [*_stopped(session, actor, known), *_failing(session, known), *waiting]


def _stopped(session: ReadSession, actor: Actor, known: Mapping[int, str]) -> list[Alert]:
    return [
        Alert(
            "warning",
            f"Run {run.id} in {known[run.environment_id]} stopped after {run.done:,} of "
            f"{run.total:,} users: {run.note}",
            "user-sync",
            run.finished_at,
            (("environment", known[run.environment_id]), ("run", str(run.id))),
        )
        for run in runs.list_runs(session, actor, limit=_LOOKED_AT)
        if run.state == "stopped" and run.unsettled and run.environment_id in known
    ][:3]


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
                )
            )
    return found
