"""Dangerous acts ask a signed-in person once more who they are (step-up, ASVS 7.5.3).

The sign-in counts, and so does the password or a code typed once more, for some minutes each. It
is about browsers that are left open and sessions that are stolen: a command has its login and a
program its token, whose limits and end are what holds it; neither can be asked anything.
"""

from datetime import timedelta
from typing import Literal

from backend.accounts import backoff, passwords, repository, totp
from backend.core import access, audit, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotAuthenticated, NotPermitted
from backend.core.settings import get_settings
from backend.models.accounts import AccountSession

ACTION = "accounts:session:step_up"
Way = Literal["password", "code", "identity provider"]


class NotFresh(NotPermitted):
    """The proof of who somebody is is too old for this; a page asks for a new one."""

    def __init__(self, how: str = "Type your password once more, or sign in again.") -> None:
        minutes = get_settings().step_up_minutes
        super().__init__(f"This needs proof of who you are from the last {minutes} minutes. {how}")


def lifetime() -> timedelta:
    """How long a proof of who somebody is lets dangerous acts by."""
    return timedelta(minutes=get_settings().step_up_minutes)


def require(session: ReadSession, actor: Actor) -> None:
    """Raise NotFresh when the browser session that acts was proven too long ago.

    For changing secrets, tokens, roles and second factors, leaving the sandbox, approving.
    """
    if actor.session_id is not None and not is_proven(session, actor):
        raise NotFresh()


def is_proven(session: ReadSession, actor: Actor) -> bool:
    """Whether the actor's own live browser session was proven lately."""
    row = _session(session, actor)
    return row is not None and abs(clock.now() - row.proven_at) < lifetime()


def way(session: ReadSession, actor: Actor) -> Way:
    """How this person proves anew who they are."""
    access.require(actor, Permission.OWN_ACCOUNT)
    if repository.get_account(session, actor.id).password_hash is None:
        return "identity provider"
    return "code" if repository.find_factor(session, actor.id) else "password"


def prove(database: Database, actor: Actor, *, proof: str) -> None:
    """Count the browser session as proven now.

    proof: a code of the second factor where there is one, else the password (`way`).

    Takes the database and not a session: a wrong guess is counted although nothing is changed.
    Raises NotAuthenticated, TooManyAttempts while a wait is on, InvalidInput for other actors.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    device = backoff.open_session(actor.session_id or 0)
    with database.write() as session:
        asked = way(session, actor)
        if asked == "identity provider" or actor.session_id is None:
            raise InvalidInput("Sign in at your identity provider again.")
        backoff.count_try(session, name_key="", address="", device=device)
        stored = repository.get_account(session, actor.id).password_hash
    # bcrypt's quarter second must not hold a lock.
    fits = asked == "password" and _is_password(proof, stored)
    with database.write() as session:
        account = repository.get_account_locked(session, actor.id)
        if asked == "code":
            fits = totp.use(session, actor.id, proof) is not None
        row = _session(session, actor)
        fits = fits and row is not None and account.password_hash == stored
        if fits and row is not None:
            row.proven_at = clock.now()
            backoff.forgive(session, name_key="", address="", device=device)
        record(session, actor, asked, "succeeded" if fits else "refused")
    if not fits:
        raise NotAuthenticated(f"The {asked} is wrong.")


def _session(session: ReadSession, actor: Actor) -> AccountSession | None:
    found = repository.find_session(session, actor.session_id) if actor.session_id else None
    own = found is not None and found.account_id == actor.id and actor.kind == "user"
    return found if own and found is not None and found.ended_at is None else None


def _is_password(password: str, stored: str | None) -> bool:
    return len(password) <= passwords.MAX_LENGTH and passwords.verify(password, stored)


def record(session: WriteSession, actor: Actor, asked: Way, outcome: str) -> None:
    """The audit row of a step-up that was tried."""
    audit.record(
        session,
        actor,
        ACTION,
        subject=f"account {actor.name}",
        outcome=outcome,
        details={"way": asked, "session_id": actor.session_id},
    )
