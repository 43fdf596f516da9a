"""psycopg2's errors in the portal's words; messages never carry a value of a row."""

import contextlib
import re
from collections.abc import Iterator, Mapping

import psycopg2
from psycopg2 import errorcodes

from backend.core import outside
from backend.core.errors import (
    Conflict,
    CredentialsRefused,
    NothingListens,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
    WrongSystem,
)
from backend.integrations import network
from backend.integrations.network import Place
from backend.integrations.postgres.deadline import BrokenAtOnce, NoAnswer

SYSTEM = "PostgreSQL"
#: Which words of an advice switch TLS on and off: in a setting, in a URL.
SETTING = {"on": "set TLS (sslmode) to require", "off": "set TLS (sslmode) to prefer or disable"}
URL = {"on": "add ?sslmode=require to the URL", "off": "take sslmode out of the URL"}


class SourceRefused(UpstreamError):
    """The server answered, and the answer is no (rights, constraints, limits)."""


class LoginRefused(SourceRefused, CredentialsRefused):
    """The server does not accept this user and password."""


class LockNotAvailable(Conflict):
    """Another session holds a lock that this one needs."""


#: SQLSTATE → (cause, advice). The server's own message can quote values, so it is not passed on.
_KNOWN: dict[str, tuple[str, str]] = {
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
        "Nothing was changed; drop the index first, or use a hmac scheme",
    ),
    errorcodes.UNDEFINED_TABLE: ("the table is gone", "Preview the dataset again"),
    errorcodes.UNDEFINED_COLUMN: ("a column is gone", "Preview the dataset again"),
}


#: The server's files in which a whole row, not an index's entry, is what is too long: the SQLSTATE
#: is one, and the sentence is in the server's language.
_ROW_FILES = ("hio.c", "rewriteheap.c")
_ROW_TOO_LONG = (
    "a row with its tokens is longer than a page of the server",
    "Nothing was changed; tokenize fewer of its columns, or with a shorter scheme",
)


def _is_row_too_long(exc: psycopg2.Error) -> bool:
    return exc.pgcode == errorcodes.PROGRAM_LIMIT_EXCEEDED and exc.diag.source_file in _ROW_FILES


def is_lost(exc: BaseException) -> bool:
    """Whether the connection broke, so that what the server did last is not known here."""
    if not isinstance(exc, psycopg2.OperationalError | psycopg2.InterfaceError):
        return False
    code = getattr(exc, "pgcode", None)
    return code is None or (code[:2] in ("57", "08") and code != errorcodes.QUERY_CANCELED)


@contextlib.contextmanager
def translated(where: str = "") -> Iterator[None]:
    """Turn psycopg2's errors into the portal's; `where` names the server or table in the text."""
    with outside.call("postgres"):
        try:
            yield
        except psycopg2.Error as exc:
            raise as_portal_error(exc, where) from exc


def as_portal_error(
    exc: psycopg2.Error,
    where: str = "",
    *,
    system: str = SYSTEM,
    tls: Mapping[str, str] = SETTING,
) -> UpstreamError | LockNotAvailable:
    """The portal's error for one of psycopg2's; system: whom people know it as. tls: where TLS is
    set."""
    code = exc.pgcode
    system = f"{system} {where}".strip()
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
    if code == errorcodes.INSUFFICIENT_PRIVILEGE:
        return _no_right(system, exc)
    if code in _KNOWN:
        cause, advice = _ROW_TOO_LONG if _is_row_too_long(exc) else _KNOWN[code]
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
        return _unreachable(system, exc, tls)
    if code == errorcodes.RAISE_EXCEPTION:
        return _raised(system, exc)
    return SourceRefused(
        system,
        f"the server refused with SQLSTATE {code or 'none'} ({type(exc).__name__})",
        "Look the time up in the server's log.",
    )


def _constraint_broken(system: str, exc: psycopg2.Error) -> SourceRefused:
    name = exc.diag.constraint_name or "unnamed"
    advice = "leave that column out or drop the constraint."
    if exc.pgcode == errorcodes.NOT_NULL_VIOLATION:
        return SourceRefused(
            system,
            f"the column {exc.diag.column_name}, which takes no NULL, would have become one",
            "Nothing was changed; leave the column out that it is computed from, or drop NOT NULL.",
        )
    if exc.pgcode == errorcodes.UNIQUE_VIOLATION:
        advice = (
            "perhaps a value was tokenized before and entered again: merge or remove such rows, "
            "or leave that column out."
        )
    return SourceRefused(
        system, f"the constraint {name} refused a token", f"Nothing was changed; {advice}"
    )


def _no_right(system: str, exc: psycopg2.Error) -> SourceRefused:
    """The server's own sentence names what the right is for, and no value; one that a function of
    the database raised may."""
    said = "" if exc.diag.context else " ".join((exc.diag.message_primary or "").split())[:200]
    return SourceRefused(
        system,
        f"the login lacks a right that this needs{f' ({said})' if said else ''}",
        "Grant the login that right; a run needs SELECT and UPDATE on the table, TEMP on the "
        "database, and what everybody may do unless it was revoked.",
    )


#: Where an error of a function came about; what comes behind this line can hold values.
_FUNCTION = re.compile(r"PL/pgSQL function ([\w.$\"]+)\(")


def _raised(system: str, exc: psycopg2.Error) -> SourceRefused:
    """RAISE EXCEPTION, by a trigger in most cases. Its sentence can quote values."""
    found = _FUNCTION.match(exc.diag.context or "")
    name = f"the function {found[1]} " if found else "a function or trigger "
    return SourceRefused(
        system,
        f"{name}of the database refused it (RAISE EXCEPTION)",
        "Nothing was changed; look at the table's triggers, and at the database's event triggers. "
        "The server's log has the reason.",
    )


def explain(exc: BaseException, system: str, place: Place) -> UpstreamError | LockNotAvailable:
    """What a driver's error means when somebody connects by a URL as `system` (a ledger, say)."""
    if isinstance(exc, psycopg2.Error):
        return as_portal_error(exc, system=system, tls=URL)
    found = network.explain(exc, system, place)
    return found or UpstreamUnavailable(system, "the connection broke", "Try again in a moment.")


def _unreachable(system: str, exc: psycopg2.Error, tls: Mapping[str, str]) -> UpstreamError:
    """The connection could not be made, or broke.

    While a connection is made libpq passes on no SQLSTATE, only the server's sentence: it is read
    by its fixed words, and an unknown one is shown as the server said it. It names users, hosts
    and databases, and no values of rows.
    """
    if isinstance(exc, BrokenAtOnce):
        return UpstreamUnavailable(
            system,
            "it let this login in and broke the connection at the first transaction",
            "A pooler does that in statement mode (give the portal a pool in transaction or "
            "session mode) or when it has no free connection; its log has the reason.",
        )
    said = " ".join(str(exc).split())
    for kind, pattern, cause, advice in _WHILE_CONNECTING:
        found = re.search(pattern, said)
        if found:
            return kind(system, cause.format(**found.groupdict()), _sentence(advice.format(**tls)))
    if exc.pgcode is None and "FATAL:" in said:
        words = said.rpartition("FATAL:")[2].strip()[:200]
        return SourceRefused(system, f"the server refused: {words}", "Ask its administrator.")
    return UpstreamUnavailable(
        system,
        "the connection broke",
        "Try again in a moment; the server's log has its reason.",
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


_AGAIN = "Try again in a moment."
_CHECK = "Check host and port, and that the server runs."
_NOT_LET_IN = (
    r"(no pg_hba.conf entry for|pg_hba.conf rejects connection for) host \"(?P<host>[^\"]*)\""
)
#: What libpq and the server's start-up say (fe-connect.c, fe-secure-openssl.c, postinit.c,
#: auth.c, postmaster.c), the most specific first.
_WHILE_CONNECTING: tuple[tuple[type[UpstreamError], str, str, str], ...] = (
    (
        UpstreamUnavailable,
        r"could not translate host name \"(?P<host>[^\"]*)\"",
        "the host name {host} is not known (DNS)",
        "Check the spelling, and that the portal's machine can resolve the name.",
    ),
    (
        LoginRefused,
        r"(password|SCRAM|LDAP|GSSAPI|PAM|certificate) authentication failed for user",
        "the user name or password was refused",
        "Set the connection's user and password again; the account may have expired, too.",
    ),
    (
        LoginRefused,
        "no password supplied",
        "it asks for a password and none is stored",
        "Set the connection's password.",
    ),
    (
        SourceRefused,
        # prefer and allow tell both tries; one of TLS that was refused, too, is no matter of TLS
        r"^(?!.*(SSL|GSS) encryption).*" + _NOT_LET_IN + ".*, no encryption",
        "its pg_hba.conf does not let {host} in as this user without TLS",
        "{on}; if it says the same of TLS then, ask its administrator for an entry.",
    ),
    (
        SourceRefused,
        "FATAL: SSL (connection is )?required",
        "it takes encrypted connections only",
        "{on}.",
    ),
    (
        SourceRefused,
        _NOT_LET_IN,
        "its pg_hba.conf does not let {host} in as this user to this database",
        "Ask its administrator for an entry.",
    ),
    (
        SourceRefused,
        r"role \"(?P<name>[^\"]*)\" is not permitted to log in",
        "the role {name} may not log in (NOLOGIN)",
        "Use a role with LOGIN, or have ALTER ROLE … LOGIN run.",
    ),
    (
        UpstreamUnavailable,
        r"too many connections for (?P<what>role|database) \"(?P<name>[^\"]*)\"",
        "the {what} {name} has as many connections open as its limit allows",
        "Close some, or have its CONNECTION LIMIT raised.",
    ),
    (
        UpstreamUnavailable,
        "too many clients already|remaining connection slots are reserved",
        "the server has no free connection (max_connections)",
        _AGAIN,
    ),
    (
        SourceRefused,
        r"permission denied for database \"(?P<name>[^\"]*)\"",
        "this user may not connect to the database {name}",
        "Have GRANT CONNECT ON DATABASE run for it.",
    ),
    (
        SourceRefused,
        r"database \"(?P<name>[^\"]*)\" is not currently accepting connections",
        "the database {name} takes no connections now (ALLOW_CONNECTIONS is off)",
        "Check the connection's database, or ask its administrator.",
    ),
    (
        SourceRefused,
        r"database \"(?P<name>[^\"]*)\" does not exist",
        "the database {name} does not exist on the server",
        "Check the connection's database.",
    ),
    (
        SourceRefused,
        r"role \"(?P<name>[^\"]*)\" does not exist",
        "the role {name} does not exist on the server",
        "Check the connection's user.",
    ),
    (
        SourceRefused,
        "server does not support SSL",
        "the server has no TLS, and the connection asks for it",
        "{off}, or have TLS switched on at the server.",
    ),
    (
        SourceRefused,
        r"root certificate file \"[^\"]*\" does not exist",
        "there is no root certificate to check the server's certificate against",
        "Give the portal the issuer's certificate, or {on}.",
    ),
    (
        UpstreamUnavailable,
        r"certificate verify failed|server certificate for .* does not match host name",
        "the server's TLS certificate is not trusted or made for another name",
        "Give the portal the issuer's certificate, and enter the name that the server's is for.",
    ),
    (
        WrongSystem,
        "received invalid response to (SSL|GSSAPI) negotiation|expected authentication request",
        "what listens there is not PostgreSQL",
        "Check host and port.",
    ),
    (UpstreamUnavailable, "SSL error: ", "the TLS handshake failed", "Check the setting TLS."),
    (
        NothingListens,
        r"failed: Connection refused",
        "nothing listens at that host and port",
        _CHECK,
    ),
    (
        UpstreamUnavailable,
        r"failed: No such file or directory",
        "there is no server at that socket folder",
        "Check the connection's host, and that the server runs.",
    ),
    (
        UpstreamUnavailable,
        "No route to host|Network is unreachable",
        "there is no way to it from the portal's machine",
        "Check the host, and the network and firewall between.",
    ),
    (
        UpstreamTimeout,
        "timeout expired|Connection timed out",
        "it did not answer in time",
        "Check host and port, and the firewall between.",
    ),
    (UpstreamUnavailable, "is starting up", "the server is starting up", _AGAIN),
    (UpstreamUnavailable, "is shutting down", "the server is shutting down", _AGAIN),
    (
        UpstreamUnavailable,
        "in recovery mode|not yet accepting connections",
        "the server is recovering and takes no connections yet",
        _AGAIN,
    ),
    (
        UpstreamUnavailable,
        "terminating connection due to administrator command",
        "the server's administrator ended the connection",
        _AGAIN,
    ),
)
