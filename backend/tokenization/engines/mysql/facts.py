"""What MySQL's or MariaDB's information_schema says about a table; parameterised and read-only."""

import re
from dataclasses import dataclass, field
from typing import Any

import pymysql

from backend.core.errors import InvalidInput
from backend.integrations.mysql.connection import is_mariadb
from backend.integrations.mysql.errors import number_of
from backend.tokenization.engines.base import MOST_TABLES
from backend.tokenization.engines.mysql.expressions import identifier, qualified
from backend.tokenization.schemas import TableName

TEXT_TYPES = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_TABLE = """
SELECT table_name, table_type, COALESCE(engine, ''),
       COALESCE(data_length, 0) + COALESCE(index_length, 0)
  FROM information_schema.tables
 WHERE table_schema = %s AND LOWER(table_name) = LOWER(%s)
"""
# A table's number is shown to few (PROCESS); when it was made or altered, to everybody.
_COLUMNS = """
SELECT c.column_name, c.column_type, c.data_type, c.character_maximum_length,
       COALESCE(c.collation_name, ''), COALESCE(c.generation_expression, '') <> '',
       LOWER(c.extra) LIKE '%%on update%%',
       COALESCE(CONCAT(UNIX_TIMESTAMP(t.create_time), '.', c.ordinal_position), '')
  FROM information_schema.columns AS c
       JOIN information_schema.tables AS t
         ON t.table_schema = c.table_schema AND t.table_name = c.table_name
 WHERE c.table_schema = %s AND c.table_name = %s
 ORDER BY c.ordinal_position
"""
_KEYS = """
SELECT k.column_name, k.constraint_name, c.constraint_type
  FROM information_schema.key_column_usage AS k
       JOIN information_schema.table_constraints AS c
         ON c.table_schema = k.table_schema AND c.table_name = k.table_name
        AND c.constraint_name = k.constraint_name
 WHERE k.table_schema = %s AND k.table_name = %s
   AND c.constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY')
"""
_REFERRED_TO = """
SELECT referenced_column_name, CONCAT(constraint_name, ' of ', table_name), 'REFERRED TO'
  FROM information_schema.key_column_usage
 WHERE referenced_table_schema = %s AND referenced_table_name = %s
"""
_INDEXES = """
SELECT s.column_name, s.index_name, s.non_unique = 0, COALESCE(s.sub_part, 0), s.index_type
  FROM information_schema.statistics AS s
 WHERE s.table_schema = %s AND s.table_name = %s AND s.column_name IS NOT NULL
 ORDER BY s.index_name, s.seq_in_index
"""
# Only MySQL has indexes on expressions; their columns are nowhere else.
_INDEX_EXPRESSIONS = """
SELECT index_name, expression FROM information_schema.statistics
 WHERE table_schema = %s AND table_name = %s AND expression IS NOT NULL
 ORDER BY index_name, seq_in_index
"""
# A constraint's name is unique in its schema on MySQL, in its table on MariaDB.
_CHECKS = {
    True: "SELECT constraint_name, check_clause FROM information_schema.check_constraints"
    " WHERE constraint_schema = %s AND table_name = %s",
    False: "SELECT c.constraint_name, c.check_clause FROM information_schema.check_constraints AS c"
    " JOIN information_schema.table_constraints AS t ON t.constraint_schema = c.constraint_schema"
    " AND t.constraint_name = c.constraint_name AND t.constraint_type = 'CHECK'"
    " WHERE t.table_schema = %s AND t.table_name = %s",
}
_TRIGGERS = """
SELECT trigger_name FROM information_schema.triggers
 WHERE event_object_schema = %s AND event_object_table = %s AND event_manipulation = 'UPDATE'
"""
_PARTITIONS = """
SELECT DISTINCT CONCAT_WS(' ', partition_expression, subpartition_expression)
  FROM information_schema.partitions
 WHERE table_schema = %s AND table_name = %s AND partition_name IS NOT NULL
"""
_GENERATED = """
SELECT column_name, generation_expression, extra LIKE '%%VIRTUAL%%'
  FROM information_schema.columns
 WHERE table_schema = %s AND table_name = %s AND COALESCE(generation_expression, '') <> ''
"""
_SERVER = """
SELECT VERSION(), @@global.read_only, @@global.log_bin, @@session.binlog_format,
       @@global.general_log, @@global.slow_query_log, CURRENT_USER()
"""
_DENIED = frozenset({1044, 1142, 1143, 1227})


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    base_type: str
    length: int | None
    collation: str
    generated: bool
    on_update: bool
    #: It changes with the table, whatever of it was altered.
    place: str = field(compare=False)

    @property
    def is_text(self) -> bool:
        return self.base_type in TEXT_TYPES


@dataclass(frozen=True)
class Index:
    """A column's part in an index. prefix: characters of the column that it holds, 0 for all."""

    column: str
    name: str
    unique: bool
    prefix: int
    kind: str


@dataclass(frozen=True)
class Server:
    """binary_log: the format that this session's changes are logged in, "" for none."""

    version: str
    read_only: bool
    binary_log: str
    general_log: bool
    slow_log: bool
    user: str

    @property
    def number(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", self.version.partition("-")[0])[:3])

    @property
    def mariadb(self) -> bool:
        return is_mariadb(self.version)


@dataclass(frozen=True)
class Facts:
    """keys: (column, constraint, kind). checks, generated_from, index_expressions: name and
    expression; of a generated column also whether it is computed only when it is read."""

    server: Server
    kind: str
    engine: str
    bytes_total: int
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, str, str], ...] = ()
    indexes: tuple[Index, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()
    generated_from: tuple[tuple[str, str, bool], ...] = ()
    index_expressions: tuple[tuple[str, str], ...] = ()
    triggers: tuple[str, ...] = ()
    partitioned_by: tuple[str, ...] = ()
    sees_triggers: bool = True
    may_select: bool = True
    may_update: bool = True
    may_use_temp: bool = True


class NoSuchTable(InvalidInput):
    def __init__(self, table: TableName) -> None:
        super().__init__(
            f"There is no table {table} that the connection's user can see. Check the dataset's "
            "URN, and that the user has SELECT on the table."
        )


def resolve(cursor: Any, table: TableName) -> TableName:
    """The table as the server spells it; another case fits when it is the only one.

    Raises NoSuchTable.
    """
    cursor.execute(_TABLE, (table.database, table.table))
    names = [str(row[0]) for row in cursor.fetchall()]
    if table.table in names:
        return table
    if len(names) != 1:
        raise NoSuchTable(table)
    return TableName(table.database, table.schema, names[0])


def columns(cursor: Any, table: TableName) -> tuple[Column, ...]:
    """Of a table that `resolve` has found, in order."""
    return tuple(
        Column(name, type_, base, length, collation, bool(generated), bool(on_update), place)
        for name, type_, base, length, collation, generated, on_update, place in _rows(
            cursor, _COLUMNS, (table.database, table.table)
        )
    )


def read(cursor: Any, table: TableName) -> Facts:
    """The facts of a table that `resolve` has found. Raises NoSuchTable."""
    where = (table.database, table.table)
    cursor.execute(_TABLE, where)
    found = next((row for row in cursor.fetchall() if row[0] == table.table), None)
    if found is None:
        raise NoSuchTable(table)
    server = _server(cursor)
    found_columns = columns(cursor, table)
    return Facts(
        server=server,
        kind=str(found[1]),
        engine=str(found[2]),
        bytes_total=int(found[3]),
        columns=found_columns,
        keys=(*_rows(cursor, _KEYS, where), *_rows(cursor, _REFERRED_TO, where)),
        indexes=tuple(Index(*row) for row in _rows(cursor, _INDEXES, where)),
        checks=_rows(cursor, _CHECKS[server.mariadb], where),
        generated_from=_rows(cursor, _GENERATED, where),
        index_expressions=() if server.mariadb else _rows(cursor, _INDEX_EXPRESSIONS, where),
        triggers=tuple(row[0] for row in _rows(cursor, _TRIGGERS, where)),
        partitioned_by=tuple(row[0] for row in _rows(cursor, _PARTITIONS, where)),
        sees_triggers=_sees_triggers(cursor, table),
        may_select=_may(cursor, f"SELECT 1 FROM {qualified(table)} LIMIT 0"),  # noqa: S608
        may_update=bool(found_columns) and _may_update(cursor, table, found_columns),
    )


def may_use_temp(cursor: Any, *, readonly: bool) -> bool:
    """Whether the user may make temporary tables, which a read-only transaction refuses to all.

    To be asked before anything else: it ends the transaction and begins another one.
    """
    cursor.execute("ROLLBACK")
    may = _may(
        cursor,
        "CREATE TEMPORARY TABLE IF NOT EXISTS portal_right (made INT PRIMARY KEY) ENGINE = MEMORY",
    )
    cursor.execute(f"START TRANSACTION READ {'ONLY' if readonly else 'WRITE'}")
    return may


def _rows(cursor: Any, query: str, where: tuple[str, str]) -> tuple[tuple[Any, ...], ...]:
    cursor.execute(query, where)
    return tuple(tuple(row) for row in cursor.fetchall())


def _server(cursor: Any) -> Server:
    cursor.execute(_SERVER)
    version, read_only, logs, form, general, slow, user = cursor.fetchone()
    return Server(
        version=str(version),
        read_only=is_on(read_only),
        binary_log=str(form).upper() if is_on(logs) else "",
        general_log=is_on(general),
        slow_log=is_on(slow),
        user=str(user),
    )


def is_on(value: Any) -> bool:
    """Newer servers answer some switches with a word."""
    return str(value).upper() not in ("0", "OFF", "NO", "")


def _may_update(cursor: Any, table: TableName, columns: tuple[Column, ...]) -> bool:
    """EXPLAIN asks for the rights of what it explains, and changes nothing."""
    name = next((c.name for c in columns if not c.generated), columns[0].name)
    column = identifier(name)
    return _may(
        cursor,
        f"EXPLAIN UPDATE {qualified(table)} SET {column} = {column} WHERE FALSE",  # noqa: S608
    )


def _may(cursor: Any, statement: str) -> bool:
    try:
        cursor.execute(statement)
    except pymysql.err.Error as exc:
        if number_of(exc) in _DENIED:
            return False
        # No question of rights: a view; a trigger, in a read-only transaction.
        if number_of(exc) in (1288, 1356, 1792):
            return True
        raise
    return True


def _sees_triggers(cursor: Any, table: TableName) -> bool:
    """Whether SHOW GRANTS names the right TRIGGER, without which triggers are not shown.

    A right on everything may have been taken back for one database (MySQL's partial_revokes).
    """
    cursor.execute("SHOW GRANTS")
    places = {"*.*", f"{identifier(table.database)}.*", qualified(table)}
    granted = False
    for (line,) in cursor.fetchall():
        found = re.match(
            r"(?P<verb>GRANT|REVOKE) (?P<rights>.*?) ON (?:TABLE )?(?P<place>\S+) (?:TO|FROM) ",
            str(line),
        )
        if found is None or found["place"].replace("\\", "") not in places:
            continue
        rights = {right.strip() for right in found["rights"].split(",")}
        if rights & {"TRIGGER", "ALL PRIVILEGES"}:
            if found["verb"] == "REVOKE":
                return False
            granted = True
    return granted


def list_tables(cursor: Any, database: str) -> list[tuple[TableName, int | None]]:
    """Base tables of the database; the rows are the storage engine's estimate."""
    cursor.execute(
        "SELECT table_name, table_rows FROM information_schema.tables "
        "WHERE table_schema = %s AND table_type = 'BASE TABLE' ORDER BY 1 LIMIT %s",
        (database, MOST_TABLES),
    )
    return [(TableName(database, "", table), rows) for table, rows in cursor.fetchall()]
