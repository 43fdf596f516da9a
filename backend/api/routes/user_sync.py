"""User sync over REST."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from backend.api.deps import REASON, Caller, Reader, State, Writer
from backend.api.errors import Waits
from backend.api.routes.user_sync_requests import (
    ApplyRequest,
    DomainMapRequest,
    IgnoreRequest,
    PlanRequest,
    UploadRequest,
)
from backend.core.access import Actor
from backend.core.database import Database, ReadSession
from backend.core.views import Page
from backend.user_sync import service
from backend.user_sync.answers import Plan, PlanList, PlanPage, Run, RunList
from backend.user_sync.schemas import (
    DomainMapView,
    IgnoreView,
    Kind,
    LeaverView,
    PlanView,
    PreflightView,
    Preset,
    RowFilter,
    RunView,
    SettingsView,
    TryView,
    UploadView,
)

router = APIRouter(prefix="/user-sync", tags=["user_sync"])

MOST_ROWS = 1_000
POLL_SECONDS = 0.1

PlanId = Annotated[int, Path(ge=1, le=2**53)]
RunId = Annotated[int, Path(ge=1, le=2**53)]
Environment = Annotated[str | None, Query(max_length=80)]
Cursor = Annotated[int | None, Query(ge=1, le=2**53, description="next_cursor of the page before.")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]


@router.post("/plans")
def make_plan(database: State, caller: Caller, body: PlanRequest | None = None) -> PlanPage:
    """Compare the directory with OpenMetadata and store a plan; changes nothing there."""
    wanted = body or PlanRequest()
    plan = service.plan_now(
        database,
        caller,
        environment=wanted.environment,
        origin="api",
        accept_short=wanted.acceptShort,
    )
    return database.ask(_plan_page, caller, plan, RowFilter(), 0, MOST_ROWS)


@router.get("/plans")
def list_plans(
    session: Reader,
    caller: Caller,
    environment: Annotated[str | None, Query(max_length=80)] = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> PlanList:
    """Plans without their rows, newest first; `cursor` is the last answer's `next_cursor`."""
    found = service.list_plans(
        session, caller, environment=environment, limit=limit + 1, before=cursor
    )
    page = found[:limit]
    following = page[-1].id if len(found) > limit else None
    return PlanList(items=[Plan.of(plan) for plan in page], next_cursor=following)


@router.get("/plans/{plan_id}")
def get_plan(
    session: Reader,
    caller: Caller,
    plan_id: PlanId,
    kind: Annotated[list[Kind] | None, Query()] = None,
    domain: Annotated[str, Query(max_length=256)] = "",
    text: Annotated[str, Query(max_length=200)] = "",
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = MOST_ROWS,
) -> PlanPage:
    """A plan with a page of its rows, filtered by kind, domain and text."""
    plan = service.get_plan(session, caller, plan_id=plan_id)
    wanted = RowFilter(kinds=tuple(kind or ()), domain=domain, text=text)
    return _plan_page(session, caller, plan, wanted, offset, limit)


@router.post(
    "/plans/{plan_id}/apply",
    responses={202: {"model": Run | Waits, "description": "At work, or waits for an approval."}},
    dependencies=REASON,
)
def apply_plan(
    database: State,
    caller: Caller,
    plan_id: PlanId,
    response: Response,
    body: ApplyRequest | None = None,
) -> Run:
    """Apply a plan in the background and wait a while for its end.

    A plan is applied once: asked again, the answer is its first run, with `reused` true.
    """
    wanted = body or ApplyRequest()
    run = database.change(
        service.apply,
        caller,
        plan_id=plan_id,
        emails=wanted.emails,
        user_ids=wanted.userIds,
        confirm=str(wanted.confirm),
    )
    return _answer(database, caller, response, _wait(database, caller, run, wanted.wait))


@router.get("/runs/{run_id}")
def get_run(
    session: Reader,
    caller: Caller,
    run_id: RunId,
    cursor: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = MOST_ROWS,
) -> Run:
    """A run with the outcome of its users, a page of them."""
    run = service.get_run(session, caller, run_id=run_id)
    return _run_page(session, caller, run, cursor, limit)


@router.post("/runs/{run_id}/revert")
def revert_run(session: Writer, caller: Caller, run_id: RunId) -> PlanPage:
    """The inverse of a run as a plan, to be applied like any other."""
    plan = service.revert(session, caller, run_id=run_id)
    return _plan_page(session, caller, plan, RowFilter(), 0, MOST_ROWS)


@router.post("/runs/{run_id}/resume", status_code=202)
def resume_run(session: Writer, caller: Caller, run_id: RunId) -> Run:
    """Go on with a run that stopped."""
    return _run_page(session, caller, service.resume(session, caller, run_id=run_id))


@router.post("/runs/{run_id}/cancel", status_code=202)
def cancel_run(session: Writer, caller: Caller, run_id: RunId) -> Run:
    """Ask a run to stop between two users."""
    return Run.of(service.cancel(session, caller, run_id=run_id))


@router.get("/runs")
def list_runs(
    session: Reader,
    caller: Caller,
    environment: Environment = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> RunList:
    """Runs without their users, newest first; `cursor` is the last answer's `next_cursor`."""
    found = service.list_runs(
        session, caller, environment=environment, limit=limit + 1, before=cursor
    )
    following = found[limit - 1].id if len(found) > limit else None
    return RunList(items=[Run.of(run) for run in found[:limit]], next_cursor=following)


@router.post("/plans/{plan_id}/ignore")
def ignore_difference(
    session: Writer, caller: Caller, plan_id: PlanId, body: IgnoreRequest
) -> Plan:
    """Ignore a difference until either side changes; it leaves the plan at once."""
    plan = service.ignore(
        session,
        caller,
        plan_id=plan_id,
        user_id=body.userId,
        email=body.email,
        field=body.field,
        reason=body.reason,
    )
    return Plan.of(plan)


@router.get("/ignores")
def list_ignores(
    session: Reader,
    caller: Caller,
    environment: Environment = None,
    cursor: Cursor = None,
    limit: Limit = 200,
) -> Page[IgnoreView]:
    """The ignored differences of an environment, newest first."""
    return service.list_ignores(
        session, caller, environment=environment, limit=limit, before=cursor
    )


@router.delete("/ignores/{ignore_id}", status_code=204)
def forget_ignore(
    session: Writer, caller: Caller, ignore_id: Annotated[int, Path(ge=1, le=2**53)]
) -> None:
    """Compare this difference again from the next plan on."""
    service.forget_ignore(session, caller, ignore_id=ignore_id)


@router.get("/settings")
def get_settings(session: Reader, caller: Caller, environment: Environment = None) -> SettingsView:
    """How an environment plans and applies, its schedule included."""
    return service.get_settings(session, caller, environment=environment)


@router.patch("/settings")
def change_settings(
    session: Writer,
    caller: Caller,
    body: dict[Annotated[str, Field(max_length=40)], str | bool | float],
    environment: Environment = None,
) -> SettingsView:
    """Change some settings by name; the schedule is `plan_cron` and `apply_on_schedule`."""
    return service.change_settings(session, caller, environment=environment, changes=body)


@router.post("/try")
def try_directory(database: State, caller: Caller, environment: Environment = None) -> TryView:
    """The directory's first ten people as the planner would read them; keeps nothing."""
    return service.try_it(database, caller, environment=environment)


@router.get("/presets")
def presets(
    database: State, caller: Caller, environment: Environment = None
) -> dict[str, list[Preset]]:
    """Queries with mappings that fit the directory's GraphQL schema."""
    return {"items": list(service.suggest(database, caller, environment=environment))}


@router.get("/preflight")
def preflight(database: State, caller: Caller, environment: Environment = None) -> PreflightView:
    """What the portal may do at this OpenMetadata, found out without changing anything."""
    return service.preflight(database, caller, environment=environment)


@router.get("/domain-map")
def list_domain_map(
    session: Reader,
    caller: Caller,
    environment: Environment = None,
    history: bool = False,
    cursor: Cursor = None,
    limit: Limit = 200,
) -> Page[DomainMapView]:
    """Which domain is meant by what the directory says; with `history` the ended ones, too."""
    return service.list_domain_map(
        session, caller, environment=environment, history=history, limit=limit, before=cursor
    )


@router.post("/domain-map")
def map_domain(
    session: Writer, caller: Caller, body: DomainMapRequest, environment: Environment = None
) -> DomainMapView:
    """From the next plan on, read `said` as this domain."""
    return service.map_domain(
        session, caller, environment=environment, said=body.said, domain=body.domain
    )


@router.delete("/domain-map/{map_id}")
def unmap_domain(
    session: Writer, caller: Caller, map_id: Annotated[int, Path(ge=1, le=2**53)]
) -> DomainMapView:
    """End a mapping; it stays in the history."""
    return service.unmap_domain(session, caller, map_id=map_id)


@router.get("/plans/{plan_id}/leavers")
def leavers(
    database: State,
    caller: Caller,
    plan_id: PlanId,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
) -> Page[LeaverView]:
    """Users of OpenMetadata whom the directory did not name: last login, what they own. `offset`
    is the last answer's `next_cursor`."""
    return service.leavers(database, caller, plan_id=plan_id, offset=offset, limit=limit)


@router.put("/people")
def upload_people(
    session: Writer, caller: Caller, body: UploadRequest, environment: Environment = None
) -> UploadView:
    """Keep a CSV or JSON file of people as the directory of an environment."""
    return service.upload(
        session, caller, environment=environment, name=body.name, content=body.content.encode()
    )


def _plan_page(
    session: Any, caller: Actor, plan: PlanView, wanted: RowFilter, offset: int, limit: int
) -> PlanPage:
    page = service.list_rows(
        session, caller, plan_id=plan.id, wanted=wanted, offset=offset, limit=limit
    )
    return PlanPage.page(plan, page)


def _wait(database: Database, caller: Actor, run: RunView, seconds: float) -> RunView:
    reused, until = run.reused, time.monotonic() + seconds
    while not run.ended and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        run = database.ask(service.get_run, caller, run_id=run.id)
    return RunView(**{**run.__dict__, "reused": reused})


def _answer(database: Database, caller: Actor, response: Response, run: RunView) -> Run:
    if not run.ended:
        response.status_code = 202
    return database.ask(_run_page, caller, run)


def _run_page(
    session: ReadSession, caller: Actor, run: RunView, after: int = -1, limit: int = MOST_ROWS
) -> Run:
    items = service.list_items(session, caller, run_id=run.id, after=after, limit=limit)
    following = items[-1].position if len(items) == limit else None
    return Run.of(run, items, next_cursor=following)
