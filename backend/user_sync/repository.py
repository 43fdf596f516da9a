"""The SQL of plans."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import aliased

from backend.core import access, clock
from backend.core.database import ReadSession, WriteSession
from backend.core.views import of_row
from backend.models import Environment, SyncPlan, SyncRun
from backend.user_sync.errors import PlanNotFound
from backend.user_sync.schemas import PlanView


def get_plan(session: ReadSession, plan_id: int, *, lock: bool = False) -> SyncPlan:
    """The plan's row. Raises PlanNotFound, NotPermitted out of a limited token's reach."""
    row = session.get(SyncPlan, plan_id, with_for_update=lock or None)
    if row is None:
        raise PlanNotFound(plan_id)
    access.require_environment(row.environment_id, row.environment)
    return row


def plan_view(session: ReadSession, row: SyncPlan) -> PlanView:
    run_id = session.scalar(select(SyncRun.id).where(SyncRun.plan_id == row.id))
    return _plan_view(row, run_id, clock.now())


def list_plans(
    session: ReadSession, *, environment_id: int | None, limit: int, before: int | None
) -> list[PlanView]:
    """Newest first."""
    query = (
        select(SyncPlan, SyncRun.id)
        .outerjoin(SyncRun, SyncRun.plan_id == SyncPlan.id)
        .order_by(SyncPlan.id.desc())
        .limit(limit)
    )
    if environment_id is not None:
        query = query.where(SyncPlan.environment_id == environment_id)
    if (reach := access.reach()) is not None:
        query = query.where(SyncPlan.environment_id.in_(reach))
    if before is not None:
        query = query.where(SyncPlan.id < before)
    now = clock.now()
    return [_plan_view(row, run_id, now) for row, run_id in session.execute(query)]


def _plan_view(row: SyncPlan, run_id: int | None, now: datetime) -> PlanView:
    return of_row(
        PlanView,
        row,
        expired=row.expires_at is not None and row.expires_at <= now,
        kinds=dict(row.kinds),
        fields=dict(row.fields),
        domain_names=tuple(row.domain_names),
        run_id=run_id,
    )


def last_matched_share(session: ReadSession, environment_id: int, host_port: str) -> float | None:
    """Which share of the directory's people the last plan found on this server; None: no plan."""
    query = (
        select(SyncPlan.matched_count, SyncPlan.directory_count)
        .where(
            SyncPlan.environment_id == environment_id,
            SyncPlan.host_port == host_port,
            SyncPlan.state == "ready",
            SyncPlan.origin != "revert",
        )
        .order_by(SyncPlan.id.desc())
        .limit(1)
    )
    found = session.execute(query).first()
    return found[0] / found[1] if found and found[1] else None


def outdated(session: ReadSession, before: datetime, *, since: datetime | None) -> list[int]:
    """Plans nobody applied that expired or failed before then, the newest of each environment
    excepted; rows of applied plans stay for the history and the revert.

    since: of those that expired, only the ones that did so since then; None: all of them.
    """
    expired = SyncPlan.expires_at < before
    if since is not None:
        expired &= SyncPlan.expires_at >= since
    failed = (SyncPlan.state == "failed") & (SyncPlan.created_at < before)
    old = select(SyncPlan.id, SyncPlan.environment_id)
    found = {*session.execute(old.where(expired)).tuples()}
    found |= {*session.execute(old.where(failed)).tuples()}
    if not found:
        return []
    kept = set(_applied(session, min(found)[0], max(found)[0]))
    for number in {number for _, number in found}:
        newest = select(func.max(SyncPlan.id)).where(SyncPlan.environment_id == number)
        kept.update(session.scalars(newest))
    return sorted(plan_id for plan_id, _ in found if plan_id not in kept)


def _applied(session: ReadSession, first: int, last: int) -> Iterable[int]:
    """Of the plans with these numbers; an index holds them, so that no other run is looked at."""
    return session.scalars(select(SyncRun.plan_id).where(SyncRun.plan_id.between(first, last)))


def forget(session: WriteSession, plan_id: int) -> None:
    """Delete a plan's head; its rows went before."""
    session.execute(delete(SyncPlan).where(SyncPlan.id == plan_id))


def fail_abandoned(session: WriteSession, before: datetime) -> list[int]:
    """Plans whose command line or request died, now failed; those of jobs are taken up by their
    jobs. Their rows are the caller's to drop."""
    abandoned = select(SyncPlan).where(
        SyncPlan.state == "planning", SyncPlan.job_id.is_(None), SyncPlan.created_at < before
    )
    found = []
    for plan in session.scalars(abandoned).all():
        plan.state, plan.error = "failed", "The process that made it ended. Plan again."
        found.append(plan.id)
    return found


def newest_ready(session: ReadSession, environments: Collection[int]) -> Sequence[SyncPlan]:
    """The newest plan of each of these environments that is ready, revert plans left out."""
    plan = aliased(SyncPlan)
    newest = (
        select(plan.id)
        .where(
            plan.environment_id == Environment.id, plan.state == "ready", plan.origin != "revert"
        )
        .order_by(plan.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids = session.scalars(select(newest).where(Environment.id.in_(environments)))
    found = select(SyncPlan).where(SyncPlan.id.in_([each for each in ids if each is not None]))
    return session.scalars(found.order_by(SyncPlan.environment)).all()
