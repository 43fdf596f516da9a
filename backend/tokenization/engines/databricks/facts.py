"""What Unity Catalog says about a Delta table, and the sentences that follow from it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.core.errors import InvalidInput
from backend.integrations.databricks.client import DatabricksClient
from backend.tokenization.engines.databricks.expressions import identifier, qualified
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import Scheme, too_long

_TABLE = """
SELECT table_type, data_source_format FROM {catalog}.information_schema.tables
 WHERE table_schema = :schema AND table_name = :table
"""
_COLUMNS = """
SELECT column_name, full_data_type, partition_index, is_generated = 'YES'
  FROM {catalog}.information_schema.columns
 WHERE table_schema = :schema AND table_name = :table ORDER BY ordinal_position
"""
_KEYS = """
SELECT k.column_name, c.constraint_type, c.constraint_name
  FROM {catalog}.information_schema.key_column_usage AS k
       JOIN {catalog}.information_schema.table_constraints AS c
       ON c.constraint_name = k.constraint_name AND c.table_schema = k.table_schema
      AND c.table_name = k.table_name
 WHERE k.table_schema = :schema AND k.table_name = :table
"""
_VARCHAR = re.compile(r"^(?:var)?char\((\d+)\)$", re.IGNORECASE)
_KINDS = {
    "PRIMARY KEY": "is part of the primary key {name}; rows would lose their identity",
    "FOREIGN KEY": "is part of the foreign key {name}; its values must match another table's",
}

_SCALARS = frozenset(
    {"tinyint", "smallint", "int", "bigint", "decimal", "float", "double", "boolean"}
    | {"date", "timestamp", "timestamp_ntz"}
)
_AS_STRING = (
    "if it is personal, add a string column, fill it with CAST(… AS STRING), drop this one, and "
    "tokenize the new one"
)
_INSIDE = "keep the personal part in a string column of its own and tokenize that"


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    partition: bool
    generated: bool
    place: str = ""

    @property
    def is_text(self) -> bool:
        return self.type.lower() == "string" or _VARCHAR.match(self.type) is not None

    @property
    def length(self) -> int | None:
        found = _VARCHAR.match(self.type)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Facts:
    kind: str
    format: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, str, str], ...] = ()
    checks: dict[str, str] = field(default_factory=dict)


class NoSuchTable(InvalidInput):
    def __init__(self, table: TableName) -> None:
        super().__init__(
            f"Databricks has no table {table} that this token's owner can see. Check the "
            "dataset's URN and the connection's catalog."
        )


def read(client: DatabricksClient, table: TableName) -> Facts:
    """The facts of `table`. Raises NoSuchTable."""
    about = {"schema": table.schema, "table": table.table}
    catalog = identifier(table.database)
    found = client.rows(_TABLE.format(catalog=catalog), about)
    if not found:
        raise NoSuchTable(table)
    kind, data_format = (str(part or "") for part in found[0])
    properties = {
        str(row[0]): str(row[1]) for row in client.rows(f"SHOW TBLPROPERTIES {qualified(table)}")
    }
    return Facts(
        kind=kind,
        format=data_format,
        columns=tuple(
            Column(str(name), str(type_), index is not None, bool(generated))
            for name, type_, index, generated in client.rows(
                _COLUMNS.format(catalog=catalog), about
            )
        ),
        keys=tuple(
            (str(name), str(constraint), str(key))
            for name, constraint, key in client.rows(_KEYS.format(catalog=catalog), about)
        ),
        checks={
            name.removeprefix("delta.constraints."): rule
            for name, rule in properties.items()
            if name.startswith("delta.constraints.")
        },
    )


def table_blockers(facts: Facts) -> tuple[str, ...]:
    """Why nothing of this table can be tokenized."""
    if "VIEW" in facts.kind:
        return ("This cannot be tokenized: it is a view; tokenize the tables under it.",)
    if facts.format and facts.format.upper() != "DELTA":
        return (
            f"This cannot be tokenized: its format is {facts.format}, and only Delta tables "
            "can be updated.",
        )
    return ()


def _advice(type_: str) -> str:
    """Scalars can become strings; what holds several values, or bytes, cannot."""
    base = re.split(r"[<( ]", type_.lower(), maxsplit=1)[0]
    return _AS_STRING if base in _SCALARS else _INSIDE


def column_blockers(
    facts: Facts, column: Column, scheme: Scheme, longest_token: int | None
) -> tuple[str, ...]:
    """Why this column cannot be tokenized; see the PostgreSQL rules for the parameters."""
    found = []
    if not column.is_text:
        found.append(f"its type {column.type} is not text; {_advice(column.type)}")
    if column.generated:
        found.append("it is a generated column; tokenize the columns it is computed from")
    if column.partition:
        found.append("is a partition column; rows would move between partitions")
    found += too_long(scheme.length or longest_token, column.type, column.length)
    found += [
        _KINDS[kind].format(name=name)
        for key_column, kind, name in facts.keys
        if key_column == column.name and kind in _KINDS
    ]
    found += [
        f"is part of the check constraint {name}, which tokens may break"
        for name, rule in facts.checks.items()
        if re.search(rf"(?<!\w){re.escape(column.name)}(?!\w)", rule, re.IGNORECASE)
    ]
    return tuple(dict.fromkeys(found))


def text_columns(facts: Facts) -> Sequence[str]:
    return [column.name for column in facts.columns if column.is_text]
