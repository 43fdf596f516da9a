"""Connections over REST: environments, their connections, tests."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from backend.api import errors
from backend.api.deps import Caller, Reader, State, Writer
from backend.connections import (
    checklist,
    environments,
    kinds,
    resolve,
    service,
    testing,
)
from backend.connections.schemas import ConnectionView, EnvironmentView, TestResult
from backend.core import clock
from backend.core.errors import FieldInvalid
from backend.core.trust import MAX_PEM

router = APIRouter(tags=["connections"])
Name = Annotated[str, Path(min_length=1, max_length=200, description="The environment's name.")]


Kind = Annotated[str, Path(min_length=1, max_length=40, description="A kind of connection.")]


class EnvironmentOut(BaseModel):
    name: str
    is_default: bool
    is_sandbox: bool
    is_production: bool
    verify_tls: bool
    authorities: list[str]
    updated_at: str | None


class TrustIn(BaseModel):
    """ca: PEM of authorities instead of those given before, "" for none. What is null stays."""

    model_config = ConfigDict(extra="forbid")

    ca: Annotated[str, Field(max_length=MAX_PEM)] | None = None
    verify_tls: bool | None = None


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


class ConnectionIn(BaseModel):
    """settings: the named ones change, "" clears one. secrets: a blank one keeps what is stored.
    version: the one that was seen (0: not configured); null: whatever is stored."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Annotated[str, Field(max_length=4000)]] = {}
    secrets: dict[str, Annotated[str, Field(max_length=64_000)]] = {}
    clear_secrets: list[str] = []
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


class EnvironmentsOut(BaseModel):
    """A page as every list has; all environments fit into one."""

    items: list[EnvironmentOut]
    next_cursor: None


@router.get("/environments")
def list_environments(session: Reader, caller: Caller) -> EnvironmentsOut:
    """Every environment, the default one first."""
    items = [_environment(item) for item in environments.list_all(session, caller)]
    return EnvironmentsOut(items=items, next_cursor=None)


@router.put("/environments/{name}/trust", responses=errors.WAITS)
def set_trust(name: Name, body: TrustIn, session: Writer, caller: Caller) -> EnvironmentOut:
    """Whose TLS certificates the environment's connections trust, beside the machine's."""
    return _environment(
        environments.set_trust(session, caller, name=name, ca=body.ca, verify=body.verify_tls)
    )


def _environment(item: EnvironmentView) -> EnvironmentOut:
    return EnvironmentOut(
        name=item.name,
        is_default=item.is_default,
        is_sandbox=item.is_sandbox,
        is_production=item.is_production,
        verify_tls=item.trust.verify,
        authorities=list(item.authorities),
        updated_at=clock.iso(item.updated_at),
    )


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


@router.put("/environments/{name}/connections/{kind}", responses=errors.WAITS)
def put_connection(
    name: Name, kind: Kind, body: ConnectionIn, session: Writer, caller: Caller
) -> ConnectionOut:
    """Store settings and secrets of one kind; a refusal names each field in `problems`."""
    try:
        saved = service.save(
            session,
            caller,
            environment=name,
            kind=kind,
            settings=body.settings,
            secrets_in=body.secrets,
            clear_secrets=body.clear_secrets,
            version=body.version,
        )
    except FieldInvalid as exc:
        exc.problems = {
            f"{'secrets' if kinds.KINDS[kind].secret(field) else 'settings'}.{field}": said
            for field, said in exc.problems.items()
        }
        raise
    return _connection(saved)


def _connection(view: ConnectionView) -> ConnectionOut:
    return ConnectionOut(
        environment=view.environment,
        kind=view.kind,
        configured=view.configured,
        settings=dict(view.settings),
        secrets_set=[item.field for item in view.secrets if item.is_set],
        version=view.version,
        updated_at=clock.iso(view.updated_at),
        updated_by=view.updated_by,
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
    with database.read() as session:
        stored = resolve.environment(session, name).name
    return TestsOut.model_validate(testing.document(stored, results))
