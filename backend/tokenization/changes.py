"""How an approved tokenization is carried out."""

from typing import Any

from backend.changes.actions import Action, Begun, End
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession
from backend.tokenization import service
from backend.tokenization.schemas import RunState, Trigger


def carry_out(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    """Start the run; the table's name was typed when it was asked for."""
    access.require(actor, Permission.TOKENIZATION_RUN)
    frozen = {**parameters, "trigger": Trigger(parameters["trigger"])}
    view = service.start(database, actor, environment=environment, **frozen)
    return Begun(str(view.id))


def ended(session: ReadSession, run_id: str) -> End | None:
    """How the run ended; None while it lasts, and while nobody knows whether it committed."""
    run = service.get(session, SYSTEM, run_id=int(run_id))
    if run.state in (RunState.QUEUED, RunState.RUNNING, RunState.UNKNOWN):
        return None
    good = run.state is RunState.SUCCEEDED
    return End("succeeded" if good else "failed", f"Run {run.id} {run.state.value}: {run.details}")


ACTIONS = (
    Action(
        service.RUN,
        "Tokenize a table",
        Permission.TOKENIZATION_RUN,
        carry_out,
        unit="rows",
        rewrites=True,
        ended=ended,
    ),
)
