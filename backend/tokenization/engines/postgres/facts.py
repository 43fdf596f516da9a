"""What PostgreSQL's catalog says about a table, as plain data that the rules judge."""

from dataclasses import dataclass

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
    of every row.
    """

    name: str
    unique: bool
    method: str
    column: str
    computed: bool
    alone: bool


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


@dataclass(frozen=True)
class ServerFacts:
    version: int
    encoding: str
    replica: bool
    read_only: bool
    may_use_temp: bool
    user: str
    block_size: int


@dataclass(frozen=True)
class LockHolder:
    pid: int
    application: str
    user: str
    seconds: float


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
    lock_holders: tuple[LockHolder, ...] = ()

    @property
    def leaves(self) -> tuple[Member, ...]:
        """The members that hold rows themselves."""
        return tuple(member for member in self.members if member.kind == "r")

    @property
    def bytes_total(self) -> int:
        return sum(member.size for member in self.members)
