"""Judge a table's facts: what forbids a run (blockers) and what a person should know (warnings)."""

import re
from collections.abc import Sequence

from backend.tokenization.engines.mysql.facts import Column, Facts
from backend.tokenization.tokens import PREFIX, Scheme, too_long

#: The oldest with CHECK constraints in information_schema (MySQL), with RANDOM_BYTES (MariaDB).
_OLDEST = {True: ((10, 10), "MariaDB 10.10"), False: ((8, 0, 16), "MySQL 8.0.16")}
_KINDS = {
    "VIEW": "it is a view; tokenize the tables under it",
    "SYSTEM VERSIONED": "it is system-versioned: its history would keep every plain value; drop "
    "the versioning first (ALTER TABLE … DROP SYSTEM VERSIONING)",
    "SEQUENCE": "it is a sequence",
}
_KEYS = {
    "PRIMARY KEY": "is part of the primary key; rows would lose their identity",
    "FOREIGN KEY": "is part of the foreign key {name}; its values must match another table's",
    "REFERRED TO": "is referred to by the foreign key {name}",
}
_AS_TEXT = "change the column to text first (ALTER TABLE … MODIFY … {})"
_INSIDE = "keep the personal part in a text column of its own and tokenize that"
_BYTES = (
    "where its bytes are UTF-8 text, change the column to text first (ALTER TABLE … MODIFY … "
    "varchar(n) CHARACTER SET utf8mb4); else keep the personal part in a text column of its own"
)
_NUMBER = _AS_TEXT.format("varchar(52)") + "; leading zeros were never stored"
_MOMENT = "keep only what is not personal of it (the year), or " + _AS_TEXT.format("varchar(52)")
#: What can be done about a column whose type holds no text, by DATA_TYPE.
_NOT_TEXT = {
    "json": "a token cannot replace a value inside a document: " + _INSIDE,
    "enum": "its values are a fixed list and seldom personal; if they are, "
    + _AS_TEXT.format("varchar(52)"),
    "set": "a value is a list of fixed words: keep them as rows of a table of their own, and "
    "tokenize its text column",
    "bit": "bits name nobody; leave the column out",
    "uuid": _AS_TEXT.format("char(36), then varchar(52)"),
}
_NOT_TEXT |= dict.fromkeys(("binary", "varbinary"), _BYTES)
_NOT_TEXT |= dict.fromkeys(("tinyblob", "blob", "mediumblob", "longblob"), _BYTES)
_NOT_TEXT |= dict.fromkeys(
    ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double"), _NUMBER
)
_NOT_TEXT |= dict.fromkeys(("date", "datetime", "timestamp", "time", "year"), _MOMENT)
_NOT_TEXT |= dict.fromkeys(("inet4", "inet6"), _AS_TEXT.format("varchar(52)"))
_SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys"})


def table_blockers(facts: Facts, database: str) -> tuple[str, ...]:
    """Why no column of this table can be tokenized at all."""
    found = _server_blockers(facts)
    if facts.kind != "BASE TABLE":
        found.append(f"This cannot be tokenized: {_KINDS.get(facts.kind, 'it is no table')}.")
        return tuple(found)
    if database.lower() in _SYSTEM:
        found.append(f"The database {database} belongs to the server itself.")
    if facts.engine.lower() != "innodb":
        found.append(
            f"Its storage engine is {facts.engine or 'unknown'}, which cannot roll back: a run "
            "that is cut off would leave two kinds of values. Convert it first (ALTER TABLE … "
            "ENGINE = InnoDB)."
        )
    if facts.triggers:
        found.append(
            f"The trigger {', '.join(facts.triggers)} runs for every changed row and could copy or "
            "alter values; drop it for the run."
        )
    for right, has in (("SELECT", facts.may_select), ("UPDATE", facts.may_update)):
        if not has:
            found.append(f"The user {facts.server.user} has no {right} right on the table.")
    return tuple(found)


def _server_blockers(facts: Facts) -> list[str]:
    server, found = facts.server, []
    oldest, name = _OLDEST[server.mariadb]
    if server.number < oldest:
        found.append(f"The server is older than {name}.")
    if server.read_only:
        found.append("The server is read-only (a replica); point the connection at the primary.")
    if server.binary_log not in ("", "ROW"):
        found.append(
            f"The binary log's format is {server.binary_log}, which writes statements: a replica "
            "could not repeat this one without the key. Set binlog_format = ROW, or let the user "
            f"{server.user} do so for its session (BINLOG ADMIN)."
        )
    if not facts.may_use_temp:
        found.append(
            f"The user {server.user} may not make temporary tables; the key is kept in one. Grant "
            "CREATE TEMPORARY TABLES on the database."
        )
    return found


def column_blockers(
    facts: Facts, column: Column, scheme: Scheme, longest_token: int | None
) -> tuple[str, ...]:
    """Why this column cannot be tokenized. longest_token: for schemes whose tokens grow."""
    found = []
    if not column.is_text:
        found.append(f"its type {column.type} is not text; {_advice(column)}")
    if column.generated:
        found.append("it is a generated column; tokenize the columns it is computed from")
    found += too_long(scheme.length or longest_token, column.type, column.length)
    found += [_KEYS[kind].format(name=name) for key, name, kind in facts.keys if key == column.name]
    found += [
        f"is part of the check constraint {name}, which tokens may break{_document(rule)}"
        for name, rule in facts.checks
        if _mentions(rule, column.name)
    ]
    if any(_mentions(rule, column.name) for rule in facts.partitioned_by):
        found.append("is part of the partition key; rows would move between partitions")
    found += [
        f"the unique index {index.name} holds its first {index.prefix} characters only, which two "
        f"tokens can share (all begin with {PREFIX}); drop the index first"
        for index in facts.indexes
        if index.column == column.name and index.unique and index.prefix
    ]
    return tuple(dict.fromkeys(found))


def _document(rule: str) -> str:
    """MariaDB's json is a longtext with this check."""
    return f"; it holds JSON: {_NOT_TEXT['json']}" if "json_valid(" in rule.lower() else ""


def _advice(column: Column) -> str:
    """Types that the table does not name (geometry, vectors) hold more than one value."""
    return _NOT_TEXT.get(column.base_type, _INSIDE)


def column_warnings(facts: Facts, column: Column) -> tuple[str, ...]:
    """What a person should know before this column is tokenized."""
    found = [
        _index_warning(index.name, index.kind, unique=index.unique)
        for index in facts.indexes
        if index.column == column.name
    ]
    computed = [
        (f"generated column {name}", rule)
        for name, rule, virtual in facts.generated_from
        if not virtual
    ]
    computed += [(f"index {name}", rule) for name, rule in facts.index_expressions]
    found += [
        f"the {what} is computed anew from the tokens; should it not take one, "
        "the run fails and nothing is changed"
        for what, rule in computed
        if _mentions(rule, column.name)
    ]
    found += [
        f"the generated column {name} is computed from the tokens whenever it is read; what does "
        "not fit its type may be cut off or 0 there without an error"
        for name, rule, virtual in facts.generated_from
        if virtual and _mentions(rule, column.name)
    ]
    if column.base_type == "char":
        found.append("trailing blanks of char(n) are not part of the value that is tokenized")
    if not column.collation.endswith("_bin"):
        found.append(
            f"values that its collation {column.collation} treats as equal but are spelt "
            "differently get different tokens"
        )
    return tuple(dict.fromkeys(found))


def _index_warning(name: str, kind: str, *, unique: bool) -> str:
    if kind == "FULLTEXT":
        return (
            f"the full-text index {name} keeps the words of plain values until OPTIMIZE TABLE with "
            "innodb_optimize_fulltext_only"
        )
    if unique:
        return (
            f"the unique index {name} stays valid unless a value in it was tokenized before and "
            "entered again; then the run fails and nothing is changed"
        )
    return f"the index {name} is rewritten, and searches by plain value miss"


def table_warnings(facts: Facts) -> tuple[str, ...]:
    """What a person should know about the table as a whole."""
    found = [
        "The run is one transaction: other sessions can read the table; their writes wait until it "
        "ends."
    ]
    if facts.server.binary_log:
        found.append(
            "The binary log (format ROW) holds the plain values of every changed row until it is "
            "purged, and sends them to replicas."
        )
    logs = [
        name
        for name, on in (("general", facts.server.general_log), ("slow", facts.server.slow_log))
        if on
    ]
    if logs:
        found.append(
            f"The {' and the '.join(logs)} log of the server is on: the statements of a run are in "
            "it; they hold neither the key nor a value."
        )
    if not facts.sees_triggers:
        found.append(
            f"The user {facts.server.user} lacks the right TRIGGER and does not see the table's "
            "triggers: what the columns hold is summed up before the commit, and a trigger that "
            "altered a token fails the run."
        )
    if facts.bytes_total >= 1 << 30:
        found.append(
            f"The table has {facts.bytes_total / (1 << 30):.1f} GB with its indexes; the undo log "
            "needs about as much until the run ends."
        )
    return tuple(found)


def _mentions(expression: str, column: str) -> bool:
    """Whether an expression of information_schema names the column, quoted or not."""
    return bool(
        re.search(rf"(?<![\w$]){re.escape(column)}(?![\w$])", expression or "", re.IGNORECASE)
    )


def text_columns(facts: Facts) -> Sequence[str]:
    return [column.name for column in facts.columns if column.is_text]
