"""Accounts and API tokens over REST: looking only. No token makes another token or an account."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.accounts import api_tokens, service
from backend.accounts.schemas import AccountPage, ApiTokenPage
from backend.api.deps import Caller, Reader

router = APIRouter(tags=["accounts"])


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


@router.get("/tokens")
def list_tokens(
    session: Reader,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=api_tokens.MAX_PAGE)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> ApiTokenPage:
    """API tokens, newest first, without the token itself."""
    return api_tokens.list_tokens(session, caller, cursor=cursor, limit=limit)
