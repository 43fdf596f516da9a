"""API tokens: bound to a role, limited if wanted to some of its actions and to environments, shown
once, stored hashed, ending by themselves, revocable, with last use.

A raw token reads `spt_<prefix>_<secret>`; the prefix finds the row, the hash decides.
"""

import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from backend.accounts import approval, identity, last_seen, repository, step_up, tokens
from backend.accounts.names import checked_name, checked_role
from backend.accounts.schemas import ApiTokenPage, ApiTokenView, NewApiToken
from backend.connections import resolve
from backend.core import access, audit, clock
from backend.core.access import HAND_OUT_RIGHTS, PERMISSIONS, Actor, Permission, Role
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotAuthenticated, NotFound, UnknownChoice, Waiting
from backend.core.views import of_row
from backend.models.accounts import Account, ApiToken

_SHAPE = re.compile(r"spt_([0-9a-f]{12})_[A-Za-z0-9_-]{43}\Z")
SEEN_EVERY = timedelta(minutes=1)
MAX_PAGE = 500
MAX_DAYS = 366
DEFAULT_DAYS = 90


def add(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    role: Role | str,
    days: int = DEFAULT_DAYS,
    actions: Sequence[str] = (),
    environments: Sequence[str] = (),
    ask_only: bool = False,
) -> NewApiToken:
    """Make a token; its raw value is in the answer and nowhere else.

    days: how long it is valid. actions: permissions, or the area that some begin with
    ("tokenization"), of those that the role holds; none: all of them. environments: their names;
    none: every one. ask_only: what it asks for waits for a person's approval.

    Raises InvalidInput for a bad name, role, number of days or action,
    EnvironmentNotFound, NotPermitted, NotFresh; Waiting where a policy asks for an approval: then
    the raw value is in it, and works once the change is carried out.
    """
    access.require(actor, Permission.API_TOKENS_WRITE)
    step_up.require(session, actor)
    prefix = secrets.token_hex(6)
    raw = f"spt_{prefix}_{tokens.new_token()}"
    try:
        view = insert(
            session,
            actor,
            name=name,
            role=role,
            days=days,
            actions=actions,
            environments=environments,
            ask_only=ask_only,
            prefix=prefix,
            token_hash=tokens.hashed(raw),
        )
    except Waiting as exc:
        exc.secret = raw
        raise
    return NewApiToken(view=view, raw=raw)


def insert(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    role: Role | str,
    days: int,
    actions: Sequence[str],
    environments: Sequence[str],
    ask_only: bool,
    prefix: str,
    token_hash: str,
) -> ApiTokenView:
    """`add` with the hash of the raw token, which alone may wait for an approval."""
    access.require(actor, Permission.API_TOKENS_WRITE)
    name, role = checked_name(name), checked_role(role)
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"A token is valid for 1 to {MAX_DAYS} days, not {days}.")
    only = _permissions(role, actions)
    reach = [resolve.environment(session, each) for each in environments]
    limits = {
        "role": role.value,
        "days": days,
        "actions": only,
        "environments": [each.name for each in reach],
        "ask_only": ask_only,
    }
    approval.check(
        session,
        actor,
        approval.TOKEN,
        "add",
        f"API token {name}",
        parameters={"name": name, **limits, "prefix": prefix, "token_hash": token_hash},
        shown={"token": name, **limits},
        only_in=tuple(each.id for each in reach),
    )
    row = ApiToken(
        name=name,
        prefix=prefix,
        token_hash=token_hash,
        role=role.value,
        expires_at=clock.now() + timedelta(days=days),
        actions=json.dumps(only) if only else "",
        environments=json.dumps([each.id for each in reach]) if reach else "",
        ask_only=ask_only,
    )
    return _store(session, actor, row, limits)


def _store(
    session: WriteSession, actor: Actor, row: ApiToken, limits: dict[str, Any]
) -> ApiTokenView:
    """A new token with who made it, and nothing known of its use."""
    maker = identity.of(session, kind=actor.kind, id=actor.id, name=actor.name)
    row.created_at, row.created_by = clock.now(), actor.name[:255]
    row.account_id = maker.account_id
    row.last_used_at, row.last_address = None, ""
    row.revoked_at, row.revoked_by = None, ""
    session.add(row)
    session.flush()
    audit.done(
        session,
        actor,
        "accounts:api_token:create",
        f"API token {row.name}",
        token_id=row.id,
        **limits,
    )
    return _view_of(session, row)


def authenticate(session: ReadSession, raw_token: str, *, address: str = "") -> Actor:
    """The actor behind a token, with the token's limits.

    address: where it is used from. Raises NotAuthenticated, one sentence for every reason."""
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
            session, lambda short: repository.set_last_used(short, row.id, now, address)
        )
    return Actor(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        kind="api_token",
        ask_only=row.ask_only,
        only=frozenset(map(Permission, _listed(row.actions))) if row.actions else None,
        environments=frozenset(_listed(row.environments)) if row.environments else None,
    )


def list_tokens(
    session: ReadSession,
    actor: Actor,
    *,
    account_id: int | None = None,
    cursor: int | None = None,
    limit: int = MAX_PAGE,
) -> ApiTokenPage:
    """Tokens, newest first, revoked ones included. account_id: only those that this account made.
    cursor: `next_cursor` of the page before."""
    access.require(actor, Permission.ACCOUNTS_READ)
    limit = max(1, min(limit, MAX_PAGE))
    rows = repository.list_api_tokens(
        session, before=cursor, limit=limit + 1, account_id=account_id
    )
    items, known = rows[:limit], resolve.names(session)
    makers = repository.find_accounts(session, {row.account_id or 0 for row in items})
    return ApiTokenPage(
        items=[_view(row, known, makers.get(row.account_id or 0)) for row in items],
        next_cursor=items[-1].id if len(rows) > limit else None,
    )


def revoke(session: WriteSession, actor: Actor, *, token_id: int) -> ApiTokenView:
    """End a token at once and for good; raises NotFound."""
    access.require(actor, Permission.API_TOKENS_WRITE)
    row = repository.find_api_token_by_id(session, token_id)
    if row is None:
        raise NotFound(f"There is no API token {token_id}.")
    if row.revoked_at is None:
        _end(session, actor, row, {})
    return _view_of(session, row)


def revoke_made_by(session: WriteSession, actor: Actor, *, account_id: int) -> list[int]:
    """End every token in use that an account made; their numbers."""
    access.require(actor, Permission.API_TOKENS_WRITE)
    rows = repository.list_valid_api_tokens(session, account_id, clock.now())
    for row in rows:
        _end(session, actor, row, {"because_of_account": account_id})
    return [row.id for row in rows]


def _end(session: WriteSession, actor: Actor, row: ApiToken, details: dict[str, Any]) -> None:
    row.revoked_at, row.revoked_by = clock.now(), actor.name[:255]
    audit.done(
        session,
        actor,
        "accounts:api_token:revoke",
        f"API token {row.name}",
        token_id=row.id,
        **details,
    )


def _permissions(role: Role, actions: Sequence[str]) -> list[str]:
    """The role's permissions that `actions` name; raises UnknownChoice for one that names none.

    What hands out rights is none of them: see access.HAND_OUT_RIGHTS.
    """
    held = sorted(p.value for p in PERMISSIONS[role] - HAND_OUT_RIGHTS)
    found: set[str] = set()
    for action in actions:
        named = {p for p in held if p == action or p.startswith(f"{action.rstrip(':')}:")}
        if not named:
            raise UnknownChoice(
                f"A limited token of the role {role.value} has no action {action!r}. It may have: "
                f"{', '.join(held)}; or an area such as {held[0].split(':')[0]}."
            )
        found |= named
    return sorted(found)


def _state(maker: Account | None) -> Literal["", "disabled", "deleted"]:
    if maker is None or not (maker.disabled or maker.deleted_at):
        return ""
    return "deleted" if maker.deleted_at else "disabled"


def _listed(text: str) -> list[Any]:
    return list(json.loads(text)) if text else []


def _view_of(session: ReadSession, row: ApiToken) -> ApiTokenView:
    makers = repository.find_accounts(session, {row.account_id or 0})
    return _view(row, resolve.names(session), makers.get(row.account_id or 0))


def _view(row: ApiToken, environments: Mapping[int, str], maker: Account | None) -> ApiTokenView:
    return of_row(
        ApiTokenView,
        row,
        role=Role(row.role),
        maker_state=_state(maker),
        actions=_listed(row.actions),
        environments=[
            environments.get(number, f"deleted ({number})") for number in _listed(row.environments)
        ],
    )
