"""What of user sync needs somebody's attention, for the Overview page."""

from backend.core.access import Actor, Permission
from backend.core.attention import Attention
from backend.core.database import ReadSession
from backend.user_sync import plans, repository, runs

_LOOKED_AT = 20


def attention(session: ReadSession, actor: Actor) -> list[Attention]:
    """Changes that wait for review, runs that stopped, and planning that fails by schedule."""
    if not actor.may(Permission.USER_SYNC_READ):
        return []
    waiting = [
        Attention(
            "info",
            f"{found.changes:,} user changes wait for review in {found.environment}.",
            "user-sync",
            found.planned_at,
            (("environment", found.environment), ("plan", str(found.plan_id))),
        )
        for found in plans.waiting(session, actor)
    ]
    return [*_stopped(session, actor), *_failing(session), *waiting]


def _stopped(session: ReadSession, actor: Actor) -> list[Attention]:
    return [
        Attention(
            "warning",
            f"Run {run.id} in {run.environment} stopped after {run.done:,} of {run.total:,} users: "
            f"{run.note}",
            "user-sync",
            run.finished_at,
            (("environment", run.environment), ("run", str(run.id))),
        )
        for run in runs.list_runs(session, actor, limit=_LOOKED_AT)
        if run.state == "stopped" and run.done < run.total
    ][:3]


def _failing(session: ReadSession) -> list[Attention]:
    """The newest plan of an environment, made by schedule, that could not be made."""
    found, seen = [], set()
    for plan in repository.list_plans(session, environment_id=None, limit=_LOOKED_AT, before=None):
        if plan.environment_id in seen:
            continue
        seen.add(plan.environment_id)
        if plan.state == "failed" and plan.origin == "schedule":
            found.append(
                Attention(
                    "warning",
                    f"Planning user changes by schedule fails in {plan.environment}: {plan.error}",
                    "user-sync",
                    plan.created_at,
                    (("environment", plan.environment), ("plan", str(plan.id))),
                )
            )
    return found
