"""All SQL of the ingestion room."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, aliased

from backend.core import access, clock, newest
from backend.core.database import ReadSession, WriteSession
from backend.ingestion.ruleset import Rule
from backend.ingestion.schemas import RunFilter
from backend.ingestion.targets import Target
from backend.models.ingestion import (
    IngestionMapping,
    IngestionRule,
    IngestionRun,
    IngestionSchedule,
)

# -- rules -------------------------------------------------------------------------------------


def revision(session: ReadSession, environment_id: int) -> int:
    """The mapping's revision; 0 before the first rule."""
    found = session.scalar(
        select(IngestionMapping.revision).where(IngestionMapping.environment_id == environment_id)
    )
    return found or 0


def lock_mapping(session: WriteSession, environment_id: int, actor_name: str) -> IngestionMapping:
    """The mapping's row, locked until commit; made when it does not exist."""
    row = session.scalars(
        select(IngestionMapping)
        .where(IngestionMapping.environment_id == environment_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        row = IngestionMapping(
            environment_id=environment_id,
            revision=0,
            updated_at=clock.now(),
            updated_by=actor_name,
        )
        session.add(row)
        session.flush()
    return row


def load_rules(session: ReadSession, environment_id: int) -> list[Rule]:
    """Every rule, for the index."""
    rows = session.execute(
        select(
            IngestionRule.kind,
            IngestionRule.pattern,
            IngestionRule.target_kind,
            IngestionRule.target,
            IngestionRule.invocation,
        ).where(IngestionRule.environment_id == environment_id)
    )
    return [
        Rule(kind, pattern, Target(target_kind, target), "portal", "", invocation)
        for kind, pattern, target_kind, target, invocation in rows
    ]


def list_rules(
    session: ReadSession, environment_id: int, *, text: str, kind: str, limit: int, offset: int
) -> tuple[list[IngestionRule], int]:
    """Rules whose pattern, target or note contains `text`, and how many there are."""
    wanted = [IngestionRule.environment_id == environment_id]
    if kind:
        wanted.append(IngestionRule.kind == kind)
    if text:
        like = f"%{_escaped(text)}%"
        wanted.append(
            IngestionRule.pattern.like(like, escape="!")
            | IngestionRule.target.like(like, escape="!")
            | IngestionRule.note.like(like, escape="!")
        )
    total = session.scalar(select(func.count()).select_from(IngestionRule).where(*wanted)) or 0
    rows = session.scalars(
        select(IngestionRule)
        .where(*wanted)
        .order_by(IngestionRule.kind, IngestionRule.pattern)
        .limit(limit)
        .offset(offset)
    )
    return list(rows), total


def find_rule(session: ReadSession, environment_id: int, rule_id: int) -> IngestionRule | None:
    row = session.get(IngestionRule, rule_id)
    return row if row is not None and row.environment_id == environment_id else None


def find_rule_by_pattern(
    session: ReadSession, environment_id: int, kind: str, pattern: str
) -> IngestionRule | None:
    return session.scalars(
        select(IngestionRule).where(
            IngestionRule.environment_id == environment_id,
            IngestionRule.kind == kind,
            IngestionRule.pattern == pattern,
        )
    ).one_or_none()


def insert_rules(
    session: WriteSession, environment_id: int, rules: Iterable[Rule], actor_name: str
) -> None:
    now = clock.now()
    rows = [
        {
            "environment_id": environment_id,
            "kind": rule.kind,
            "pattern": rule.pattern,
            "target_kind": rule.target.kind,
            "target": rule.target.name,
            "invocation": rule.invocation,
            "note": "",
            "updated_at": now,
            "updated_by": actor_name,
            "problem": "",
        }
        for rule in rules
    ]
    if rows:
        session.execute(insert(IngestionRule), rows)


def delete_rules(
    session: WriteSession, environment_id: int, kind: str, patterns: list[str]
) -> None:
    for start in range(0, len(patterns), 500):
        session.execute(
            delete(IngestionRule).where(
                IngestionRule.environment_id == environment_id,
                IngestionRule.kind == kind,
                IngestionRule.pattern.in_(patterns[start : start + 500]),
            )
        )


def set_problem(
    session: WriteSession, environment_id: int, target: Target, problem: str, at: datetime
) -> None:
    """Write what a check of `target` found onto every rule that points at it."""
    session.execute(
        update(IngestionRule)
        .where(IngestionRule.environment_id == environment_id, IngestionRule.target == target.name)
        .values(problem=problem[:500], checked_at=at)
    )


# -- runs --------------------------------------------------------------------------------------


def find_run(session: ReadSession, run_id: str, *, lock: bool = False) -> IngestionRun | None:
    """lock: until commit, and read afresh. Raises NotPermitted out of a limited token's reach."""
    query = select(IngestionRun).where(IngestionRun.run_id == run_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    row = session.scalars(query).one_or_none()
    if row is not None:
        access.require_environment(row.environment_id, row.environment_name)
    return row


def lock_run(session: WriteSession, run_id: str) -> IngestionRun | None:
    """The run's row, locked until commit and read afresh."""
    return find_run(session, run_id, lock=True)


def active_key(environment_id: int, subject: str) -> str:
    """What a run of this dataset (or job) holds while it may be going."""
    return hashlib.sha256(f"{environment_id}\0{subject}".encode()).hexdigest()


def find_active(session: ReadSession, active_key: str) -> IngestionRun | None:
    return session.scalars(
        select(IngestionRun).where(IngestionRun.active_key == active_key)
    ).one_or_none()


def find_by_key(
    session: ReadSession, environment_id: int, idempotency_key: str
) -> IngestionRun | None:
    return session.scalars(
        select(IngestionRun).where(
            IngestionRun.environment_id == environment_id,
            IngestionRun.idempotency_key == idempotency_key,
        )
    ).one_or_none()


def list_runs(
    session: ReadSession, wanted: RunFilter, *, limit: int, before: int | None
) -> newest.Found[IngestionRun]:
    """Newest first."""
    reach = access.reach()
    return newest.page(
        session,
        select(IngestionRun),
        IngestionRun.id,
        exact=_wanted(wanted),
        rest=() if reach is None else [IngestionRun.environment_id.in_(reach)],
        limit=limit,
        before=before,
    )


def last_in(
    session: ReadSession,
    statuses: Sequence[str],
    *,
    since: datetime,
    sending_since: datetime,
    limit: int,
) -> list[IngestionRun]:
    """Runs since an instant with such a status that no later run of their dataset (or job) has
    followed to its end, newest first. One sent since sending_since that AWS has not answered is
    still on its way: its status, unknown, is nothing to tell of yet."""
    later = aliased(IngestionRun)
    sent = or_(IngestionRun.answered.is_(True), IngestionRun.sent_at < sending_since)
    later_sent = or_(later.answered.is_(True), later.sent_at < sending_since)
    followed = (
        select(later.id)
        .where(
            later.environment_id == IngestionRun.environment_id,
            later.dataset_urn == IngestionRun.dataset_urn,
            later.id > IngestionRun.id,
            or_(later.dataset_urn != "", later.job_urn == IngestionRun.job_urn),
            or_(later.settled.is_(True), and_(later.status.in_(statuses), later_sent)),
        )
        .exists()
    )
    query = select(IngestionRun).where(
        IngestionRun.status.in_(statuses), sent, IngestionRun.id >= _first_since(session, since)
    )
    return list(
        session.scalars(query.where(~followed).order_by(IngestionRun.id.desc()).limit(limit))
    )


def _first_since(session: ReadSession, since: datetime) -> int:
    """The number from which on runs are that new; each index of a filter is in its order."""
    query = select(IngestionRun.id).where(IngestionRun.created_at >= since)
    found = session.scalar(query.order_by(IngestionRun.created_at).limit(1))
    return found if found is not None else 2**63 - 1


def troubled_schedules(session: ReadSession, *, limit: int) -> Sequence[IngestionSchedule]:
    """Those whose last start made no job."""
    query = select(IngestionSchedule).where(IngestionSchedule.last_problem != "")
    return session.scalars(query.order_by(IngestionSchedule.id).limit(limit)).all()


def list_moments(
    session: ReadSession, wanted: RunFilter, *, since: datetime, limit: int
) -> list[tuple[datetime, str]]:
    """(asked at, status) of the runs since an instant, newest first."""
    chosen = [column.in_(values) for column, values in _wanted(wanted).items() if values]
    query = (
        select(IngestionRun.created_at, IngestionRun.status)
        .where(*chosen, IngestionRun.id >= _first_since(session, since))
        .order_by(IngestionRun.id.desc())
        .limit(limit)
    )
    return [(at, status) for at, status in session.execute(query)]


def _wanted(wanted: RunFilter) -> dict[InstrumentedAttribute[Any], Sequence[str]]:
    one = {
        IngestionRun.dataset_urn: wanted.dataset_urn,
        IngestionRun.job_urn: wanted.job_urn,
        IngestionRun.actor_name: wanted.actor_name,
        IngestionRun.environment_name: wanted.environment,
    }
    return {
        **{column: [value] if value else () for column, value in one.items()},
        IngestionRun.status: wanted.statuses,
    }


def due_runs(session: ReadSession, now: datetime, limit: int) -> list[str]:
    """Run ids whose next look is due, the most overdue first: those that go on before those that
    somebody may redrive, however many these are."""
    return list(
        session.scalars(
            select(IngestionRun.run_id)
            .where(IngestionRun.settled.in_((False, True)), IngestionRun.next_look_at <= now)
            .order_by(IngestionRun.settled, IngestionRun.next_look_at)
            .limit(limit)
        )
    )


def due_reports(session: ReadSession, now: datetime, limit: int) -> list[str]:
    """Run ids of which DataHub may have to be told, the longest waiting first."""
    return list(
        session.scalars(
            select(IngestionRun.run_id)
            .where(IngestionRun.report_at <= now)
            .order_by(IngestionRun.report_at)
            .limit(limit)
        )
    )


def unreported(
    session: ReadSession, *, since: datetime, tries: int, limit: int
) -> list[IngestionRun]:
    """Runs of which DataHub could not be told after so many tries, newest first."""
    return list(
        session.scalars(
            select(IngestionRun)
            .where(IngestionRun.created_at >= since, IngestionRun.report_tries >= tries)
            .order_by(IngestionRun.created_at.desc())  # by the index that bounds it
            .limit(limit)
        )
    )


def claim_check(session: WriteSession, run_id: str, looks: int, until: datetime) -> bool:
    """Take the next look at a run; False when somebody else has just taken it."""
    result = session.execute(
        update(IngestionRun)
        .where(
            IngestionRun.run_id == run_id,
            IngestionRun.looks == looks,
        )
        .values(looks=looks + 1, next_look_at=until)
        .execution_options(synchronize_session=False)
    )
    return bool(getattr(result, "rowcount", 0))


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
