"""The second factor of one's own account: set up, replaced, turned off."""

import json
from datetime import timedelta

from backend.accounts import backoff, repository, step_up, totp
from backend.accounts.schemas import Enrolment, SecondFactorView
from backend.core import access, audit, clock
from backend.core.access import Actor, Permission, Role
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import Conflict, InvalidInput
from backend.core.settings import get_settings
from backend.models.accounts import Account

#: How long the code that turns a begun factor on may take to come.
SET_UP = timedelta(minutes=15)


class WrongCode(InvalidInput):
    def __init__(self) -> None:
        super().__init__(
            "The code is wrong, or was used already. Wait for the next one; if none fits, compare "
            "the clocks of the phone and of the portal's machine."
        )


def is_required(role: Role) -> bool:
    return role in get_settings().second_factor_roles


def is_missing(session: ReadSession, account: Account) -> bool:
    """Whether the account's role asks for a second factor that it does not have."""
    asked = account.password_hash is not None and is_required(Role(account.role))
    return asked and repository.find_factor(session, account.id) is None


def status(session: ReadSession, actor: Actor) -> SecondFactorView:
    """One's own second factor."""
    access.require(actor, Permission.OWN_ACCOUNT)
    row = repository.find_factor(session, actor.id)
    return SecondFactorView(
        on=row is not None,
        since=row.confirmed_at if row else None,
        recovery_codes_left=len(json.loads(row.recovery_hashes)) if row else 0,
        required=is_required(actor.role),
    )


def begin(session: WriteSession, actor: Actor) -> Enrolment:
    """A new secret for one's own app; it counts once `confirm` got a code of it.

    One that is on stays on until then. Raises NotFresh; InvalidInput for who has no password here.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    step_up.require(session, actor)
    account = _own(session, actor)
    repository.delete_factors(session, account.id, confirmed=False)
    row, secret = totp.new_factor(account.id)
    session.add(row)
    session.flush()
    return Enrolment(secret=secret, uri=totp.address_of(secret, account.name))


def confirm(database: Database, actor: Actor, *, code: str) -> list[str]:
    """Turn the begun factor on with a code of the app; the recovery codes, shown only now.

    Takes the database and not a session: whoever guesses at a factor that somebody else began
    would be shown its recovery codes, so wrong codes are counted, and wait as at the sign-in.
    Raises WrongCode, TooManyAttempts; Conflict when nothing was begun within the last minutes.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    tries = f"set-up of a second factor {actor.id}"
    with database.write() as session:
        _own(session, actor)
        backoff.count_try(session, name_key="", address="", device=tries, step="code")
    with database.write() as session:
        account = _own(session, actor)
        row = repository.find_factor(session, account.id, confirmed=False)
        if row is None or clock.now() - row.created_at > SET_UP:
            raise Conflict("No second factor is being set up any more. Begin again.")
        if not totp.fits(row, code):
            raise WrongCode()
        backoff.forgive(session, name_key="", address="", device=tries, step="code")
        repository.delete_factors(session, account.id, confirmed=True)
        row.confirmed_at = clock.now()
        codes = totp.new_recovery_codes(session, row)
        _record(session, actor, account, "second_factor_on")
    return codes


def renew_recovery_codes(session: WriteSession, actor: Actor) -> list[str]:
    """Ten new recovery codes, shown only now; the old ones serve no more. Raises NotFresh."""
    access.require(actor, Permission.OWN_ACCOUNT)
    step_up.require(session, actor)
    account = _own(session, actor)
    row = repository.find_factor(session, account.id)
    if row is None:
        raise Conflict("Your account has no second factor.")
    codes = totp.new_recovery_codes(session, row)
    _record(session, actor, account, "recovery_codes")
    return codes


def turn_off(session: WriteSession, actor: Actor) -> bool:
    """Remove one's own second factor; False when there was none.

    Raises NotFresh; Conflict when the role asks for one.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    step_up.require(session, actor)
    account = _own(session, actor)
    if is_required(Role(account.role)):
        raise Conflict(
            f"Accounts with the role {account.role} must have a second factor. Set up another app "
            "instead; it replaces this one."
        )
    removed = repository.delete_factors(session, account.id) > 0
    if removed:
        _record(session, actor, account, "second_factor_off")
    return removed


def _own(session: WriteSession, actor: Actor) -> Account:
    if actor.kind != "user":
        raise InvalidInput("Only a person with an account has a second factor.")
    account = repository.get_account_locked(session, actor.id)
    if account.password_hash is None:
        raise InvalidInput("Your identity provider asks for a second factor; set it up there.")
    return account


def _record(session: WriteSession, actor: Actor, account: Account, verb: str) -> None:
    audit.done(
        session, actor, f"accounts:account:{verb}", f"account {account.name}", account_id=account.id
    )
