"""Change requests and policies over REST."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from backend.api import errors
from backend.api.deps import REASON, Caller, Reader, State, Writer
from backend.changes import policy, releases, service
from backend.changes.rules import Rule
from backend.changes.schemas import ChangePage, ChangeView, Now, PolicyView, Status

router = APIRouter(tags=["changes"])

ChangeId = Annotated[int, Path(ge=1, le=2**53)]
Environment = Annotated[str, Path(min_length=1, max_length=80)]
Text = Annotated[str, Field(max_length=service.MAX_TEXT)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Approval(_Said):
    comment: Text = ""


class Rejection(_Said):
    """reason: why, for the one who asked."""

    reason: Text


class Withdrawal(_Said):
    reason: Text = ""


class Comment(_Said):
    text: Text


class Release(_Said):
    """changes: their numbers, in the order in which they are carried out."""

    changes: Annotated[
        list[Annotated[int, Field(ge=1, le=2**53)]],
        Field(min_length=2, max_length=releases.MOST, json_schema_extra={"uniqueItems": True}),
    ]
    comment: Text = ""


class ReleaseOut(BaseModel):
    items: list[ChangeView]


class Policies(BaseModel):
    items: list[PolicyView]


@router.get("/changes")
def list_changes(
    session: Reader,
    caller: Caller,
    which: service.Which = "all",
    environment: Annotated[str | None, Query(max_length=80)] = None,
    status: Annotated[list[Status] | None, Query()] = None,
    text: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=service.MAX_PAGE)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> ChangePage:
    """Change requests, newest first. `which=to_approve`: what this token could approve."""
    return service.list_changes(
        session,
        caller,
        which=which,
        environment=environment,
        statuses=status or (),
        text=text,
        limit=limit,
        cursor=cursor,
    )


@router.post("/changes/approve")
def approve_release(session: Writer, caller: Caller, body: Release) -> ReleaseOut:
    """Approve several requests of one environment, all or none. They are carried out in this
    order, each when the one before has succeeded; the first that fails stops the rest."""
    found = releases.approve(session, caller, change_ids=body.changes, comment=body.comment)
    return ReleaseOut(items=list(found))


@router.get("/changes/{change_id}")
def get_change(session: Reader, caller: Caller, change_id: ChangeId) -> ChangeView:
    """One request with its history."""
    return service.get(session, caller, change_id=change_id)


@router.get("/changes/{change_id}/now")
def would_do(database: State, caller: Caller, change_id: ChangeId) -> Now:
    """Whether a waiting request would still do what was asked for; changes nothing."""
    return service.would_do(database, caller, change_id=change_id)


@router.post("/changes/{change_id}/approve")
def approve(
    session: Writer, caller: Caller, change_id: ChangeId, body: Approval | None = None
) -> ChangeView:
    """Approve somebody else's request. A token decides only within 15 minutes of being made."""
    said = body or Approval()
    return service.approve(session, caller, change_id=change_id, comment=said.comment)


@router.post("/changes/{change_id}/reject")
def reject(session: Writer, caller: Caller, change_id: ChangeId, body: Rejection) -> ChangeView:
    """End a waiting request with a reason."""
    return service.reject(session, caller, change_id=change_id, reason=body.reason)


@router.post("/changes/{change_id}/withdraw")
def withdraw(
    session: Writer, caller: Caller, change_id: ChangeId, body: Withdrawal | None = None
) -> ChangeView:
    """Take one's own request back."""
    said = body or Withdrawal()
    return service.withdraw(session, caller, change_id=change_id, reason=said.reason)


@router.post("/changes/{change_id}/comments")
def comment(session: Writer, caller: Caller, change_id: ChangeId, body: Comment) -> ChangeView:
    """Say something about an open request."""
    return service.comment(session, caller, change_id=change_id, text=body.text)


@router.get("/environments/{name}/policies")
def list_policies(session: Reader, caller: Caller, name: Environment) -> Policies:
    """What each action needs in an environment."""
    return Policies(items=list(policy.list_policies(session, caller, environment=name)))


@router.put("/environments/{name}/policies/{action}", responses=errors.WAITS, dependencies=REASON)
def set_policy(
    session: Writer,
    caller: Caller,
    name: Environment,
    action: Annotated[str, Path(min_length=1, max_length=60)],
    body: Rule,
) -> PolicyView:
    """Set the rule of an action; a weaker one waits for the approvals of the one in force."""
    return policy.save(session, caller, environment=name, action=action, rule=body)
