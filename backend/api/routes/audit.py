"""The audit log over REST: list, one event, verify, export."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, StrictBool

from backend.accounts import audit_log
from backend.accounts.audit_log import AuditFilter
from backend.accounts.schemas import AuditPage, AuditRow
from backend.api.deps import AsText, Caller, Reader, RequestBody, Writer

router = APIRouter(prefix="/audit", tags=["audit"])
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Query(max_length=500)]


class Verify(RequestBody):
    """full: every row, not from where a long log was last whole. against: a digest."""

    full: StrictBool = False
    against: dict[str, Any] | None = None


class Verified(BaseModel):
    ok: bool
    events: int
    first_broken: int | None
    problem: str


class Digest(BaseModel):
    """What to keep elsewhere. rows: number -> hash."""

    format: str
    made_at: str
    rows: dict[str, str]
    signature: str


def _filters(
    by: Text = "",
    action: Text = "",
    about: Text = "",
    outcome: Text = "",
    since: Annotated[AwareDatetime | None, AsText] = None,
    until: Annotated[AwareDatetime | None, AsText] = None,
) -> AuditFilter:
    return AuditFilter(by, action, about, outcome, since, until)


Filters = Annotated[AuditFilter, Depends(_filters)]


@router.get("")
def list_events(
    session: Reader,
    caller: Caller,
    filters: Filters,
    limit: Annotated[int, Query(ge=1, le=audit_log.MAX_PAGE)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> AuditPage:
    """Events, newest first."""
    return audit_log.list_events(session, caller, filters=filters, before=cursor, limit=limit)


@router.get("/export.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
def export_events(session: Writer, caller: Caller, filters: Filters) -> Response:
    """The newest matching events, at most 50,000, as CSV; X-Truncated says that there are more."""
    made = audit_log.export_csv(session, caller, filters=filters)
    headers = {
        "Content-Disposition": 'attachment; filename="audit.csv"',
        "X-Truncated": str(made.truncated).lower(),
    }
    return Response(made.text, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/{number}")
def get_event(session: Reader, caller: Caller, number: Number) -> AuditRow:
    """One event."""
    return audit_log.get(session, caller, number=number)


@router.post("/verify")
def verify(session: Reader, caller: Caller, request: Verify) -> Verified:
    """Walk the hash chain."""
    found = audit_log.verify(session, caller, full=request.full, against=request.against)
    return Verified(
        ok=found.ok, events=found.events, first_broken=found.first_broken, problem=found.problem
    )


@router.post("/digest")
def digest(session: Writer, caller: Caller) -> Digest:
    """A signed digest to keep on another machine, for `verify` with `against`."""
    return Digest.model_validate(audit_log.digest(session, caller))
