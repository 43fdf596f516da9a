"""Put tokens into a table's columns: one UPDATE in one transaction, counted before and after.

Under REPEATABLE READ a locking read of the whole table holds every row and every gap, so nobody
can write until the commit, while readers go on. The UPDATE runs in a thread, so that the run can
be watched and stopped (KILL QUERY from a second session). A session that ends, for whatever
reason, is rolled back by the server.
"""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillBusy
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any

import pymysql

from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.integrations.mysql.connection import Connection
from backend.integrations.mysql.errors import SYSTEM, is_lost, number_of
from backend.tokenization.engines.base import (
    AlreadyRunning,
    Blocked,
    CommitUnknown,
    Control,
    RewriteResult,
)
from backend.tokenization.engines.columns import not_ours, said_of
from backend.tokenization.engines.mysql import expressions
from backend.tokenization.engines.mysql import facts as facts_of
from backend.tokenization.engines.mysql.expressions import PLAIN_ONLY, Held, Key
from backend.tokenization.engines.mysql.facts import Facts, Server
from backend.tokenization.schemas import Method, TableName
from backend.tokenization.tokens import Reversible, Tokenizer, reversible

log = get_logger(__name__)

_CANARY = "Kanarienvogel 🐤 tok_ß"
_POLL_SECONDS = 1.0
#: Facts whose name says too little to a person.
_WORDS = {
    "read_only": "read-only mode",
    "generated_from": "generated columns",
    "partitioned_by": "partitions",
    "sees_triggers": "user's rights",
    "may_select": "user's rights",
    "may_update": "user's rights",
    "may_use_temp": "user's rights",
}
Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class Counts:
    """rows_to_update: rows with a plain value. nulls: NULLs by column. hashes: what the columns
    hold after a run, as a sum that no order changes; () where nobody asked."""

    rows_total: int
    rows_to_update: int
    nulls: tuple[int, ...]
    hashes: tuple[int, ...] = ()


def lock_name(table: TableName) -> str:
    """The advisory lock that one run of the table holds, and that its session's end frees."""
    name = f"{table.database}.{table.table}"
    return f"portal_tokenization_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def take_lock(cursor: Any, table: TableName) -> str:
    """Raises AlreadyRunning."""
    name = lock_name(table)
    cursor.execute("SELECT GET_LOCK(%s, 0)", (name,))
    if cursor.fetchone()[0] != 1:
        raise AlreadyRunning(f"Another tokenization run holds {table}; wait until it has ended.")
    return name


def rewrite(
    connection: Connection,
    facts: Facts,
    table: TableName,
    names: Sequence[str],
    tokenizer: Tokenizer,
    control: Control,
    lock: str,
    connect: Connect,
    method: Method = Method.IN_PLACE,
) -> RewriteResult:
    """Write and commit; on any error nothing has changed. connect: opens a session to watch from.
    method: in place, or re-key, which also makes tokens anew that hold their value.

    Raises Blocked, CommitUnknown, and pymysql's errors.
    """
    key = Key()
    with connection.cursor() as cursor:
        key.load(cursor, tokenizer)
        connection.commit()
        try:
            _prove_same_bytes(cursor, tokenizer, names, key)
            connection.commit()
            judged = _judged(cursor, table, names) if method is Method.REKEY else {}
            held = {name: each.sizes for name, each in judged.items()}
            after = (tokenizer, key) if judged or not facts.sees_triggers else None
            before = count(cursor, table, names, locked=True, after=after, held=held)
            _require_unaltered(cursor, table, facts)
            control.started(lock)
            control.progress(0.0, before.rows_total, 0)
            control.check_cancelled()
            updated = 0
            if before.rows_to_update:
                kept = [c.name for c in facts.columns if c.on_update and c.name not in names]
                statement = expressions.update(table, names, kept, tokenizer, key, held)
                updated = _watched(connection, statement, before, control, connect)
            _require_tokens(cursor, table, names, before, not_ours(held, tokenizer))
        finally:
            with contextlib.suppress(pymysql.err.Error):
                key.drop(cursor)
        result = RewriteResult(before.rows_total, updated, said_of(judged))
        control.progress(1.0, before.rows_total, updated)
        control.committing(result)
    commit(connection)
    return result


def count(
    cursor: Any,
    table: TableName,
    names: Sequence[str],
    *,
    locked: bool = False,
    after: tuple[Tokenizer, Key] | None = None,
    hashed: bool = False,
    held: Held = PLAIN_ONLY,
) -> Counts:
    """One pass; exact. locked: holds every row and gap until the transaction ends. after: also
    sum up what a run will leave. hashed: sum up what is there. held: see `expressions.Held`."""
    keys, values = "", []
    if after is not None:
        tokenizer, key = after
        keys = f" CROSS JOIN {key.table} AS k" if tokenizer.scheme.keyed else ""
        values = [
            expressions.after(name, tokenizer, held, expressions.text_of(name)) for name in names
        ]
    elif hashed:
        values = [expressions.text_of(name) for name in names]
    parts = ["COUNT(*)", f"COALESCE(SUM({expressions.any_changed(names, held)}), 0)"]
    parts += [f"COALESCE(SUM(t.{expressions.identifier(name)} IS NULL), 0)" for name in names]
    parts += [f"COALESCE(SUM(CRC32(CAST({value} AS BINARY))), 0)" for value in values]
    cursor.execute(
        f"SELECT {', '.join(parts)} FROM {expressions.qualified(table)} AS t{keys}"  # noqa: S608
        + (" FOR UPDATE" if locked else "")
    )
    row = [int(value) for value in cursor.fetchone()]
    width = 2 + len(names)
    return Counts(row[0], row[1], tuple(row[2:width]), tuple(row[width:]))


def count_rows(cursor: Any, table: TableName) -> int:
    cursor.execute(f"SELECT COUNT(*) FROM {expressions.qualified(table)}")  # noqa: S608  # quoted
    return int(cursor.fetchone()[0])


def read_reversible(cursor: Any, table: TableName, names: Sequence[str]) -> dict[str, Reversible]:
    """What the tokens of each column hold. One pass over the table for each."""
    found = {}
    for name in names:
        cursor.execute(expressions.bodies(table, name))
        rows = cursor.fetchall()
        found[name] = reversible((int(a), bool(b), int(c)) for a, b, c in rows)
    return found


def _judged(cursor: Any, table: TableName, names: Sequence[str]) -> dict[str, Reversible]:
    """The same, of rows that nobody can change any more: the snapshot is taken under the lock."""
    count(cursor, table, names, locked=True)
    return read_reversible(cursor, table, names)


def _require_unaltered(cursor: Any, table: TableName, seen: Facts) -> None:
    """Raise Blocked when what was judged is not so any more, now that the rows are locked."""
    now = facts_of.read(cursor, table)
    where = {"the server": _moved(now.server, seen.server), str(table): _moved(now, seen)}
    said = [f"the {thing} of {what}" for what, things in where.items() for thing in things]
    if not said and _places(now) != _places(seen):
        said = [f"the table {table}"]  # another one that looks the same
    if said:
        raise Blocked(
            f"Nothing was changed: {', '.join(said)} changed meanwhile; preview it again."
        )


def _moved(now: Facts | Server, seen: Facts | Server) -> list[str]:
    """What differs, in words; not the size, which grows by itself."""
    names = [each.name for each in fields(seen) if each.name not in ("server", "bytes_total")]
    differ = [name for name in names if getattr(now, name) != getattr(seen, name)]
    return list(dict.fromkeys(_WORDS.get(name, name.replace("_", " ")) for name in differ))


def _places(facts: Facts) -> list[str]:
    return [column.place for column in facts.columns]


def _prove_same_bytes(cursor: Any, tokenizer: Tokenizer, names: Sequence[str], key: Key) -> None:
    """Raise Blocked unless the server makes of a test value what Python makes."""
    keys = f" FROM {key.table} AS k" if tokenizer.scheme.keyed else ""
    for name in names:
        token = expressions.token_of(f"'{_CANARY}'", tokenizer.scheme_of(name))
        cursor.execute(f"SELECT {token}{keys}")
        if cursor.fetchone()[0] != tokenizer.of(name).token(_CANARY):
            raise Blocked(
                "Nothing was changed: this server computes other tokens than the portal. Please "
                "report it with the server's version."
            )


def _watched(
    connection: Connection,
    statement: str,
    before: Counts,
    control: Control,
    connect: Connect,
) -> int:
    """Run the statement in a thread; rows changed. Whatever stops the run stops the statement."""
    with connection.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("SELECT CONNECTION_ID()")
        thread = int(cursor.fetchone()[0])
        future: Future[int] = pool.submit(cursor.execute, statement)
        try:
            while True:
                with contextlib.suppress(StillBusy):
                    return future.result(timeout=_POLL_SECONDS)
                if not future.done():
                    changed = _changed_so_far(connect, thread)
                    share = min(0.99, changed / before.rows_to_update)
                    control.progress(share, before.rows_total, changed)
                    control.check_cancelled()
        except BaseException:
            _stop(future, connection, connect, thread)
            raise


def _changed_so_far(connect: Connect, thread: int) -> int:
    """Rows of the open transaction; 0 where the server does not tell (the right PROCESS)."""
    with (
        contextlib.suppress(pymysql.err.Error, PortalError),
        connect() as watcher,
        watcher.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT trx_rows_modified FROM information_schema.innodb_trx"
            " WHERE trx_mysql_thread_id = %s",
            (thread,),
        )
        row = cursor.fetchone()
        return int(row[0]) if row else 0
    return 0


def _stop(future: "Future[int]", connection: Connection, connect: Connect, thread: int) -> None:
    """End the statement on the server; else give the connection up, which ends it later."""
    if future.done():
        return
    try:
        with connect() as other, other.cursor() as cursor:
            cursor.execute("KILL QUERY %s", (thread,))
    except (pymysql.err.Error, PortalError) as exc:
        log.warning("A statement could not be stopped; its session is cut.", error=str(exc)[:200])
        # Not close(): its goodbye would wait for the answer that is still to come.
        connection._force_close()  # type: ignore[attr-defined]  # the stubs leave it out
    # what the ended statement says is not the reason of the stop
    future.exception()


def _require_tokens(
    cursor: Any, table: TableName, names: Sequence[str], before: Counts, held: Held
) -> None:
    """Raise Blocked unless the columns hold tokens, and the rows and NULLs that were there."""
    now = count(cursor, table, names, locked=True, hashed=bool(before.hashes), held=held)
    if now.rows_to_update:
        raise Blocked(
            f"Nothing was changed: {now.rows_to_update:,} rows of {table} still held a plain value"
            f"{' or a token that anybody can read' if held else ''} before the commit. "
            "A trigger may have put it back; look for one."
        )
    if (now.rows_total, now.nulls) != (before.rows_total, before.nulls):
        raise Blocked(
            f"Nothing was changed: {table} has other rows or empty values after the write than "
            "before. A value may be longer than max_allowed_packet; raise it and try again."
        )
    if now.hashes != before.hashes:
        raise Blocked(
            f"Nothing was changed: the tokens in {table} are not those that were computed; a "
            "trigger may have altered them. Disable it for the run, or leave its columns out."
        )


def commit(connection: Connection) -> None:
    try:
        connection.commit()
    except pymysql.err.Error as exc:
        if is_lost(exc) or number_of(exc) is None:
            raise CommitUnknown(
                SYSTEM, "the connection broke while the changes were being committed"
            ) from exc
        raise
