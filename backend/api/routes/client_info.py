"""DataHub client info over REST: find, correct by hand, delete, export."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from backend.api.deps import Caller, Reader, RequestBody, Writer
from backend.api.routes.environments import Name
from backend.connections import client_info, client_info_admin
from backend.connections.client_info_admin import EDITABLE
from backend.connections.schemas import ClientInfoView, ConnectionStatus

router = APIRouter(tags=["connections"])


class ClientInfoOut(BaseModel):
    """edited_by, edited_at: who changed the values by hand since DataHub was last asked."""

    environment: str
    client_id: str | None
    server_id: str | None
    frontend_base_url: str | None
    server_config: dict[str, object]
    connection_status: ConnectionStatus
    error_message: str | None
    last_connection_test: str | None
    created_at: str | None
    last_updated: str | None
    failing_since: str | None
    stale: bool
    edited_by: str | None
    edited_at: str | None


class ClientInfosOut(BaseModel):
    items: list[ClientInfoOut]
    next_cursor: int | None


#: One line.
_LINE = r"^[^\x00-\x1f]*$"


class ClientInfoIn(RequestBody):
    """What is null or left out stays; "" clears it."""

    client_id: Annotated[str, Field(max_length=EDITABLE["client_id"], pattern=_LINE)] | None = None
    server_id: Annotated[str, Field(max_length=EDITABLE["server_id"], pattern=_LINE)] | None = None
    frontend_base_url: Annotated[str, Field(max_length=EDITABLE["frontend_base_url"])] | None = None


Search = Annotated[
    str, Query(max_length=200, description="Part of a client id, server id or environment's name.")
]
Environment = Annotated[str, Query(max_length=200, description="Of this environment only.")]


@router.get("/client-info")
def list_client_info(
    session: Reader,
    caller: Caller,
    search: Search = "",
    status: ConnectionStatus | None = None,
    environment: Environment = "",
    limit: Annotated[int, Query(ge=1, le=client_info_admin.MAX_PAGE)] = 50,
    cursor: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> ClientInfosOut:
    """Client info of every environment, the default one first (admins and auditors)."""
    found = client_info_admin.page(
        session,
        caller,
        text=search,
        status=status or "",
        environment=environment,
        limit=limit,
        cursor=cursor,
    )
    return ClientInfosOut(items=[_out(item) for item in found.items], next_cursor=found.next_cursor)


@router.get(
    "/client-info/export.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
def export_client_info(
    session: Reader,
    caller: Caller,
    search: Search = "",
    status: ConnectionStatus | None = None,
    environment: Environment = "",
) -> Response:
    """The same as CSV, without the servers' configurations."""
    text = client_info_admin.export(
        session, caller, text=search, status=status or "", environment=environment
    )
    headers = {"Content-Disposition": 'attachment; filename="client-info.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/environments/{name}/client-info")
def get_client_info(name: Name, session: Reader, caller: Caller) -> ClientInfoOut:
    """DataHub client info as it was last fetched (admins and auditors)."""
    return _out(client_info.get(session, caller, environment=name))


@router.patch("/environments/{name}/client-info")
def edit_client_info(
    name: Name, body: ClientInfoIn, session: Writer, caller: Caller
) -> ClientInfoOut:
    """Correct values by hand; they are marked as such until DataHub is asked again."""
    values = body.model_dump(exclude_none=True)
    return _out(client_info_admin.edit(session, caller, environment=name, values=values))


@router.delete("/environments/{name}/client-info")
def delete_client_info(name: Name, session: Writer, caller: Caller) -> ClientInfoOut:
    """Forget what is stored; the next successful test brings it back."""
    return _out(client_info_admin.remove(session, caller, environment=name))


def _out(view: ClientInfoView) -> ClientInfoOut:
    return ClientInfoOut.model_validate(client_info.document(view))
