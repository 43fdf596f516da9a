"""MySQL's and MariaDB's error numbers as sentences, one table.

Numbers: MariaDB's error code reference and MySQL's server error reference. The servers' own texts
may quote values, so only those of refused log-ins (no rows are near) are passed on.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pymysql

from backend.core import outside
from backend.core.errors import (
    Conflict,
    CredentialsRefused,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
    WrongSystem,
)
from backend.integrations import network
from backend.integrations.network import Place

SYSTEM = "MySQL"
#: Which words of an advice switch TLS on and off: in a setting, in a URL.
SETTING = {"on": "set TLS (ssl) to require", "off": "set TLS (ssl) to prefer or disable"}
URL = {"on": "write ssl_mode=required in the URL", "off": "take ssl_mode out of the URL"}


class LockNotAvailable(Conflict):
    """Another session holds a lock that this one needs, or won a deadlock."""


@dataclass(frozen=True)
class Meaning:
    """kind: what to raise. cause, advice: what happened, what to do."""

    kind: type[UpstreamError]
    cause: str
    advice: str


_GRANT = "Grant this user SELECT, INSERT and UPDATE on the table."
_ASK = "Ask the database's administrator."
_LATER = "Try again in a moment."
_LARGER = (
    "Nothing was changed; raise max_binlog_cache_size, or on Galera wsrep_max_ws_rows and "
    "wsrep_max_ws_size, for the run, or leave columns out."
)

MEANINGS: dict[int, Meaning] = {
    1040: Meaning(UpstreamUnavailable, "the server has no free connection", _LATER),
    1044: Meaning(UpstreamError, "this user may not use the database {name}", _GRANT),
    1045: Meaning(
        CredentialsRefused,
        "the user name or password was refused",
        "Set the user and the password again; the account may be limited to other hosts, or to a "
        "TLS that this connection does not have.",
    ),
    1046: Meaning(
        UpstreamError, "the connection names no database", "Add its name to the connection."
    ),
    1047: Meaning(
        UpstreamUnavailable,
        "this node of the cluster takes no statements now (not synced)",
        "Try again when it has joined, or name another node.",
    ),
    1049: Meaning(
        UpstreamError,
        "the database {name} does not exist on the server",
        "Check its name in the connection.",
    ),
    1053: Meaning(UpstreamUnavailable, "the server is shutting down", "Try again when it is back."),
    1062: Meaning(
        UpstreamError,
        "a unique index refused a token",
        "Nothing was changed; perhaps a value was tokenized before and entered again: merge or "
        "remove such rows, or leave that column out.",
    ),
    1129: Meaning(
        UpstreamError,
        "the server has blocked the portal's machine after too many broken connections",
        "Its administrator can run FLUSH HOSTS.",
    ),
    1130: Meaning(
        UpstreamError,
        "the server lets nobody in from the portal's machine",
        "Ask for an account that is allowed from this host.",
    ),
    1142: Meaning(UpstreamError, "this user lacks a right on the table", _GRANT),
    1143: Meaning(UpstreamError, "this user lacks a right on a column", _GRANT),
    1146: Meaning(
        UpstreamError, "the table does not exist", "Check the database in the connection."
    ),
    1197: Meaning(UpstreamError, "the transaction is larger than its binary log takes", _LARGER),
    1203: Meaning(UpstreamUnavailable, "this user has too many connections open", _LATER),
    1205: Meaning(UpstreamUnavailable, "a row stayed locked by somebody else", _LATER),
    1213: Meaning(UpstreamUnavailable, "it collided with somebody else's transaction", _LATER),
    1226: Meaning(
        UpstreamUnavailable,
        "this user has used up what the server allows him (connections or queries an hour)",
        "Wait, or ask the administrator to raise the limit.",
    ),
    1227: Meaning(UpstreamError, "this user lacks a privilege of the server", _ASK),
    1251: Meaning(
        UpstreamError,
        "the account's way of signing in is one that the portal's driver does not know",
        "Use an account with mysql_native_password, caching_sha2_password or ed25519.",
    ),
    1290: Meaning(
        UpstreamError,
        "the database is read-only (a replica, or switched to read-only)",
        "Point the connection at the primary server.",
    ),
    1406: Meaning(
        UpstreamError,
        "a token is longer than its column",
        "Nothing was changed; widen the column.",
    ),
    1698: Meaning(
        CredentialsRefused,
        "the account signs in without a password and only on the server's own machine",
        "Use an account with a password; root often has none.",
    ),
    1792: Meaning(
        UpstreamError, "the transaction is read-only", "Point the connection at the primary server."
    ),
    1820: Meaning(
        CredentialsRefused,
        "the password has expired and must be changed first",
        "Change it on the server, then set it here.",
    ),
    1836: Meaning(
        UpstreamError, "the database is read-only", "Point the connection at the primary server."
    ),
    1862: Meaning(
        CredentialsRefused, "the password has expired", "Change it on the server, then set it here."
    ),
    2006: Meaning(UpstreamUnavailable, "the server closed the connection", _LATER),
    2012: Meaning(WrongSystem, "what answers there is not a MySQL server", "Check the port."),
    2013: Meaning(
        UpstreamUnavailable,
        "the connection was lost before an answer came",
        "Check that the port is the database's, and look at its log.",
    ),
    2026: Meaning(
        UpstreamError,
        "the server has no TLS, and the connection asks for it",
        "{off}, or have TLS switched on at the server.",
    ),
    2027: Meaning(WrongSystem, "what answers there is not a MySQL server", "Check the port."),
    2059: Meaning(
        UpstreamError,
        "the account's way of signing in is one that the portal's driver does not know",
        "Use an account with mysql_native_password, caching_sha2_password or ed25519.",
    ),
    3032: Meaning(
        UpstreamUnavailable,
        "the server is in offline mode: it lets its administrators in and nobody else",
        "Try again when it is back.",
    ),
    3118: Meaning(CredentialsRefused, "the account is locked", "Ask for ALTER USER … UNLOCK."),
    3159: Meaning(
        UpstreamError,
        "the server only takes encrypted connections",
        "{on}.",
    ),
    3161: Meaning(
        UpstreamError,
        "the server takes no tables of the engine MEMORY, in which a run keeps its key",
        "Have it taken out of disabled_storage_engines (MySQL), or enforce_storage_engine emptied "
        "(MariaDB).",
    ),
    3168: Meaning(UpstreamUnavailable, "the server is not available", _LATER),
    4165: Meaning(UpstreamError, "the transaction is larger than its cluster takes", _LARGER),
    4151: Meaning(CredentialsRefused, "the account is locked", "Ask for ALTER USER … UNLOCK."),
}
#: MariaDB's require_secure_transport and an account's REQUIRE SSL have no number of their own.
_PLAIN = Meaning(
    CredentialsRefused,
    "the log-in without TLS was refused: user or password are wrong, or TLS is required",
    "When user and password are right, {on}.",
)
#: A row stayed locked, this session lost a deadlock, a metadata lock stayed.
_LOCKED = frozenset({1205, 1213})
_REFUSED = 1045
_LOST = frozenset({1053, 1927, 2006, 2013, 4031})
#: The client library's own "cannot connect"; what lies under it says why.
_CANNOT_CONNECT = frozenset({2002, 2003, 2005})


def explain(
    exc: BaseException,
    system: str,
    place: Place,
    *,
    tls: Mapping[str, str] = SETTING,
    plain: bool = False,
) -> UpstreamError:
    """The error that says what pymysql's meant. tls: where TLS is set; plain: it is off there."""
    number = number_of(exc)
    if number == 1290 and "ENGINE" in str(exc.args[-1]):
        number = 3161  # 1290 is of any option; MySQL has a number of its own for this one
    if number not in MEANINGS or number in (2006, 2013, 2026):
        found = network.explain(exc, system, place)
        if found is not None:
            return found
    if number in MEANINGS:
        meaning = _PLAIN if plain and number == _REFUSED else MEANINGS[number]
        # Only the texts of 1044 and 1049 are passed on: the last they quote is the database.
        name = (re.findall(r"'([^']*)'", str(exc.args[-1])) or ["of the connection"])[-1]
        advice = meaning.advice.format(**tls)
        advice = advice[:1].upper() + advice[1:]
        return meaning.kind(system, meaning.cause.replace("{name}", name), advice)
    if isinstance(exc, pymysql.err.InternalError) and number is None:  # bytes that make no packet
        return WrongSystem(
            system, "what answers there is not a MySQL server", "Check host and port."
        )
    if number in _CANNOT_CONNECT or number is None:
        return UpstreamUnavailable(
            system, f"{place.host} cannot be reached", "Check host and port in the connection."
        )
    if number == 3024 or number == 1969:
        return UpstreamTimeout(system, "a statement took longer than its limit", "Try again.")
    return UpstreamError(
        system,
        f"the server refused with its error {number}",
        "Look the number and the time up in the server's log.",
    )


@contextlib.contextmanager
def translated(where: str, *, plain: bool = False) -> Iterator[None]:
    """Turn pymysql's errors into the portal's; where: `database on host:port`, for the text.
    plain: the connection's TLS is off."""
    with outside.call("mysql"):
        try:
            yield
        except pymysql.err.Error as exc:
            if number_of(exc) in _LOCKED:
                raise LockNotAvailable(
                    f"{SYSTEM} {where}: another session holds a lock on the table or its rows and "
                    "did not let go in time. Nothing was changed; try again when it has finished."
                ) from exc
            place = Place(where.rpartition(" on ")[2])
            raise explain(exc, f"{SYSTEM} {where}", place, plain=plain) from exc


def is_lost(exc: BaseException) -> bool:
    """Whether the connection broke, so that what the server did last is not known here."""
    number = number_of(exc)
    return number in _LOST or (number is None and isinstance(exc, pymysql.err.Error))


def number_of(exc: BaseException) -> int | None:
    """The server's error number, None when it is no answer of a server."""
    first = next(iter(getattr(exc, "args", ())), None)
    return first if isinstance(first, int) and first > 0 else None
