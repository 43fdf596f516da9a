"""psycopg2's errors in the portal's words; messages never carry a value of a row."""

import contextlib
from collections.abc import Iterator

import psycopg2
from psycopg2 import errorcodes

from backend.core.errors import (
    Conflict,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.postgres.deadline import NoAnswer

SYSTEM = "PostgreSQL"


class SourceRefused(UpstreamError):
    """The server answered, and the answer is no (rights, constraints, limits)."""


class LockNotAvailable(Conflict):
    """Another session holds a lock that this one needs."""


#: SQLSTATE → (cause, advice). The server's own message can quote values, so it is not passed on.
_KNOWN: dict[str, tuple[str, str]] = {
    errorcodes.INSUFFICIENT_PRIVILEGE: (
        "the login lacks a right that this needs",
        "Grant the login SELECT and UPDATE on the table, and TEMP on the database",
    ),
    errorcodes.INVALID_PASSWORD: (
        "the password was refused",
        "Set the connection's user and password again",
    ),
    errorcodes.INVALID_AUTHORIZATION_SPECIFICATION: (
        "the login was refused",
        "Check the connection's user, and pg_hba.conf on the server",
    ),
    errorcodes.INVALID_CATALOG_NAME: (
        "that database does not exist on the server",
        "Check the connection's database",
    ),
    errorcodes.TOO_MANY_CONNECTIONS: (
        "the server has no free connection",
        "Try again in a moment",
    ),
    errorcodes.DISK_FULL: ("the server's disk is full", "Nothing was changed; make room and retry"),
    errorcodes.READ_ONLY_SQL_TRANSACTION: (
        "the server is read-only (a replica, or default_transaction_read_only)",
        "Point the connection at the primary server",
    ),
    errorcodes.DEADLOCK_DETECTED: (
        "the server ended a deadlock by stopping this session",
        "Nothing was changed; try again",
    ),
    errorcodes.STRING_DATA_RIGHT_TRUNCATION: (
        "a token is longer than its column",
        "Nothing was changed; widen the column",
    ),
    errorcodes.PROGRAM_LIMIT_EXCEEDED: (
        "a token is too long for an index on its column",
        "Nothing was changed; drop the index first, or use the hmac-sha256 scheme",
    ),
    errorcodes.UNDEFINED_TABLE: ("the table is gone", "Preview the dataset again"),
    errorcodes.UNDEFINED_COLUMN: ("a column is gone", "Preview the dataset again"),
}


def is_lost(exc: BaseException) -> bool:
    """Whether the connection broke, so that what the server did last is not known here."""
    if not isinstance(exc, psycopg2.OperationalError | psycopg2.InterfaceError):
        return False
    code = getattr(exc, "pgcode", None)
    return code is None or (code[:2] in ("57", "08") and code != errorcodes.QUERY_CANCELED)


@contextlib.contextmanager
def translated(where: str = "") -> Iterator[None]:
    """Turn psycopg2's errors into the portal's; `where` names the server or table in the text."""
    try:
        yield
    except psycopg2.Error as exc:
        raise as_portal_error(exc, where) from exc


def as_portal_error(exc: psycopg2.Error, where: str = "") -> UpstreamError | LockNotAvailable:
    """The portal's error for one of psycopg2's."""
    code = exc.pgcode
    system = f"{SYSTEM} {where}".strip()
    if code == errorcodes.LOCK_NOT_AVAILABLE:
        return LockNotAvailable(
            f"{system}: another session holds a lock on the table and did not let go in time. "
            "Nothing was changed; try again when it has finished."
        )
    if code == errorcodes.QUERY_CANCELED:
        return UpstreamTimeout(
            system,
            "a statement took longer than its time limit and was stopped",
            "Nothing was changed; raise the limit or choose a quieter hour.",
        )
    if code in _KNOWN:
        cause, advice = _KNOWN[code]
        return SourceRefused(system, cause, advice + ".")
    if code is not None and code.startswith("23"):
        return _constraint_broken(system, exc)
    if isinstance(exc, NoAnswer):
        return UpstreamTimeout(
            system,
            f"it took the statement and gave no answer within {exc.seconds:,.0f} seconds",
            "It rolls the open transaction back when it moves again; until then its session can "
            "hold locks. Look at the server, or end the session with pg_terminate_backend.",
        )
    if is_lost(exc):
        return _unreachable(system, exc)
    return SourceRefused(
        system,
        f"the server refused with SQLSTATE {code or 'none'} ({type(exc).__name__})",
        "Look the time up in the server's log.",
    )


def _constraint_broken(system: str, exc: psycopg2.Error) -> SourceRefused:
    name = exc.diag.constraint_name or "unnamed"
    advice = "leave that column out or drop the constraint."
    if exc.pgcode == errorcodes.UNIQUE_VIOLATION:
        advice = (
            "perhaps a value was tokenized before and entered again: merge or remove such rows, "
            "or leave that column out."
        )
    return SourceRefused(
        system, f"the constraint {name} refused a token", f"Nothing was changed; {advice}"
    )


def _unreachable(system: str, exc: psycopg2.Error) -> UpstreamError:
    """The connection could not be made, or broke; libpq's text is classified, never shown."""
    text = str(exc).lower()
    if exc.pgcode is None:
        for phrase, (cause, advice) in _LIBPQ.items():
            if phrase in text:
                if phrase == "timeout":
                    return UpstreamTimeout(system, cause, advice)
                if phrase in _REFUSALS:
                    return SourceRefused(system, cause, advice)
                return UpstreamUnavailable(system, cause, advice)
    return UpstreamUnavailable(
        system,
        "the connection broke",
        "The server may be restarting; try again in a moment.",
    )


_REFUSALS = frozenset(
    {
        "password authentication failed",
        "no password supplied",
        "no pg_hba.conf entry",
        "does not exist",
    }
)
#: Phrases of libpq and of the server's start-up answers, most specific first.
_LIBPQ: dict[str, tuple[str, str]] = {
    "could not translate host name": (
        "its host name is not known (DNS)",
        "Check the connection's host.",
    ),
    "password authentication failed": (
        "the password was refused",
        "Set the connection's user and password again.",
    ),
    "no password supplied": (
        "it asks for a password and none is stored",
        "Set the connection's password.",
    ),
    "no pg_hba.conf entry": (
        "its pg_hba.conf does not let this machine and user in",
        "Ask its administrator for an entry, or check sslmode.",
    ),
    "ssl": ("the TLS handshake failed", "Check the connection's sslmode and the certificate."),
    "connection refused": (
        "nothing listens at that host and port",
        "Check host and port, and that the server runs.",
    ),
    "no such file or directory": (
        "there is no server at that socket folder",
        "Check the connection's host, and that the server runs.",
    ),
    "timeout": ("it did not answer in time", "Check host and port, and the firewall between."),
    "does not exist": (
        "that database or user does not exist on the server",
        "Check the connection's database and user.",
    ),
    "starting up": ("the server is starting up", "Try again in a moment."),
    "shutting down": ("the server is shutting down", "Try again when it is back."),
    "recovery mode": ("the server is recovering from a crash", "Try again in a moment."),
    "too many clients": ("the server has no free connection", "Try again in a moment."),
}
