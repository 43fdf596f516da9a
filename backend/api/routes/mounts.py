"""Mounts over REST."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from backend.api import errors
from backend.api.deps import REASON, AsText, Caller, NotGiven, Reader, RequestBody, State
from backend.core.log import mask_text, new_reference
from backend.mounts import actions, explorer, orphans, places, verification
from backend.mounts import release as releases
from backend.mounts.place_schemas import (
    PlacePage,
    PlaceView,
    Released,
    ReleasePlan,
    VerificationPlan,
)
from backend.mounts.schemas import (
    MOST_JOB,
    Filters,
    MountEntries,
    MountPage,
    OperationPage,
    OrphanPage,
)

router = APIRouter(prefix="/mounts", tags=["mounts"])

Environment = Annotated[str | None, Query(max_length=80, description="Default: the default one.")]
Cursor = Annotated[str, Query(max_length=2000, description="next_cursor of the page before.")]
#: An empty `limit=` is as none, like an empty `host=`.
Limit = Annotated[
    int, Field(ge=1, le=explorer.MAX_PAGE), BeforeValidator(lambda value: value or 50), Query()
]
Host = Annotated[str, Query(max_length=255)]
Target = Annotated[str, Query(max_length=255)]
#: Whatever some table's column may hold, not only what a mount may ask for.
Job = Annotated[int | None, Field(ge=-MOST_JOB, le=MOST_JOB), NotGiven, Query()]
JobInPath = Annotated[int, Path(ge=-MOST_JOB, le=MOST_JOB)]


class Answer(BaseModel):
    """What a DMS operation came to."""

    model_config = ConfigDict(extra="allow")

    status: Literal["success", "error"]
    error_msg: str | None
    success_msg: str | None
    outcome: Literal["replied", "shared", "not_delivered", "unknown"]
    operation_id: str | None = None


class Queued(BaseModel):
    """The job that does it: `GET /api/jobs/{job_id}`."""

    job_id: int


class Deleted(BaseModel):
    deleted: int


def wanted(
    active: Annotated[
        bool | None,
        NotGiven,
        Query(description="true: mounted and not deleted. false: the others."),
    ] = None,
    host: Host = "",
    target: Target = "",
    job: Job = None,
    deleted: bool | None = None,
    since: Annotated[datetime | None, AsText] = None,
    until: Annotated[datetime | None, AsText] = None,
) -> Filters:
    """The filters of a list and of its export."""
    return Filters(
        host=host,
        target=target,
        job=job,
        mounted=active,
        deleted=False if active and deleted is None else deleted,
        since=since,
        until=until,
    )


Wanted = Annotated[Filters, Depends(wanted)]


@router.get("")
def list_mounts(
    session: Reader,
    caller: Caller,
    filters: Wanted,
    sort: Literal["newest", "oldest", "host", "target", "job"] = "newest",
    cursor: Cursor = "",
    limit: Limit = 50,
    environment: Environment = None,
) -> MountPage:
    """Entries of the ledger, page by page."""
    return explorer.list_mounts(
        session,
        caller,
        environment=environment,
        filters=filters,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )


@router.get("/orphans")
def list_orphans(
    session: Reader,
    caller: Caller,
    host: Host = "",
    target: Target = "",
    job: Job = None,
    reason: Annotated[str, Query(max_length=40)] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
    environment: Environment = None,
) -> OrphanPage:
    """Mounted entries with evidence against them, gathered now."""
    return orphans.find_now(
        session,
        caller,
        environment=environment,
        filters=Filters(host=host, target=target, job=job),
        reason=reason,
        cursor=cursor,
        limit=limit,
    )


@router.get("/operations")
def list_operations(
    session: Reader,
    caller: Caller,
    host: Host = "",
    target: Target = "",
    job: Job = None,
    status: Annotated[str, Query(max_length=20)] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
    environment: Environment = None,
) -> OperationPage:
    """Requests to DMS servers, newest first, masked."""
    return explorer.list_operations(
        session,
        caller,
        environment=environment,
        host=host,
        target=target,
        job=job,
        status=status,
        cursor=cursor,
        limit=limit,
    )


@router.get("/export.csv", response_class=StreamingResponse)
def export(
    session: Reader,
    caller: Caller,
    filters: Wanted,
    environment: Environment = None,
) -> StreamingResponse:
    """The filtered entries as CSV, streamed; cells that look like formulas are made text."""
    pieces = explorer.export_csv(session, caller, environment=environment, filters=filters)
    headers = {"Content-Disposition": 'attachment; filename="mounts.csv"'}
    return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)


_FAILURES: dict[int | str, dict[str, Any]] = {
    **errors.WAITS,
    409: {"description": "Nothing to unmount, or another operation is still on.", "model": Answer},
    502: {"description": "The DMS server refused; error_msg says why.", "model": Answer},
    503: {"description": "Not delivered: nothing was carried out.", "model": Answer},
    504: {"description": "Outcome unknown: re-check the operation.", "model": Answer},
}
MountRequest = Annotated[
    dict[str, Any], Body(description="The mount request of the DMS guide, complete.")
]


@router.post("/mount", response_model=Answer, responses=_FAILURES, dependencies=REASON)
def mount(
    database: State, caller: Caller, request: MountRequest, environment: Environment = None
) -> Any:
    """Mount; answers when the DMS server has, at most after the DMS timeout."""
    return _answer(
        actions.run(database, caller, environment=environment, kind="mount", request=request),
        request,
    )


@router.post("/unmount", response_model=Answer, responses=_FAILURES, dependencies=REASON)
def unmount(
    database: State, caller: Caller, request: MountRequest, environment: Environment = None
) -> Any:
    """Release a job's mount; only the last job on target and host sends a physical unmount."""
    return _answer(
        actions.run(database, caller, environment=environment, kind="unmount", request=request),
        request,
    )


@router.post(
    "/operations/{operation_id}/recheck",
    response_model=Answer,
    responses=_FAILURES,
    dependencies=REASON,
)
def recheck(
    database: State,
    caller: Caller,
    operation_id: str,
    request: Annotated[dict[str, Any] | None, Body()] = None,
    environment: Environment = None,
) -> Any:
    """Settle an unknown outcome; with the original request the server is asked again."""
    return _answer(
        actions.run(
            database,
            caller,
            environment=environment,
            kind="recheck",
            request=request,
            operation_id=operation_id,
        ),
        request or {},
    )


@router.get("/hosts")
def hosts(session: Reader, caller: Caller, environment: Environment = None) -> PlacePage:
    """Hosts with active mounts, those with the most first."""
    return places.list_all(session, caller, environment=environment, side="host")


@router.get("/targets")
def targets(session: Reader, caller: Caller, environment: Environment = None) -> PlacePage:
    """Targets with active mounts, those with the most first."""
    return places.list_all(session, caller, environment=environment, side="target")


@router.get("/hosts/{host}")
def host(session: Reader, caller: Caller, host: str, environment: Environment = None) -> PlaceView:
    """What is mounted on the host, for which targets, what speaks against it, and its queue now."""
    return places.with_queue(session, caller, environment=environment, side="host", name=host)


@router.get("/targets/{target}")
def target(
    session: Reader, caller: Caller, target: str, environment: Environment = None
) -> PlaceView:
    """On which hosts the target is mounted, and what speaks against it."""
    return places.show(session, caller, environment=environment, side="target", name=target)


@router.get("/hosts/{host}/verify")
def plan_verification(
    session: Reader, caller: Caller, host: str, environment: Environment = None
) -> VerificationPlan:
    """The mounts that the host's DMS server would be asked about, one by one."""
    return verification.plan(session, caller, environment=environment, host=host)


class VerificationOf(RequestBody):
    """digest: the plan's. keystone_token: where targets are of type s3 and the portal has none."""

    digest: Annotated[str, Field(max_length=64)]
    keystone_token: Annotated[str, Field(max_length=16_000)] = ""


@router.post("/hosts/{host}/verify", responses=errors.WAITS, dependencies=REASON)
def verify_host(
    database: State,
    caller: Caller,
    host: str,
    body: VerificationOf,
    environment: Environment = None,
) -> Queued:
    """Ask the host about every mount of the plan, as a run: its result says which was wrong. 409
    when nobody reads the host's queue, or the ledger changed since the plan."""
    job_id = verification.submit(
        database,
        caller,
        environment=environment,
        host=host,
        digest=body.digest,
        keystone_token=body.keystone_token,
    )
    return Queued(job_id=job_id)


class ReleaseOf(RequestBody):
    """digest: the plan's."""

    digest: Annotated[str, Field(max_length=64)]


@router.get("/hosts/{host}/release")
def plan_release(
    session: Reader, caller: Caller, host: str, environment: Environment = None
) -> ReleasePlan:
    """What is mounted on a dead host by the ledger, and whether it may be released."""
    return releases.plan(session, caller, environment=environment, host=host)


@router.post("/hosts/{host}/release", responses=errors.WAITS, dependencies=REASON)
def release(
    database: State, caller: Caller, host: str, body: ReleaseOf, environment: Environment = None
) -> Released:
    """Say unmounted for all entries of the plan; 409 while a DMS server reads the host's queue, or
    when the entries changed since the plan."""
    return releases.run(database, caller, environment=environment, host=host, digest=body.digest)


# Below "hosts" and "targets", which would be taken for a job.
@router.post(
    "/{job}/{target}/verify", response_model=Answer, responses=_FAILURES, dependencies=REASON
)
def verify(
    database: State,
    caller: Caller,
    job: JobInPath,
    target: str,
    request: Annotated[dict[str, Any] | None, Body()] = None,
    host: Host = "",
    environment: Environment = None,
) -> Any:
    """Ask the DMS server whether the job's entry is true; `verdict` and `finding` say what came of
    it. Without a request, one is made from the target's template."""
    response = actions.verify(
        database,
        caller,
        environment=environment,
        job=job,
        target=target,
        host=host,
        request=request,
    )
    return _answer(response, request or {})


@router.delete("/{job}/{target}", responses=errors.WAITS, dependencies=REASON)
def delete(
    database: State, caller: Caller, job: JobInPath, target: str, environment: Environment = None
) -> Deleted:
    """Soft-delete the job's entries of the target; 409 while one is mounted."""
    count = actions.delete(database, caller, environment=environment, job=job, target=target)
    return Deleted(deleted=count)


@router.get("/{job}/{target}")
def status(
    session: Reader, caller: Caller, job: JobInPath, target: str, environment: Environment = None
) -> MountEntries:
    """The job's entries for the target, mounted ones first."""
    return explorer.status(session, caller, environment=environment, job=job, target=target)


_STATUS = {"replied": 502, "not_delivered": 503, "unknown": 504}


def _answer(response: dict[str, Any], request: dict[str, Any]) -> Any:
    """The DMS response; a failed one with the error shape of every endpoint around it."""
    if response["status"] == "success":
        return response
    said = mask_text(response["error_msg"] or "The DMS server gave no reason.")
    code = _STATUS.get(response["outcome"], 502)
    if response["outcome"] == "replied" and "host" in request:
        said = f"The DMS server on {request['host']} refused: {said.rstrip('.')}. Correct it there."
    elif response["outcome"] == "not_delivered" and response["operation_id"] is None:
        # The ledger alone refused it; no server had a part in that.
        code = 409
    body = {**response, **errors.body("DMSError", said, new_reference())}
    return JSONResponse(body, status_code=code)
