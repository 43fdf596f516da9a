"""Clean up after a run: what a committed run leaves behind in this database, and a proof of it.

VACUUM removes the dead row versions, ANALYZE makes the planner's statistics anew, the materialized
views that read the columns are refreshed; then each is looked at again.
"""

from collections.abc import Sequence

import psycopg2
from psycopg2.extensions import cursor as Cursor

from backend.integrations.postgres.connection import Connection, sql
from backend.tokenization.engines.base import CleanUp
from backend.tokenization.engines.postgres import catalog, expressions, measure
from backend.tokenization.engines.postgres.facts import TEXT_TYPES, TableFacts
from backend.tokenization.schemas import TableName

_DEAD = """
SELECT COALESCE(pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(oid)), 0)
  FROM pg_catalog.unnest(%(oids)s) AS m (oid)
"""
_PLACE = """
SELECT n.nspname, c.relname, ARRAY(
       SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
              JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND t.typname = ANY (%(types)s))
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.oid = %(view)s::pg_catalog.regclass
"""


def clean_up(connection: Connection, table: TableName, columns: Sequence[str]) -> CleanUp:
    """Do it and check it. Raises psycopg2's errors for the table itself; a view that cannot be
    refreshed is named in what is left."""
    connection.rollback()
    # VACUUM does not run inside a transaction.
    connection.autocommit = True
    with connection.cursor() as cursor:
        table = catalog.resolve(cursor, table)
        facts = catalog.read(cursor, table)
        names = [name for name in columns if name in facts.columns]
        cursor.execute(sql.SQL("VACUUM (ANALYZE) {}").format(measure.qualified(table)))
        done = [f"VACUUM and ANALYZE of {table}"]
        left: list[str] = []
        for view in _views(facts, names):
            problem = _refresh(cursor, view, names)
            (left if problem else done).append(problem or f"REFRESH of {view}")
        left += _still_there(cursor, table, facts, names)
    return CleanUp(tuple(done), tuple(left))


def _views(facts: TableFacts, names: Sequence[str]) -> list[str]:
    """In the order in which one reads another."""
    return list(dict.fromkeys(view for view, name in facts.materialized_views if name in names))


def _refresh(cursor: Cursor, view: str, names: Sequence[str]) -> str:
    """Why the view still holds plain values, or "". Its name comes quoted from the server."""
    try:
        cursor.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.SQL(view)))
    except psycopg2.errors.Error as exc:
        return f"the materialized view {view} could not be refreshed (SQLSTATE {exc.pgcode})"
    cursor.execute(_PLACE, {"view": view, "types": list(TEXT_TYPES)})
    schema, name, texts = cursor.fetchone() or ("", "", [])
    shared = [column for column in texts if column in names]
    if shared and measure.count_plain(cursor, TableName("", schema, name), shared):
        return f"the materialized view {view} holds plain values of its own in {', '.join(shared)}"
    return ""


def _still_there(
    cursor: Cursor, table: TableName, facts: TableFacts, names: Sequence[str]
) -> list[str]:
    left = []
    rows = measure.count_plain(cursor, table, names) if names else 0
    if rows:
        left.append(f"{rows:,} rows of {table} hold a plain value again")
    oids = [member.oid for member in facts.members]
    cursor.execute(_DEAD, {"oids": oids})
    dead = int((cursor.fetchone() or (0,))[0])
    if dead:
        holders = [name for what, name in catalog.copies(cursor, oids, table) if what == "snapshot"]
        why = f"; kept by {', '.join(holders)}" if holders else ""
        left.append(f"VACUUM could not remove {dead:,} dead row versions of {table}{why}")
    quoted = [name for name in names if _in_statistics(cursor, facts, name)]
    if quoted:
        left.append(f"the planner's statistics still quote plain values of {', '.join(quoted)}")
    return left


def _in_statistics(cursor: Cursor, facts: TableFacts, name: str) -> bool:
    """Whether pg_stats quotes a plain value of the column. Read as the table's owner sees it."""
    value = sql.SQL('(quoted.value COLLATE pg_catalog."C")')
    for member in facts.members:
        cursor.execute(
            sql.SQL(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_stats AS s, pg_catalog.unnest("
                "s.most_common_vals::pg_catalog.text::pg_catalog.text[] OPERATOR(pg_catalog.||) "
                "s.histogram_bounds::pg_catalog.text::pg_catalog.text[]) AS quoted (value) "
                "WHERE s.schemaname = {schema} AND s.tablename = {table} AND s.attname = {name} "
                "AND {plain})"
            ).format(
                schema=sql.Literal(member.schema),
                table=sql.Literal(member.name),
                name=sql.Literal(name),
                plain=expressions.is_plain(value),
            )
        )
        if (cursor.fetchone() or (False,))[0]:
            return True
    return False
