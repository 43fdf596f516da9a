"""Is this name and password right, and then the code of the second factor? With back-off, audit,
and nothing learned from a refusal."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from backend.accounts import backoff, devices, emergency, passwords, repository, totp
from backend.accounts.names import name_key
from backend.core import audit, clock
from backend.core.access import Actor, Role
from backend.core.database import Database, WriteSession
from backend.core.errors import NotAuthenticated
from backend.core.log import get_logger
from backend.models.accounts import Account

log = get_logger(__name__)

ACTION = "accounts:session:sign_in"
#: Who a refused try is written down as. The typed name is not: people type passwords there.
ANONYMOUS = Actor(id=0, name="anonymous", role=Role.VIEWER, kind="system")
REFUSED = "The name or the password is wrong."
WRONG_CODE = "The code is wrong, or was used already. Wait for the next one."
#: How long a code may come after the password.
HALF_WAY = timedelta(minutes=5)


@dataclass
class HalfWay:
    """A right password whose second factor is still to come. Kept on the server."""

    account_id: int
    name_key: str
    #: Both must still hold when the code comes.
    password_changed_at: datetime | None
    at: datetime
    #: The code came and was right. Who presses twice stops the script that took it, and the code
    #: is good once only.
    passed: bool = False


class CodeNeeded(NotAuthenticated):
    """The password was right, and the account has a second factor: `enter_code` goes on."""

    def __init__(self, half_way: HalfWay) -> None:
        super().__init__("Now type the code that your authenticator app shows.")
        self.half_way = half_way


@dataclass(frozen=True)
class _Candidate:
    """What is needed of an account while its password is looked at, without a session."""

    id: int
    name: str
    role: Role
    password_hash: str | None
    disabled: bool
    may_use_password: bool


def authenticate(
    database: Database, *, name: str, password: str, address: str, device: str = ""
) -> Actor:
    """The account that the name and password belong to.

    device: the cookie that an earlier sign-in left in this browser, "" when there is none.

    Takes the database and not a session: bcrypt's quarter second must not hold a lock.
    Raises TooManyAttempts while a wait is on, CodeNeeded for who has a second factor, and
    NotAuthenticated with the same sentence after the same time for an unknown name, a wrong
    password and a disabled account.
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
                emergency.may_use_password(account),
            )
            if account is not None
            else None
        )
    usable = len(password) <= passwords.MAX_LENGTH
    fits = passwords.verify(
        password if usable else "", candidate.password_hash if candidate else None
    )
    closed = candidate is not None and (candidate.disabled or not candidate.may_use_password)
    if candidate is None or not fits or not usable or closed:
        _refused(database, candidate, fits=fits, address=address, waits=counted.waits)
        raise NotAuthenticated(REFUSED)
    actor = _accepted(database, candidate, key=key, address=address, device=browser)
    if isinstance(actor, HalfWay):
        raise CodeNeeded(actor)
    if actor is None:
        _refused(database, candidate, fits=False, address=address, waits=counted.waits)
        raise NotAuthenticated(REFUSED)
    return actor


def enter_code(
    database: Database, half_way: HalfWay, *, code: str, address: str, device: str = ""
) -> Actor:
    """The second step: a code of the account's app, or one of its recovery codes.

    Wrong codes are counted apart from wrong passwords. Raises TooManyAttempts, and
    NotAuthenticated for a wrong or used code and when the code came too late.
    """
    if half_way.passed:
        with database.write() as session:
            return _actor(_still(session, half_way))
    key = half_way.name_key
    with database.write() as session:
        browser = devices.known(session, device, account_id=half_way.account_id)
        counted = backoff.count_try(
            session, name_key=key, address=address, device=browser, step="code"
        )
    with database.write() as session:
        row = _still(session, half_way)
        used = totp.use(session, row.id, code)
        if used is not None:
            backoff.forgive(session, name_key=key, address=address, device=browser, step="code")
            actor = _let_in(session, row, {"address": address, "way": f"password and {used}"})
        else:
            _write_refusal(session, row.name, "wrong code", address=address, waits=counted.waits)
    if used is None:
        raise NotAuthenticated(WRONG_CODE)
    half_way.passed = True
    return actor


def _still(session: WriteSession, half_way: HalfWay) -> Account:
    """The account, locked; raises NotAuthenticated when what was half-way holds no more."""
    row = repository.get_account_locked(session, half_way.account_id)
    if (
        row.disabled
        or row.password_changed_at != half_way.password_changed_at
        or clock.now() - half_way.at > HALF_WAY
    ):
        raise NotAuthenticated(
            "The code came too late, or the account changed meanwhile. Sign in again."
        )
    return row


def _accepted(
    database: Database, candidate: _Candidate, *, key: str, address: str, device: str
) -> Actor | HalfWay | None:
    """None when the account was disabled or got another password while this one was looked at."""
    with database.write() as session:
        row = repository.get_account_locked(session, candidate.id)
        if row.disabled or row.password_hash != candidate.password_hash:
            return None
        backoff.forgive(session, name_key=key, address=address, device=device)
        if repository.find_factor(session, row.id) is not None:
            return HalfWay(row.id, key, row.password_changed_at, clock.now())
        return _let_in(session, row, {"address": address, "way": "password"})


def _actor(row: Account) -> Actor:
    return Actor(id=row.id, name=row.name, role=Role(row.role), kind="user")


def _let_in(session: WriteSession, row: Account, details: dict[str, str]) -> Actor:
    actor = _actor(row)
    row.last_sign_in_at = clock.now()
    audit.done(session, actor, ACTION, f"account {row.name}", **details)
    return actor


def _refused(
    database: Database, candidate: _Candidate | None, *, fits: bool, address: str, waits: bool
) -> None:
    reason = "unknown name" if candidate is None else "wrong credentials"
    if candidate is not None and fits:
        reason = "disabled" if candidate.disabled else "local passwords are off"
    with database.write() as session:
        name = candidate.name if candidate else ""
        _write_refusal(session, name, reason, address=address, waits=waits)


def _write_refusal(
    session: WriteSession, name: str, reason: str, *, address: str, waits: bool
) -> None:
    audit.record(
        session,
        ANONYMOUS,
        ACTION,
        subject=f"account {name}" if name else "unknown account",
        outcome="refused",
        details={"address": address, "reason": reason, "wait_started": waits},
    )
    log.warning("A sign-in was refused.", reason=reason, wait_started=waits)
