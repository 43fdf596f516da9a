"""Rewrite a table's columns to tokens: one transaction, in block ranges, all or nothing.

The table is locked against writers and row locks first (EXCLUSIVE; readers go on), so the blocks it
has then hold every row, and nobody can add a plain value before the commit. New row versions
that land in a later range are tokens already and are skipped. What is plain is counted before the
commit: a row left, for whatever reason, is a failure.
"""

import time
from collections.abc import Iterator, Sequence

import psycopg2
from psycopg2.extensions import cursor as Cursor

from backend.core.errors import UpstreamError
from backend.integrations.postgres.connection import Connection, sql
from backend.integrations.postgres.deadline import NoAnswer
from backend.integrations.postgres.errors import SYSTEM, LockNotAvailable, is_lost
from backend.tokenization.detection import Detection
from backend.tokenization.engines.base import (
    AlreadyRunning,
    Blocked,
    CommitUnknown,
    Control,
    RewriteResult,
    require_unblocked,
)
from backend.tokenization.engines.columns import not_ours, said_of
from backend.tokenization.engines.postgres import (
    catalog,
    expressions,
    identity,
    inspect,
    measure,
    rules,
    staging,
)
from backend.tokenization.engines.postgres.expressions import PLAIN_ONLY, Held
from backend.tokenization.engines.postgres.facts import Member, TableFacts
from backend.tokenization.schemas import ColumnChoice, Method, TableName
from backend.tokenization.tokens import Tokenizer

#: First key of the advisory lock; the second is the table's oid.
_ADVISORY_CLASS = 0x53_50_54_4F
_EXCLUSIVE = sql.SQL("EXCLUSIVE")
_LOCKS = {
    Method.IN_PLACE: _EXCLUSIVE,
    Method.REKEY: _EXCLUSIVE,
    Method.REWRITE: sql.SQL("ACCESS EXCLUSIVE"),
}
#: Values whose tokens are compared before row 1; other encodings than UTF8 may lack the bird.
_CANARY = "Kanarienvogel 🐤 tok_ß"
_ASCII_CANARY = "canary tok_"
FIRST_BATCH_BLOCKS = 1_024
_LARGEST_BATCH_BLOCKS = 65_536
#: Seconds a batch should take: short enough to cancel, long enough to cost nothing.
_BATCH_SECONDS = 1.0


def rewrite(
    connection: Connection,
    table: TableName,
    columns: Sequence[ColumnChoice],
    tokenizer: Tokenizer,
    control: Control,
    method: Method = Method.IN_PLACE,
) -> RewriteResult:
    """Put tokens into the columns and commit. On any error nothing has changed.

    method: in place, or re-key, which also makes tokens anew that hold their value.

    Raises AlreadyRunning, Blocked, LockNotAvailable, CommitUnknown, NoSuchTable, and psycopg2's
    errors (translated by the caller's `connect`). Whatever `control` raises ends the run too.
    """
    names = list(dict.fromkeys(column.name for column in columns))
    with connection.cursor() as cursor:
        table = catalog.resolve(cursor, table)
        facts = claim(cursor, table, columns, tokenizer, method)
        # Known before the first change, so that the server can later be asked how it ended.
        control.started(identity.name_transaction(cursor))
        scanned = measure.count_rows(cursor, table)
        expected = None
        rekey = method is Method.REKEY
        judged = measure.read_reversible(cursor, table, names) if rekey else {}
        held = {name: each.sizes for name, each in judged.items()}
        staged = rekey or bool(facts.user_code)
        if staged:
            expected = _stage(cursor, facts, table, names, tokenizer, held)
        else:
            expressions.load_key(cursor, tokenizer)
            prove_same_bytes(cursor, tokenizer, names, facts.server.encoding)
        batches = _batches(cursor, facts, names, None if staged else tokenizer)
        updated = _rewrite_blocks(batches, facts, control, scanned)
        # Triggers and constraints deferred to COMMIT act here, while they can still be judged.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        require_tokens(cursor, facts, table, names, expected, not_ours(held, tokenizer))
        _require_readable(cursor, facts, names)
        result = RewriteResult(scanned, updated, left_alone=said_of(judged))
        control.committing(result)
    commit(connection)
    return result


def claim(
    cursor: Cursor,
    table: TableName,
    columns: Sequence[ColumnChoice],
    tokenizer: Tokenizer,
    method: Method = Method.IN_PLACE,
) -> TableFacts:
    """Take the table for this run, or say who has it, or what forbids it."""
    facts = catalog.read(cursor, table)
    _refuse_blocked(cursor, table, columns, tokenizer, facts, method)
    cursor.execute(
        "SELECT pg_catalog.pg_try_advisory_xact_lock(%s, %s)",
        (_ADVISORY_CLASS, facts.oid - (1 << 32) if facts.oid >= 1 << 31 else facts.oid),
    )
    if not (cursor.fetchone() or (False,))[0]:
        raise AlreadyRunning(f"Another tokenization of {table} is under way; wait for it to end.")
    try:
        cursor.execute(
            sql.SQL("LOCK TABLE {} IN {} MODE").format(measure.qualified(table), _LOCKS[method])
        )
    except psycopg2.errors.LockNotAvailable as exc:
        raise _locked(cursor, table, facts, method) from exc
    # What was true before the lock may have changed while waiting for it.
    facts = catalog.read(cursor, table)
    _refuse_blocked(cursor, table, columns, tokenizer, facts, method)
    return facts


def _refuse_blocked(
    cursor: Cursor,
    table: TableName,
    columns: Sequence[ColumnChoice],
    tokenizer: Tokenizer,
    facts: TableFacts,
    method: Method,
) -> None:
    found = inspect.report(
        cursor,
        table,
        tokenizer=tokenizer,
        detection=Detection.of(columns),
        facts=facts,
        with_rows=False,
        method=method,
    )
    require_unblocked(found)


def _locked(
    cursor: Cursor, table: TableName, facts: TableFacts, method: Method
) -> LockNotAvailable:
    cursor.connection.rollback()
    oids = [member.oid for member in facts.members]
    holders = catalog.lock_holders(cursor, oids, readers=method is Method.REWRITE)
    names = ", ".join(str(holder) for holder in holders)
    return LockNotAvailable(
        f"{SYSTEM}: {names or 'another session'} holds a lock on {table} and did not let go in "
        "time. Nothing was changed; try again when it has finished."
    )


def prove_same_bytes(
    cursor: Cursor,
    tokenizer: Tokenizer,
    names: Sequence[str],
    encoding: str,
    blocks: expressions.Blocks = expressions.FROM_TABLE,
) -> None:
    """Before row 1: the server computes the tokens of a known value just as Python does."""
    canary = _CANARY if encoding == "UTF8" else _ASCII_CANARY
    value = sql.SQL("{}::pg_catalog.text").format(sql.Placeholder("canary"))
    tokens = [expressions.token_of(value, tokenizer.scheme_of(name), blocks) for name in names]
    cursor.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(tokens)), {"canary": canary})
    if cursor.fetchone() != tuple(tokenizer.of(name).token(canary) for name in names):
        raise UpstreamError(
            SYSTEM,
            "the server computed another token for a test value than the portal does",
            "Nothing was changed. Please report this with the server's version and encoding.",
        )


def _rewrite_blocks(
    batches: Iterator[tuple[int, int]], facts: TableFacts, control: Control, scanned: int
) -> int:
    total = sum(member.blocks for member in facts.leaves) or 1
    done = updated = 0
    control.progress(0.0, scanned, 0)
    for blocks, rows in batches:
        done += blocks
        updated += rows
        control.progress(done / total, scanned, updated)
        control.check_cancelled()
    return updated


def _batches(
    cursor: Cursor, facts: TableFacts, names: list[str], tokenizer: Tokenizer | None
) -> Iterator[tuple[int, int]]:
    """Rewrite block range after block range; yields blocks done and rows changed. tokenizer: None
    where the tokens were computed before."""
    ranged = facts.server.version >= rules.TID_RANGE_VERSION
    for member in facts.leaves:
        first, size = 0, _first_size(member, facts.server.block_size)
        while first < member.blocks:
            last = min(first + size, member.blocks) if ranged else member.blocks
            began = time.monotonic()
            require_in_place(cursor, [member])
            try:
                cursor.execute(
                    staging.update(member, names, first, last)
                    if tokenizer is None
                    else _update(member, names, tokenizer, first, last)
                )
            except psycopg2.errors.UniqueViolation as exc:
                clash = rules.expression_clash(facts, exc.diag.constraint_name)
                if clash is None:
                    raise
                raise Blocked(f"Nothing was changed: {clash}.") from exc
            except psycopg2.DataError as exc:
                raise _does_not_fit(facts, rules.computed_from(facts, names), exc) from exc
            seconds = time.monotonic() - began
            yield last - first, cursor.rowcount
            if last - first == size:
                size = _next_size(size, seconds)
            first = last


def _does_not_fit(
    facts: TableFacts, computed: list[str], exc: psycopg2.DataError
) -> Blocked | psycopg2.DataError:
    """The server's error names no index and quotes the value; say what it can be about instead."""
    if not computed:
        return exc
    trigger = " (or a trigger)" if facts.triggers else ""
    return Blocked(
        f"Nothing was changed: a token does not fit {', '.join(computed)}{trigger}, computed from "
        f"a column of this run (SQLSTATE {exc.pgcode}). Leave that column out, or drop what is "
        "computed from it."
    )


def _first_size(member: Member, block_size: int) -> int:
    """Fewer blocks where most of the table lies outside them, in long values kept apart."""
    share = member.blocks * block_size / member.size if member.size else 1.0
    return max(1, round(FIRST_BATCH_BLOCKS * min(1.0, share)))


def _next_size(size: int, seconds: float) -> int:
    """Grow or shrink towards _BATCH_SECONDS, by at most a factor of two."""
    factor = min(2.0, max(0.5, _BATCH_SECONDS / max(seconds, 0.001)))
    return max(1, min(_LARGEST_BATCH_BLOCKS, round(size * factor)))


def _update(
    member: Member, names: list[str], tokenizer: Tokenizer, first: int, last: int
) -> sql.Composable:
    """Rewrite the rows of blocks first ≤ block < last."""
    assignments = []
    for name in names:
        value = expressions.text_of(name)
        token = expressions.token_of(value, tokenizer.scheme_of(name))
        if len(names) > 1:
            # The row may have been picked for another column.
            token = expressions.after(value, tokenizer.scheme_of(name))
        assignments.append(sql.SQL("{} = {}").format(sql.Identifier(name), token))
    return sql.SQL(
        "UPDATE ONLY {table} SET {assignments} "
        "WHERE ctid OPERATOR(pg_catalog.>=) {first}::pg_catalog.tid "
        "AND ctid OPERATOR(pg_catalog.<) {last}::pg_catalog.tid AND {plain}"
    ).format(
        table=sql.Identifier(member.schema, member.name),
        assignments=sql.SQL(", ").join(assignments),
        first=sql.Literal(f"({first},0)"),
        last=sql.Literal(f"({last},0)"),
        plain=measure.any_plain(names),
    )


def _stage(
    cursor: Cursor,
    facts: TableFacts,
    table: TableName,
    names: list[str],
    tokenizer: Tokenizer,
    held: Held,
) -> tuple[object, ...]:
    """Compute the tokens where no code of the database runs; the key is gone afterwards.

    While the key is there, only temporary tables are read and written, and no DDL is run (event
    triggers): planning a query on the table itself may already call a function of an index.
    Returns what the columns' checksum has to be after the write.
    """
    staging.take(cursor, table, names, held)
    expressions.load_key(cursor, tokenizer)
    prove_same_bytes(cursor, tokenizer, names, facts.server.encoding)
    staging.compute(cursor, names, tokenizer, held)
    if tokenizer.scheme.keyed:
        expressions.drop_key(cursor)
    return staging.expected(cursor, table, names, held)


def require_tokens(
    cursor: Cursor,
    facts: TableFacts,
    table: TableName,
    names: list[str],
    expected: tuple[object, ...] | None,
    held: Held = PLAIN_ONLY,
) -> None:
    """Raise Blocked unless the columns hold the tokens of this run and nothing plain.

    A trigger can undo, swallow or alter what was written; a token in lower case still looks like
    one, so the content is compared with `expected` where there is code that could do that.
    """
    require_in_place(cursor, facts.members)
    advice = "Disable it for the run, or leave its columns out."
    left = measure.count_plain(cursor, table, names, held)
    if left and facts.triggers:
        raise Blocked(
            f"Nothing was changed: a trigger on {table} kept {left:,} rows from being tokenized. "
            f"{advice}"
        )
    if left:
        raise Blocked(
            f"Nothing was changed: {left:,} rows of {table} still held a plain value"
            f"{' or a token that anybody can read' if held else ''} before the commit. "
            "Try again; if it stays, please report it with the server's version."
        )
    if expected is not None and measure.checksum(cursor, table, names) != expected:
        raise Blocked(
            f"Nothing was changed: a trigger on {table} altered the tokens while they were written "
            f"(to lower case, for example). {advice}"
        )


def require_in_place(cursor: Cursor, members: Sequence[Member]) -> None:
    """Raise Blocked where a name means another table now than the one that is locked: schemas
    that are exchanged for each other wait for nobody."""
    for member in members:
        if not catalog.is_in_place(cursor, member):
            raise Blocked(
                f"Nothing was changed: {member.schema}.{member.name} was given another name "
                "meanwhile, or its schema was; preview it again."
            )


def _require_readable(cursor: Cursor, facts: TableFacts, names: list[str]) -> None:
    """Compute what is computed only when it is read: a column that fails on a token would make
    every row unreadable that was written well."""
    oids = [member.oid for member in facts.members]
    for schema, table, virtual in catalog.computed_when_read(cursor, oids, names):
        counts = [sql.SQL("pg_catalog.count({})").format(sql.Identifier(each)) for each in virtual]
        try:
            cursor.execute(
                sql.SQL("SELECT {} FROM {}").format(
                    sql.SQL(", ").join(counts), sql.Identifier(schema, table)
                )
            )
        except psycopg2.DataError as exc:
            computed = [f"the generated column {each} of {schema}.{table}" for each in virtual]
            raise _does_not_fit(facts, computed, exc) from exc


def commit(connection: Connection) -> None:
    try:
        connection.commit()
    except psycopg2.Error as exc:
        if is_lost(exc):
            cause = "the connection broke while the changes were being committed"
            if isinstance(exc, NoAnswer):
                cause = (
                    f"the COMMIT was not answered within {exc.seconds:,.0f} seconds; the server "
                    "may be waiting for a synchronous standby"
                )
            raise CommitUnknown(SYSTEM, cause) from exc
        raise
