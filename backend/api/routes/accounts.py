"""Accounts and API tokens over REST. No token makes another token or an account."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from backend.accounts import api_tokens, deployment, lifecycle, service
from backend.accounts.schemas import AccountPage, AccountView, ApiTokenPage, IdentityView
from backend.api.deps import Caller, Reader, RequestBody, Writer
from backend.core import access, forwarded
from backend.core.access import Permission
from backend.core.forwarded import RequestView
from backend.jobs import service as jobs
from backend.jobs.answers import JobAnswer

router = APIRouter(tags=["accounts"])

Number = Annotated[int, Path(ge=1, le=2**53)]


class Version(RequestBody):
    """version: the account's, as it was last read; another one is answered 409."""

    version: int = Field(ge=1, le=2**31 - 1)


class Rename(Version):
    name: str = Field(min_length=1, max_length=150)


class Link(Version):
    """issuer: as the provider's discovery document writes it. subject: the claim sub."""

    issuer: str = Field(min_length=1, max_length=500)
    subject: str = Field(min_length=1, max_length=lifecycle.MAX_SUBJECT)


class Merge(Version):
    """into: name of the account that goes on."""

    into: str = Field(min_length=1, max_length=150)


class End(Version):
    """revoke_tokens: end the API tokens that the account made, too."""

    revoke_tokens: bool = False


class Identities(BaseModel):
    items: list[IdentityView]


@router.get("/accounts")
def list_accounts(
    session: Reader,
    caller: Caller,
    name: Annotated[str, Query(max_length=150, description="Only names that hold this.")] = "",
    limit: Annotated[int, Query(ge=1, le=service.MAX_PAGE)] = 50,
    cursor: Annotated[str, Query(max_length=150)] = "",
) -> AccountPage:
    """Accounts by name, with role, last sign-in and live sessions."""
    return service.list_accounts(session, caller, part=name, cursor=cursor, limit=limit)


@router.post("/accounts/{account_id}/rename")
def rename(session: Writer, caller: Caller, account_id: Number, body: Rename) -> AccountView:
    """Give an account another name; it then no longer follows the identity provider."""
    return lifecycle.rename(
        session, caller, account_id=account_id, name=body.name, version=body.version
    )


@router.get("/accounts/{account_id}/identities")
def list_identities(session: Reader, caller: Caller, account_id: Number) -> Identities:
    """The people at identity providers whose sign-in opens the account."""
    found = lifecycle.list_identities(session, caller, account_id=account_id)
    return Identities(items=found)


@router.post("/accounts/{account_id}/identities")
def link(session: Writer, caller: Caller, account_id: Number, body: Link) -> AccountView:
    """Let a person of an identity provider open the account."""
    return lifecycle.link(
        session,
        caller,
        account_id=account_id,
        issuer=body.issuer,
        subject=body.subject,
        version=body.version,
    )


@router.post("/accounts/{account_id}/identities/{identity_id}/unlink")
def unlink(
    session: Writer, caller: Caller, account_id: Number, identity_id: Number, body: Version
) -> AccountView:
    """Take an identity from the account and end its sessions."""
    return lifecycle.unlink(
        session,
        caller,
        account_id=account_id,
        identity_id=identity_id,
        version=body.version,
    )


@router.post("/accounts/{account_id}/merge")
def merge(session: Writer, caller: Caller, account_id: Number, body: Merge) -> AccountView:
    """Make one account of two of the same person; the answer is the one that goes on."""
    return lifecycle.merge(
        session, caller, account_id=account_id, into=body.into, version=body.version
    )


@router.delete("/accounts/{account_id}")
def delete(session: Writer, caller: Caller, account_id: Number, body: End) -> AccountView:
    """Delete an account and end its sessions; its name is free afterwards. The API tokens that it
    made (`GET /api/tokens?account_id=`) go on unless `revoke_tokens` ends them, too."""
    return lifecycle.delete(
        session,
        caller,
        account_id=account_id,
        version=body.version,
        revoke_tokens=body.revoke_tokens,
    )


@router.post("/accounts/{account_id}/disable")
def disable(session: Writer, caller: Caller, account_id: Number, body: End) -> AccountView:
    """End an account's sessions and let nobody sign in with it, until an admin enables it."""
    return service.set_disabled(
        session,
        caller,
        account_id=account_id,
        disabled=True,
        version=body.version,
        revoke_tokens=body.revoke_tokens,
    )


@router.post("/deployment/check", status_code=202)
def check_deployment(session: Writer, caller: Caller) -> JobAnswer:
    """Call the portal through PORTAL_PUBLIC_URL as an attacker would; the job's result says what
    came out, each with the line of proxy configuration that mends it."""
    job_id = deployment.start(session, caller)
    return JobAnswer.model_validate(jobs.get(session, caller, job_id=job_id))


@router.get("/request")
def describe_request(request: Request, caller: Caller) -> RequestView:
    """What the portal believes about this very request: peer, client address, scheme, and why."""
    access.require(caller, Permission.ACCOUNTS_READ)
    scope, client = request.scope, request.client
    return forwarded.describe(
        peer=scope.get("portal.peer") or (client.host if client else ""),
        scheme=scope.get("portal.scheme", scope["scheme"]),
        headers=request.headers,
    )


@router.get("/tokens")
def list_tokens(
    session: Reader,
    caller: Caller,
    account_id: Annotated[
        int | None, Query(ge=1, le=2**53, description="Only those that this account made.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=api_tokens.MAX_PAGE)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> ApiTokenPage:
    """API tokens, newest first, without the token itself."""
    return api_tokens.list_tokens(
        session, caller, account_id=account_id, cursor=cursor, limit=limit
    )
