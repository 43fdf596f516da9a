"""What admins do with accounts: make, change role, disable, enable, reset the password, look."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from backend.accounts import api_tokens, approval, passwords, repository, sessions, step_up
from backend.accounts.names import checked_name, checked_role, name_key
from backend.accounts.schemas import AccountPage, AccountView
from backend.core import access, audit, clock
from backend.core.access import Actor, Permission, Role
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import Conflict, InvalidInput, NotFound, Waiting
from backend.core.views import of_row
from backend.models.accounts import Account

MAX_PAGE = 500


class NameTaken(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is an account named {name} already. Choose another name.")
        self.name = name


class ChangedMeanwhile(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"The account {name} was changed by somebody else since you opened it. "
            "Look at it again, then decide."
        )
        self.name = name


class LastAdmin(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is the last admin who can sign in with a password. Make another admin first."
        )
        self.name = name


@dataclass(frozen=True)
class Reset:
    """A password just made. raw: shown once and never again; "" when a person chose it."""

    account: AccountView
    raw: str


def list_accounts(
    session: ReadSession, actor: Actor, *, part: str = "", cursor: str = "", limit: int = MAX_PAGE
) -> AccountPage:
    """The access review, by name: accounts with role, last sign-in and number of live sessions.

    part: only names that hold it. cursor: the `next_cursor` of the page before.
    """
    access.require(actor, Permission.ACCOUNTS_READ)
    limit, now = max(1, min(limit, MAX_PAGE)), clock.now()
    rows = repository.list_accounts(
        session, part=name_key(part), after=name_key(cursor), limit=limit + 1
    )
    items = rows[:limit]
    live = repository.count_live_sessions(
        session, [row.id for row in items], now=now, idle_since=now - sessions.IDLE_TIMEOUT
    )
    factors = repository.with_factor(session, [row.id for row in items])
    return AccountPage(
        items=[view_of(row, live.get(row.id, 0), row.id in factors) for row in items],
        next_cursor=items[-1].name if len(rows) > limit else None,
    )


def get(session: ReadSession, actor: Actor, *, account_id: int) -> AccountView:
    """Raises NotFound."""
    access.require(actor, Permission.ACCOUNTS_READ)
    row, now = repository.get_account(session, account_id), clock.now()
    if row.deleted_at is not None:
        raise NotFound(f"There is no account {account_id}.")
    live = repository.count_live_sessions(
        session, [row.id], now=now, idle_since=now - sessions.IDLE_TIMEOUT
    )
    return view_of(row, live.get(row.id, 0), bool(repository.with_factor(session, [row.id])))


def get_by_name(session: ReadSession, actor: Actor, *, name: str) -> AccountView:
    """Raises NotFound."""
    access.require(actor, Permission.ACCOUNTS_READ)
    row = repository.find_account(session, name_key(name))
    if row is None:
        raise NotFound(f"There is no account named {name.strip()}.")
    return view_of(row, 0, bool(repository.with_factor(session, [row.id])))


def create(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    role: Role | str,
    password: str,
    must_change: bool = False,
) -> AccountView:
    """Make an account; raises InvalidInput (name, role, password), NameTaken; Waiting where a
    policy asks for an approval."""
    access.require(actor, Permission.ACCOUNTS_WRITE)
    name = checked_name(name)
    # slow on purpose, so before the session is asked: from then on it holds SQLite's one lock
    stored = passwords.hash_password(passwords.check_new(password, name=name))
    step_up.require(session, actor)
    return insert(session, actor, name=name, role=role, stored=stored, must_change=must_change)


def insert(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    role: Role | str,
    stored: str,
    must_change: bool,
) -> AccountView:
    """`create` with the password's hash, which alone may wait for an approval."""
    access.require(actor, Permission.ACCOUNTS_WRITE)
    wanted = checked_role(role)
    if repository.find_account(session, name_key(name)) is not None:
        raise NameTaken(name)
    approval.check(
        session,
        actor,
        approval.ROLE,
        "create",
        f"account {name}",
        parameters={"name": name, "role": wanted.value, "must_change": must_change},
        shown={"new account": name, "role": wanted.value},
        secrets={"stored": stored},
    )
    return add_account(
        session, actor, name=name, role=wanted, stored=stored, must_change=must_change
    )


def create_for(
    session: WriteSession, actor: Actor, *, name: str, role: Role | str, password: str
) -> Reset:
    """`create` on behalf of somebody: they are reminded to change the password at sign-in.

    An empty password makes a random one, which is then in `raw`.
    """
    access.require(actor, Permission.ACCOUNTS_WRITE)
    raw = "" if password else passwords.random_password()
    given = password or raw
    try:
        view = create(session, actor, name=name, role=role, password=given, must_change=True)
    except Waiting as exc:
        exc.secret = raw
        raise
    return Reset(account=view, raw=raw)


def add_account(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    role: Role,
    stored: str | None,
    must_change: bool = False,
) -> AccountView:
    """Insert and audit an account; for callers that have checked. Raises NameTaken."""
    now = clock.now()
    row = Account(
        name=name,
        name_key=name_key(name),
        role=role.value,
        password_hash=stored,
        password_changed_at=now if stored else None,
        must_change_password=must_change,
        disabled=False,
        name_pinned=False,
        break_glass_until=None,
        created_at=now,
        created_by=actor.name[:255],
        last_sign_in_at=None,
        version=1,
    )
    if repository.find_account(session, row.name_key) is not None:
        raise NameTaken(name)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as exc:
        raise NameTaken(name) from exc
    _record(session, actor, "create", row, {"role": role.value, "external": stored is None})
    return view_of(row, 0)


def set_role(
    session: WriteSession, actor: Actor, *, account_id: int, role: Role | str, version: int
) -> AccountView:
    """Change a role; it counts at the account's next page run and next action.

    Raises ChangedMeanwhile, LastAdmin, NotFound, InvalidInput; Waiting where a policy asks for an
    approval.
    """
    access.require(actor, Permission.ACCOUNTS_WRITE)
    step_up.require(session, actor)
    wanted = checked_role(role)
    row = locked(session, account_id, version, losing_admin=wanted is not Role.ADMIN)
    ask_approval(session, actor, row, "role", {"role": wanted.value}, {"role after": wanted.value})
    before, row.role = row.role, wanted.value
    changed(session, actor, "role", row, {"before": before, "after": wanted.value})
    return view_of(row, 0)


def set_disabled(
    session: WriteSession,
    actor: Actor,
    *,
    account_id: int,
    disabled: bool,
    version: int,
    revoke_tokens: bool = False,
) -> AccountView:
    """Disable (ends every session at once) or enable an account.

    revoke_tokens: with disabling, end the API tokens that it made, too. Raises ChangedMeanwhile,
    LastAdmin, NotFound; Conflict for one's own account; Waiting where a policy asks for an approval
    to enable. To disable never waits: it may be urgent.
    """
    access.require(actor, Permission.ACCOUNTS_WRITE)
    if disabled and actor.kind == "user" and account_id == actor.id:
        raise Conflict("You cannot disable your own account; another admin can.")
    row = locked(session, account_id, version, losing_admin=disabled)
    if not disabled:
        step_up.require(session, actor)
        ask_approval(session, actor, row, "enable", {"disabled": False}, {"enable": "yes"})
    row.disabled = disabled
    details: dict[str, Any] = {"sessions_ended": 0}
    if disabled:
        ended = sessions.end_all(session, account_id=account_id, reason="account disabled")
        revoked = revoke_tokens_of(session, actor, row, wanted=revoke_tokens)
        details = {"sessions_ended": ended, **revoked}
    changed(session, actor, "disable" if disabled else "enable", row, details)
    return view_of(row, 0)


def reset_password(session: WriteSession, actor: Actor, *, account_id: int, version: int) -> Reset:
    """Give the account a random password, shown once; ends its sessions.

    Raises ChangedMeanwhile, NotFound; InvalidInput for accounts of the identity provider; Waiting
    where a policy asks for an approval: whoever has the password could approve as somebody else.
    """
    access.require(actor, Permission.ACCOUNTS_WRITE)
    raw = passwords.random_password()
    # slow on purpose, so before the session is asked: from then on it holds SQLite's one lock
    stored = passwords.hash_password(raw)
    step_up.require(session, actor)
    try:
        view = set_password(session, actor, account_id=account_id, version=version, stored=stored)
    except Waiting as exc:
        exc.secret = raw
        raise
    return Reset(account=view, raw=raw)


def set_password(
    session: WriteSession, actor: Actor, *, account_id: int, version: int, stored: str
) -> AccountView:
    """`reset_password` with the password's hash, which alone may wait for an approval."""
    access.require(actor, Permission.ACCOUNTS_WRITE)
    row = locked(session, account_id, version, losing_admin=False)
    if row.password_hash is None:
        raise InvalidInput(f"{row.name} signs in with the identity provider and has no password.")
    ask_approval(session, actor, row, "password", {}, {"password": "reset"}, {"stored": stored})
    row.password_hash, row.password_changed_at = stored, clock.now()
    row.must_change_password = True
    ended = sessions.end_all(session, account_id=account_id, reason="password reset")
    changed(session, actor, "reset_password", row, {"sessions_ended": ended})
    return view_of(row, 0)


def reset_second_factor(
    session: WriteSession, actor: Actor, *, account_id: int, version: int
) -> AccountView:
    """Remove the account's second factor, for who lost app and recovery codes; ends its sessions.

    Raises ChangedMeanwhile, NotFound, NotFresh; Conflict when there is none; Waiting where a policy
    asks for an approval.
    """
    access.require(actor, Permission.ACCOUNTS_WRITE)
    step_up.require(session, actor)
    row = locked(session, account_id, version, losing_admin=False)
    if not repository.with_factor(session, [row.id]):
        raise Conflict(f"The account {row.name} has no second factor.")
    ask_approval(session, actor, row, "second_factor", {}, {"second factor": "remove"})
    repository.delete_factors(session, row.id)
    ended = sessions.end_all(session, account_id=account_id, reason="second factor reset")
    changed(session, actor, "reset_second_factor", row, {"sessions_ended": ended})
    return view_of(row, 0)


def revoke_tokens_of(
    session: WriteSession, actor: Actor, row: Account, *, wanted: bool
) -> dict[str, Any]:
    """What the audit log says of it: the numbers of the tokens that an ending account made and
    that ended with it, where that is wanted."""
    access.require(actor, Permission.ACCOUNTS_WRITE)
    if not wanted:
        return {}
    return {"tokens_revoked": api_tokens.revoke_made_by(session, actor, account_id=row.id)}


def ask_approval(
    session: WriteSession,
    actor: Actor,
    row: Account,
    verb: str,
    parameters: dict[str, Any],
    shown: dict[str, Any],
    secrets: dict[str, Any] | None = None,
) -> None:
    """Go on, or wait for an approval: before the first write."""
    approval.check(
        session,
        actor,
        approval.ROLE,
        verb,
        f"account {row.name}",
        parameters={"account_id": row.id, "version": row.version, **parameters},
        shown={"account": row.name, "role": row.role, **shown},
        secrets=secrets,
    )


def locked(session: WriteSession, account_id: int, version: int, *, losing_admin: bool) -> Account:
    """The account, locked; raises NotFound, ChangedMeanwhile since `version`, LastAdmin.

    The admins are locked first and always in the same order: of two admins who demote one
    another at the same instant, the second is told that he is the last.
    """
    admins = repository.lock_admins(session) if losing_admin else []
    row = repository.get_account_locked(session, account_id)
    if row.deleted_at is not None:
        raise NotFound(f"There is no account {account_id}.")
    if row.version != version:
        raise ChangedMeanwhile(row.name)
    local = row.password_hash is not None
    others = [a for a in admins if a.id != account_id and (a.password_hash or not local)]
    if losing_admin and row.role == Role.ADMIN.value and not row.disabled and not others:
        raise LastAdmin(row.name)
    return row


def changed(
    session: WriteSession, actor: Actor, verb: str, row: Account, details: dict[str, Any]
) -> None:
    """Count and audit a change, whose service has asked for the permission."""
    row.version += 1
    session.flush()
    _record(session, actor, verb, row, details)


def _record(
    session: WriteSession, actor: Actor, verb: str, row: Account, details: dict[str, Any]
) -> None:
    audit.done(
        session,
        actor,
        f"accounts:account:{verb}",
        f"account {row.name}",
        account_id=row.id,
        **details,
    )


def view_of(row: Account, live_sessions: int, second_factor: bool = False) -> AccountView:
    """What is handed out of a row."""
    return of_row(
        AccountView,
        row,
        role=Role(row.role),
        external=row.password_hash is None,
        live_sessions=live_sessions,
        second_factor=second_factor,
    )
