"""API tokens: bound to a role, shown once, stored hashed, revocable, with last use.

A raw token reads `spt_<prefix>_<secret>`; the prefix finds the row, the hash decides.
"""

import hmac
import re
import secrets
from datetime import timedelta

from backend.accounts import last_seen, repository, tokens
from backend.accounts.names import checked_name, checked_role
from backend.accounts.schemas import ApiTokenPage, ApiTokenView, NewApiToken
from backend.core import access, audit, clock
from backend.core.access import Actor, Permission, Role
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotAuthenticated, NotFound
from backend.models.accounts import ApiToken

_SHAPE = re.compile(r"spt_([0-9a-f]{12})_[A-Za-z0-9_-]{43}\Z")
SEEN_EVERY = timedelta(minutes=1)
MAX_PAGE = 500
MAX_DAYS = 3650


def add(
    session: WriteSession, actor: Actor, *, name: str, role: Role | str, days: int | None = None
) -> NewApiToken:
    """Make a token; its raw value is in the answer and nowhere else.

    days: how long it is valid; None: until revoked. Raises InvalidInput for a bad name, role or
    number of days, NotPermitted.
    """
    access.require(actor, Permission.API_TOKENS_WRITE)
    name, role, now = checked_name(name), checked_role(role), clock.now()
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"A token is valid for 1 to {MAX_DAYS} days, not {days}.")
    prefix = secrets.token_hex(6)
    raw = f"spt_{prefix}_{tokens.new_token()}"
    row = ApiToken(
        name=name,
        prefix=prefix,
        token_hash=tokens.hashed(raw),
        role=role.value,
        created_at=now,
        created_by=actor.name[:255],
        expires_at=now + timedelta(days=days) if days else None,
        last_used_at=None,
        revoked_at=None,
        revoked_by="",
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        actor,
        "accounts:api_token:create",
        subject=f"API token {name}",
        outcome="succeeded",
        details={"token_id": row.id, "role": role.value, "days": days},
    )
    return NewApiToken(view=_view(row), raw=raw)


def authenticate(session: ReadSession, raw_token: str) -> Actor:
    """The actor behind a token; raises NotAuthenticated, one sentence for every reason."""
    refused = NotAuthenticated("The API token is missing, unknown, expired or revoked.")
    shape = _SHAPE.match(raw_token)
    row = repository.find_api_token(session, shape.group(1)) if shape else None
    if row is None or not hmac.compare_digest(row.token_hash, tokens.hashed(raw_token)):
        raise refused
    now = clock.now()
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise refused
    if row.last_used_at is None or now - row.last_used_at > SEEN_EVERY:
        last_seen.in_short_write(
            session, lambda short: repository.set_last_used(short, row.id, now)
        )
    return Actor(id=row.id, name=row.name, role=Role(row.role), kind="api_token")


def list_tokens(
    session: ReadSession, actor: Actor, *, cursor: int | None = None, limit: int = MAX_PAGE
) -> ApiTokenPage:
    """Tokens, newest first, revoked ones included. cursor: `next_cursor` of the page before."""
    access.require(actor, Permission.ACCOUNTS_READ)
    limit = max(1, min(limit, MAX_PAGE))
    rows = repository.list_api_tokens(session, before=cursor, limit=limit + 1)
    items = rows[:limit]
    return ApiTokenPage(
        items=[_view(row) for row in items],
        next_cursor=items[-1].id if len(rows) > limit else None,
    )


def revoke(session: WriteSession, actor: Actor, *, token_id: int) -> ApiTokenView:
    """End a token at once and for good; raises NotFound."""
    access.require(actor, Permission.API_TOKENS_WRITE)
    row = repository.find_api_token_by_id(session, token_id)
    if row is None:
        raise NotFound(f"There is no API token {token_id}.")
    if row.revoked_at is None:
        row.revoked_at, row.revoked_by = clock.now(), actor.name[:255]
        audit.record(
            session,
            actor,
            "accounts:api_token:revoke",
            subject=f"API token {row.name}",
            outcome="succeeded",
            details={"token_id": row.id},
        )
    return _view(row)


def _view(row: ApiToken) -> ApiTokenView:
    return ApiTokenView(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        role=Role(row.role),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
    )
