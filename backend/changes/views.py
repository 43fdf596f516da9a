"""Rows as views."""

from collections.abc import Sequence

from backend.changes import actions, gate, repository
from backend.changes.schemas import ChangeView, StepView
from backend.core.database import ReadSession
from backend.core.views import of_row
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
    return of_row(
        ChangeView,
        row,
        change=gate.address(row.id),
        status=row.state,
        label=known.label if known else row.action,
        unit=known.unit if known else "",
        approvals=tuple(step.actor_name for step in found if step.kind == "approved"),
        requester=row.requester_name,
        after=row.after_id,
        steps=tuple(of_row(StepView, step, what=step.kind) for step in found) if steps else (),
    )
