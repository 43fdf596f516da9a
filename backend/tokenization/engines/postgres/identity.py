"""Name a transaction so that only the server that ran it is believed about how it ended.

Transaction numbers start anew on every server, and a promoted replica gives those that its
predecessor had not sent yet to others. So the number is kept with a mark of the cluster and its
timeline, which changes at each promotion.
"""

import hashlib

import psycopg2
from psycopg2.extensions import cursor as Cursor

from backend.core.log import get_logger
from backend.tokenization.engines.base import Outcome

log = get_logger(__name__)

_CLUSTER = """
SELECT pg_catalog.concat(system_identifier, '/', pg_catalog.substr(
           pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))
  FROM pg_catalog.pg_control_system()
"""
_MARK_DIGITS = 16


def name_transaction(cursor: Cursor) -> str:
    """`<number>@<mark>` of the open transaction; the mark is empty where it cannot be read."""
    cursor.execute("SELECT pg_catalog.txid_current()::text")
    number = str((cursor.fetchone() or ("",))[0])
    cursor.execute("SAVEPOINT portal_cluster")
    try:
        mark = _mark(cursor)
    except psycopg2.errors.Error as exc:
        # A hosted server may keep this to itself; the table's content then says how a run ended.
        cursor.execute("ROLLBACK TO SAVEPOINT portal_cluster")
        log.info("The server does not say which cluster it is.", sqlstate=exc.pgcode)
        mark = ""
    return f"{number}@{mark}"


def outcome_of(cursor: Cursor, transaction: str) -> Outcome:
    """How the transaction ended, if this is the server that ran it; else `UNKNOWN`.

    On a replica `MAY_BE_RUNNING`: what it does not show may only not have arrived yet.
    """
    cursor.execute("SELECT pg_catalog.pg_is_in_recovery()")
    if (cursor.fetchone() or (False,))[0]:
        return Outcome.MAY_BE_RUNNING
    number, _, mark = transaction.partition("@")
    if mark and mark != _mark(cursor):
        return Outcome.UNKNOWN
    cursor.execute("SELECT pg_catalog.txid_status(%s)", (int(number),))
    status = (cursor.fetchone() or (None,))[0]
    found = Outcome(status) if status in tuple(Outcome) else Outcome.UNKNOWN
    # Without a mark an ending may be another server's; what still runs must not be judged yet.
    return found if mark or found is Outcome.IN_PROGRESS else Outcome.UNKNOWN


def _mark(cursor: Cursor) -> str:
    cursor.execute(_CLUSTER)
    cluster = str((cursor.fetchone() or ("",))[0])
    return hashlib.sha256(cluster.encode()).hexdigest()[:_MARK_DIGITS]
