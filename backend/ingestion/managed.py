"""Ingestion sources that DataHub itself manages: list them, run one, follow it as a job."""

import contextlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from backend.changes import gate
from backend.changes.schemas import Preview
from backend.connections import resolve as connections
from backend.core import access, audit, secret_store
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, StateDatabaseDown, WriteSession
from backend.core.errors import Conflict, NotFound, OutcomeUnknown, PortalError, UpstreamError
from backend.core.views import document
from backend.ingestion import repository, run_context
from backend.ingestion.answers import SourceAnswer, SourceList
from backend.ingestion.catalog import Catalog
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.jobs.errors import JobCancelled
from backend.jobs.registry import FAILED, JobContext

if TYPE_CHECKING:
    from backend.integrations.datahub.client import DataHubClient
    from backend.integrations.datahub.schemas import SourceWithRecipe

KIND = "ingestion.managed"
#: What a policy may put under approval; `backend.ingestion.changes` carries it out.
RUN = "ingestion.source"
ACTION = "ingestion:managed:start"
#: DataHub's words for a run that has ended.
ENDED = frozenset(
    {"SUCCESS", "SUCCEEDED", "SUCCEEDED_WITH_WARNINGS", "FAILURE", "FAILED", "CANCELLED",
     "ABORTED", "TIMEOUT", "UP_FOR_RETRY", "ROLLED_BACK", "DUPLICATE"}
)  # fmt: skip
GOOD = frozenset({"SUCCESS", "SUCCEEDED", "SUCCEEDED_WITH_WARNINGS"})
PAUSES = (1, 2, 3, 5, 8, 13, 20, 30)
GIVE_UP_SECONDS = 6 * 3600


@dataclass(frozen=True)
class SourceView:
    """A managed source with its last run in DataHub's own words."""

    urn: str
    name: str
    type: str
    schedule: str | None
    last_status: str
    last_requested_at: datetime | None
    last_request_urn: str | None

    def document(self) -> SourceAnswer:
        return document(SourceAnswer, self)


@dataclass(frozen=True)
class SourcePage:
    items: tuple[SourceView, ...]
    total: int

    def document(self) -> SourceList:
        """The page as REST and `--json` print it."""
        return document(SourceList, self)


def list_sources(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    start: int = 0,
    count: int = 50,
) -> SourcePage:
    """DataHub's ingestion sources. Raises NotFound without a DataHub connection."""
    access.require(actor, Permission.INGESTION_READ)
    page = (
        _catalog(database, environment)
        .client()
        .list_ingestion_sources(start=start, count=min(count, 200))
    )
    return SourcePage(
        tuple(
            SourceView(
                urn=source.urn,
                name=source.name,
                type=source.type,
                schedule=source.schedule,
                last_status=source.last_execution.status if source.last_execution else "",
                last_requested_at=(
                    source.last_execution.requested_at if source.last_execution else None
                ),
                last_request_urn=source.last_execution.urn if source.last_execution else None,
            )
            for source in page.items
        ),
        page.total,
    )


def run_source(
    database: Database,
    actor: Actor,
    *,
    source_urn: str,
    name: str = "",
    environment: str | None = None,
) -> int:
    """Queue a run of a source and return the job's id; a second one while it goes is a Conflict.

    The run is of the source as DataHub has it now: one that changes before it starts is refused.
    Raises NotFound, and DataHub's errors, when it cannot be read.
    """
    access.require_to_ask(actor, Permission.INGESTION_RUN)
    found = _catalog(database, environment).client().ingestion_source(source_urn)
    with database.write() as session:
        where = connections.environment(session, environment)
        given = {"source_urn": source_urn, "name": name}
        recipe = _fingerprint(session, found)
        intent = gate.Intent(
            action=RUN,
            environment=where.name,
            subject=name or source_urn,
            parameters=given,
            shown={**given, **_shown(found)},
            rests={"recipe": recipe},
            through=("datahub",),
        )
        gate.check(session, actor, intent)
        subject = f"{name or source_urn} on {where.name}"
        only_one(session, actor, where.id, KIND, subject)
        audit.record(session, actor, ACTION, subject=source_urn, phase="intent")
        return enqueue(
            session,
            actor,
            KIND,
            {"source_urn": source_urn, "environment": where.name, "recipe": recipe},
            subject=subject,
            environment=where.name,
        )


def _shown(found: "SourceWithRecipe") -> dict[str, str]:
    """What people see of a source; of its recipe, which may hold passwords, nothing."""
    return {
        "source": found.source.name,
        "type": found.source.type,
        "executor": found.source.executor_id or "",
        "version": found.version or "the executor's own",
        "debug": "on" if found.debug else "",
    }


def _fingerprint(session: ReadSession, found: "SourceWithRecipe") -> str:
    """Of all that decides what a run of it does."""
    parts = [found.recipe, found.source.executor_id, found.version, found.debug]
    text = json.dumps([*parts, dict(found.extra)], sort_keys=True)
    return secret_store.fingerprint(session, "recipe of a source", text)


def describe(database: Database, actor: Actor, *, source_urn: str, environment: str) -> Preview:
    """What a run would be now, for who decides about it: its recipe only as a fingerprint."""
    access.require(actor, Permission.INGESTION_RUN)
    found = _catalog(database, environment).client().ingestion_source(source_urn)
    recipe = database.ask(_fingerprint, found)
    said = {**_shown(found), "schedule": found.source.schedule or "", "recipe": recipe[:12]}
    rows = tuple((name.capitalize(), value) for name, value in said.items() if value)
    return Preview(
        title="DataHub would run this source. Its recipe may hold passwords and is not shown; the "
        "fingerprint is another when the recipe, executor or version is.",
        columns=("What", "Now"),
        rows=rows,
        total=len(rows),
    )


def only_one(
    session: WriteSession, actor: Actor, environment_id: int, kind: str, subject: str
) -> None:
    """Raise Conflict while a job of this kind and subject is open.

    The mapping's row is the lock that keeps two clicks from both seeing none.
    """
    mapping = repository.lock_mapping(session, environment_id, actor.name)
    mapping.updated_by = mapping.updated_by or actor.name
    open_jobs = jobs.list_jobs(
        session, actor, limit=1, states=("queued", "running"), kind=kind, subject=subject
    ).items
    if open_jobs:
        raise Conflict(
            f"Run {open_jobs[0].id} does this already (asked by {open_jobs[0].actor_name}). "
            "Follow that one."
        )


def run(
    ctx: JobContext, *, source_urn: str, environment: str, recipe: str = ""
) -> dict[str, object]:
    """The job: ask DataHub to run the source, then follow it to its end.

    recipe: its fingerprint when it was asked for; "" asks nothing (a job of an older release). It
    succeeds when DataHub says so. A cancelled job asks DataHub to cancel the run, too. Raises
    Conflict for a source that changed, DataHub's errors when it does not take the request.
    """
    try:
        client = _catalog(ctx.database, environment).client()
        if recipe:
            _require_same(ctx, client, source_urn, recipe)
        request_urn = client.create_execution_request(source_urn)
    except PortalError as exc:
        _record(ctx, source_urn, "unknown" if isinstance(exc, OutcomeUnknown) else "failed")
        raise
    try:
        ctx.log(f"DataHub took the request: {request_urn}")
        status = _follow(ctx, client, request_urn)
    except JobCancelled:
        _cancel(ctx, client, source_urn, request_urn)
        _record(ctx, source_urn, "cancelled", request_urn)
        raise
    except PortalError:
        # This process stops or lost its database; DataHub goes on.
        with contextlib.suppress(StateDatabaseDown):
            _record(ctx, source_urn, "unknown", request_urn)
        raise
    outcome = _outcome(status)
    _record(ctx, source_urn, outcome, request_urn, status)
    result: dict[str, object] = {"execution_request": request_urn, "status": status}
    if outcome == "failed":
        result[FAILED] = f"DataHub says {status}. Its own report tells why."
    elif outcome == "unknown":
        result[FAILED] = (
            f"DataHub did not say within {GIVE_UP_SECONDS // 3600} hours how the run ended (last: "
            f"{status or 'nothing'}). Look there before you start it again."
        )
    return result | {"outcome": outcome}


def _require_same(ctx: JobContext, client: "DataHubClient", source_urn: str, recipe: str) -> None:
    """The job may have waited; DataHub's API has no run of a given state of a source."""
    found = client.ingestion_source(source_urn)
    with ctx.database.read() as session:
        same = hmac.compare_digest(_fingerprint(session, found), recipe)
    if not same:
        raise Conflict(
            "The source's recipe, executor or version was changed in DataHub after its run was "
            "asked for. Nothing was started; ask again."
        )


def _follow(ctx: JobContext, client: "DataHubClient", request_urn: str) -> str:
    """DataHub's word for the run's end, or the last one seen when it is given up.

    A look that fails is no end: DataHub goes on with the run meanwhile.
    """
    status, said, begun, looks = "", "", time.monotonic(), 0
    while time.monotonic() - begun < GIVE_UP_SECONDS:
        try:
            status = client.execution_request(request_urn).status
            note = f"DataHub says {status}."
        except (UpstreamError, NotFound) as exc:
            note = f"DataHub could not be asked; it is asked again. {exc.message}"
        if note != said:
            ctx.log(note)
            said = note
        ctx.progress(1 if status in ENDED else 0, 1, note=note)
        if status in ENDED:
            break
        _pause(ctx, PAUSES[min(looks, len(PAUSES) - 1)])
        looks += 1
    return status


def _cancel(ctx: JobContext, client: "DataHubClient", source_urn: str, request_urn: str) -> None:
    try:
        client.cancel_execution_request(source_urn, request_urn)
    except (UpstreamError, NotFound) as exc:
        ctx.log(f"DataHub may still run it: it could not be asked to cancel. {exc.message}")
    else:
        ctx.log("DataHub was asked to cancel the run.")


def _record(
    ctx: JobContext, source_urn: str, outcome: str, request_urn: str = "", status: str = ""
) -> None:
    ctx.database.change(
        audit.record,
        ctx.actor,
        ACTION,
        subject=source_urn,
        phase="outcome",
        outcome=outcome,
        details={"execution_request": request_urn, "status": status},
    )


def _outcome(status: str) -> str:
    if status in GOOD:
        return "succeeded"
    return "failed" if status in ENDED else "unknown"


def _pause(ctx: JobContext, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ctx.check_cancelled()
        time.sleep(0.25)


def _catalog(database: Database, environment: str | None) -> Catalog:
    with database.read() as session:
        return Catalog(run_context.load(session, environment).datahub)
