"""The two shapes of a ledger: the guide's, and that of deployed DMS servers.

The guide's table has an `id`. A deployed server's has none: its key is (jobid, backup_target_id,
host), its times and `deleted` may be NULL. Which one a database has is found out once per
connection; everything that reads or writes asks the shape.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Enum,
    Inspector,
    String,
    Table,
    cast,
    false,
    literal_column,
    text,
    true,
    type_coerce,
)
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import NullType

from . import schema

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
class Text:
    """What a text column takes: at most `length` characters (None: any), of `charset` ("": any)."""

    length: int | None
    charset: str

    def takes(self, value: str) -> bool:
        """Whether the character set has every character of `value`; where unknown, it has."""
        codec = _CODECS.get(self.charset)
        if codec == "bmp":
            return all(ord(character) <= 0xFFFF for character in value)
        try:
            value.encode(codec or "utf-8", "surrogatepass" if codec is None else "strict")
        except UnicodeEncodeError:
            return False
        return True


#: MySQL's and PostgreSQL's names of character sets that lack something; its latin1 is cp1252.
_CODECS = {
    **{"latin1": "cp1252", "utf8": "bmp", "utf8mb3": "bmp", "ucs2": "bmp", "ascii": "ascii"},
    **{"latin2": "iso8859_2", "latin5": "iso8859_9", "latin7": "iso8859_13", "greek": "iso8859_7"},
    **{"cp1250": "cp1250", "cp1251": "cp1251", "cp1256": "cp1256", "cp1257": "cp1257"},
    **{"hebrew": "iso8859_8", "koi8r": "koi8_r", "koi8u": "koi8_u", "cp850": "cp850"},
    **{"cp852": "cp852", "cp866": "cp866", "macroman": "mac_roman", "tis620": "tis_620"},
    **{"gbk": "gbk", "gb2312": "gb2312", "big5": "big5", "sjis": "shift_jis", "cp932": "cp932"},
    **{"ujis": "euc_jp", "euckr": "euc_kr", "LATIN1": "latin_1", "LATIN2": "iso8859_2"},
    **{"LATIN9": "iso8859_15", "WIN1250": "cp1250", "WIN1251": "cp1251", "WIN1252": "cp1252"},
}


#: Integers that are shorter than a job's number.
_BITS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24}


@dataclass(frozen=True)
class Reference:
    """A foreign key of the ledger: `columns` must be `referred` of a row of `table`."""

    columns: tuple[str, ...]
    schema: str | None
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """indexes: names of those the table has. leading: columns that one of them begins with.
    most_jobid: what its column takes, None for any that a request may name. needed: columns that
    the database gives no value of its own, and that may not be NULL."""

    name: Literal["ledger of the guide", "ledger of a DMS server"]
    dialect: str
    table: Table
    indexes: frozenset[str]
    leading: frozenset[str]
    nullable: frozenset[str]
    needed: tuple[str, ...]
    texts: Mapping[str, Text]
    most_jobid: int | None
    references: tuple[Reference, ...]

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
        needed=tuple(name for name, column in columns.items() if _is_needed(column, key)),
        texts={name: _text(inspector, columns[name]) for name in ("backup_target_id", "host")},
        most_jobid=_most(inspector.dialect.name, columns["jobid"]["type"]),
        references=_references(inspector),
    )


def _is_needed(column: Any, key: Sequence[str]) -> bool:
    own = ("default", "computed", "identity")
    if column["nullable"] or any(column.get(each) for each in own):
        return False
    if isinstance(column["type"], Enum):  # MySQL gives it the first of its values
        return False
    if getattr(column["type"], "default", None) is not None:  # of PostgreSQL's domain
        return False
    # SQLite's row number, and MySQL's AUTO_INCREMENT, are no default.
    numbered = column.get("autoincrement") is True or list(key) == [column["name"]] == ["id"]
    return not numbered


def _most(dialect: str, kind: Any) -> int | None:
    """The largest number that a column of this type takes; None where it is no limit."""
    bits = _BITS.get(type(kind).__name__.upper())
    if dialect == "sqlite" or (bits is None and getattr(kind, "precision", None) is None):
        return None
    if bits is None:  # DECIMAL(p, s)
        return int(10 ** (kind.precision - (kind.scale or 0))) - 1
    return int(2 ** (bits if getattr(kind, "unsigned", False) else bits - 1)) - 1


def _text(inspector: Inspector, column: Any) -> Text:
    charset = str(getattr(column["type"], "charset", "") or "")
    if inspector.dialect.name in ("mysql", "mariadb"):
        charset = charset or _mysql_charset(inspector, column["name"])
    elif inspector.dialect.name == "postgresql":
        with inspector._operation_context() as connection:
            charset = str(connection.scalar(text("SHOW server_encoding")))
    length = getattr(column["type"], "length", None)
    # SQLite keeps to no length
    return Text(None if inspector.dialect.name == "sqlite" else length, charset)


def _mysql_charset(inspector: Inspector, column: str) -> str:
    query = text(
        "SELECT character_set_name FROM information_schema.columns WHERE table_schema = DATABASE() "
        "AND table_name = :name AND column_name = :column"
    )
    with inspector._operation_context() as connection:
        found = connection.scalar(query, {"name": schema.LEDGER_NAME, "column": column})
    return str(found or "")


def _references(inspector: Inspector) -> tuple[Reference, ...]:
    """Foreign keys on what a mount writes."""
    return tuple(
        Reference(
            tuple(key["constrained_columns"]),
            key["referred_schema"],
            key["referred_table"],
            tuple(key["referred_columns"]),
        )
        for key in inspector.get_foreign_keys(schema.LEDGER_NAME)
        if set(key["constrained_columns"]) <= set(KEY)
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
