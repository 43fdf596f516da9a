"""Judge a table's facts: what forbids a run (blockers) and what a person should know (warnings).

Pure functions; the sentences are what pages, CLI and API show.
"""

from collections.abc import Sequence

from backend.tokenization.engines.postgres.facts import (
    ColumnFacts,
    Constraint,
    Index,
    TableFacts,
)
from backend.tokenization.schemas import Method
from backend.tokenization.tokens import Scheme, too_long

MINIMUM_VERSION = 120_000
_WIDER = {"varchar": "character varying", "bpchar": "character"}
#: From here on a block range is read without reading the whole table.
TID_RANGE_VERSION = 140_000
_BTREE_LIMIT = 2_704

_KINDS = {
    "v": "it is a view; tokenize the tables under it",
    "m": "it is a materialized view; tokenize the tables under it, then refresh it",
    "f": "it is a foreign table; tokenize it where it is stored",
    "S": "it is a sequence",
    "i": "it is an index",
    "c": "it is a composite type",
}
_NOT_TEXT = {
    "json": "a token cannot replace a value inside a document: keep the personal part in a text "
    "column of its own and tokenize that",
    "array": "keep the elements as rows of a table of their own, and tokenize its text column",
    "hstore": "keep the personal keys in text columns of their own, and tokenize those",
    "inet": "change the column to text first (ALTER COLUMN … TYPE text USING host(…)), or truncate "
    "the addresses",
    "xml": "keep the personal part in a text column of its own and tokenize that",
    "uuid": "change the column to text first (ALTER COLUMN … TYPE text)",
}
_NOT_TEXT |= {"jsonb": _NOT_TEXT["json"], "cidr": _NOT_TEXT["inet"]}
_PUBLISHED = (
    "The publication {name} of this table has {what}, which does not go with the replica identity, "
    "so PostgreSQL refuses the write (42P10); change the publication, or set REPLICA IDENTITY to "
    "what it needs."
)
_COPIES = {
    "foreign table": "The foreign table {names} reads a table of this name; where it is copied "
    "from there, plain values live on.",
    "publication": "The publication {names} sends changes on: subscribers get the tokens, but what "
    "they copied elsewhere, their logs and back-ups keep the plain values.",
    "publication without updates": "The publication {names} sends no updates on: its subscribers "
    "never get the tokens and keep the plain values; change them there.",
    "replication slot": "The logical replication slot {names} may still send the old row versions "
    "to whoever reads it.",
    "snapshot": "Open transactions with older snapshots keep the plain row versions from VACUUM: "
    "{names}.",
}
_CONSTRAINTS = {
    "p": "is part of the primary key {name}; rows would lose their identity",
    "f": "is part of the foreign key {name}; its values must match another table's",
    "r": "is referred to by the foreign key {name} of {table}",
    "c": "is part of the check constraint {name}, which tokens may break",
    "x": "is part of the exclusion constraint {name}, which tokens may break",
    "k": "is part of the partition key of {table}; rows would move between partitions",
}


def table_blockers(facts: TableFacts, schema: str, scheme: Scheme) -> tuple[str, ...]:
    """Why no column of this table can be tokenized at all."""
    found = _server_blockers(facts, scheme)
    if facts.kind not in ("r", "p"):
        found.append(f"This cannot be tokenized: {_KINDS.get(facts.kind, 'it is no table')}.")
        return tuple(found)
    if schema == "information_schema" or schema.startswith("pg_"):
        found.append(f"The schema {schema} belongs to PostgreSQL itself.")
    if not facts.schema_usable:
        found.append(f"The login {facts.server.user} has no USAGE right on the schema {schema}.")
    found += _member_blockers(facts)
    if facts.update_rules:
        found.append(
            f"The rule {', '.join(facts.update_rules)} replaces UPDATE on this table by something "
            "else; drop the rule first."
        )
    if facts.publication_without_identity:
        found.append(
            f"The publication {facts.publication_without_identity} publishes updates and the table "
            "has no replica identity, so PostgreSQL refuses UPDATE; set one with ALTER TABLE … "
            "REPLICA IDENTITY."
        )
    found += [_PUBLISHED.format(name=name, what=what) for name, what in facts.published_in_part]
    return tuple(found)


def _server_blockers(facts: TableFacts, scheme: Scheme) -> list[str]:
    server, found = facts.server, []
    if server.version < MINIMUM_VERSION:
        found.append("The server is older than PostgreSQL 12.")
    if server.replica:
        found.append("The server is a read replica; point the connection at the primary.")
    if server.lacks_standby:
        found.append(
            "The server commits only with a synchronous standby (synchronous_standby_names), and "
            "none is connected: the run would keep writers out and its commit would wait. Connect "
            "the standby first."
        )
    if server.encoding == "SQL_ASCII":
        found.append(
            "The database's encoding is SQL_ASCII, so the bytes of its texts are not known to be "
            "UTF-8 and tokens would not be the same as elsewhere."
        )
    if scheme.keyed and not server.may_use_temp:
        found.append(
            f"The login {server.user} may not make temporary tables in this database; the key is "
            "kept in one. Grant TEMP on the database."
        )
    return found


def _member_blockers(facts: TableFacts) -> list[str]:
    found = []
    for member in facts.members:
        name = f"{member.schema}.{member.name}"
        if member.kind == "f":
            found.append(
                f"The partition {name} is a foreign table; detach it or tokenize it there."
            )
            continue
        missing = [
            right
            for right, held in (("SELECT", member.may_select), ("UPDATE", member.may_update))
            if not held
        ]
        if missing:
            found.append(
                f"The login {facts.server.user} lacks {' and '.join(missing)} on the table {name}."
            )
        if member.row_security:
            found.append(
                f"Row security on {name} hides rows from the login {facts.server.user}, so plain "
                "values would stay behind; use a login with BYPASSRLS or the table's owner."
            )
    return found


def column_blockers(
    facts: TableFacts,
    column: ColumnFacts,
    scheme: Scheme,
    longest_token: int | None,
    method: Method = Method.IN_PLACE,
) -> tuple[str, ...]:
    """Why this column cannot be tokenized.

    longest_token: characters of the longest token the data would need (scheme base64), or None
    when it was not measured; keyed tokens all have one length.
    """
    found = []
    if not column.is_text:
        found.append(_not_text(column))
    if column.generated:
        found.append("it is a generated column; tokenize the columns it is computed from")
    if column.domain_checked:
        found.append(f"its domain {column.type} has a check constraint, which tokens may break")
    if method is not Method.REWRITE or widened(column, scheme) is None:
        found += too_long(scheme.length or longest_token, column.type, column.length)
    found += [
        _CONSTRAINTS[constraint.kind].format(name=constraint.name, table=constraint.table)
        for constraint in _unique_constraints(facts, column.name)
        if constraint.kind in _CONSTRAINTS
    ]
    found += [
        f"the publication {publication} has a row filter on it, so PostgreSQL tells subscribers to "
        "delete the rows whose token does not fit; change the filter first"
        for name, publication in facts.row_filters
        if name == column.name
    ]
    return tuple(dict.fromkeys(found))


def widened(column: ColumnFacts, scheme: Scheme) -> str | None:
    """The type that a rewrite gives a column too short for its tokens; None where it is not."""
    kind = _WIDER.get(column.base_type)
    if column.length is None or scheme.length is None or scheme.length <= column.length:
        return None
    # A domain's length belongs to the domain, and to its other columns.
    return f"{kind}({scheme.length})" if kind and column.type.startswith(kind) else None


def rewrite_blockers(facts: TableFacts, names: Sequence[str]) -> tuple[str, ...]:
    """Why these columns cannot be rewritten by ALTER TABLE; in place may still be possible."""
    found, rewriting = [], facts.rewriting
    if facts.kind != "r" or rewriting.inherits or len(facts.members) > 1:
        found.append("partitioned and inherited tables are only done in place")
    if rewriting.of_type:
        found.append(f"its columns belong to the type {rewriting.of_type}")
    if not rewriting.owned:
        found.append(f"the login {facts.server.user} does not own the table")
    found += [f"{function} in {place} would be run" for place, function in facts.user_code]
    if rewriting.event_triggers:
        named = ", ".join(rewriting.event_triggers)
        found.append(f"the event trigger {named} would see the rewrite")
    found += [f"{what} uses {name}" for name, what in rewriting.dependents if name in names]
    found += [f"{name} has its own storage" for name in rewriting.kept_apart if name in names]
    published = [name for what, name in facts.copies if what.startswith("publication")]
    if published:
        found.append(
            f"the publication {', '.join(published)} does not send a rewrite to its subscribers"
        )
    return tuple(dict.fromkeys(found))


def _not_text(column: ColumnFacts) -> str:
    sentence = f"its type {column.type} is not text"
    kind = "array" if column.type.endswith("[]") else column.base_type
    advice = _NOT_TEXT.get(kind)
    return f"{sentence}; {advice}" if advice else sentence


def _unique_constraints(facts: TableFacts, column: str) -> list[Constraint]:
    return [found for found in facts.constraints if found.column in (column, None)]


def column_warnings(facts: TableFacts, column: ColumnFacts, scheme: Scheme) -> tuple[str, ...]:
    """What a person should know before this column is tokenized."""
    found = []
    for index in facts.indexes:
        if index.column != column.name:
            continue
        if not index.included:
            found.append(_index_warning(index))
        if scheme is Scheme.BASE64 and index.method == "btree":
            found.append(
                f"the index {index.name} refuses entries of more than about {_BTREE_LIMIT} bytes; "
                "long values fail and the run is rolled back"
            )
    found += [
        f"the materialized view {view} keeps the plain values until it is refreshed"
        for view, source in facts.materialized_views
        if source == column.name
    ]
    found += [
        f"the generated column {generated} is computed anew from the tokens; should it not take "
        "one, the run fails and nothing is changed"
        for generated, source in facts.generated_from
        if source == column.name
    ]
    found += _type_warnings(column)
    return tuple(dict.fromkeys(found))


def _index_warning(index: Index) -> str:
    if index.computed:
        clash = ", or two tokens should give the same," if index.unique else ","
        kind = "unique index" if index.unique else "index"
        shown = f" ({index.expression})" if index.expression else ""
        return (
            f"the {kind} {index.name} is rewritten; it is computed from this column{shown}, and "
            f"should that fail on a token{clash} the run fails and nothing is changed"
        )
    if not index.unique:
        return f"the index {index.name} is rewritten, and searches by plain value miss"
    if not index.alone:
        return (
            f"the unique index {index.name} stays valid unless a value in it was tokenized before "
            "and entered again; then the run fails and nothing is changed"
        )
    return (
        f"the unique index {index.name} stays valid: equal values get equal tokens, "
        "different values different ones"
    )


def unique_alone(facts: TableFacts, column: str) -> str | None:
    """The index by which the column alone is unique in the whole table, if there is one."""
    if len(facts.members) > 1:
        return None
    return next(
        (i.name for i in facts.indexes if i.column == column and i.unique and i.alone), None
    )


def entered_again(rows: int, index: str) -> str:
    """Why a unique column cannot be tokenized: a value and its token are both in it."""
    return (
        f"{rows:,} values were tokenized before and entered again, and the unique index {index} "
        "holds their tokens already; merge or remove these rows first"
    )


def expression_clash(facts: TableFacts, name: str | None) -> str | None:
    """Why an index refused two tokens, where it is unique in what it computes from them."""
    found = next((i for i in facts.indexes if i.name == name and i.unique and i.computed), None)
    if found is None:
        return None
    return (
        f"the unique index {found.name} is on the expression {found.expression or 'of its rows'}, "
        "and two different tokens give the same there (all tokens begin with tok_). Drop the "
        "index, or leave the column out"
    )


def computed_from(facts: TableFacts, columns: list[str]) -> list[str]:
    """What the table computes from these columns, for an error that can be about any of them."""
    indexes = [f"the index {i.name}" for i in facts.indexes if i.computed and i.column in columns]
    generated = [
        f"the generated column {name}" for name, source in facts.generated_from if source in columns
    ]
    return list(dict.fromkeys(indexes + generated))


def _type_warnings(column: ColumnFacts) -> list[str]:
    if column.base_type == "bpchar":
        return ["trailing blanks of char(n) are not part of the value that is tokenized"]
    if column.base_type == "citext" or not column.deterministic:
        return [
            "values that the column treats as equal but are spelt differently get different tokens"
        ]
    return []


def table_warnings(facts: TableFacts, selected: list[str]) -> tuple[str, ...]:
    """What a person should know about the table as a whole."""
    found = []
    # A partitioned table's row triggers exist once more on every partition.
    for trigger in {trigger.name: trigger for trigger in reversed(facts.triggers)}.values():
        if trigger.columns and not set(trigger.columns) & set(selected):
            continue
        if facts.kind == "p" and not trigger.per_row:
            found.append(
                f"The statement trigger {trigger.name} of {trigger.table} does not fire: "
                "partitions are updated one by one."
            )
            continue
        found.append(
            f"The trigger {trigger.name} on {trigger.table} fires for every changed row; it may "
            "copy plain values elsewhere, and it costs time."
        )
    if facts.user_code:
        named = ", ".join(f"{function} in {place}" for place, function in facts.user_code)
        found.append(
            f"The write may reach code of this database: {named}. So the tokens are computed in a "
            "temporary table first and the key is gone before the first row is written; the run "
            "takes longer, and needs temporary disk for a copy of the columns."
        )
    found += [
        sentence.format(names=", ".join(name for what, name in facts.copies if what == kind))
        for kind, sentence in _COPIES.items()
        if any(what == kind for what, _ in facts.copies)
    ]
    if facts.bytes_total >= 1 << 30:
        found.append(
            f"The table has {facts.bytes_total / (1 << 30):.1f} GB with its indexes; it needs "
            "about as much free disk again until VACUUM has run."
        )
    found.append(
        "While the run lasts, other sessions can read the table; their writes wait until it ends."
    )
    if facts.lock_holders:
        holders = ", ".join(str(holder) for holder in facts.lock_holders)
        found.append(f"Right now a run would have to wait for locks held by {holders}.")
    if facts.server.version < TID_RANGE_VERSION and facts.bytes_total > 1 << 26:
        found.append("PostgreSQL before 14 cannot read block ranges: the run shows no progress.")
    return tuple(dict.fromkeys(found))
