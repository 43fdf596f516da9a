"""Who somebody who acted earlier is now: for approvals, which count only while their giver may."""

from dataclasses import dataclass

from backend.accounts import repository, step_up
from backend.accounts.names import name_key
from backend.core import clock
from backend.core.access import Actor, Role
from backend.core.database import ReadSession
from backend.models.accounts import Account, ApiToken

CLI = "cli:"


@dataclass(frozen=True)
class Identity:
    """actor: with the role that the database holds now, None when they may do nothing any more.
    keys: what tells one person from another; a token counts as the account that made it, too."""

    actor: Actor | None
    keys: frozenset[str]


def of(session: ReadSession, *, kind: str, id: int, name: str) -> Identity:
    """The identity of an account, a token, or a login at the command line."""
    if kind == "user":
        return _account(session, id)
    if kind == "api_token":
        return _token(session, id)
    # Whoever runs commands on the portal's machine is an admin for as long as they can.
    role = Actor(id, name, Role.ADMIN, "system" if kind == "system" else "cli")
    return Identity(role, frozenset({f"{kind}:{name}"}))


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


def _account(session: ReadSession, account_id: int) -> Identity:
    row = session.get(Account, account_id, populate_existing=True)
    keys = frozenset({f"user:{account_id}"})
    if row is None or row.disabled:
        return Identity(None, keys)
    return Identity(Actor(row.id, row.name, Role(row.role), "user"), keys)


def _token(session: ReadSession, token_id: int) -> Identity:
    keys = {f"api_token:{token_id}"}
    row = session.get(ApiToken, token_id, populate_existing=True)
    if row is None:
        return Identity(None, frozenset(keys))
    # By name, as `created_by` keeps it; a login's tokens are not told apart from others' by it.
    if not row.created_by.startswith(CLI):
        maker = repository.find_account(session, name_key(row.created_by))
        keys |= {f"user:{maker.id}"} if maker is not None else set()
    ended = row.expires_at is not None and row.expires_at <= clock.now()
    if row.revoked_at is not None or ended:
        return Identity(None, frozenset(keys))
    return Identity(Actor(row.id, row.name, Role(row.role), "api_token"), frozenset(keys))
