"""What a database driver's error means for the ledger: wait, try again, or tell a person."""

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .engine import ValueDoesNotFit
from .errors import DatabaseException


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
    found = DatabaseException(str(exc))
    found.unusable = found.permanent = True
    return found


def explained(exc: SQLAlchemyError, address: str, *, doubtful: bool = False) -> DatabaseException:
    """`exc` in one sentence for a person; never with the statement or its values.

    doubtful: a commit was not answered, so what it wrote may be stored.
    """
    original = getattr(exc, "orig", exc)
    code, said = code_of(exc), str(original).lower()
    cause = _BY_CODE.get(code) if code is not None else None
    if cause is None:
        cause = next((words for mark, words in _CAUSES if mark in said), None)
    if cause is None:
        shown = f" (error {code})" if code is not None else ""
        cause = f"it cannot be used right now{shown}; check that the database runs."
    said = f"The ledger at {address}: {cause}"
    if doubtful:
        said += " The connection broke while it stored a change, so look at the entry first."
    found = DatabaseException(said, outcome="unknown" if doubtful else "not_delivered")
    found.permanent = is_permanent(exc)
    found.timed_out = "timed out" in str(original).lower()
    return found


def code_of(exc: SQLAlchemyError) -> int | str | None:
    """MySQL's error number, or PostgreSQL's SQLSTATE; SQLite's driver passes no number on."""
    original = getattr(exc, "orig", None)
    code = next(iter(getattr(original, "args", ())), None)
    if isinstance(code, int):  # before the state: PyMySQL gives both, and the number says more
        return code
    state = getattr(original, "pgcode", None) or getattr(original, "sqlstate", None)
    return state if isinstance(state, str) else None


_NO_PARENT = "it knows no such job, target or host (a foreign key); make that entry first."
_TWICE = "it holds such a row already (a unique key), perhaps in another spelling."
_CHARACTERS = "its character set or collation does not take this text; choose another name."
_TOO_LONG = "a value is too long for its column."
_MISSING = "it refuses a row without a value that its own definition requires."
_RULE = "a rule of its own (a CHECK or a trigger) refuses the row."
_NO_RIGHT = "this user lacks a right; SELECT, INSERT and UPDATE are needed."
_CHANGED = "its table is no longer what it was when the client connected; compare its columns."
_TYPE = "a column of its table has a type that the client cannot compare; see its columns."
_READ_ONLY = "it is read-only at the moment; it may be failing over."
_LOCKED = "another transaction held the row for too long; try again in a moment."
_FULL = "it takes no more connections at the moment; try again."
_LOGIN = "the user name or password was refused; check the connection's credentials."
_NO_TLS = "it takes encrypted connections only; switch TLS on in its address."
_NO_DATABASE = "there is no such database; check the end of the address."
_NOT_READY = "its node is not ready (it joins its cluster, starts or stops); try again."

#: What a number means. MySQL and MariaDB: integers. PostgreSQL: SQLSTATE.
_BY_CODE: dict[int | str, str] = {
    **dict.fromkeys((1452, 1216, 1451, 1217, "23503"), _NO_PARENT),
    **dict.fromkeys((1062, 1586, "23505"), _TWICE),
    **dict.fromkeys((1267, 1270, 1271, 1366, 3988, "22021", "22P05"), _CHARACTERS),
    **dict.fromkeys((1406, 1264, "22001", "22003"), _TOO_LONG),
    **dict.fromkeys((1048, 1364, "23502"), _MISSING),
    **dict.fromkeys((3819, 4025, 1644, "23514", "P0001"), _RULE),
    **dict.fromkeys((1142, 1143, 1044, "42501"), _NO_RIGHT),
    **dict.fromkeys((1054, 1146, "42703", "42P01"), _CHANGED),
    **dict.fromkeys(("42883", "42804"), _TYPE),
    **dict.fromkeys((1290, 1792, 1836, "25006"), _READ_ONLY),
    **dict.fromkeys((1205, 3572, "55P03"), _LOCKED),
    **dict.fromkeys((1045, 1698, "28P01", "28000"), _LOGIN),
    **dict.fromkeys((1049, "3D000"), _NO_DATABASE),
    3159: _NO_TLS,
    **dict.fromkeys((1040, 1203, 1226, "53300"), _FULL),
    **dict.fromkeys((1047, 1053, 3032, "57P01", "57P02", "57P03"), _NOT_READY),
    **dict.fromkeys((1969, 3024, "57014"), "the query took too long; narrow the filters."),
}
#: Of these, what will not go away by waiting.
_PERMANENT = frozenset(
    code
    for code, cause in _BY_CODE.items()
    if cause in (_NO_PARENT, _TWICE, _CHARACTERS, _TOO_LONG, _MISSING, _RULE, _NO_RIGHT)
    or cause in (_CHANGED, _TYPE)
)
_PASSING = frozenset(
    code for code, cause in _BY_CODE.items() if cause in (_READ_ONLY, _LOCKED, _FULL, _NOT_READY)
)
#: The same in SQLite's words.
_PERMANENT_WORDS = ("constraint failed", "datatype mismatch", "no such table", "no such column")
_PASSING_WORDS = ("readonly database", "database is locked", "database table is locked")

_CAUSES = (
    ("foreign key constraint failed", _NO_PARENT),
    ("unique constraint failed", _TWICE),
    ("not null constraint failed", _MISSING),
    ("check constraint failed", _RULE),
    ("readonly database", _READ_ONLY),
    ("authentication failed", _LOGIN),
    ("permission denied", _NO_RIGHT),
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


def is_permanent(exc: SQLAlchemyError) -> bool:
    """Waiting changes nothing: the row, a name or a right is at fault."""
    code = code_of(exc)
    if code is not None:
        return code in _PERMANENT
    return any(mark in str(getattr(exc, "orig", "")).lower() for mark in _PERMANENT_WORDS)


def is_passing(exc: DBAPIError) -> bool:
    """It may be over in a moment: away, starting, read-only while it fails over, full, locked."""
    if is_gone(exc) or code_of(exc) in _PASSING:
        return True
    return any(mark in str(exc.orig).lower() for mark in _PASSING_WORDS)


#: Deadlock, lock wait timeout (MySQL); serialization failure, deadlock (PostgreSQL).
_RETRY_CODES = frozenset({1213, 1205, "40001", "40P01"})
#: The server is shutting down or the connection broke; client-side codes are 2000 and above.
_GONE_CODES = frozenset({1053, 1152, 1158, 1159, 1160, 1161, 1927})


def is_deadlock(exc: DBAPIError) -> bool:
    """The transaction was rolled back by the database and may simply be run again."""
    return code_of(exc) in _RETRY_CODES or "database is locked" in str(exc.orig)


def died_idle(exc: DBAPIError) -> bool:
    """The pooled connection was dead already; a server that is silent is not asked twice."""
    return exc.connection_invalidated and "timed out" not in str(exc.orig).lower()


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
