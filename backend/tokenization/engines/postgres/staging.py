"""Compute a run's tokens in temporary tables: for tables whose writes run code of the database, and
for tokens that are made anew.

Three steps, so that the key and such code are never there together: the plain values are taken
from the table, the tokens are computed from them alone, and the rows are written from there.
"""

from collections.abc import Sequence

from psycopg2.extensions import cursor as Cursor

from backend.integrations.postgres.connection import sql
from backend.tokenization.engines.postgres import expressions, measure
from backend.tokenization.engines.postgres.expressions import PLAIN_ONLY, Held
from backend.tokenization.engines.postgres.facts import Member
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import Tokenizer

_TAKEN = sql.SQL("pg_temp.portal_tokenization_taken")
_TOKENS = sql.SQL("pg_temp.portal_tokenization_tokens")


def take(cursor: Cursor, table: TableName, names: Sequence[str], held: Held = PLAIN_ONLY) -> None:
    """Copy the rows that a run changes: where they lie, and the columns' values."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} pg_catalog.text").format(_column(place)) for place in range(len(names))
    )
    for made in (_TAKEN, _TOKENS):
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE {} (member pg_catalog.oid, place pg_catalog.tid, {}) "
                "ON COMMIT DROP"
            ).format(made, columns)
        )
    cursor.execute(
        sql.SQL("INSERT INTO {} SELECT tableoid, ctid, {} FROM {} WHERE {}").format(
            _TAKEN,
            sql.SQL(", ").join(expressions.text_of(name) for name in names),
            measure.qualified(table),
            measure.any_plain(names, held),
        )
    )


def compute(
    cursor: Cursor, names: Sequence[str], tokenizer: Tokenizer, held: Held = PLAIN_ONLY
) -> None:
    """The tokens of what was taken; reads and writes temporary tables only. Needs `load_key`."""
    values = [
        expressions.after(
            sql.SQL('({} COLLATE pg_catalog."C")').format(_column(place)),
            tokenizer.scheme_of(name),
            sizes=held.get(name),
        )
        for place, name in enumerate(names)
    ]
    cursor.execute(
        sql.SQL("INSERT INTO {} SELECT member, place, {} FROM {}").format(
            _TOKENS, sql.SQL(", ").join(values), _TAKEN
        )
    )
    cursor.execute(sql.SQL("TRUNCATE {}").format(_TAKEN))


def expected(
    cursor: Cursor, table: TableName, names: Sequence[str], held: Held = PLAIN_ONLY
) -> tuple[object, ...]:
    """What `measure.checksum` has to give once the tokens are written."""
    cursor.execute(sql.SQL("ANALYZE {}").format(_TOKENS))
    cursor.execute(
        sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(measure.hash_sum(_column(place)) for place in range(len(names))),
            _TOKENS,
        )
    )
    fresh = cursor.fetchone() or ()
    kept = measure.checksum(cursor, table, names, without=held)
    return tuple(a + b for a, b in zip(fresh, kept, strict=True))


def update(member: Member, names: Sequence[str], first: int, last: int) -> sql.Composable:
    """Write the tokens into the rows of blocks first ≤ block < last."""
    assignments = [
        sql.SQL("{} = fresh.{}").format(sql.Identifier(name), _column(place))
        for place, name in enumerate(names)
    ]
    return sql.SQL(
        "UPDATE ONLY {table} AS kept SET {assignments} FROM {tokens} AS fresh "
        "WHERE fresh.member OPERATOR(pg_catalog.=) {member}::pg_catalog.oid "
        "AND fresh.place OPERATOR(pg_catalog.>=) {first}::pg_catalog.tid "
        "AND fresh.place OPERATOR(pg_catalog.<) {last}::pg_catalog.tid "
        "AND kept.ctid OPERATOR(pg_catalog.=) fresh.place"
    ).format(
        table=sql.Identifier(member.schema, member.name),
        assignments=sql.SQL(", ").join(assignments),
        tokens=_TOKENS,
        member=sql.Literal(member.oid),
        first=sql.Literal(f"({first},0)"),
        last=sql.Literal(f"({last},0)"),
    )


def _column(place: int) -> sql.Composable:
    return sql.Identifier(f"value_{place}")
