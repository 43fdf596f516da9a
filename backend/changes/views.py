"""Rows as views."""

from collections.abc import Sequence

from backend.changes import actions, gate, repository
from backend.changes.schemas import ChangeView, StepView
from backend.core.database import ReadSession
from backend.models.changes import Change, ChangeStep


def one(session: ReadSession, row: Change, *, steps: bool = True) -> ChangeView:
    """A request with its history."""
    found = repository.steps(session, [row.id])[row.id]
    return _view(row, found, steps=steps)


def many(session: ReadSession, rows: Sequence[Change]) -> tuple[ChangeView, ...]:
    """Requests for a list, without their history."""
    found = repository.steps(session, [row.id for row in rows])
    return tuple(_view(row, found[row.id], steps=False) for row in rows)


def _view(row: Change, found: Sequence[ChangeStep], *, steps: bool) -> ChangeView:
    known = actions.everything().get(row.action)
    return ChangeView(
        id=row.id,
        change=gate.address(row.id),
        status=row.state,
        environment=row.environment,
        action=row.action,
        label=known.label if known else row.action,
        subject=row.subject,
        reason=row.reason,
        shown=row.shown,
        size=row.size,
        unit=known.unit if known else "",
        digest=row.digest,
        rule=row.rule,
        needed=row.needed,
        approvals=tuple(step.actor_name for step in found if step.kind == "approved"),
        requester=row.requester_name,
        requester_kind=row.requester_kind,
        created_at=row.created_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
        finished_at=row.finished_at,
        run_id=row.run_id,
        job_id=row.job_id,
        outcome=row.outcome,
        after=row.after_id,
        steps=tuple(_step(step) for step in found) if steps else (),
    )


def _step(row: ChangeStep) -> StepView:
    return StepView(
        what=row.kind,
        at=row.at,
        actor_name=row.actor_name,
        actor_kind=row.actor_kind,
        text=row.text,
    )
