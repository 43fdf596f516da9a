"""Is this name and password right? With back-off, audit, and nothing learned from a refusal."""

from dataclasses import dataclass

from backend.accounts import backoff, devices, passwords, repository
from backend.accounts.names import name_key
from backend.core import audit, clock
from backend.core.access import Actor, Role
from backend.core.database import Database
from backend.core.errors import NotAuthenticated
from backend.core.log import get_logger

log = get_logger(__name__)

ACTION = "accounts:session:sign_in"
#: Who a refused try is written down as. The typed name is not: people type passwords there.
ANONYMOUS = Actor(id=0, name="anonymous", role=Role.VIEWER, kind="system")
REFUSED = "The name or the password is wrong."


@dataclass(frozen=True)
class _Candidate:
    """What is needed of an account while its password is looked at, without a session."""

    id: int
    name: str
    role: Role
    password_hash: str | None
    disabled: bool


def authenticate(
    database: Database, *, name: str, password: str, address: str, device: str = ""
) -> Actor:
    """The account that the name and password belong to.

    device: the cookie that an earlier sign-in left in this browser, "" when there is none.

    Takes the database and not a session: bcrypt's quarter second must not hold a lock.
    Raises TooManyAttempts while a wait is on, and NotAuthenticated with the same sentence after
    the same time for an unknown name, a wrong password and a disabled account.
    """
    key = name_key(name)
    with database.write() as session:
        account = repository.find_account(session, key)
        browser = devices.known(session, device, account_id=account.id) if account else ""
        counted = backoff.count_try(session, name_key=key, address=address, device=browser)
        candidate = (
            _Candidate(
                account.id,
                account.name,
                Role(account.role),
                account.password_hash,
                account.disabled,
            )
            if account is not None
            else None
        )
    usable = len(password) <= passwords.MAX_LENGTH
    fits = passwords.verify(
        password if usable else "", candidate.password_hash if candidate else None
    )
    if candidate is None or not fits or not usable or candidate.disabled:
        _refused(database, candidate, fits=fits, address=address, waits=counted.waits)
        raise NotAuthenticated(REFUSED)
    actor = _accepted(database, candidate, key=key, address=address, device=browser)
    if actor is None:
        _refused(database, candidate, fits=False, address=address, waits=counted.waits)
        raise NotAuthenticated(REFUSED)
    return actor


def _accepted(
    database: Database, candidate: _Candidate, *, key: str, address: str, device: str
) -> Actor | None:
    """None when the account was disabled or got another password while this one was looked at."""
    actor = Actor(id=candidate.id, name=candidate.name, role=candidate.role, kind="user")
    with database.write() as session:
        row = repository.get_account_locked(session, candidate.id)
        if row.disabled or row.password_hash != candidate.password_hash:
            return None
        backoff.forgive(session, name_key=key, address=address, device=device)
        row.last_sign_in_at = clock.now()
        audit.record(
            session,
            actor,
            ACTION,
            subject=f"account {candidate.name}",
            outcome="succeeded",
            details={"address": address, "way": "password"},
        )
    return actor


def _refused(
    database: Database, candidate: _Candidate | None, *, fits: bool, address: str, waits: bool
) -> None:
    reason = "unknown name" if candidate is None else "disabled" if fits else "wrong credentials"
    with database.write() as session:
        audit.record(
            session,
            ANONYMOUS,
            ACTION,
            subject=f"account {candidate.name}" if candidate else "unknown account",
            outcome="refused",
            details={"address": address, "reason": reason, "wait_started": waits},
        )
    log.warning("A sign-in was refused.", reason=reason, wait_started=waits)
