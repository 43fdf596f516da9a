"""Connections over REST: what is set, what is lacking, tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from backend.api import errors
from backend.api.deps import REASON, Caller, Reader, RequestBody, State, Writer
from backend.api.routes.environments import Name
from backend.connections import (
    checklist,
    kinds,
    resolve,
    service,
    testing,
)
from backend.connections.schemas import ConnectionView, TestResult
from backend.core import clock
from backend.core.database import Database
from backend.core.errors import FieldInvalid
from backend.core.views import of_row

router = APIRouter(tags=["connections"])
Kind = Annotated[str, Path(min_length=1, max_length=40, description="A kind of connection.")]


class TestOut(BaseModel):
    """cause and advice are one sentence each, empty when all is well. tls: the certificates that
    the server showed, with days_left of the first to end; null where it speaks no TLS."""

    model_config = ConfigDict(extra="allow")

    kind: str
    ok: bool
    latency_ms: int
    server_version: str
    cause: str
    advice: str
    warnings: list[str] = []
    tls: dict[str, object] | None = None


class TestsOut(BaseModel):
    environment: str
    results: list[TestOut]


class DraftIn(RequestBody):
    """settings: the named ones change, "" clears one. secrets: a blank one keeps what is stored."""

    settings: dict[str, Annotated[str, Field(max_length=4000)]] = Field(default_factory=dict)
    secrets: dict[str, Annotated[str, Field(max_length=64_000)]] = Field(default_factory=dict)


class ConnectionIn(DraftIn):
    """version: the one that was seen (0: not configured); null: whatever is stored."""

    clear_secrets: list[str] = Field(default_factory=list)
    version: Annotated[int, Field(ge=0, lt=2**31)] | None = None


class ConnectionOut(BaseModel):
    """secrets_set: names of the secrets that are stored; their values never come out."""

    environment: str
    kind: str
    configured: bool
    settings: dict[str, str]
    secrets_set: list[str]
    version: int
    updated_at: str | None
    updated_by: str


class StepOut(BaseModel):
    """kinds: any one of them does. kind, status: the one of them that stands best. optional: the
    job runs without, and is ready without."""

    kinds: list[str]
    kind: str
    status: checklist.Status
    optional: bool


class JobOut(BaseModel):
    job: str
    ready: bool
    steps: list[StepOut]


class ChecklistOut(BaseModel):
    environment: str
    jobs: list[JobOut]


@router.get("/environments/{name}/checklist")
def get_checklist(name: Name, session: Reader, caller: Caller) -> ChecklistOut:
    """What each job still needs in this environment before its first run."""
    found = checklist.checklist(session, caller, environment=name)
    stored = resolve.environment(session, name).name
    return ChecklistOut.model_validate(checklist.document(stored, found))


@router.get("/environments/{name}/connections/{kind}")
def get_connection(name: Name, kind: Kind, session: Reader, caller: Caller) -> ConnectionOut:
    """A connection; its settings are shown to those who may change them."""
    return _connection(service.get_connection(session, caller, environment=name, kind=kind))


@router.put("/environments/{name}/connections/{kind}", responses=errors.WAITS, dependencies=REASON)
def put_connection(
    name: Name, kind: Kind, body: ConnectionIn, session: Writer, caller: Caller
) -> ConnectionOut:
    """Store settings and secrets of one kind; a refusal names each field in `problems`."""
    with _located(kind):
        return _connection(
            service.save(
                session,
                caller,
                environment=name,
                kind=kind,
                settings=body.settings,
                secrets_in=body.secrets,
                clear_secrets=body.clear_secrets,
                version=body.version,
            )
        )


@router.delete(
    "/environments/{name}/connections/{kind}",
    status_code=204,
    response_class=Response,
    responses=errors.WAITS,
    dependencies=REASON,
)
def delete_connection(name: Name, kind: Kind, session: Writer, caller: Caller) -> None:
    """Forget the settings and secrets of one kind; nothing happens when there are none."""
    service.remove(session, caller, environment=name, kind=kind)


@router.post("/environments/{name}/connections/{kind}/test")
def check_draft(name: Name, kind: Kind, body: DraftIn, caller: Caller, database: State) -> TestsOut:
    """Test these values without saving them; what is not named is as stored."""
    draft = testing.Draft(body.settings, body.secrets)
    with _located(kind):
        result = testing.run(database, caller, environment=name, kind=kind, draft=draft)
    return _tests(database, name, (result,))


@router.get("/environments/{name}/connections/{kind}/tests")
def list_tests(
    name: Name,
    kind: Kind,
    session: Reader,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=testing.KEEP)] = testing.KEEP,
) -> TestsOut:
    """Past tests, newest first; at most 50 are kept per connection."""
    found = testing.history(session, caller, environment=name, kind=kind, limit=limit)
    stored = resolve.environment(session, name).name
    return TestsOut.model_validate(testing.document(stored, found))


@contextmanager
def _located(kind: str) -> Iterator[None]:
    """Each problem of the block under the place in the body that it is about."""
    try:
        yield
    except FieldInvalid as exc:
        exc.problems = {
            f"{'secrets' if kinds.KINDS[kind].secret(field) else 'settings'}.{field}": said
            for field, said in exc.problems.items()
        }
        raise


def _connection(view: ConnectionView) -> ConnectionOut:
    return of_row(
        ConnectionOut,
        view,
        settings=dict(view.settings),
        secrets_set=[item.field for item in view.secrets if item.is_set],
        updated_at=clock.iso(view.updated_at),
    )


@router.post("/environments/{name}/test")
def check_environment(
    name: Name,
    caller: Caller,
    database: State,
    kind: Annotated[str | None, Query(description="Test this kind only.")] = None,
) -> TestsOut:
    """Test all configured connections at once; the answer is 200 also when some failed."""
    if kind:
        results: tuple[TestResult, ...] = (
            testing.run(database, caller, environment=name, kind=kind),
        )
    else:
        results = testing.run_all(database, caller, environment=name)
    return _tests(database, name, results)


def _tests(database: Database, name: str, results: tuple[TestResult, ...]) -> TestsOut:
    with database.read() as session:
        stored = resolve.environment(session, name).name
    return TestsOut.model_validate(testing.document(stored, results))
