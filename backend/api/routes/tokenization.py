"""Tokenization over REST."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, StrictBool

from backend.api import errors
from backend.api.deps import REASON, Caller, EnvironmentName, Reader, RequestBody, State, Writer
from backend.core.access import Actor
from backend.core.database import Database
from backend.core.errors import NotFound
from backend.core.views import Document
from backend.tokenization import (
    cleaning,
    comparison,
    copies,
    detection,
    inline,
    preview,
    service,
    worklist,
)
from backend.tokenization.answers import PreviewAnswer, Queued, RunAnswer, RunList
from backend.tokenization.copies import CopyList, CopyPreviews
from backend.tokenization.schemas import Method, RunFilters, Trigger
from backend.tokenization.worklist import TableList, WorkList

router = APIRouter(tags=["tokenization"])
trigger_router = APIRouter(tags=["tokenization"])

#: Seconds that /trigger waits for a run; a longer one goes on and is answered as `running`.
WAIT_SECONDS = 240.0

DatasetUrn = Annotated[str, Query(max_length=512)]
Column = Annotated[str, Field(min_length=1, max_length=detection.MAX_NAME)]


class RunRequest(RequestBody):
    """dataset: a DataHub URN. columns: without them, what DataHub's tags speak for; an empty list
    is refused, because whoever sends it hardly means every tagged column. schemes: another keyed
    scheme (hmac-sha256, hmac-sha256-144, hmac-sha256-96) by column. method: in-place; rewrite: the
    whole table anew while readers wait; or re-key: tokens of scheme base64, too. cleanUp:
    VACUUM, ANALYZE and REFRESH afterwards."""

    dataset: str
    columns: list[Column] | None = Field(
        default=None, min_length=1, max_length=detection.MAX_COLUMNS
    )
    environment: str | None = Field(default=None, max_length=80)
    schemes: dict[Column, Annotated[str, Field(max_length=20)]] = Field(
        default_factory=dict, max_length=detection.MAX_COLUMNS
    )
    method: Method = Method.IN_PLACE
    clean_up: StrictBool = Field(default=False, alias="cleanUp")


class NewRun(RunRequest):
    """dryRun: answer with the preview and change nothing. wait: seconds to wait for the end."""

    dry_run: StrictBool = Field(default=False, alias="dryRun")
    wait: float = Field(default=0.0, ge=0, le=WAIT_SECONDS)


class Repair(RequestBody):
    """A difference as the newest comparison names it."""

    dataset: str = Field(max_length=512)
    finding: str = Field(max_length=100)
    environment: str | None = Field(default=None, max_length=80)


class CopiesRequest(RequestBody):
    """columns: without them, those that runs have tokenized, else the tagged ones."""

    dataset: str = Field(max_length=512)
    columns: list[Column] | None = Field(
        default=None, min_length=1, max_length=detection.MAX_COLUMNS
    )
    environment: str | None = Field(default=None, max_length=80)


class Comparison(Document):
    """The newest comparison; once it ended, with what it found (`findings`) and counted."""

    job_id: int
    status: str
    started_at: datetime
    finished_at: datetime | None
    findings: list[dict[str, Any]] = Field(default_factory=list)


@trigger_router.post("/trigger", responses=errors.WAITS, dependencies=REASON)
def trigger(body: RunRequest, caller: Caller, database: State) -> RunAnswer:
    """Tokenize a dataset and wait for the outcome (at most four minutes, then `running`).

    Running it again changes nothing: `rows_updated` is 0.
    """
    return _run(body, caller, database, wait=WAIT_SECONDS)


@router.post("/tokenization/runs", responses=errors.WAITS, dependencies=REASON)
def create_run(body: NewRun, caller: Caller, database: State) -> PreviewAnswer | RunAnswer:
    """Start a run and answer at once (or after `wait` seconds), or preview it with `dryRun`."""
    if body.dry_run:
        return preview.preview(
            database,
            caller,
            dataset=body.dataset,
            columns=body.columns,
            environment=body.environment,
            schemes=body.schemes,
            method=body.method,
        ).document()
    return _run(body, caller, database, wait=body.wait)


@router.get("/tokenization/runs")
def list_runs(
    caller: Caller,
    session: Reader,
    environment: EnvironmentName = None,
    status: Annotated[str | None, Query(max_length=80)] = None,
    trigger: Annotated[str | None, Query(max_length=80)] = None,
    text: Annotated[str, Query(max_length=500)] = "",
    limit: Annotated[int, Query(ge=1, le=service.MAX_PAGE)] = 50,
    cursor: Annotated[int | None, Query(ge=1)] = None,
) -> RunList:
    """Runs, newest first; `cursor` is the last answer's `next_cursor`."""
    filters = RunFilters(environment=environment, state=status, trigger=trigger, text=text)
    found = service.list_runs(session, caller, filters=filters, limit=limit, before=cursor)
    return {
        "items": [run.document() for run in found.items],
        "next_cursor": found.next_cursor,
    }


@router.get("/tokenization/runs/{run_id}")
def get_run(run_id: int, caller: Caller, session: Reader) -> RunAnswer:
    """One run."""
    return service.get(session, caller, run_id=run_id).document()


@router.post("/tokenization/runs/{run_id}/clean-up", status_code=202)
def clean_up(run_id: int, caller: Caller, session: Writer) -> RunAnswer:
    """VACUUM, ANALYZE and REFRESH after a run that succeeded, in the background, and check it."""
    return cleaning.start(session, caller, run_id=run_id).document()


@router.post("/tokenization/runs/{run_id}/write-back", status_code=202)
def write_back(run_id: int, caller: Caller, session: Writer) -> RunAnswer:
    """Write an ended run's outcome into DataHub (again), in the background."""
    return service.retry_write_back(session, caller, run_id=run_id).document()


@router.get("/tokenization/worklist")
def get_work_list(
    caller: Caller,
    database: State,
    environment: EnvironmentName = None,
    only: Annotated[str, Query(max_length=20)] = "open",
    text: Annotated[str, Query(max_length=500)] = "",
    limit: Annotated[int, Query(ge=1, le=worklist.MAX_PAGE)] = 50,
    cursor: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> WorkList:
    """Datasets by what they need: running, waiting, drifted, failed, tagged, done.

    `only`: one of these, `open` (all but done) or `all`.
    """
    tagged = worklist.tagged(database, caller, environment=environment)
    return database.ask(
        worklist.work_list,
        caller,
        environment=environment,
        tagged=tagged,
        text=text,
        only=only,
        limit=limit,
        cursor=cursor,
    )


@router.get("/tokenization/tables")
def get_tables(caller: Caller, database: State, environment: EnvironmentName = None) -> TableList:
    """The tables of the environment's PostgreSQL and MySQL connections, with their URNs."""
    return worklist.tables(database, caller, environment=environment)


@router.get("/tokenization/copies")
def get_copies(
    caller: Caller,
    database: State,
    dataset: DatasetUrn,
    column: Annotated[list[Column] | None, Query(max_length=detection.MAX_COLUMNS)] = None,
    environment: EnvironmentName = None,
) -> CopyList:
    """Where else a dataset's values live, as far as DataHub knows: column lineage, siblings, and
    columns of the same name that no run has tokenized."""
    return copies.find(database, caller, dataset=dataset, columns=column, environment=environment)


@router.post("/tokenization/copies/previews", status_code=202)
def preview_copies(body: CopiesRequest, caller: Caller, session: Writer) -> Queued:
    """Preview every table that holds such a copy, in the background."""
    job_id = copies.queue_previews(
        session,
        caller,
        dataset=body.dataset,
        columns=body.columns,
        environment=body.environment,
    )
    return {"job_id": job_id}


@router.get("/tokenization/copies/previews")
def get_copy_previews(
    caller: Caller, session: Reader, dataset: DatasetUrn, environment: EnvironmentName = None
) -> CopyPreviews:
    """The newest previews of a dataset's copies."""
    return copies.previews(session, caller, dataset=dataset, environment=environment)


@router.post("/tokenization/comparisons", status_code=202)
def start_comparison(
    caller: Caller, session: Writer, environment: EnvironmentName = None
) -> Queued:
    """Compare DataHub's tags with the tables of an environment, in the background."""
    return {"job_id": comparison.start(session, caller, environment=environment)}


@router.get("/tokenization/comparisons/latest")
def latest_comparison(
    caller: Caller, session: Reader, environment: EnvironmentName = None
) -> Comparison:
    """The newest comparison: each difference with its name, and what repairs it."""
    found = comparison.latest(session, caller, environment=environment)
    if found is None:
        raise NotFound("No comparison of this environment was made yet.")
    return Comparison.model_validate(found.document())


@router.post("/tokenization/comparisons/latest/repair", responses=errors.WAITS, dependencies=REASON)
def repair_difference(body: Repair, caller: Caller, database: State) -> RunAnswer:
    """Mend one difference of the newest comparison, by a run or another write-back."""
    return comparison.repair(
        database,
        caller,
        dataset=body.dataset,
        finding=body.finding,
        environment=body.environment,
        trigger=Trigger.API,
    ).document()


def _run(body: RunRequest, caller: Actor, database: Database, *, wait: float) -> RunAnswer:
    view = service.start(
        database,
        caller,
        dataset=body.dataset,
        columns=body.columns,
        environment=body.environment,
        trigger=Trigger.API,
        schemes=body.schemes,
        method=body.method,
        clean_up=body.clean_up,
    )
    return inline.wait(database, view, timeout=wait).document()
