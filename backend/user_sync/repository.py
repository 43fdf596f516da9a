"""The SQL of plans."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Select, delete, func, or_, select

from backend.core import access, clock
from backend.core.database import ReadSession, WriteSession
from backend.core.views import of_row
from backend.models import SyncPlan, SyncRun
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


def outdated(session: ReadSession, before: datetime) -> list[int]:
    """Plans nobody applied that expired or failed before then, the newest of each environment
    excepted; rows of applied plans stay for the history and the revert."""
    newest = select(func.max(SyncPlan.id)).group_by(SyncPlan.environment_id)
    kept = set(session.scalars(newest)) | set(session.scalars(select(SyncRun.plan_id)))
    old = select(SyncPlan.id).where(
        or_(
            SyncPlan.expires_at < before,
            (SyncPlan.state == "failed") & (SyncPlan.created_at < before),
        )
    )
    return [plan_id for plan_id in session.scalars(old) if plan_id not in kept]


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


def newest_ready(session: ReadSession) -> Iterator[SyncPlan]:
    """The newest plan of each environment that is ready, revert plans left out."""
    newest: Select[tuple[int]] = (
        select(func.max(SyncPlan.id))
        .where(SyncPlan.state == "ready", SyncPlan.origin != "revert")
        .group_by(SyncPlan.environment_id)
    )
    yield from session.scalars(
        select(SyncPlan).where(SyncPlan.id.in_(newest)).order_by(SyncPlan.environment)
    ).all()
