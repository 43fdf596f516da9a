"""Environments over REST: list, add, change, remove, whose certificates they trust."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from backend.api import errors
from backend.api.deps import REASON, Caller, Reader, RequestBody, State, Writer
from backend.connections import environments
from backend.connections.schemas import EnvironmentView
from backend.core import clock
from backend.core.trust import MAX_PEM
from backend.core.views import of_row
from backend.sandbox import control

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


class TrustIn(RequestBody):
    """ca: PEM of authorities instead of those given before, "" for none. What is null stays."""

    ca: Annotated[str, Field(max_length=MAX_PEM)] | None = None
    verify_tls: bool | None = None


class EnvironmentIn(RequestBody):
    """production: dangerous actions ask for more. The first environment becomes the default."""

    name: Annotated[str, Field(min_length=1, max_length=environments.MAX_NAME)]
    production: bool = False
    default: bool = False


class EnvironmentPatch(RequestBody):
    """What is null stays. default: another one can be made the default, none cannot."""

    name: Annotated[str, Field(min_length=1, max_length=environments.MAX_NAME)] | None = None
    production: bool | None = None
    default: Literal[True] | None = None


class EnvironmentsOut(BaseModel):
    """A page as every list has; all environments fit into one."""

    items: list[EnvironmentOut]
    next_cursor: None


@router.get("/environments")
def list_environments(session: Reader, caller: Caller) -> EnvironmentsOut:
    """Every environment, the default one first."""
    items = [_environment(item) for item in environments.list_all(session, caller)]
    return EnvironmentsOut(items=items, next_cursor=None)


@router.post("/environments", status_code=201)
def add_environment(body: EnvironmentIn, session: Writer, caller: Caller) -> EnvironmentOut:
    """Add an environment; its connections come next."""
    return _environment(
        environments.add(
            session,
            caller,
            name=body.name,
            default=body.default,
            is_production=body.production,
        )
    )


@router.patch("/environments/{name}")
def change_environment(
    name: Name, body: EnvironmentPatch, session: Writer, caller: Caller
) -> EnvironmentOut:
    """Rename it, mark it as production or make it the default; its connections stay."""
    if body.default:
        environments.make_default(session, caller, name=name)
    return _environment(
        environments.update(
            session, caller, name=name, new_name=body.name, is_production=body.production
        )
    )


@router.delete(
    "/environments/{name}",
    status_code=204,
    response_class=Response,
    responses=errors.WAITS,
    dependencies=REASON,
)
def remove_environment(
    name: Name,
    database: State,
    caller: Caller,
    confirm: Annotated[str, Query(max_length=200, description="The name, exactly.")] = "",
) -> None:
    """Delete it with its connections, secrets and tests; of the sandbox the servers end, too."""
    control.remove(database, caller, name=name, confirm_name=confirm)


@router.put("/environments/{name}/trust", responses=errors.WAITS, dependencies=REASON)
def set_trust(name: Name, body: TrustIn, session: Writer, caller: Caller) -> EnvironmentOut:
    """Whose TLS certificates the environment's connections trust, beside the machine's."""
    return _environment(
        environments.set_trust(session, caller, name=name, ca=body.ca, verify=body.verify_tls)
    )


def _environment(item: EnvironmentView) -> EnvironmentOut:
    return of_row(
        EnvironmentOut,
        item,
        verify_tls=item.trust.verify,
        authorities=list(item.authorities),
        updated_at=clock.iso(item.updated_at),
    )
