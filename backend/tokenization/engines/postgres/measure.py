"""Read the rows of a table: exact counts, the longest token needed, and values to look at.

Statements that hold identifiers are executed without parameters: psycopg2 would take a percent
sign in a column's name for a placeholder.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

from backend.integrations.postgres.connection import sql
from backend.tokenization.engines.columns import SAMPLE_CHARACTERS, SAMPLES_SHOWN, by_column
from backend.tokenization.engines.postgres.expressions import (
    PLAIN_ONLY,
    Held,
    after,
    body_of,
    changes,
    is_plain,
    is_text,
    text_of,
)
from backend.tokenization.engines.postgres.facts import TableFacts
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import HASHES, Reversible, Scheme, Tokenizer, reversible


@dataclass(frozen=True)
class Counts:
    """rows_to_update: rows in which at least one of the columns changes; plain: by column."""

    rows_total: int
    rows_to_update: int
    plain: Mapping[str, int]
    longest_token: Mapping[str, int | None]


def qualified(table: TableName) -> sql.Composable:
    return sql.Identifier(table.schema, table.table)


def any_plain(columns: Sequence[str], held: Held = PLAIN_ONLY) -> sql.Composable:
    """True for a row that a run changes. held: see `expressions.Held`."""
    return sql.SQL("({})").format(
        sql.SQL(" OR ").join(changes(text_of(column), held.get(column)) for column in columns)
    )


def count(
    cursor: Cursor,
    table: TableName,
    columns: Sequence[str],
    tokenizer: Tokenizer,
    held: Held = PLAIN_ONLY,
) -> Counts:
    """One pass over the table; exact. At least one column.

    The longest value is only asked for where tokens grow with it: a SELECT has at most 1,664
    columns.
    """
    measured = [column for column in columns if not tokenizer.scheme_of(column).keyed]
    parts = [
        sql.SQL("pg_catalog.count(*)"),
        sql.SQL("pg_catalog.count(*) FILTER (WHERE {})").format(any_plain(columns, held)),
    ]
    for column in columns:
        plain = changes(text_of(column), held.get(column))
        parts.append(sql.SQL("pg_catalog.count(*) FILTER (WHERE {})").format(plain))
    parts += [_longest(column) for column in measured]
    cursor.execute(sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(parts), qualified(table)))
    row = cursor.fetchone() or ()
    longest = dict(zip(measured, row[2 + len(columns) :], strict=True))
    return Counts(
        rows_total=row[0],
        rows_to_update=row[1],
        plain=dict(zip(columns, row[2 : 2 + len(columns)], strict=True)),
        longest_token={
            column: None if size is None else tokenizer.token_length(size)
            for column, size in longest.items()
        },
    )


def _longest(column: str) -> sql.Composable:
    return sql.SQL(
        "pg_catalog.max(pg_catalog.octet_length(pg_catalog.convert_to({value}, 'UTF8'))) "
        "FILTER (WHERE {plain})"
    ).format(value=text_of(column), plain=is_plain(text_of(column)))


def count_rows(cursor: Cursor, table: TableName) -> int:
    cursor.execute(sql.SQL("SELECT pg_catalog.count(*) FROM {}").format(qualified(table)))
    return int((cursor.fetchone() or (0,))[0])


def count_plain(
    cursor: Cursor, table: TableName, columns: Sequence[str], held: Held = PLAIN_ONLY
) -> int:
    """Rows in which one of the columns still holds what a run would change."""
    cursor.execute(
        sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}").format(
            qualified(table), any_plain(columns, held)
        )
    )
    return int((cursor.fetchone() or (0,))[0])


def read_reversible(
    cursor: Cursor, table: TableName, columns: Sequence[str]
) -> dict[str, Reversible]:
    """What the tokens of each column hold. One pass over the table for each."""
    found = {}
    for column in columns:
        cursor.execute(
            sql.SQL(
                "SELECT size, is_text, pg_catalog.count(*) FROM (SELECT "
                "LEAST(pg_catalog.octet_length(body), {longest}) AS size, {text} AS is_text "
                "FROM (SELECT {body} AS body FROM {table}) AS bodies WHERE body IS NOT NULL) "
                "AS sized GROUP BY size, is_text"
            ).format(
                longest=sql.Literal(max(HASHES) + 1),
                text=is_text(sql.SQL("body")),
                body=body_of(text_of(column)),
                table=qualified(table),
            )
        )
        found[column] = reversible(cursor.fetchall())
    return found


def count_entered_again(
    cursor: Cursor,
    table: TableName,
    column: str,
    scheme: Scheme,
    sizes: Collection[int] | None = None,
) -> int:
    """Values that a run would make equal to another of the column. Needs `load_key`."""
    cursor.execute(
        sql.SQL(
            "SELECT pg_catalog.count(fresh.value) OPERATOR(pg_catalog.-) "
            "pg_catalog.count(DISTINCT fresh.value) FROM (SELECT {value} AS value FROM {table}) "
            "AS fresh"
        ).format(value=after(text_of(column), scheme, sizes=sizes), table=qualified(table))
    )
    return int((cursor.fetchone() or (0,))[0])


def checksum(
    cursor: Cursor, table: TableName, columns: Sequence[str], *, without: Held | None = None
) -> tuple[object, ...]:
    """What the columns hold, as one number each that no order of rows changes.

    without: leave out the rows that a run with this `held` changes.
    """
    plain = sql.SQL("false") if without is None else any_plain(columns, without)
    cursor.execute(
        sql.SQL("SELECT {} FROM {} WHERE {} IS NOT TRUE").format(
            sql.SQL(", ").join(hash_sum(text_of(column)) for column in columns),
            qualified(table),
            plain,
        )
    )
    return tuple(cursor.fetchone() or ())


def hash_sum(value: sql.Composable) -> sql.Composable:
    """The sum of the values' hashes; 0 for no rows."""
    return sql.SQL(
        "COALESCE(pg_catalog.sum(COALESCE(pg_catalog.hashtextextended({}, 0), 0)"
        "::pg_catalog.numeric), 0)"
    ).format(value)


def first_plain_values(
    cursor: Cursor, table: TableName, column: str, sizes: Collection[int] | None = None
) -> list[str]:
    """A few values that a run would change, whole, for the before → after look."""
    value = text_of(column)
    cursor.execute(
        sql.SQL(
            "SELECT {value} FROM {table} WHERE {plain} "
            "AND pg_catalog.octet_length({value}) OPERATOR(pg_catalog.<=) {longest} LIMIT {rows}"
        ).format(
            value=value,
            table=qualified(table),
            plain=changes(value, sizes),
            longest=sql.Literal(SAMPLE_CHARACTERS),
            rows=sql.Literal(SAMPLES_SHOWN),
        )
    )
    return [row[0] for row in cursor.fetchall()]


def sample_values(
    cursor: Cursor, table: TableName, facts: TableFacts, columns: Sequence[str], rows: int
) -> dict[str, list[str]]:
    """Values of some columns from about `rows` rows spread over the table, tokens left out."""
    if not columns:
        return {}
    blocks = sum(member.blocks for member in facts.leaves)
    # Whole blocks are sampled: about 50 of them hold enough rows. Small tables are read in order.
    percent = 100.0 if blocks <= 200 else max(0.01, min(100.0, 100.0 * 50 / blocks))
    cursor.execute(
        sql.SQL("SELECT {columns} FROM {table} TABLESAMPLE SYSTEM ({percent}) LIMIT {rows}").format(
            columns=sql.SQL(", ").join(
                sql.SQL("CASE WHEN {plain} THEN pg_catalog.left({value}, {length}) END").format(
                    plain=is_plain(text_of(column)),
                    value=text_of(column),
                    length=sql.Literal(SAMPLE_CHARACTERS),
                )
                for column in columns
            ),
            table=qualified(table),
            percent=sql.Literal(percent),
            rows=sql.Literal(rows),
        )
    )
    return by_column(columns, cursor.fetchall())
