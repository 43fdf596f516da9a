"""The break-glass account: an admin made on the server while the identity provider lets nobody in.

With PORTAL_LOCAL_PASSWORDS=off it is the only one whose password counts, and only for some hours.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backend.accounts import passwords, repository, service, sessions
from backend.accounts.names import checked_name, name_key
from backend.accounts.schemas import AccountView
from backend.core import access, clock
from backend.core.access import Actor, Permission, Role
from backend.core.database import WriteSession
from backend.core.errors import Conflict, NotPermitted
from backend.core.settings import get_settings
from backend.models.accounts import Account

DEFAULT_HOURS = 8
MAX_HOURS = 72


@dataclass(frozen=True)
class BreakGlass:
    """raw: the password, shown once and never again."""

    account: AccountView
    until: datetime
    raw: str = field(repr=False)


def passwords_are_off() -> bool:
    return get_settings().local_passwords == "off"


def may_use_password(account: Account) -> bool:
    """Whether the account's password opens it now."""
    until = account.break_glass_until
    return not passwords_are_off() or (until is not None and until > clock.now())


def open_account(
    session: WriteSession, actor: Actor, *, name: str, hours: int = DEFAULT_HOURS
) -> BreakGlass:
    """Make the account `name`, or give it a new password; an enabled admin for `hours`.

    Raises NotPermitted for whoever is not at the command line of the portal's machine, Conflict
    for the account of somebody else (one that no `open_account` made).
    """
    access.require(actor, Permission.ACCOUNTS_WRITE)
    if actor.kind != "cli":
        raise NotPermitted("A break-glass account is made at the command line of the server only.")
    name, raw = checked_name(name), passwords.random_password()
    stored, until = passwords.hash_password(raw), clock.now() + timedelta(hours=hours)
    row = repository.find_account(session, name_key(name))
    if row is None:
        made = service.add_account(session, actor, name=name, role=Role.ADMIN, stored=stored)
        row = repository.get_account_locked(session, made.id)
    else:
        row = repository.get_account_locked(session, row.id)
        if row.break_glass_until is None:
            raise Conflict(f"{row.name} is somebody's account. Choose another name.")
        sessions.end_all(session, account_id=row.id, reason="break-glass opened again")
    row.password_hash, row.password_changed_at = stored, clock.now()
    row.role, row.disabled, row.break_glass_until = Role.ADMIN.value, False, until
    service.changed(session, actor, "break_glass", row, {"until": clock.to_the_second(until)})
    return BreakGlass(account=service.view_of(row, 0), until=until, raw=raw)
