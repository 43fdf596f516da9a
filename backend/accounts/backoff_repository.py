"""All SQL of the counters of failed sign-ins."""

from datetime import datetime

from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from backend.core.database import WriteSession
from backend.models.accounts import SignInBackoff


def lock(session: WriteSession, keys: list[str], now: datetime) -> dict[str, SignInBackoff]:
    """The counters of `keys`, made when missing, locked in one order until commit."""
    found: dict[str, SignInBackoff] = {}
    for key in sorted(keys):
        row = session.scalars(_locked(key)).one_or_none()
        if row is None:
            _make(session, key, now)
            row = session.scalars(_locked(key)).one()
        found[key] = row
    return found


def _locked(key: str) -> Select[tuple[SignInBackoff]]:
    return (
        select(SignInBackoff)
        .where(SignInBackoff.key == key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _make(session: WriteSession, key: str, now: datetime) -> None:
    """Insert the counter unless it is there, in one statement that locks it.

    On MySQL a plain INSERT that meets a duplicate keeps a shared lock, and two that then ask for
    the exclusive one are a deadlock; ON DUPLICATE KEY asks for the exclusive lock at once.
    """
    values = {"key": key, "failures": 0, "last_failure_at": now, "blocked_until": None}
    dialect = session.get_bind().dialect.name
    if dialect in ("mysql", "mariadb"):
        session.execute(mysql.insert(SignInBackoff).values(values).on_duplicate_key_update(key=key))
        return
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    session.execute(insert(SignInBackoff).values(values).on_conflict_do_nothing())


def forget(session: WriteSession, keys: list[str]) -> None:
    session.execute(delete(SignInBackoff).where(SignInBackoff.key.in_(keys)))


def take_back_one(session: WriteSession, key: str) -> None:
    session.execute(
        update(SignInBackoff)
        .where(SignInBackoff.key == key, SignInBackoff.failures > 0)
        .values(failures=SignInBackoff.failures - 1, blocked_until=None)
    )


def delete_old(session: WriteSession, before: datetime) -> None:
    session.execute(delete(SignInBackoff).where(SignInBackoff.last_failure_at < before))
