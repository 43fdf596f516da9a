"""Changing one's own password, with the sign-in's waits for guesses at the current one."""

from backend.accounts import backoff, passwords, repository, service, sessions
from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession
from backend.core.errors import Conflict, InvalidInput
from backend.models.accounts import Account


class WrongPassword(InvalidInput):
    def __init__(self) -> None:
        super().__init__("The current password is wrong.")


class ChangedWhileAsked(Conflict):
    def __init__(self) -> None:
        super().__init__("The password was changed elsewhere meanwhile. Sign in with the new one.")


def change(database: Database, actor: Actor, *, current: str, new: str, session_id: int) -> int:
    """Set a new password of one's own and end one's other sessions; returns how many.

    Takes the database and not a session: a wrong guess is counted although nothing is changed, and
    bcrypt's half second for the two passwords must not hold a lock. Raises TooManyAttempts while a
    wait is on, WrongPassword, ChangedWhileAsked, and InvalidInput when the new one may not be used.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    device = backoff.open_session(session_id)
    with database.write() as session:
        row = _own(session, actor)
        backoff.count_try(session, name_key="", address="", device=device)
        name, verified = row.name, row.password_hash
    if len(current) > passwords.MAX_LENGTH or not passwords.verify(current, verified):
        raise WrongPassword()
    database.change(backoff.forgive, name_key="", address="", device=device)
    if current == new:
        raise InvalidInput("The new password is the current one. Choose another one.")
    stored = passwords.hash_password(passwords.check_new(new, name=name))
    with database.write() as session:
        row = repository.get_account_locked(session, actor.id)
        if row.password_hash != verified:
            raise ChangedWhileAsked()
        row.password_hash, row.password_changed_at = stored, clock.now()
        row.must_change_password = False
        ended = sessions.end_all(
            session, account_id=row.id, reason="password changed", except_session_id=session_id
        )
        service.changed(session, actor, "change_password", row, {"sessions_ended": ended})
    return ended


def _own(session: ReadSession, actor: Actor) -> Account:
    row = repository.get_account(session, actor.id)
    if actor.kind != "user" or row.password_hash is None:
        raise InvalidInput("Your password is kept by the identity provider; change it there.")
    return row
