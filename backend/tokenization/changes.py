"""How an approved tokenization is carried out."""

from typing import Any

from backend.changes.actions import Action, Begun, End
from backend.changes.schemas import MOST, Preview
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession
from backend.core.errors import Conflict
from backend.tokenization import preview as previews
from backend.tokenization import service, sources
from backend.tokenization.schemas import ColumnReport, RunState, Trigger


def carry_out(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    """Start the run; the table's name was typed when it was asked for.

    Raises Conflict when its connection has gone: a run that is skipped is not what was approved,
    and whoever only looks at the request must leave none behind.
    """
    access.require(actor, Permission.TOKENIZATION_RUN)
    source = database.ask(sources.locate, dataset=parameters["dataset"], environment=environment)
    if not source.runnable:
        raise Conflict(f"{sources.NOT_CONFIGURED} in {source.environment.name}.")
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


def preview(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Preview:
    """The columns with masked samples, counted anew on the real table, and what forbids it."""
    access.require(actor, Permission.TOKENIZATION_PREVIEW)
    found = previews.preview(
        database,
        actor,
        environment=environment,
        **{name: parameters[name] for name in ("dataset", "columns", "schemes", "method")},
    )
    report = found.report
    chosen = [column for column in report.columns if column.selected]
    rows = tuple(_line(column) for column in chosen)
    warnings = [f"{each.name}: {said}" for each in chosen for said in each.warnings]
    size = "an unknown number of rows" if report.rows_total is None else f"{report.rows_total:,}"
    return Preview(
        title=f"{found.table}: {report.rows_to_update or 0:,} of {size} would change",
        columns=("Column", "Type", "Why", "Scheme", "Rows", "Now, masked", "Will be"),
        rows=rows[:MOST],
        total=len(rows),
        notes=(*report.all_blockers, *report.warnings, *warnings),
    )


def _line(column: ColumnReport) -> tuple[str, ...]:
    rows = "" if column.rows_to_update is None else f"{column.rows_to_update:,}"
    before = ", ".join(sample.before for sample in column.samples[:3])
    after = ", ".join(sample.after for sample in column.samples[:3])
    return (column.name, column.type, column.reason, column.scheme, rows, before, after)


ACTIONS = tuple(
    Action(
        name,
        label,
        Permission.TOKENIZATION_RUN,
        carry_out,
        unit="rows",
        rewrites=True,
        ended=ended,
        preview=preview,
    )
    for name, label in (
        (service.RUN, "Tokenize a table"),
        (service.REWRITE, "Tokenize a table by writing it anew"),
    )
)
