"""Changing one's own password, with the sign-in's waits for guesses at the current one."""

from backend.accounts import backoff, passwords, repository, service, sessions
from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, WriteSession
from backend.core.errors import InvalidInput, PortalError


class WrongPassword(InvalidInput):
    def __init__(self) -> None:
        super().__init__("The current password is wrong.")


def change(database: Database, actor: Actor, *, current: str, new: str, session_id: int) -> int:
    """`change_own_password` for whoever sits at an open session; how many others ended.

    Takes the database and not a session: a wrong guess is counted although nothing is changed.
    Raises TooManyAttempts while a wait is on, and what `change_own_password` raises.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    device = backoff.open_session(session_id)
    with database.write() as session:
        backoff.count_try(session, name_key="", address="", device=device)
    try:
        with database.write() as session:
            ended = change_own_password(
                session, actor, current=current, new=new, session_id=session_id
            )
    except WrongPassword:
        raise
    except PortalError:
        _forgive(database, device)
        raise
    _forgive(database, device)
    return ended


def change_own_password(
    session: WriteSession, actor: Actor, *, current: str, new: str, session_id: int
) -> int:
    """Set a new password of one's own and end one's other sessions; returns how many.

    Raises WrongPassword, and InvalidInput when the new one may not be used.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    row = repository.get_account_locked(session, actor.id)
    if actor.kind != "user" or row.password_hash is None:
        raise InvalidInput("Your password is kept by the identity provider; change it there.")
    if len(current) > passwords.MAX_LENGTH or not passwords.verify(current, row.password_hash):
        raise WrongPassword()
    if current == new:
        raise InvalidInput("The new password is the current one. Choose another one.")
    row.password_hash = passwords.hash_password(passwords.check_new(new, name=row.name))
    row.password_changed_at, row.must_change_password = clock.now(), False
    ended = sessions.end_all(
        session, account_id=row.id, reason="password changed", except_session_id=session_id
    )
    service.changed(session, actor, "change_password", row, {"sessions_ended": ended})
    return ended


def _forgive(database: Database, device: str) -> None:
    with database.write() as session:
        backoff.forgive(session, name_key="", address="", device=device)
