"""Rewrite mode: the table is written anew once, by ALTER TABLE … TYPE … USING, with tokens in it.

About half the time and size of an UPDATE, no plain row version left in the new file, and columns
widened on the way; readers wait meanwhile. An expression there may hold no subquery, so the key's
blocks come in through two functions of this session without arguments, which the planner turns into
constants: no statement, log or pg_stat_activity row ever holds a key.
"""

from collections.abc import Sequence

from psycopg2.extensions import cursor as Cursor

from backend.integrations.postgres.connection import Connection, sql
from backend.tokenization.engines.base import Control, RewriteResult
from backend.tokenization.engines.postgres import (
    catalog,
    expressions,
    identity,
    measure,
    rewrite,
    rules,
)
from backend.tokenization.engines.postgres.facts import TableFacts
from backend.tokenization.schemas import ColumnChoice, Method, TableName
from backend.tokenization.tokens import Tokenizer

_FUNCTIONS = {
    block: sql.SQL(f"pg_temp.portal_tokenization_{block}()") for block in ("inner", "outer")
}
_BLOCKS = (_FUNCTIONS["inner"], _FUNCTIONS["outer"])


def rewrite_table(
    connection: Connection,
    table: TableName,
    columns: Sequence[ColumnChoice],
    tokenizer: Tokenizer,
    control: Control,
) -> RewriteResult:
    """As `rewrite.rewrite`, by one rewrite of the table; raises the same."""
    names = list(dict.fromkeys(column.name for column in columns))
    with connection.cursor() as cursor:
        table = catalog.resolve(cursor, table)
        facts = rewrite.claim(cursor, table, columns, tokenizer, Method.REWRITE)
        control.started(identity.name_transaction(cursor))
        scanned, changing = _count(cursor, table, names)
        control.progress(0.0, scanned, 0)
        control.check_cancelled()
        rewrite.require_in_place(cursor, facts.members)
        if changing:
            _alter(cursor, facts, table, names, tokenizer)
            rewrite.require_tokens(cursor, facts, table, names, None)
        control.progress(1.0, scanned, changing)
        result = RewriteResult(scanned, changing)
        control.committing(result)
    rewrite.commit(connection)
    return result


def _count(cursor: Cursor, table: TableName, names: Sequence[str]) -> tuple[int, int]:
    """Rows, and rows that hold a plain value, in one pass."""
    cursor.execute(
        sql.SQL("SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE {}) FROM {}").format(
            measure.any_plain(names), measure.qualified(table)
        )
    )
    row = cursor.fetchone() or (0, 0)
    return int(row[0]), int(row[1])


def _alter(
    cursor: Cursor, facts: TableFacts, table: TableName, names: list[str], tokenizer: Tokenizer
) -> None:
    if tokenizer.scheme.keyed:
        _bring_key(cursor, tokenizer)
    rewrite.prove_same_bytes(cursor, tokenizer, names, facts.server.encoding, _BLOCKS)
    changes = [_change(facts, name, tokenizer) for name in names]
    cursor.execute(
        sql.SQL("ALTER TABLE {} {}").format(measure.qualified(table), sql.SQL(", ").join(changes))
    )
    if tokenizer.scheme.keyed:
        for function in _FUNCTIONS.values():
            cursor.execute(sql.SQL("DROP FUNCTION {}").format(function))
        expressions.drop_key(cursor)


def _bring_key(cursor: Cursor, tokenizer: Tokenizer) -> None:
    """The functions first: nothing but the rewrite itself happens while the key is there."""
    cursor.execute("SET LOCAL check_function_bodies = off")
    for block, function in _FUNCTIONS.items():
        cursor.execute(
            sql.SQL(
                "CREATE OR REPLACE FUNCTION {} RETURNS pg_catalog.bytea IMMUTABLE LANGUAGE sql "
                "AS {}"
            ).format(
                function,
                sql.Literal(f"SELECT {block}_block FROM pg_temp.portal_tokenization_key"),  # noqa: S608  # ours
            )
        )
    expressions.load_key(cursor, tokenizer)


def _change(facts: TableFacts, name: str, tokenizer: Tokenizer) -> sql.Composable:
    """One column's clause. The type's name comes quoted from the server."""
    column = facts.columns[name]
    scheme = tokenizer.scheme_of(name)
    type_ = sql.SQL(rules.widened(column, scheme) or column.type)
    collation = facts.rewriting.collations.get(name)
    value = expressions.after(expressions.text_of(name), scheme, _BLOCKS)
    return sql.SQL("ALTER COLUMN {name} TYPE {type}{collation} USING ({value})::{type}").format(
        name=sql.Identifier(name),
        type=type_,
        collation=sql.SQL(" COLLATE {}").format(sql.Identifier(*collation))
        if collation
        else sql.SQL(""),
        value=value,
    )
