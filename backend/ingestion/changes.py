"""How approved starts of ingestion are carried out."""

import json
from typing import Any

from backend.changes.actions import Action, Begun, End
from backend.changes.schemas import Preview
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession
from backend.ingestion import executions, managed, recipes, runs, service
from backend.ingestion.errors import StartFailed
from backend.ingestion.schemas import Request
from backend.jobs import service as jobs

_RUN = Permission.INGESTION_RUN


def start(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    """Start the run under the number that was reserved for it."""
    access.require(actor, _RUN)
    request = Request(environment=environment or None, **parameters)
    try:
        return Begun(runs.start(database, actor, request).run_id)
    except StartFailed as exc:
        status = "unknown" if exc.run.status == "unknown" else "failed"
        return Begun(exc.run.run_id, End(status, exc.message))


def preview(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Preview:
    """Target, rule and payload as the start's own dialog shows them."""
    access.require(actor, _RUN)
    asked = {name: value for name, value in parameters.items() if name != "run_id"}
    found = runs.preview(database, actor, Request(environment=environment or None, **asked))
    answer = found.resolution.answer
    rows = [("Dataset", found.resolution.dataset_urn), ("Job", found.resolution.job_urn or "")]
    if answer is not None:
        rows.append(("Rule", f"{answer.rule} of {answer.source}"))
        if actor.may(Permission.INGESTION_MAPPING_READ):
            rows.append(("Target", f"{answer.target.kind} {answer.target.name}"))
            rows.append(("Payload", json.dumps(found.payload, ensure_ascii=False)))
    if found.running is not None:
        rows.append(("Already running", found.running.run_id))
    lines = tuple(row for row in rows if row[1])
    title = f"{found.payload_bytes:,} bytes would be sent"
    notes = (*found.resolution.notes, *filter(None, (found.target_problem,)))
    return Preview(title=title, columns=("What", "Now"), rows=lines, total=len(lines), notes=notes)


def ended(session: ReadSession, run_id: str) -> End | None:
    """What became of the run, as far as anybody knows."""
    run = service.get_run(session, SYSTEM, run_id=run_id)
    if not run.settled:
        return None
    status = run.status if run.status in ("succeeded", "failed") else "unknown"
    return End(status, f"Run {run_id}: {run.status}.")


def redrive(
    database: Database,
    actor: Actor,
    *,
    environment: str,  # noqa: ARG001 - CarryOut's; a run knows its own
    parameters: dict[str, Any],
) -> Begun:
    """Let the execution go on that was approved; it has its own run's number."""
    access.require(actor, _RUN)
    return Begun(executions.redrive(database, actor, run_id=parameters["redriven"]).run_id)


def run_source(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    access.require(actor, _RUN)
    job_id = managed.run_source(database, actor, environment=environment, **parameters)
    return Begun(str(job_id))


def preview_source(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Preview:
    """The source as DataHub has it now."""
    access.require(actor, _RUN)
    urn = parameters["source_urn"]
    return managed.describe(database, actor, source_urn=urn, environment=environment)


def run_recipe(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    access.require(actor, _RUN)
    with database.write() as session:
        return Begun(str(recipes.run_recipe(session, actor, environment=environment, **parameters)))


def job_ended(session: ReadSession, job_id: str) -> End | None:
    """A source's and a recipe's run is a job."""
    view = jobs.get(session, SYSTEM, job_id=int(job_id))
    if not view.ended:
        return None
    good = view.state == "succeeded"
    return End("succeeded" if good else "failed", f"Run {job_id} {view.state}. {view.error or ''}")


ACTIONS = (
    Action(runs.RUN, "Start an ingestion", _RUN, start, ended=ended, preview=preview),
    Action(executions.REDRIVE, "Redrive an execution", _RUN, redrive, ended=ended),
    Action(
        managed.RUN,
        "Run a managed source",
        _RUN,
        run_source,
        ended=job_ended,
        preview=preview_source,
    ),
    Action(recipes.RUN, "Run a recipe", _RUN, run_recipe, ended=job_ended),
)
