"""Recipes, DataHub's own sources and their schedules over REST.

What runs is a job: /api/jobs/{job_id}.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from backend.api import errors
from backend.api.deps import REASON, Caller, EnvironmentName, Reader, RequestBody, State, Writer
from backend.ingestion import managed, recipes, schedules
from backend.ingestion.answers import RecipeList, ScheduleAnswer, ScheduleList, SourceList

router = APIRouter(prefix="/ingestion", tags=["ingestion"])


class RecipeRun(RequestBody):
    """values: the variables that no connection fills, secrets too; those are kept sealed."""

    environment: str | None = Field(default=None, max_length=80)
    values: dict[str, str] = Field(default_factory=dict)


class SourceRun(RequestBody):
    """What of DataHub's sources to run."""

    sourceUrn: str = Field(max_length=500)
    environment: str | None = Field(default=None, max_length=80)


class Schedule(RequestBody):
    """What starts by itself, when (cron of five fields, UTC), and the values of a recipe."""

    kind: Literal["recipe", "source"]
    name: str = Field(max_length=500)
    cron: str = Field(max_length=100)
    title: str = Field(default="", max_length=300)
    environment: str | None = Field(default=None, max_length=80)
    values: dict[str, str] = Field(default_factory=dict)


class Queued(BaseModel):
    """The job that does it."""

    job_id: int


@router.get("/recipes")
def list_recipes(session: Reader, caller: Caller) -> RecipeList:
    """The recipes kept with the portal, what each asks for, and why one cannot be run."""
    found = recipes.list_recipes(session, caller)
    return {
        "items": [recipe.document() for recipe in found],
        "note": recipes.left_out(session, caller),
    }


@router.post("/recipes/{name}/run", responses=errors.WAITS, dependencies=REASON)
def run_recipe(session: Writer, caller: Caller, name: str, body: RecipeRun) -> Queued:
    """Run a recipe with the connections of an environment."""
    job_id = recipes.run_recipe(
        session, caller, name=name, environment=body.environment, values=body.values
    )
    return Queued(job_id=job_id)


@router.get("/sources")
def list_sources(
    database: State,
    caller: Caller,
    environment: EnvironmentName = None,
    start: Annotated[int, Query(ge=0, le=100_000)] = 0,
    count: Annotated[int, Query(ge=1, le=200)] = 50,
) -> SourceList:
    """The ingestion sources that DataHub manages, with schedule and last run."""
    page = managed.list_sources(database, caller, environment=environment, start=start, count=count)
    return page.document()


@router.post("/sources/run", responses=errors.WAITS, dependencies=REASON)
def run_source(database: State, caller: Caller, body: SourceRun) -> Queued:
    """Have DataHub run one of its sources and follow it."""
    job_id = managed.run_source(
        database, caller, source_urn=body.sourceUrn, environment=body.environment
    )
    return Queued(job_id=job_id)


@router.get("/schedules")
def list_schedules(
    session: Reader, caller: Caller, environment: EnvironmentName = None
) -> ScheduleList:
    """Recipes and sources that start by themselves, the next one first."""
    found = schedules.list_schedules(session, caller, environment=environment)
    return {"items": [each.document() for each in found]}


@router.put("/schedules")
def put_schedule(session: Writer, caller: Caller, body: Schedule) -> ScheduleAnswer:
    """Start a recipe or source at these times from now on; replaces what was set."""
    view = schedules.put_schedule(
        session,
        caller,
        kind=body.kind,
        name=body.name,
        times=body.cron,
        title=body.title,
        values=body.values,
        environment=body.environment,
    )
    return view.document()


@router.delete("/schedules", status_code=204, response_class=Response)
def remove_schedule(
    session: Writer,
    caller: Caller,
    kind: Literal["recipe", "source"],
    name: Annotated[str, Query(max_length=500)],
    environment: EnvironmentName = None,
) -> None:
    """No longer start it by itself."""
    schedules.remove_schedule(session, caller, kind=kind, name=name, environment=environment)
