"""How approved changes of user sync are carried out."""

from typing import Any

from backend.changes.actions import Action, Begun, End
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession
from backend.user_sync import runs


def carry_out(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    """Start applying the plan; it knows its environment itself."""
    access.require(actor, Permission.USER_SYNC_APPLY)
    del environment
    with database.write() as session:
        run = runs.apply(session, actor, **parameters)
    return Begun(str(run.id))


def ended(session: ReadSession, run_id: str) -> End | None:
    """How the run ended; only every user applied is a success."""
    run = runs.get_run(session, SYSTEM, run_id=int(run_id))
    if not run.ended:
        return None
    counted = ", ".join(f"{count} {state}" for state, count in sorted(run.counts.items()))
    return End("succeeded" if run.clean else "failed", f"Run {run.id} {run.state}: {counted}.")


def _action(name: str, label: str) -> Action:
    return Action(
        name, label, Permission.USER_SYNC_APPLY, carry_out, unit="users", rewrites=True, ended=ended
    )


ACTIONS = (_action(runs.APPLY, "Apply a user plan"), _action(runs.REVERT, "Revert a user sync"))
