"""Who somebody who acted earlier is now: for approvals, which count only while their giver may."""

from dataclasses import dataclass, replace

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
    too, and an account that was merged as the one that goes on. login: of the portal's machine, ""
    for an account. names: of an account, for a login of that name. account_id: whose it is; None
    for a login at the command line."""

    actor: Actor | None
    keys: frozenset[str]
    account_id: int | None = None
    login: str = ""
    names: frozenset[str] = frozenset()

    def is_person_of(self, other: "Identity") -> bool:
        """Whether both are the same person, as far as the portal can know. A login ann is taken for
        an account ann or ann@example.org; two accounts are two people whatever they are called."""
        return (
            bool(self.keys & other.keys) or self.login in other.names or other.login in self.names
        )


def of(session: ReadSession, *, kind: str, id: int, name: str) -> Identity:
    """The identity of an account, a token, or a login at the command line."""
    if kind == "user":
        return _account(session, id)
    if kind == "api_token":
        return _token(session, id)
    # Whoever runs commands on the portal's machine is an admin for as long as they can.
    role = Actor(id, name, Role.ADMIN, "system" if kind == "system" else "cli")
    if kind == "system":
        return Identity(role, frozenset())
    login = _login(name)
    return Identity(role, frozenset({f"cli:{name}", f"login:{login}"}), login=login)


def _login(name: str) -> str:
    """The login in "cli:ann" and in "mcp:ann", which ann's assistant bears."""
    return name_key(name.partition(":")[2] or name)


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
    keys = {f"user:{account_id}"}
    while row is not None and row.merged_into_id is not None:
        row = session.get(Account, row.merged_into_id, populate_existing=True)
        keys |= {f"user:{row.id}"} if row is not None else set()
    if row is None:
        return Identity(None, frozenset(keys), account_id)
    name = name_key(row.name)
    return Identity(
        None if row.disabled else Actor(row.id, row.name, Role(row.role), "user"),
        frozenset(keys),
        row.id,
        names=frozenset({name, name.partition("@")[0]} - {""}),
    )


def _token(session: ReadSession, token_id: int) -> Identity:
    keys = {f"api_token:{token_id}"}
    row = session.get(ApiToken, token_id, populate_existing=True)
    if row is None:
        return Identity(None, frozenset(keys))
    found, maker = Identity(None, frozenset(keys)), _maker(session, row)
    if maker is not None:
        whose = _account(session, maker.id)
        found = replace(whose, actor=None, keys=whose.keys | keys, account_id=maker.id)
    elif row.created_by.startswith(CLI):
        login = _login(row.created_by)
        found = replace(found, keys=found.keys | {f"login:{login}"}, login=login)
    ended = row.expires_at is not None and row.expires_at <= clock.now()
    if row.revoked_at is not None or ended:
        return found
    return replace(found, actor=Actor(row.id, row.name, Role(row.role), "api_token"))


def _maker(session: ReadSession, token: ApiToken) -> Account | None:
    """By its number: a namesake who came later did not make it."""
    if token.account_id is None:
        return None
    return session.get(Account, token.account_id, populate_existing=True)
