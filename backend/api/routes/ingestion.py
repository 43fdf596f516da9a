"""Ingestion over REST."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.api import errors
from backend.api.deps import REASON, Caller, EnvironmentName, Reader, RequestBody, State, Writer
from backend.core.log import get_logger, mask_text, new_reference
from backend.ingestion import data_jobs, datasets, executions, runs, service, tracker
from backend.ingestion.answers import (
    DataJobList,
    DatasetList,
    HistoryAnswer,
    LogAnswer,
    RunAnswer,
    RunList,
)
from backend.ingestion.errors import AlreadyRunning, KeyReused, StartFailed
from backend.ingestion.schemas import Request, RunFilter

log = get_logger(__name__)
router = APIRouter(prefix="/ingestion", tags=["ingestion"])
Urn = Annotated[str, Query(max_length=2000)]


class RunRequest(BaseModel):
    """What to run; null is as good as left out. metadata travels in the payload as it is, and so
    does every field that is not named here. A job that names its state machine needs no dataset.

    expectedTarget (a name or ARN) and expectedRule: nothing starts when the mapping says otherwise.
    """

    model_config = ConfigDict(extra="allow")

    datasetUrn: str | None = Field(default=None, max_length=2000)
    jobUrn: str | None = Field(default=None, max_length=2000)
    reason: str | None = None
    metadata: dict[str, Any] | None = None
    environment: str | None = Field(default=None, max_length=80)
    idempotencyKey: str | None = Field(default=None, max_length=200)
    expectedTarget: str | None = Field(default=None, max_length=300)
    expectedRule: str | None = Field(default=None, max_length=20)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.datasetUrn is None and not (self.jobUrn or "").strip():
            raise ValueError("datasetUrn is required, or the jobUrn of a job that names its ARN")
        return self

    def trigger(self) -> dict[str, Any]:
        """The trigger's metadata: the field of that name over what came beside."""
        return {**(self.model_extra or {}), **(self.metadata or {})}


class Started(BaseModel):
    """started: AWS has accepted it. failed: it has not. unknown: its answer was lost."""

    runId: str
    status: Literal["started", "failed", "unknown"]
    message: str | None = None


@router.post(
    "/run",
    response_model=Started,
    responses={
        **errors.WAITS,
        409: {
            "description": "The dataset is running already (runId and runStatus are that run's), "
            "or the mapping does not say what was expected."
        },
        502: {"description": "AWS or DataHub answered wrongly; runId names the recorded run."},
        504: {"description": "No answer came; status unknown means it may have been started."},
    },
)
def run(
    database: State,
    caller: Caller,
    body: RunRequest,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Any:
    """Start the ingestion of a dataset: the mapping says which Lambda or state machine.

    The same `Idempotency-Key` (or `idempotencyKey`) gives the same run again.
    """
    request = Request(
        dataset_urn=body.datasetUrn or "",
        job_urn=body.jobUrn,
        reason=body.reason or "",
        metadata=body.trigger(),
        environment=body.environment,
        idempotency_key=idempotency_key or body.idempotencyKey,
        expected_target=body.expectedTarget,
        expected_rule=body.expectedRule,
    )
    try:
        started = runs.start(database, caller, request)
    except (StartFailed, AlreadyRunning, KeyReused) as exc:
        return _refused(exc)
    return Started(runId=started.run_id, status="started", message=started.detail)


@router.get("/datasets")
def list_datasets(
    session: Reader,
    caller: Caller,
    environment: EnvironmentName = None,
    text: Annotated[str, Query(max_length=500)] = "",
    only: Literal["all", "failed", "running", "never"] = "all",
    limit: Annotated[int, Query(ge=1, le=datasets.MAX_PAGE)] = 50,
    cursor: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> DatasetList:
    """Datasets that can be run, the caller's favourites and the most recently run first, each with
    its outcome and trend."""
    page = datasets.list_datasets(
        session, caller, environment=environment, text=text, only=only, limit=limit, cursor=cursor
    )
    return page.document()


class Favourite(RequestBody):
    """Whether the dataset stands first in the caller's own list."""

    datasetUrn: str = Field(max_length=512)
    favourite: bool
    environment: str | None = Field(default=None, max_length=80)


@router.put("/datasets/favourite", status_code=204, response_class=Response)
def set_favourite(session: Writer, caller: Caller, body: Favourite) -> None:
    """Put a dataset first in the caller's own list, or no longer; a token has a list of its own."""
    datasets.set_favourite(
        session,
        caller,
        dataset_urn=body.datasetUrn,
        on=body.favourite,
        environment=body.environment,
    )


@router.get("/jobs")
def list_jobs(
    database: State,
    caller: Caller,
    datasetUrn: Annotated[str, Query(min_length=1, max_length=2000)],
    environment: EnvironmentName = None,
) -> DataJobList:
    """The data jobs that write a dataset in DataHub, the one of its latest run first."""
    return data_jobs.list_jobs(
        database, caller, dataset_urn=datasetUrn, environment=environment
    ).document()


@router.get("/runs")
def list_runs(
    session: Reader,
    caller: Caller,
    datasetUrn: Urn = "",
    jobUrn: Urn = "",
    actor: Annotated[str, Query(max_length=255)] = "",
    environment: Annotated[str, Query(max_length=80)] = "",
    status: Annotated[list[str] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=service.MAX_PAGE)] = 50,
    cursor: int | None = None,
) -> RunList:
    """Runs, newest first."""
    page = service.list_runs(
        session,
        caller,
        wanted=RunFilter(datasetUrn, jobUrn, actor, tuple(status or ()), environment),
        limit=limit,
        cursor=cursor,
    )
    return {
        "items": [item.document() for item in page.items],
        "next_cursor": page.next_cursor,
    }


@router.get("/runs/{run_id}")
def get_run(database: State, caller: Caller, run_id: str) -> RunAnswer:
    """One run, looked up in AWS when the last look is older than two seconds."""
    return tracker.watch(database, caller, run_id=run_id).document()


@router.post("/runs/{run_id}/stop")
def stop_run(database: State, caller: Caller, run_id: str) -> RunAnswer:
    """Ask a STANDARD Step Functions execution to stop."""
    return service.stop(database, caller, run_id=run_id).document()


@router.post("/runs/{run_id}/redrive", responses=errors.WAITS, dependencies=REASON)
def redrive_run(database: State, caller: Caller, run_id: str) -> RunAnswer:
    """Let a failed STANDARD execution go on from the step that failed."""
    return executions.redrive(database, caller, run_id=run_id).document()


@router.get("/runs/{run_id}/steps")
def list_steps(database: State, caller: Caller, run_id: str) -> HistoryAnswer:
    """The states and steps of a STANDARD execution."""
    return executions.document(executions.history(database, caller, run_id=run_id))


@router.get("/runs/{run_id}/steps/{step}/log")
def step_log(database: State, caller: Caller, run_id: str, step: int) -> LogAnswer:
    """What the Lambda function of a step logged while it ran, at most 500 lines."""
    return {"lines": list(executions.task_log(database, caller, run_id=run_id, step=step))}


def asked_status(exc: StartFailed | AlreadyRunning | KeyReused) -> str:
    """How this request stands: failed, or unknown when AWS may have taken the start."""
    return exc.run.status if isinstance(exc, StartFailed) else "failed"


def _refused(exc: StartFailed | AlreadyRunning | KeyReused) -> JSONResponse:
    """The house's error with the run beside it."""
    reference = new_reference()
    log.info(
        "Ingestion not started.", reference=reference, run_id=exc.run.run_id, error=exc.message
    )
    message = mask_text(exc.message)
    return JSONResponse(
        {
            "runId": exc.run.run_id,
            "status": asked_status(exc),
            # Of the run that runId names, which may be at work.
            "runStatus": exc.run.status,
            **errors.body(type(exc).__name__, message, reference),
        },
        status_code=exc.status,
    )
