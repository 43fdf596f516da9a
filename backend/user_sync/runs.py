"""Apply a plan, watch the run, continue it, revert it."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from backend.changes import gate
from backend.connections import resolve
from backend.core import access, audit, choices, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.models import SyncPlan, SyncRun
from backend.user_sync import (
    applying,
    exports,
    plans,
    reaper,
    repository,
    row_repository,
    rules_repository,
    run_repository,
    validation,
)
from backend.user_sync.errors import (
    AppliedWithout,
    ConfirmationNeeded,
    NothingToApply,
    NothingToContinue,
    NotInPlan,
    PlanNotReady,
)
from backend.user_sync.planning import Control, Silent
from backend.user_sync.schemas import ItemView, RunView, Settings

#: What a policy may put under approval; `backend.user_sync.changes` carries it out.
APPLY, REVERT = "user_sync.apply", "user_sync.revert"
#: So many of the newest runs are looked through for a chart.
MAX_MOMENTS = 2_000


def apply(
    session: WriteSession,
    actor: Actor,
    *,
    plan_id: int,
    user_ids: Sequence[str] | None = None,
    emails: Sequence[str] | None = None,
    confirm: str = "",
    background: bool = True,
) -> RunView:
    """Start applying a plan; applied before, it answers with its first run (reused), which must
    hold every user asked for now: leaving one out silently would look like success.

    user_ids or emails: the ticked users, None for every change of the plan. confirm: the number
    of users, typed by a person, needed above the blast-radius limit. background False: no job is
    sent, the caller runs `execute` itself.
    Raises PlanNotFound, PlanNotReady, PlanExpired, ElsewhereNow, NotInPlan, NothingToApply,
    ConfirmationNeeded, AppliedWithout.
    """
    access.require_to_ask(actor, Permission.USER_SYNC_APPLY)
    plan = repository.get_plan(session, plan_id, lock=True)
    known = run_repository.find_by_plan(session, plan_id)
    if known is not None:
        _check_covered(session, known, user_ids, emails)
        return run_repository.view(session, known, reused=True)
    if plan.state != "ready":
        raise PlanNotReady(plan_id, plan.state, plan.error)
    applying.check_fresh(plan)
    applying.connection(session, plan)  # a run that cannot begin would use the plan up
    rows = _chosen(session, plan_id, user_ids, emails)
    settings = rules_repository.settings_view(session, plan.environment_id, plan.environment)
    check_limit(len(rows), plan.matched_count, settings.settings, confirm)
    asked = [user_id for _, user_id, _ in rows] if user_ids or emails else None
    gate.check(session, actor, _intent(plan, rows, asked, confirm))
    run = _create(session, actor, plan, len(rows))
    run_repository.add_items(session, run.id, plan_id, rows)
    if background:
        _enqueue(session, actor, run)
    return run_repository.view(session, run)


def action_of(origin: str) -> str:
    """The policy's name of applying a plan of this origin."""
    return REVERT if origin == "revert" else APPLY


def _intent(
    plan: SyncPlan, rows: list[tuple[int, str, str]], asked: list[str] | None, confirm: str
) -> gate.Intent:
    """asked: the users that were named, None for every change of the plan."""
    users = "\0".join(user_id for _, user_id, _ in rows)
    return gate.Intent(
        action=action_of(plan.origin),
        environment=plan.environment,
        environment_id=plan.environment_id,
        subject=f"plan {plan.id}",
        parameters={"plan_id": plan.id, "user_ids": asked, "confirm": confirm},
        shown={"plan": plan.id, "users": len(rows), "plan_digest": plan.digest},
        size=len(rows),
        digest=hashlib.sha256(users.encode()).hexdigest(),
    )


def _chosen(
    session: WriteSession,
    plan_id: int,
    user_ids: Sequence[str] | None,
    emails: Sequence[str] | None,
) -> list[tuple[int, str, str]]:
    rows = row_repository.applicable_rows(session, plan_id)
    if emails is not None:
        found, unknown = plans.resolve_ids(session, plan_id, emails)
        if unknown:
            raise NotInPlan(plan_id, unknown)
        user_ids = [*(user_ids or ()), *found]
    if user_ids is not None:
        wanted = set(user_ids)
        unknown = sorted(wanted - {user_id for _, user_id, _ in rows})
        if unknown:
            raise NotInPlan(plan_id, unknown)
        rows = [row for row in rows if row[1] in wanted]
    if not rows:
        raise NothingToApply(plan_id, chosen=user_ids is not None)
    return rows


def _check_covered(
    session: WriteSession,
    run: SyncRun,
    user_ids: Sequence[str] | None,
    emails: Sequence[str] | None,
) -> None:
    """Raises AppliedWithout when somebody asks for more than the plan's run holds."""
    held = run_repository.user_ids(session, run.id)
    rows = row_repository.applicable_rows(session, run.plan_id)
    names = {user_id: email for _, user_id, email in rows}
    wanted = set(user_ids) if user_ids is not None else set() if emails is not None else set(names)
    if emails is not None:
        found, unknown = plans.resolve_ids(session, run.plan_id, emails)
        if unknown:
            raise NotInPlan(run.plan_id, unknown)
        wanted |= set(found)
    missing = sorted(names.get(user_id, user_id) for user_id in wanted - held)
    if missing:
        raise AppliedWithout(run.plan_id, run.id, missing)


def check_limit(users: int, matched: int, settings: Settings, confirm: str) -> None:
    """Raises ConfirmationNeeded above the blast-radius limit without the right number."""
    if settings.exceeded_by(users, matched) and confirm.strip() != str(users):
        raise ConfirmationNeeded(users, matched, settings.limit_percent)


def _create(session: WriteSession, actor: Actor, plan: SyncPlan, total: int) -> SyncRun:
    run = SyncRun(
        plan_id=plan.id,
        environment_id=plan.environment_id,
        environment=plan.environment,
        state="queued",
        note="",
        actor_id=actor.id,
        actor_name=actor.name[:255],
        actor_role=actor.role.value,
        actor_kind=actor.kind,
        total=total,
        created_at=clock.now(),
        heartbeat_at=clock.now(),
    )
    session.add(run)
    session.flush()
    audit.record(
        session,
        actor,
        "user_sync:plan:apply",
        subject=f"run {run.id} of plan {plan.id} on {plan.environment}",
        phase="intent",
        details={"users": total, "digest": plan.digest, "origin": plan.origin},
    )
    return run


def _enqueue(session: WriteSession, actor: Actor, run: SyncRun) -> None:
    run.job_id = enqueue(
        session,
        actor,
        "user_sync.apply",
        {"run_id": run.id},
        subject=f"plan {run.plan_id} on {run.environment}",
        environment=run.environment,
    )
    session.flush()


def execute(
    database: Database, actor: Actor, *, run_id: int, control: Control | None = None
) -> RunView:
    """Work through a run in the calling thread (CLI); see `applying.execute`."""
    access.require(actor, Permission.USER_SYNC_APPLY)
    return applying.execute(database, run_id, control or Silent(), token=run_repository.own_token())


def resume(session: WriteSession, actor: Actor, *, run_id: int, background: bool = True) -> RunView:
    """Go on with a run that stopped, was cancelled, or lost its process; unknown writes are looked
    at first.

    Raises RunActive, NothingToContinue, PlanExpired (the directory may say something else by now).
    """
    access.require(actor, Permission.USER_SYNC_APPLY)
    run = reaper.at_rest(session, run_id)
    view = run_repository.view(session, run)
    if not view.unsettled:
        raise NothingToContinue(run_id, view.counts)
    applying.check_fresh(repository.get_plan(session, run.plan_id))
    run_repository.recheck_unknown(session, run_id)
    run.state, run.note, run.finished_at, run.claimed_by = "queued", "", None, None
    run.heartbeat_at = clock.now()
    audit.record(
        session,
        actor,
        "user_sync:plan:apply",
        subject=f"run {run.id} of plan {run.plan_id} on {run.environment}",
        phase="intent",
        details={"continued": True, "left": view.unsettled},
    )
    if background:
        _enqueue(session, actor, run)
    return run_repository.view(session, run)


def cancel(session: WriteSession, actor: Actor, *, run_id: int) -> RunView:
    """Ask a run's job to stop between two users. Raises RunNotFound, InvalidInput, JobFinished."""
    access.require(actor, Permission.USER_SYNC_APPLY)
    run = run_repository.get_run(session, run_id)
    if reaper.abandoned(session, run):
        return run_repository.view(session, reaper.at_rest(session, run_id))
    if run.job_id is None:
        raise InvalidInput(f"Run {run_id} was started from a command line; stop it there.")
    jobs.cancel(session, actor, job_id=run.job_id)
    if run.state == "queued":
        run = run_repository.get_run(session, run_id, lock=True)
        if run.state == "queued":
            run.state, run.note, run.finished_at = "cancelled", "Cancelled.", clock.now()
    return run_repository.view(session, run)


def get_run(session: ReadSession, actor: Actor, *, run_id: int) -> RunView:
    """One run's head with its counts. Raises RunNotFound."""
    access.require(actor, Permission.USER_SYNC_READ)
    return run_repository.view(session, run_repository.get_run(session, run_id))


def list_runs(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> tuple[RunView, ...]:
    """Newest first; environment None: of all environments."""
    access.require(actor, Permission.USER_SYNC_READ)
    choices.check_limit(limit, validation.MAX_PAGE)
    found = resolve.environment(session, environment).id if environment else None
    return tuple(
        run_repository.list_runs(session, environment_id=found, limit=limit, before=before)
    )


def recent(
    session: ReadSession, actor: Actor, *, days: int = 14
) -> tuple[tuple[datetime, str], ...]:
    """When each run of the last days that is no job was made and its state, of the newest 2,000:
    those of the command line, which works through them itself."""
    access.require(actor, Permission.USER_SYNC_READ)
    since = clock.now() - timedelta(days=max(1, min(days, 366)))
    found = run_repository.moments(session, since=since, limit=MAX_MOMENTS)
    return tuple((at, state) for at, state, job_id in found if job_id is None)


def list_items(
    session: ReadSession,
    actor: Actor,
    *,
    run_id: int,
    states: Sequence[str] = (),
    text: str = "",
    after: int = -1,
    limit: int = 100,
) -> tuple[ItemView, ...]:
    """Users of a run in the plan's order, after a position, at most 1,000."""
    access.require(actor, Permission.USER_SYNC_READ)
    choices.check_limit(limit, validation.MAX_PAGE)
    run = run_repository.get_run(session, run_id)
    plan = repository.get_plan(session, run.plan_id)
    return run_repository.item_page(
        session, run, plan.host_port, states=states, text=text, after=after, limit=limit
    )


def all_items(session: ReadSession, actor: Actor, *, run_id: int) -> Iterator[ItemView]:
    """Every user of a run, for exports and exports."""
    access.require(actor, Permission.USER_SYNC_READ)
    run = run_repository.get_run(session, run_id)
    plan = repository.get_plan(session, run.plan_id)
    return run_repository.all_items(session, run, plan.host_port)


def run_csv(session: ReadSession, actor: Actor, *, run_id: int) -> str:
    """The whole run as CSV."""
    return exports.run_csv(all_items(session, actor, run_id=run_id))
