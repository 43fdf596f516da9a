"""Recipes and DataHub's own ingestion sources over REST. What runs is a job: /api/jobs/{job_id}."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from backend.api import errors
from backend.api.deps import Caller, Reader, State, Writer
from backend.ingestion import managed, recipes
from backend.ingestion.answers import RecipeList, SourceList

router = APIRouter(prefix="/ingestion", tags=["ingestion"])


class RecipeRun(BaseModel):
    """values: the variables that no connection fills, secrets too; those are kept sealed."""

    model_config = ConfigDict(extra="forbid")

    environment: str | None = Field(default=None, max_length=80)
    values: dict[str, str] = {}


class SourceRun(BaseModel):
    """What of DataHub's sources to run."""

    model_config = ConfigDict(extra="forbid")

    sourceUrn: str = Field(max_length=500)
    environment: str | None = Field(default=None, max_length=80)


class Queued(BaseModel):
    """The job that does it."""

    job_id: int


@router.get("/recipes")
def list_recipes(session: Reader, caller: Caller) -> RecipeList:
    """The recipes kept with the portal, what each asks for, and why one cannot be run."""
    return {"items": [r.document() for r in recipes.list_recipes(session, caller)]}


@router.post("/recipes/{name}/run", responses=errors.WAITS)
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
    environment: str | None = None,
    start: Annotated[int, Query(ge=0, le=100_000)] = 0,
    count: Annotated[int, Query(ge=1, le=200)] = 50,
) -> SourceList:
    """The ingestion sources that DataHub manages, with schedule and last run."""
    page = managed.list_sources(database, caller, environment=environment, start=start, count=count)
    return page.document()


@router.post("/sources/run", responses=errors.WAITS)
def run_source(session: Writer, caller: Caller, body: SourceRun) -> Queued:
    """Have DataHub run one of its sources and follow it."""
    job_id = managed.run_source(
        session, caller, source_urn=body.sourceUrn, environment=body.environment
    )
    return Queued(job_id=job_id)
