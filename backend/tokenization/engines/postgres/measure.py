"""Read the rows of a table: exact counts, the longest token needed, and values to look at.

Statements that hold identifiers are executed without parameters: psycopg2 would take a percent
sign in a column's name for a placeholder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

from backend.integrations.postgres.connection import sql
from backend.tokenization.engines.columns import SAMPLE_CHARACTERS, SAMPLES_SHOWN, by_column
from backend.tokenization.engines.postgres.expressions import body_of, is_plain, text_of, token_of
from backend.tokenization.engines.postgres.facts import TableFacts
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import LONGEST_HASH, TEXT_HEX, Scheme, Tokenizer, reversible

#: Characters of a value that leave the database for looking at it.


@dataclass(frozen=True)
class Counts:
    """rows_to_update: rows in which at least one of the columns is plain."""

    rows_total: int
    rows_to_update: int
    plain: Mapping[str, int]
    longest_token: Mapping[str, int | None]


def qualified(table: TableName) -> sql.Composable:
    return sql.Identifier(table.schema, table.table)


def any_plain(columns: Sequence[str]) -> sql.Composable:
    """True for a row that a run changes."""
    return sql.SQL("({})").format(
        sql.SQL(" OR ").join(is_plain(text_of(column)) for column in columns)
    )


def count(cursor: Cursor, table: TableName, columns: Sequence[str], tokenizer: Tokenizer) -> Counts:
    """One pass over the table; exact. At least one column.

    The longest value is only asked for where tokens grow with it: a SELECT has at most 1,664
    columns.
    """
    measured = [column for column in columns if not tokenizer.scheme_of(column).keyed]
    parts = [
        sql.SQL("pg_catalog.count(*)"),
        sql.SQL("pg_catalog.count(*) FILTER (WHERE {})").format(any_plain(columns)),
    ]
    for column in columns:
        plain = is_plain(text_of(column))
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


def count_plain(cursor: Cursor, table: TableName, columns: Sequence[str]) -> int:
    """Rows in which one of the columns still holds a plain value."""
    cursor.execute(
        sql.SQL("SELECT pg_catalog.count(*) FROM {} WHERE {}").format(
            qualified(table), any_plain(columns)
        )
    )
    return int((cursor.fetchone() or (0,))[0])


def count_reversible(cursor: Cursor, table: TableName, column: str) -> int:
    """Rows whose token holds the value itself."""
    cursor.execute(
        sql.SQL(
            "SELECT size, is_text, pg_catalog.count(*) FROM (SELECT "
            "LEAST(pg_catalog.octet_length(body), {longest} OPERATOR(pg_catalog.+) 1) AS size, "
            "CASE WHEN pg_catalog.octet_length(body) OPERATOR(pg_catalog.>) {longest} THEN true "
            "ELSE pg_catalog.encode(body, 'hex') OPERATOR(pg_catalog.~) {text} END AS is_text "
            "FROM (SELECT {body} AS body FROM {table}) AS bodies WHERE body IS NOT NULL) AS sized "
            "GROUP BY size, is_text"
        ).format(
            longest=sql.Literal(LONGEST_HASH),
            text=sql.Literal(TEXT_HEX),
            body=body_of(text_of(column)),
            table=qualified(table),
        )
    )
    return reversible(cursor.fetchall())


def count_entered_again(cursor: Cursor, table: TableName, column: str, scheme: Scheme) -> int:
    """Rows whose plain value has its token in the column already. Needs `load_key`."""
    value = text_of(column)
    cursor.execute(
        sql.SQL(
            "SELECT pg_catalog.count(*) FROM (SELECT {token} AS token FROM {table} WHERE {plain}) "
            "AS fresh WHERE fresh.token OPERATOR(pg_catalog.=) ANY "
            "(SELECT {value} FROM {table} WHERE NOT {plain})"
        ).format(
            token=token_of(value, scheme),
            table=qualified(table),
            plain=is_plain(value),
            value=value,
        )
    )
    return int((cursor.fetchone() or (0,))[0])


def checksum(
    cursor: Cursor, table: TableName, columns: Sequence[str], *, only_tokens: bool = False
) -> tuple[object, ...]:
    """What the columns hold, as one number each that no order of rows changes.

    only_tokens: rows that a run does not change.
    """
    plain = any_plain(columns) if only_tokens else sql.SQL("false")
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


def first_plain_values(cursor: Cursor, table: TableName, column: str) -> list[str]:
    """A few values that a run would change, whole, for the before → after look."""
    value = text_of(column)
    cursor.execute(
        sql.SQL(
            "SELECT {value} FROM {table} WHERE {plain} "
            "AND pg_catalog.octet_length({value}) OPERATOR(pg_catalog.<=) {longest} LIMIT {rows}"
        ).format(
            value=value,
            table=qualified(table),
            plain=is_plain(value),
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
