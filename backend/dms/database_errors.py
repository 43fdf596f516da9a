"""What a database driver's error means for the ledger: wait, try again, or tell a person."""

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from backend.core.database import ValueDoesNotFit
from backend.dms.errors import DatabaseException


@contextlib.contextmanager
def translated(address: str) -> Iterator[None]:
    """SQLAlchemy's errors, and values that no column holds, as DatabaseException."""
    try:
        yield
    except ValueDoesNotFit as exc:
        raise unusable(exc) from exc
    except SQLAlchemyError as exc:
        raise explained(exc, address) from exc


@contextlib.contextmanager
def created_by_another(address: str) -> Iterator[None]:
    """A CREATE TABLE that lost a race against another client is a success."""
    try:
        yield
    except DBAPIError as exc:
        if not _exists(exc):
            raise explained(exc, address) from exc


def _exists(exc: DBAPIError) -> bool:
    said = str(exc.orig).lower()
    return "already exists" in said or "pg_type_typname_nsp_index" in said


def unusable(exc: ValueDoesNotFit) -> DatabaseException:
    """A value of the caller's or the server's, not the database, is at fault."""
    found = DatabaseException(exc.message)
    found.status = exc.status
    return found


def explained(exc: SQLAlchemyError, address: str) -> DatabaseException:
    """`exc` in one sentence for a person; never with the statement or its values."""
    said = str(getattr(exc, "orig", exc)).lower()
    for mark, cause in _CAUSES:
        if mark in said:
            found = DatabaseException(f"The ledger at {address}: {cause}")
            if mark == "timed out":
                found.status = 504
            return found
    code = getattr(getattr(exc, "orig", None), "args", [""])[0]
    shown = f" (error {code})" if isinstance(code, int) else ""
    return DatabaseException(
        f"The ledger at {address} cannot be used right now{shown}; check that the database runs."
    )


_CAUSES = (
    ("access denied", "the user name or password was refused; check the connection's credentials."),
    ("authentication failed", "the user name or password was refused; check the credentials."),
    ("command denied", "this user lacks a right; SELECT, INSERT and UPDATE are needed."),
    ("permission denied", "this user lacks a right; SELECT, INSERT and UPDATE are needed."),
    ("unknown database", "there is no such database; check the end of the address."),
    ("name or service not known", "its host name is unknown; check the address."),
    ("name resolution", "its host name is unknown; check the address."),
    ("connection refused", "nothing listens there; check that the database runs."),
    ("can't connect", "it cannot be reached; check that the database runs."),
    ("timed out", "it did not answer in time; check that the database runs."),
    ("max_statement_time", "the query took too long; narrow the filters."),
    ("statement timeout", "the query took too long; narrow the filters."),
    ("deadlock", "transactions kept colliding; try again in a moment."),
    ("database is locked", "another program holds the file's lock; try again in a moment."),
    ("unable to open database file", "the file cannot be opened; check its folder."),
)


#: Deadlock, lock wait timeout (MySQL); serialization failure, deadlock (PostgreSQL).
_RETRY_CODES = frozenset({1213, 1205, "40001", "40P01"})
#: The server is shutting down or the connection broke; client-side codes are 2000 and above.
_GONE_CODES = frozenset({1053, 1152, 1158, 1159, 1160, 1161, 1927})


def is_deadlock(exc: DBAPIError) -> bool:
    """The transaction was rolled back by the database and may simply be run again."""
    code = getattr(exc.orig, "pgcode", None) or next(iter(getattr(exc.orig, "args", ())), None)
    return code in _RETRY_CODES or "database is locked" in str(exc.orig)


def is_gone(exc: DBAPIError) -> bool:
    """The server went away, or is not back yet (1053, 1927: shutting down; 2xxx: client side)."""
    code = next(iter(getattr(exc.orig, "args", ())), None)
    said = str(exc.orig).lower()
    return (
        exc.connection_invalidated
        or (isinstance(code, int) and (2000 <= code < 3000 or code in _GONE_CODES))
        or any(
            mark in said
            for mark in (
                "connection refused",
                "server closed",
                "starting up",
                "shutting down",
                "terminating connection",
            )
        )
    )
