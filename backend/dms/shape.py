"""The two shapes of a ledger: the guide's, and that of deployed DMS servers.

The guide's table has an `id`. A deployed server's has none: its key is (jobid, backup_target_id,
host), its times and `deleted` may be NULL. Which one a database has is found out once per
connection; everything that reads or writes asks the shape.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Inspector,
    String,
    Table,
    cast,
    false,
    literal_column,
    true,
    type_coerce,
)
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import NullType

from backend.dms import schema

#: In the order of `LedgerEntry`.
COLUMNS = (
    "id",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
    "version",
    "backup_target_id",
    "jobid",
    "host",
    "mounted",
)
#: What makes one row where there is no id.
KEY = ("jobid", "backup_target_id", "host")


class NotALedger(Exception):
    """The table lacks columns that both shapes have; `missing` names them."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(", ".join(missing))
        self.missing = missing


@dataclass(frozen=True)
class Shape:
    """indexes: names of those the table has. leading: columns that one of them begins with."""

    name: Literal["ledger of the guide", "ledger of a DMS server"]
    dialect: str
    table: Table
    indexes: frozenset[str]
    leading: frozenset[str]
    nullable: frozenset[str]

    @property
    def has_id(self) -> bool:
        return self.table is schema.ledger

    def selected(self) -> list[ColumnElement[Any]]:
        """The columns of an entry as the driver gives them: the table belongs to others, and a
        value that SQLAlchemy cannot turn into the column's type must not end the whole query."""
        return [_raw(self.table, name, self.dialect) for name in COLUMNS]

    def order(self, *, newest_first: bool) -> list[ColumnElement[Any]]:
        """Entries by their making: by id, or by created_at and the key; NULL counts as oldest."""
        c = self.table.c
        if self.has_id:
            return [c.id.desc() if newest_first else c.id.asc()]
        key = [c.created_at, *(c[name] for name in KEY)]
        return [self.ordered(column, descending=newest_first) for column in key]

    def ordered(self, column: ColumnElement[Any], *, descending: bool) -> ColumnElement[Any]:
        """`column` for ORDER BY, with NULL as the least, as MySQL and SQLite have it anyway."""
        if self.dialect != "postgresql" or column.name not in self.nullable:
            return column.desc() if descending else column.asc()
        return column.desc().nulls_last() if descending else column.asc().nulls_first()

    def flag(self, name: str, wanted: bool) -> ColumnElement[bool]:
        """`deleted` or `mounted` is so; NULL is no."""
        column = self.table.c[name]
        if name not in self.nullable:
            return column == (true() if wanted else false())
        return column == true() if wanted else column.is_not(true())


def _raw(table: Table, name: str, dialect: str) -> ColumnElement[Any]:
    if name not in table.c:
        return literal_column("NULL").label(name)
    column = table.c[name]
    if dialect == "postgresql" and isinstance(column.type, DateTime):
        return cast(column, String).label(name)  # years that Python does not have
    return type_coerce(column, NullType()).label(name)


def find(inspector: Inspector) -> Shape:
    """The shape of the ledger that is there. Raises NotALedger."""
    with warnings.catch_warnings():  # SQLite's TINYINT(1) has an argument that SQLAlchemy drops
        warnings.simplefilter("ignore", SAWarning)
        columns = {c["name"]: c for c in inspector.get_columns(schema.LEDGER_NAME)}
    missing = [name for name in COLUMNS if name not in columns and name != "id"]
    key = inspector.get_pk_constraint(schema.LEDGER_NAME)["constrained_columns"]
    if "id" not in columns and set(key) != set(KEY):
        missing = ["id", *missing]
    if missing:
        raise NotALedger(missing)
    indexes = inspector.get_indexes(schema.LEDGER_NAME)
    begins = [key[0]] if key else []
    begins += [str(i["column_names"][0]) for i in indexes if i["column_names"]]
    return Shape(
        name="ledger of the guide" if "id" in columns else "ledger of a DMS server",
        dialect=inspector.dialect.name,
        table=schema.ledger if "id" in columns else schema.server_ledger,
        indexes=frozenset(str(i["name"]) for i in indexes if i["name"]),
        leading=frozenset(begins),
        nullable=frozenset(name for name, column in columns.items() if column["nullable"]),
    )


def key_of(ledger_id: int | None, jobid: object, target: str, host: str) -> str:
    """An entry's key as text: its id, or `jobid:target:host` with each part percent-encoded."""
    if ledger_id is not None:
        return str(ledger_id)
    return ":".join(quote(str(part), safe="") for part in (jobid, target, host))


def read_key(text: str) -> int | tuple[int, str, str] | None:
    """The id, or (jobid, target, host); None for text that is no key."""
    parts = text.split(":")
    try:
        if len(parts) == 1:
            return int(text) if len(text) <= MOST_DIGITS else None
        jobid, target, host = parts
        return int(jobid), unquote(target), unquote(host)
    except ValueError:
        return None


#: A BIGINT has room for this many.
MOST_DIGITS = 18
