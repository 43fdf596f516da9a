"""The first start makes one admin; no default password exists."""

import sys
from dataclasses import dataclass

from backend.accounts import passwords, repository, service
from backend.accounts.names import checked_name, name_key
from backend.core.access import SYSTEM, Role
from backend.core.database import Database, ReadSession, StateWriteUnknown
from backend.core.errors import InvalidInput, SettingsError
from backend.core.log import get_logger
from backend.core.settings import Settings

log = get_logger(__name__)


@dataclass(frozen=True)
class FirstAdmin:
    """The admin just made. password: the random one, to be shown once; None when it was given."""

    name: str
    password: str | None


def ensure_first_admin(database: Database, settings: Settings) -> FirstAdmin | None:
    """Make the first admin when there is none, and print a random password once on stdout.

    None when there is an admin. Of two processes that start at once, one makes it. Raises
    SettingsError for a name or a password that may not be used.
    """
    with database.read() as session:
        if repository.any_admin(session):
            return None
    given = settings.admin_password.get_secret_value()
    name = _name(settings)
    if len(given) > passwords.MAX_LENGTH:
        raise SettingsError(
            [f"PORTAL_ADMIN_PASSWORD: at most {passwords.MAX_LENGTH} characters are allowed"]
        )
    _warn_when_weak(given, name)
    made = FirstAdmin(name=name, password=None if given else passwords.random_password())
    if not _store(database, name, passwords.hash_password(made.password or given), bool(given)):
        return None
    if made.password:
        _announce(name, made.password)
    return made


def _store(database: Database, name: str, stored: str, given: bool) -> bool:
    """False when another process was first."""
    try:
        with database.write() as session:
            if repository.any_admin(session):
                return False
            service.add_account(
                session, SYSTEM, name=name, role=Role.ADMIN, stored=stored, must_change=not given
            )
    except StateWriteUnknown:
        # Nobody would ever know the password of an admin who was stored without a word.
        with database.read() as session:
            if _stored(session, name) != stored:
                raise
    except service.NameTaken as exc:
        with database.read() as session:
            if repository.any_admin(session):
                return False
        raise SettingsError(
            [
                f"PORTAL_ADMIN_USER: there is no admin, and the account {name} has another role. "
                "Choose another name for the first admin."
            ]
        ) from exc
    return True


def _stored(session: ReadSession, name: str) -> str | None:
    account = repository.find_account(session, name_key(name))
    return account.password_hash if account else None


def _announce(name: str, password: str) -> None:
    # On stdout and not in the log: logs are kept and collected, this must be seen once only.
    text = (
        "\nSteward Portal made its first admin. The password is shown only this once:\n"
        f"  name:     {name}\n"
        f"  password: {password}\n\n"
    )
    sys.stdout.write(text)
    sys.stdout.flush()


def _name(settings: Settings) -> str:
    try:
        return checked_name(settings.admin_user)
    except InvalidInput as exc:
        raise SettingsError([f"PORTAL_ADMIN_USER: {exc.message}"]) from exc


def _warn_when_weak(given: str, name: str) -> None:
    """A password from the environment is the operator's decision; a weak one is said aloud."""
    if not given:
        return
    try:
        passwords.check_new(given, name=name)
    except InvalidInput as exc:
        log.warning("PORTAL_ADMIN_PASSWORD is weak. Change it after signing in.", why=exc.message)
