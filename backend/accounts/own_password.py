"""Changing one's own password, with the sign-in's waits for guesses at the current one."""

from backend.accounts import backoff, service
from backend.accounts.names import name_key
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import PortalError


def change(database: Database, actor: Actor, *, current: str, new: str, session_id: int) -> int:
    """`service.change_own_password` for whoever sits at an open session; how many others ended.

    Takes the database and not a session: a wrong guess is counted although nothing is changed.
    Raises TooManyAttempts while a wait is on, and what `service.change_own_password` raises.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    key = name_key(actor.name)
    # Stands for the address in the counters: it is this account's open session that guesses.
    place = f"own password of {actor.id}"
    with database.write() as session:
        backoff.count_try(session, name_key=key, address=place)
    try:
        with database.write() as session:
            ended = service.change_own_password(
                session, actor, current=current, new=new, session_id=session_id
            )
    except service.WrongPassword:
        raise
    except PortalError:
        _forgive(database, key, place)
        raise
    _forgive(database, key, place)
    return ended


def _forgive(database: Database, key: str, place: str) -> None:
    with database.write() as session:
        backoff.forgive(session, name_key=key, address=place)
