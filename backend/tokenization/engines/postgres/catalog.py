"""Read a table's facts from PostgreSQL's catalog; every query is parameterised and read-only."""

from typing import Any

from psycopg2.extensions import cursor as Cursor

from backend.core.errors import InvalidInput
from backend.tokenization.engines.base import MOST_TABLES
from backend.tokenization.engines.postgres import reach
from backend.tokenization.engines.postgres.facts import (
    ColumnFacts,
    Constraint,
    Index,
    LockHolder,
    Member,
    RewritingFacts,
    ServerFacts,
    TableFacts,
    UpdateTrigger,
)
from backend.tokenization.schemas import TableName

_SERVER = """
SELECT pg_catalog.current_setting('server_version_num')::int,
       pg_catalog.current_setting('server_encoding'),
       pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('synchronous_standby_names') <> ''
           AND pg_catalog.current_setting('synchronous_commit') NOT IN ('off', 'local')
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_replication),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'),
       current_user::text,
       pg_catalog.current_setting('block_size')::int
"""

_TABLE = """
SELECT c.oid, c.relkind::text, pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = %(table)s
"""

_IN_PLACE = _TABLE + " AND c.oid = %(oid)s"

_SPELT_OTHERWISE = """
SELECT n.nspname, c.relname
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE pg_catalog.lower(n.nspname) = pg_catalog.lower(%(schema)s)
   AND pg_catalog.lower(c.relname) = pg_catalog.lower(%(table)s)
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f') LIMIT 2
"""

_PLACES = """
SELECT a.attname, pg_catalog.concat(a.attrelid, '.', a.attnum)
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
                                             AND NOT a.attisdropped
 WHERE n.nspname = %(schema)s AND c.relname = %(table)s
 ORDER BY a.attnum
"""

_MEMBERS = """
WITH RECURSIVE family (oid) AS (
    SELECT %(oid)s::pg_catalog.oid
    UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN family AS f ON i.inhparent = f.oid)
SELECT c.oid, n.nspname, c.relname, c.relkind::text,
       pg_catalog.has_table_privilege(c.oid, 'SELECT'),
       pg_catalog.has_table_privilege(c.oid, 'UPDATE'),
       pg_catalog.row_security_active(c.oid),
       CASE WHEN c.relkind = 'r' THEN (pg_catalog.pg_relation_size(c.oid, 'main')
            / pg_catalog.current_setting('block_size')::int)::int ELSE 0 END,
       CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_total_relation_size(c.oid) ELSE 0 END
  FROM family AS f JOIN pg_catalog.pg_class AS c ON c.oid = f.oid
       JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY c.oid <> %(oid)s, n.nspname, c.relname
"""

_COLUMNS = """
WITH RECURSIVE chain AS (
    SELECT a.attnum, a.atttypid AS type, a.atttypmod AS typmod, 0 AS depth, false AS checked
      FROM pg_catalog.pg_attribute AS a
     WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT c.attnum, t.typbasetype,
           CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE c.typmod END, c.depth + 1,
           c.checked OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
                                 WHERE k.contypid = t.oid AND k.contype = 'c')
      FROM chain AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.type AND t.typtype = 'd'),
base AS (SELECT DISTINCT ON (attnum) attnum, type, typmod, checked FROM chain
          ORDER BY attnum, depth DESC)
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typname,
       CASE WHEN t.typname IN ('varchar', 'bpchar') AND b.typmod >= 4 THEN b.typmod - 4 END,
       a.attgenerated <> '', b.checked, COALESCE(l.collisdeterministic, true),
       pg_catalog.concat(a.attrelid, '.', a.attnum)
  FROM base AS b
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = %(oid)s AND a.attnum = b.attnum
       JOIN pg_catalog.pg_type AS t ON t.oid = b.type
       LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
 ORDER BY a.attnum
"""

# A partition's copy of a constraint or index is left out where the original is in sight already.
# A column of a partition key's expression is recorded as depending on its own table ('i').
_CONSTRAINTS = """
SELECT k.contype::text, k.conname, k.conrelid::pg_catalog.regclass::text, a.attname
  FROM pg_catalog.pg_constraint AS k
       CROSS JOIN LATERAL pg_catalog.unnest(k.conkey) AS u (attnum)
       LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
                                             AND u.attnum > 0
 WHERE k.conrelid = ANY (%(oids)s) AND k.contype IN ('p', 'f', 'c', 'x', 'u')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS o
                    WHERE o.oid = k.conparentid AND o.conrelid = ANY (%(oids)s))
UNION
SELECT 'r', k.conname, k.conrelid::pg_catalog.regclass::text, a.attname
  FROM pg_catalog.pg_constraint AS k
       CROSS JOIN LATERAL pg_catalog.unnest(k.confkey) AS u (attnum)
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
 WHERE k.confrelid = ANY (%(oids)s) AND k.contype = 'f'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS o
                    WHERE o.oid = k.conparentid AND o.confrelid = ANY (%(oids)s))
UNION
SELECT 'k', 'partition key', p.partrelid::pg_catalog.regclass::text, a.attname
  FROM pg_catalog.pg_partitioned_table AS p
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum > 0
 WHERE p.partrelid = ANY (%(oids)s)
   AND (a.attnum = ANY (p.partattrs::pg_catalog.int2[]) OR EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = p.partrelid
           AND d.objsubid = a.attnum AND d.refobjid = p.partrelid AND d.refobjsubid = 0
           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'i'))
"""

_INDEXES = """
SELECT DISTINCT c.relname, i.indisunique, m.amname, a.attname,
       i.indexprs IS NOT NULL OR a.attnum <> ALL (i.indkey::pg_catalog.int2[]),
       i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL,
       COALESCE(pg_catalog.pg_get_expr(i.indexprs, i.indrelid), ''),
       i.indexprs IS NULL AND i.indpred IS NULL
           AND a.attnum <> ALL ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])
  FROM pg_catalog.pg_index AS i
       JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
       JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum > 0
 WHERE i.indrelid = ANY (%(oids)s)
   AND (a.attnum = ANY (i.indkey::pg_catalog.int2[]) OR EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
   AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_inherits AS h
               JOIN pg_catalog.pg_index AS o ON o.indexrelid = h.inhparent
         WHERE h.inhrelid = i.indexrelid AND o.indrelid = ANY (%(oids)s))
 ORDER BY 1
"""

# Bits of tgtype: 1 per row, 2 before, 16 on update.
_TRIGGERS = """
SELECT t.tgname, t.tgrelid::pg_catalog.regclass::text, (t.tgtype & 1) = 1, (t.tgtype & 2) = 2,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr::pg_catalog.int2[]))
  FROM pg_catalog.pg_trigger AS t
 WHERE t.tgrelid = ANY (%(oids)s) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
   AND (t.tgtype & 16) = 16
 ORDER BY 1, 2
"""

_RULES = """
SELECT DISTINCT r.rulename FROM pg_catalog.pg_rewrite AS r
 WHERE r.ev_class = ANY (%(oids)s) AND r.ev_type = '2' AND r.ev_enabled <> 'D'
"""

_GENERATED_FROM = """
SELECT DISTINCT g.attname, a.attname
  FROM pg_catalog.pg_depend AS d
       JOIN pg_catalog.pg_attrdef AS f ON f.oid = d.objid
       JOIN pg_catalog.pg_attribute AS g ON g.attrelid = f.adrelid AND g.attnum = f.adnum
                                        AND g.attgenerated <> ''
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
   AND d.refobjid = %(oid)s AND d.refobjsubid > 0 AND a.attnum <> g.attnum
"""

# Virtual ones (18): nothing of them is written, so that an UPDATE does not notice what fails.
_VIRTUAL = """
SELECT n.nspname, c.relname, pg_catalog.array_agg(DISTINCT g.attname::text)
  FROM pg_catalog.pg_depend AS d
       JOIN pg_catalog.pg_attrdef AS f ON f.oid = d.objid
       JOIN pg_catalog.pg_attribute AS g ON g.attrelid = f.adrelid AND g.attnum = f.adnum
                                        AND g.attgenerated = 'v'
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       JOIN pg_catalog.pg_class AS c ON c.oid = g.attrelid
       JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
   AND d.refobjid = ANY (%(oids)s) AND a.attname = ANY (%(names)s) AND a.attnum <> g.attnum
 GROUP BY 1, 2
"""

# A run's EXCLUSIVE waits for everything but readers. No pid: a prepared transaction.
_LOCK_HOLDERS = """
SELECT DISTINCT ON (l.pid, p.gid) l.pid, COALESCE(s.application_name, ''),
       COALESCE(s.usename, p.owner, ''), COALESCE(EXTRACT(epoch FROM
           pg_catalog.clock_timestamp() - COALESCE(s.xact_start, p.prepared)), 0)::float,
       COALESCE(pg_catalog.left(s.query, 500), ''), COALESCE(p.gid, '')
  FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS s ON s.pid = l.pid
       LEFT JOIN (pg_catalog.pg_locks AS own JOIN pg_catalog.pg_prepared_xacts AS p
                  ON own.transactionid = p.transaction AND own.pid IS NULL)
            ON l.pid IS NULL AND own.virtualtransaction = l.virtualtransaction
 WHERE l.locktype = 'relation' AND l.relation = ANY (%(oids)s) AND l.granted
   AND l.database = (SELECT oid FROM pg_catalog.pg_database
                      WHERE datname = pg_catalog.current_database())
   AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
   AND (%(readers)s OR l.mode <> 'AccessShareLock')
 ORDER BY l.pid, p.gid LIMIT 5
"""


# Code that writing a row runs: triggers, and whatever is not an immutable function of the server
# itself in an index, a check (a domain's too), a generated column or a partition key, of the tables
# and of those they are partitions of. Functions stand in the stored expressions by number; a
# function in C needs a superuser and reads no tables of others.
_USER_CODE = """
WITH family AS (
    SELECT pg_catalog.unnest(%(oids)s) AS oid
    UNION SELECT a.relid::pg_catalog.oid
      FROM pg_catalog.unnest(%(oids)s) AS m (oid),
           pg_catalog.pg_partition_ancestors(m.oid) AS a (relid)),
expression (place, tree) AS (
    SELECT 'the index ' || i.indexrelid::pg_catalog.regclass::text,
           pg_catalog.concat(i.indexprs::text, i.indpred::text)
      FROM pg_catalog.pg_index AS i JOIN family AS f ON f.oid = i.indrelid
    UNION ALL
    SELECT 'the check constraint ' || k.conname, k.conbin::text
      FROM pg_catalog.pg_constraint AS k
     WHERE k.contype = 'c' AND (k.conrelid IN (SELECT oid FROM family) OR k.contypid IN (
           SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
                  JOIN family AS f ON f.oid = a.attrelid))
    UNION ALL
    SELECT 'the generated column ' || a.attname, d.adbin::text
      FROM pg_catalog.pg_attrdef AS d JOIN family AS f ON f.oid = d.adrelid
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     WHERE a.attgenerated <> ''
    UNION ALL
    SELECT 'the partition key of ' || p.partrelid::pg_catalog.regclass::text, p.partexprs::text
      FROM pg_catalog.pg_partitioned_table AS p JOIN family AS f ON f.oid = p.partrelid
    UNION ALL
    SELECT 'the trigger ' || t.tgname, t.tgqual::text
      FROM pg_catalog.pg_trigger AS t JOIN family AS f ON f.oid = t.tgrelid
     WHERE NOT t.tgisinternal AND t.tgenabled <> 'D')
SELECT e.place, p.oid::pg_catalog.regprocedure::text
  FROM expression AS e
       CROSS JOIN LATERAL pg_catalog.regexp_matches(e.tree, 'func[a-z]*id ([1-9][0-9]*)', 'g') AS m
       JOIN pg_catalog.pg_proc AS p ON p.oid = m[1]::pg_catalog.oid
       JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
 WHERE l.lanname NOT IN ('internal', 'c') OR p.provolatile <> 'i'
UNION
SELECT 'the trigger ' || t.tgname, t.tgfoid::pg_catalog.regprocedure::text
  FROM pg_catalog.pg_trigger AS t JOIN family AS f ON f.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND (t.tgtype & 16) = 16
 ORDER BY 1, 2
"""


class NoSuchTable(InvalidInput):
    """The dataset names a table that the database does not have."""

    def __init__(self, table: TableName) -> None:
        super().__init__(
            f"The database {table.database} has no table {table.schema}.{table.table} that this "
            "login can see. Check the dataset's URN (names are case-sensitive) and the connection."
        )


def resolve(cursor: Cursor, table: TableName) -> TableName:
    """The table that is meant: this one, or the only one whose name differs in case alone.

    Ingestion may write names in lower case. What is not there, or there twice, stays as it is.
    """
    about = {"schema": table.schema, "table": table.table}
    if _rows(cursor, _TABLE, about):
        return table
    found = _rows(cursor, _SPELT_OTHERWISE, about)
    return TableName(table.database, *found[0]) if len(found) == 1 else table


def read(cursor: Cursor, table: TableName) -> TableFacts:
    """The facts of `table`. Raises NoSuchTable."""
    server = _server(cursor)
    row = _rows(cursor, _TABLE, {"schema": table.schema, "table": table.table})
    if not row:
        raise NoSuchTable(table)
    oid, kind, usable = row[0]
    members = tuple(Member(*member) for member in _rows(cursor, _MEMBERS, {"oid": oid}))
    about: dict[str, Any] = {"oid": oid, "oids": [member.oid for member in members]}
    publication = _rows(cursor, reach.PUBLICATION, about)
    partial = server.version >= 150_000  # row filters and column lists
    partly = _rows(cursor, reach.PUBLISHED_IN_PART, about) if partial else []
    if server.version >= 180_000:  # generated columns in publications
        partly += _rows(cursor, reach.NOT_PUBLISHED, about)
    return TableFacts(
        server=server,
        oid=oid,
        kind=kind,
        schema_usable=usable,
        members=members,
        columns={column[0]: ColumnFacts(*column) for column in _rows(cursor, _COLUMNS, about)},
        constraints=tuple(Constraint(*found) for found in _rows(cursor, _CONSTRAINTS, about)),
        indexes=tuple(Index(*found) for found in _rows(cursor, _INDEXES, about)),
        triggers=tuple(
            UpdateTrigger(found[0], found[1], found[2], found[3], tuple(found[4]))
            for found in _rows(cursor, _TRIGGERS, about)
        ),
        update_rules=tuple(found[0] for found in _rows(cursor, _RULES, about)),
        materialized_views=tuple(_rows(cursor, reach.MATERIALIZED_VIEWS, about)),
        generated_from=tuple(_rows(cursor, _GENERATED_FROM, about)),
        publication_without_identity=publication[0][0] if publication else "",
        published_in_part=tuple(partly),
        row_filters=tuple(_rows(cursor, reach.ROW_FILTERS, about)) if partial else (),
        copies=copies(cursor, about["oids"], table),
        rewriting=_rewriting(cursor, about),
        lock_holders=lock_holders(cursor, about["oids"]),
        user_code=tuple(_rows(cursor, _USER_CODE, about)),
    )


def places(cursor: Cursor, table: TableName) -> dict[str, str]:
    """The columns of `table`, in order, with what tells each from all others: the number of the
    table and its own there. Raises NoSuchTable."""
    found = _rows(cursor, _PLACES, {"schema": table.schema, "table": table.table})
    if not found:
        raise NoSuchTable(table)
    return {name: place for name, place in found if name is not None}


def lock_holders(
    cursor: Cursor, oids: list[int], *, readers: bool = False
) -> tuple[LockHolder, ...]:
    """Who holds a lock that a run would have to wait for, at most five. readers: those, too."""
    about = {"oids": oids, "readers": readers}
    return tuple(LockHolder(*found) for found in _rows(cursor, _LOCK_HOLDERS, about))


def computed_when_read(
    cursor: Cursor, oids: list[int], names: list[str]
) -> list[tuple[str, str, list[str]]]:
    """(schema, table, its virtual generated columns) of what is computed from these columns."""
    found = _rows(cursor, _VIRTUAL, {"oids": oids, "names": names})
    return [(schema, table, columns) for schema, table, columns in found]


def is_in_place(cursor: Cursor, member: Member) -> bool:
    """Whether the table still has its name: a lock keeps its own, and not that of its schema."""
    about = {"oid": member.oid, "schema": member.schema, "table": member.name}
    return bool(_rows(cursor, _IN_PLACE, about))


def copies(cursor: Cursor, oids: list[int], table: TableName) -> tuple[tuple[str, str], ...]:
    """(what, its name): where plain values go or stay apart from the tables, as of now."""
    return tuple(_rows(cursor, reach.COPIES, {"oids": oids, "table": table.table}))


def _rewriting(cursor: Cursor, about: dict[str, Any]) -> RewritingFacts:
    owned, inherits, of_type = _rows(cursor, reach.OWNED, about)[0]
    columns = _rows(cursor, reach.COLUMNS, about)
    return RewritingFacts(
        owned=owned,
        inherits=inherits,
        of_type=of_type,
        event_triggers=tuple(name for (name,) in _rows(cursor, reach.EVENT_TRIGGERS, about)),
        dependents=tuple(_rows(cursor, reach.DEPENDENTS, about)),
        kept_apart=tuple(name for name, _, _, apart in columns if apart),
        collations={name: (schema, found) for name, schema, found, _ in columns if found},
    )


def _server(cursor: Cursor) -> ServerFacts:
    return ServerFacts(*_rows(cursor, _SERVER, {})[0])


def _rows(cursor: Cursor, query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    cursor.execute(query, parameters)
    return cursor.fetchall()


def list_tables(cursor: Cursor, database: str) -> list[tuple[TableName, int | None]]:
    """Tables that may be read, partitions left out; the rows are the planner's estimate."""
    cursor.execute(
        """
        SELECT n.nspname, c.relname, c.reltuples::bigint
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
          AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
        ORDER BY 1, 2 LIMIT %s
        """,
        (MOST_TABLES,),
    )
    return [
        (TableName(database, schema, table), rows if rows >= 0 else None)
        for schema, table, rows in cursor.fetchall()
    ]
