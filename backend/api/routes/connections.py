"""Connections over REST: environments, client info, tests."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from backend.api import errors
from backend.api.deps import Caller, Reader, State, Writer
from backend.connections import client_info, environments, resolve, testing
from backend.connections.schemas import EnvironmentView, TestResult
from backend.core import clock
from backend.core.trust import MAX_PEM

router = APIRouter(tags=["connections"])
Name = Annotated[str, Path(min_length=1, max_length=200, description="The environment's name.")]


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


class EnvironmentsOut(BaseModel):
    """A page as every list has; all environments fit into one."""

    items: list[EnvironmentOut]
    next_cursor: None


class ClientInfoOut(BaseModel):
    environment: str
    client_id: str | None
    server_id: str | None
    frontend_base_url: str | None
    server_config: dict[str, object]
    connection_status: str
    error_message: str | None
    last_connection_test: str | None
    created_at: str | None
    last_updated: str | None
    failing_since: str | None
    stale: bool


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


@router.get("/environments/{name}/client-info")
def get_client_info(name: Name, session: Reader, caller: Caller) -> ClientInfoOut:
    """DataHub client info as it was last fetched (admins only)."""
    view = client_info.get(session, caller, environment=name)
    return ClientInfoOut.model_validate(client_info.document(view))


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
