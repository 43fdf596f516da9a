"""Jobs of user sync: planning, applying, and planning by schedule."""

from datetime import timedelta
from typing import Any
from weakref import WeakSet

from backend.accounts import identity
from backend.core import clock, cron
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, WriteSession
from backend.core.errors import NotPermitted, PortalError
from backend.core.log import get_logger
from backend.jobs.registry import FAILED, JobContext, job
from backend.jobs.schedule import every
from backend.user_sync import (
    applying,
    planning,
    plans,
    reaper,
    repository,
    row_repository,
    rules_repository,
    runs,
)

log = get_logger(__name__)

#: Beyond what the clean-up did last time; what was applied stays, and is not looked at again.
_LOOKED_BACK = timedelta(days=14)
_looked_through: WeakSet[Database] = WeakSet()


@job("user_sync.plan", title="Plan user changes", resumable=True)
def make_plan(
    ctx: JobContext, *, plan_id: int, accept_short: bool = False
) -> dict[str, Any] | None:
    """Fill a plan; by schedule, apply it too where that is switched on."""
    with ctx.database.read() as session:
        known = repository.plan_view(session, repository.get_plan(session, plan_id))
    if known.state == "ready":
        return {"plan_id": plan_id, "kinds": known.kinds}  # delivered twice
    plan = planning.run(ctx.database, ctx.actor, plan_id, ctx, accept_short=accept_short)
    ctx.log(f"Plan {plan_id}: {plan.told}.")
    result: dict[str, Any] = {"plan_id": plan_id, "kinds": plan.kinds}
    if plan.origin == "schedule" and plan.changes:
        result["run_id"] = _apply_by_schedule(ctx, plan_id, plan.environment_id)
    return result


def _apply_by_schedule(ctx: JobContext, plan_id: int, environment_id: int) -> int | None:
    with ctx.database.write() as session:
        row = repository.get_plan(session, plan_id)
        view = rules_repository.settings_view(session, environment_id, row.environment)
        if not view.settings.apply_on_schedule:
            return None
        try:
            return runs.apply(session, _setter(session, environment_id), plan_id=plan_id).id
        except PortalError as exc:
            # Over the limit: the plan waits for a person, as the Overview says.
            refusal = exc.message
    ctx.log(f"Not applied by schedule: {refusal}")
    return None


def _setter(session: WriteSession, environment_id: int) -> Actor:
    """Who switched it on, with the role of now, as for every schedule: what waits for an approval
    is theirs, so that somebody else decides."""
    known = rules_repository.set_by(session, environment_id)
    if known is None:
        return SYSTEM
    kind, number, name = known
    actor = identity.of(session, kind=kind, id=number, name=name).actor
    if actor is None or not actor.may(Permission.USER_SYNC_APPLY):
        raise NotPermitted(
            f"{name}, who set the schedule, may not apply plans any more. Save its settings again."
        )
    return actor


@job("user_sync.apply", title="Apply user changes", resumable=True)
def apply_plan(ctx: JobContext, *, run_id: int) -> dict[str, Any] | None:
    """Work through a run."""
    run = applying.execute(ctx.database, run_id, ctx, token=f"job:{ctx.job_id}")
    ctx.log(f"{run.state}: {run.counts} {run.note}".strip())
    result: dict[str, Any] = {"run_id": run_id, "state": run.state, "counts": run.counts}
    if run.state == "stopped":
        result[FAILED] = run.note or "The run stopped before its end."
    elif run.ended and not run.counts.get("applied"):
        ended = ", ".join(f"{count} {state}" for state, count in sorted(run.counts.items()))
        result[FAILED] = f"No user was changed: {ended}. The run says why."
    return result


@every("user_sync.schedule", minutes=1)
def plan_by_schedule(database: Database) -> None:
    """Start planning where it is due."""
    now = clock.now()
    due = database.ask(rules_repository.due, now)
    for environment_id in due:
        database.change(_start_due, environment_id)


@every("user_sync.abandoned", minutes=1)
def stop_abandoned_runs(database: Database) -> None:
    """A run whose process died would say that it is at work for ever."""
    reaper.stop_abandoned(database)


@every("user_sync.cleanup", hours=6)
def forget_old_plans(database: Database) -> None:
    """100,000 rows a day add up: plans nobody applied go a week after they expired.

    The first time in a process all of them are looked through, for it may not have run for long.
    """
    now = clock.now()
    before = now - timedelta(days=7)
    since = before - _LOOKED_BACK if database in _looked_through else None
    dead = database.change(repository.fail_abandoned, now - timedelta(hours=1))
    gone = database.ask(repository.outdated, before, since=since)
    for plan_id in (*dead, *gone):
        row_repository.drop_rows(database, plan_id)
    for plan_id in gone:
        database.change(repository.forget, plan_id)
    _looked_through.add(database)
    if gone:
        log.info("Old plans of user changes were deleted.", plans=len(gone))


def _start_due(session: Any, environment_id: int) -> None:
    from backend.connections import environments

    now = clock.now()
    known = {env.id: env for env in environments.list_all(session, SYSTEM)}
    environment = known.get(environment_id)
    if environment is None:
        rules_repository.set_next(session, environment_id, None)
        return
    view = rules_repository.settings_view(session, environment_id, environment.name)
    rules_repository.set_next(session, environment_id, cron.next_time(view.settings.plan_cron, now))
    try:
        plans.start_plan(session, SYSTEM, environment=environment.name, origin="schedule")
    except PortalError as exc:
        log.warning("Planning by schedule is not possible.", error=exc.message)
