"""Target templates over REST: what can be mounted by name."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from backend.api import errors
from backend.api.deps import REASON, Caller, Reader, RequestBody, Writer
from backend.mounts import targets
from backend.mounts.schemas import TargetView

router = APIRouter(prefix="/mounts/templates", tags=["mounts"])

Environment = Annotated[str | None, Query(max_length=80, description="Default: the default one.")]
TargetId = Annotated[str, Path(min_length=1, max_length=255)]


class TemplateIn(RequestBody):
    """secret_ref: write-only; "" keeps the stored one. filesystem_export: of an nfs target."""

    type: Literal["s3", "nfs"]
    mount_path: Annotated[str, Field(max_length=targets.MOST["mount_path"])]
    filesystem_export: Annotated[str, Field(max_length=targets.MOST["filesystem_export"])] = ""
    nfs_mount_opts: Annotated[str, Field(max_length=targets.MOST["nfs_mount_opts"])] = ""
    secret_ref: Annotated[str, Field(max_length=targets.MOST["secret_ref"])] = ""


class Templates(BaseModel):
    """besides: a sentence on targets known from earlier mounts only, "" without any."""

    items: list[TargetView]
    besides: str


@router.get("")
def list_templates(session: Reader, caller: Caller, environment: Environment = None) -> Templates:
    """The templates of an environment, and what else can be mounted by name."""
    found = targets.list_targets(session, caller, environment=environment)
    besides = targets.known_besides(session, caller, environment=environment)
    return Templates(items=list(found), besides=besides)


@router.put("/{target}", responses=errors.WAITS, dependencies=REASON)
def save_template(
    session: Writer,
    caller: Caller,
    target: TargetId,
    body: TemplateIn,
    environment: Environment = None,
) -> TargetView:
    """Make or change a template."""
    return targets.save(
        session, caller, environment=environment, target_id=target, **body.model_dump()
    )


@router.delete(
    "/{target}",
    status_code=204,
    response_class=Response,
    responses=errors.WAITS,
    dependencies=REASON,
)
def remove_template(
    session: Writer, caller: Caller, target: TargetId, environment: Environment = None
) -> None:
    """Forget a template; mounts of the target are not touched."""
    targets.remove(session, caller, environment=environment, target_id=target)
