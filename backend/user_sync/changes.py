"""How approved changes of user sync are carried out."""

from typing import Any

from backend.changes.actions import Action, Begun, End
from backend.changes.schemas import MOST, Preview
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession
from backend.core.words import counted
from backend.user_sync import plans, runs
from backend.user_sync.fields import ATTRIBUTES, DISPLAY_NAME
from backend.user_sync.schemas import RowFilter, RowView
from backend.user_sync.validation import side_by_side


def carry_out(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    """Start applying the plan; it knows its environment itself."""
    access.require(actor, Permission.USER_SYNC_APPLY)
    del environment
    run = database.change(runs.apply, actor, **parameters)
    return Begun(str(run.id))


def ended(session: ReadSession, run_id: str) -> End | None:
    """How the run ended; only every user applied is a success."""
    run = runs.get_run(session, SYSTEM, run_id=int(run_id))
    if not run.ended:
        return None
    counted = ", ".join(f"{count} {state}" for state, count in sorted(run.counts.items()))
    return End("succeeded" if run.clean else "failed", f"Run {run.id} {run.state}: {counted}.")


def preview(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Preview:
    """The plan's rows that would be written, a line per field: old and new."""
    access.require(actor, Permission.USER_SYNC_READ)
    del environment
    plan_id, asked = parameters["plan_id"], parameters["user_ids"]
    every = RowFilter(only_applicable=True)
    with database.read() as session:
        found = plans.all_rows(session, actor, plan_id=plan_id, wanted=every)
        rows = [row for row in found if asked is None or row.user_id in asked]
    lines = [
        (row.email, ATTRIBUTES[name].label, *_shown(row, name, old, new), row.why())
        for row in rows
        for name, (old, new) in row.changes.items()
    ]
    title = f"{counted(len(rows), 'user')} of plan {plan_id}"
    columns = ("User", "Field", "Now", "Will be", "Why")
    return Preview(title=title, columns=columns, rows=tuple(lines[:MOST]), total=len(lines))


def _shown(row: RowView, name: str, old: Any, new: Any) -> tuple[str, str]:
    """Old and new value in words, with what nobody sees in a text marked, as on the plan's page."""
    if isinstance(old, str) and isinstance(new, str):
        alike = row.look_alike and name == DISPLAY_NAME.name
        old, new = side_by_side(old, new, alike=alike)
    return ATTRIBUTES[name].shown(old), ATTRIBUTES[name].shown(new)


def _action(name: str, label: str) -> Action:
    return Action(
        name,
        label,
        Permission.USER_SYNC_APPLY,
        carry_out,
        unit="users",
        rewrites=True,
        ended=ended,
        preview=preview,
    )


ACTIONS = (_action(runs.APPLY, "Apply a user plan"), _action(runs.REVERT, "Revert a user sync"))
