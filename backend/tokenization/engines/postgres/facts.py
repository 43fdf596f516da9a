"""What PostgreSQL's catalog says about a table, as plain data that the rules judge."""

import re
from dataclasses import dataclass, field

#: What may be a value in a statement: quoted (also unfinished or dollar-quoted), or a number.
_LITERAL = re.compile(
    r"'(?:[^']|'')*(?:'|$)|\$(\w*)\$.*?(?:\$\1\$|$)|--.*|/\*.*?(?:\*/|$)|\b\d[\w.]*"
)
_QUERY_SHOWN = 120
TEXT_TYPES = frozenset({"text", "varchar", "bpchar", "citext"})


@dataclass(frozen=True)
class Member:
    """A table that holds rows: the table itself, a partition, or an inheriting table."""

    oid: int
    schema: str
    name: str
    kind: str
    may_select: bool
    may_update: bool
    row_security: bool
    blocks: int
    size: int


@dataclass(frozen=True)
class Constraint:
    """kind: p f c x u as in pg_constraint, r = another table refers to the column, k = partition
    key. column None: the constraint may concern any column (a whole-row expression)."""

    kind: str
    name: str
    table: str
    column: str | None


@dataclass(frozen=True)
class Index:
    """A column's part in an index.

    computed: its expression or condition uses the column. alone: the column is all that it holds,
    of every row. expression: what it computes, "" for columns alone. included: it only travels with
    the entries (INCLUDE); nothing is found or kept unique by it.
    """

    name: str
    unique: bool
    method: str
    column: str
    computed: bool
    alone: bool
    expression: str = ""
    included: bool = False


@dataclass(frozen=True)
class UpdateTrigger:
    """columns: empty when it fires for every column."""

    name: str
    table: str
    per_row: bool
    before: bool
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ColumnFacts:
    """base_type: the type under all domains. length: of varchar(n) and char(n), else None."""

    name: str
    type: str
    base_type: str
    length: int | None
    generated: bool
    domain_checked: bool
    deterministic: bool
    place: str = ""

    @property
    def is_text(self) -> bool:
        return self.base_type in TEXT_TYPES


@dataclass(frozen=True)
class ServerFacts:
    version: int
    encoding: str
    replica: bool
    lacks_standby: bool  # a commit waits for one, and none is connected
    may_use_temp: bool
    user: str
    block_size: int


@dataclass(frozen=True)
class LockHolder:
    """pid None: a prepared transaction, and its name. seconds: since its transaction began or was
    prepared. query: its last statement as the server shows it, which may quote values; show it by
    `__str__` only."""

    pid: int | None
    application: str
    user: str
    seconds: float
    query: str = ""
    prepared: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return (
                f"the prepared transaction '{self.prepared}' ({self.user}, for {self.seconds:.0f} "
                "s; only COMMIT PREPARED or ROLLBACK PREPARED ends it)"
            )
        named = f"{self.application or self.user or 'unnamed'}, for {self.seconds:.0f} s"
        doing = _LITERAL.sub("…", " ".join(self.query.split()))[:_QUERY_SHOWN]
        return f"process {self.pid} ({named}{f': {doing}' if doing else ''})"


@dataclass(frozen=True)
class RewritingFacts:
    """What decides whether ALTER TABLE … TYPE may rewrite the table.

    of_type: the composite type whose columns a typed table has. dependents: (column, what depends
    on it) of what PostgreSQL refuses it for. kept_apart: columns with a storage or compression of
    their own, which it would undo. collations: (schema, name).
    """

    owned: bool = False
    inherits: bool = False
    of_type: str = ""
    event_triggers: tuple[str, ...] = ()
    dependents: tuple[tuple[str, str], ...] = ()
    kept_apart: tuple[str, ...] = ()
    collations: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class TableFacts:
    """Everything the rules need; members[0] is the table that was named."""

    server: ServerFacts
    oid: int
    kind: str
    schema_usable: bool
    members: tuple[Member, ...]
    columns: dict[str, ColumnFacts]
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[UpdateTrigger, ...] = ()
    update_rules: tuple[str, ...] = ()
    materialized_views: tuple[tuple[str, str], ...] = ()
    generated_from: tuple[tuple[str, str], ...] = ()
    publication_without_identity: str = ""
    #: (publication, what it leaves out) that make PostgreSQL refuse an UPDATE.
    published_in_part: tuple[tuple[str, str], ...] = ()
    #: (column, publication that sends the rows on whose value there fits).
    row_filters: tuple[tuple[str, str], ...] = ()
    #: (what, its name): where plain values go or stay apart from the table.
    copies: tuple[tuple[str, str], ...] = ()
    rewriting: RewritingFacts = RewritingFacts()
    lock_holders: tuple[LockHolder, ...] = ()
    #: (where it stands, the function): code that a write of a row runs.
    user_code: tuple[tuple[str, str], ...] = ()

    @property
    def leaves(self) -> tuple[Member, ...]:
        """The members that hold rows themselves."""
        return tuple(member for member in self.members if member.kind == "r")

    @property
    def bytes_total(self) -> int:
        return sum(member.size for member in self.members)
