"""Who somebody who acted earlier is now: for approvals, which count only while their giver may."""

from dataclasses import dataclass

from backend.accounts import step_up
from backend.accounts.names import name_key
from backend.core import clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import ReadSession
from backend.core.errors import NotPermitted
from backend.models.accounts import Account, ApiToken

CLI = "cli:"


@dataclass(frozen=True)
class Identity:
    """actor: with the role that the database holds now, None when they may do nothing any more.
    keys: what tells one person from another; a token counts as the account or login that made it,
    too, an account that was merged as the one that goes on, and a login of the portal's machine as
    the account of its name. account_id: whose it is; None for a login at the command line."""

    actor: Actor | None
    keys: frozenset[str]
    account_id: int | None = None


def of(session: ReadSession, *, kind: str, id: int, name: str) -> Identity:
    """The identity of an account, a token, or a login at the command line."""
    if kind == "user":
        return _account(session, id)
    if kind == "api_token":
        return _token(session, id)
    # Whoever runs commands on the portal's machine is an admin for as long as they can.
    role = Actor(id, name, Role.ADMIN, "system" if kind == "system" else "cli")
    return Identity(role, frozenset({f"{kind}:{name}", *_logins(name)} if kind == "cli" else ()))


def _logins(name: str) -> set[str]:
    """The login in "cli:ann" and in "mcp:ann", which ann's assistant bears: one person at two
    doors. An account named ann or ann@example.com is taken for the same one's."""
    login = name_key(name.partition(":")[2] or name)
    return {f"login:{login}", f"login:{login.partition('@')[0]}"} if login else set()


def is_fresh(session: ReadSession, actor: Actor) -> bool:
    """Whether the actor proved who they are within the last minutes (PORTAL_STEP_UP_MINUTES).

    An account by signing in or by a step-up; a token by being made, for then a person with it in
    hand is there; the command line by being asked at all.
    """
    if actor.kind == "cli":
        return True
    if actor.kind == "api_token":
        token = session.get(ApiToken, actor.id)
        return token is not None and abs(clock.now() - token.created_at) < step_up.lifetime()
    return step_up.is_proven(session, actor)


def require_admin_behind(session: ReadSession, actor: Actor) -> None:
    """Raise NotPermitted for a token whose maker is no admin any more.

    A token outlives the role of who made it; what opens and ends accounts does not go by it alone.
    """
    token = session.get(ApiToken, actor.id) if actor.kind == "api_token" else None
    if token is None:
        return
    of_nobody = token.created_by.startswith(CLI) or token.created_by == SYSTEM.name
    if token.account_id is None and of_nobody:
        return
    maker = _maker(session, token)
    if maker is None or maker.disabled or maker.role != Role.ADMIN.value:
        raise NotPermitted(
            f"The API token {token.name} was made by {token.created_by}, who is no admin any more. "
            "Use a token that an admin made."
        )


def _account(session: ReadSession, account_id: int) -> Identity:
    row = session.get(Account, account_id, populate_existing=True)
    keys = {f"user:{account_id}"} | (_logins(row.name) if row is not None else set())
    while row is not None and row.merged_into_id is not None:
        row = session.get(Account, row.merged_into_id, populate_existing=True)
        keys |= {f"user:{row.id}", *_logins(row.name)} if row is not None else set()
    if row is None or row.disabled:
        return Identity(None, frozenset(keys), row.id if row else account_id)
    actor = Actor(row.id, row.name, Role(row.role), "user")
    return Identity(actor, frozenset(keys), row.id)


def _token(session: ReadSession, token_id: int) -> Identity:
    keys = {f"api_token:{token_id}"}
    row = session.get(ApiToken, token_id, populate_existing=True)
    if row is None:
        return Identity(None, frozenset(keys))
    maker = _maker(session, row)
    if maker is not None:
        keys |= _account(session, maker.id).keys
    elif row.created_by.startswith(CLI):
        keys |= _logins(row.created_by)
    account_id = maker.id if maker is not None else None
    ended = row.expires_at is not None and row.expires_at <= clock.now()
    if row.revoked_at is not None or ended:
        return Identity(None, frozenset(keys), account_id)
    actor = Actor(row.id, row.name, Role(row.role), "api_token")
    return Identity(actor, frozenset(keys), account_id)


def _maker(session: ReadSession, token: ApiToken) -> Account | None:
    """By its number: a namesake who came later did not make it."""
    if token.account_id is None:
        return None
    return session.get(Account, token.account_id, populate_existing=True)
