"""The two tables in the ledger's database, and its own clock.

`backup_target_mount_ledger` belongs to the deployment and is never altered; it has one of two
shapes: that of ledger_schema.sql (`ledger`), or that of deployed DMS servers
(`server_ledger`). `dms_operation` is ours: what was asked, sent and answered; it is the lock and
the memory that a crash cannot erase. All times are naive UTC by the database's clock, so that
clients on machines with different clocks agree.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    and_,
    cast,
    event,
    false,
    func,
    literal,
    literal_column,
    text,
)
from sqlalchemy.ext.compiler import compiles

LEDGER_NAME = "backup_target_mount_ledger"
OPERATION_NAME = "dms_operation"

metadata = MetaData()

#: Our own table compares bytes: names differ by case. It gets these words when it is made: to check
#: them SQLAlchemy loads the whole dialect, which every import would pay for.
MYSQL_TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}
#: 64 bit everywhere, and SQLite's rowid alias so that it auto-increments.
BigId = BigInteger().with_variant(Integer, "sqlite")


def now(dialect: str, seconds: float = 0.0, *, whole: bool = False) -> ColumnElement[Any]:
    """The database's own clock in UTC, `seconds` from now.

    whole: without the fraction, for the ledger's DATETIME columns, which would round it up.
    """
    if dialect in ("mysql", "mariadb"):
        clock = "UTC_TIMESTAMP()" if whole else "UTC_TIMESTAMP(6)"
        shift = round(seconds * 1_000_000)
        return literal_column(f"({clock} + INTERVAL {shift} MICROSECOND)" if shift else clock)
    if dialect == "postgresql":
        clock = "timezone('utc', clock_timestamp())"
        clock = f"date_trunc('second', {clock})" if whole else clock
        return literal_column(f"({clock} + interval '{seconds:.6f} seconds')" if seconds else clock)
    # SQLAlchemy stores and compares SQLite's datetimes as text with six decimals.
    form = "'%Y-%m-%d %H:%M:%S.000000'" if whole else "'%Y-%m-%d %H:%M:%f'"
    shifted = f", '{seconds:+.3f} seconds'" if seconds else ""
    moment = f"strftime({form}, 'now'{shifted})"
    return literal_column(moment if whole else f"({moment} || '000')")


def exactly(dialect: str, column: ColumnElement[Any], *values: str) -> ColumnElement[bool]:
    """`column` holds one of `values` byte for byte.

    MySQL's usual collations take "E" for "e" and "é", and overlook spaces at the end; the plain
    comparison stays beside the exact one because it uses the index.
    """
    same = column == values[0] if len(values) == 1 else column.in_(values)
    if dialect not in ("mysql", "mariadb"):
        return same
    # (half a character is refused by the plain comparison, in words)
    spelt = [literal(v.encode("utf-8", "surrogatepass"), LargeBinary) for v in values]
    stored = spelling(dialect, column)
    return and_(same, stored == spelt[0] if len(spelt) == 1 else stored.in_(spelt))


def spelling(dialect: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """`column` as something that compares and groups byte by byte."""
    if dialect not in ("mysql", "mariadb"):
        return column
    # as UTF-8, whatever the column's own character set; binary strings compare by bytes
    return cast(func.convert(column.op("USING")(literal_column("utf8mb4"))), LargeBinary)


class _Moment(DateTime):
    """Naive UTC with microseconds, also in MySQL; its own type would cost each import 20 ms."""


@compiles(_Moment, "mysql", "mariadb")
def _datetime6(_type: _Moment, _compiler: Any, **_more: Any) -> str:
    return "DATETIME(6)"


ledger = Table(
    LEDGER_NAME,
    metadata,
    Column("id", Integer, primary_key=True),
    Column("created_at", DateTime, nullable=False, server_default=func.current_timestamp()),
    Column(
        "updated_at",
        DateTime,
        nullable=False,
        server_default=func.current_timestamp(),
        server_onupdate=text("CURRENT_TIMESTAMP"),
    ),
    Column("deleted_at", DateTime),
    Column("deleted", Boolean, nullable=False, server_default=false()),
    Column("version", String(32)),
    Column("backup_target_id", String(255), nullable=False),
    Column("jobid", Integer, nullable=False),
    Column("host", String(255), nullable=False),
    Column("mounted", Boolean, nullable=False, server_default=false()),
    Index("idx_backup_target_id", "backup_target_id"),
    Index("idx_jobid", "jobid"),
    Index("idx_host", "host"),
    Index("idx_job_target", "jobid", "backup_target_id"),
    Index("idx_mounted_host", "mounted", "host"),
    Index("idx_deleted", "deleted"),
)

server_ledger = Table(
    LEDGER_NAME,
    MetaData(),  # the other table of this name
    Column("created_at", DateTime),
    Column("updated_at", DateTime),
    Column("deleted_at", DateTime),
    Column("deleted", Boolean),
    Column("version", String(255)),
    Column("backup_target_id", String(255), primary_key=True),
    Column("jobid", Integer, primary_key=True, autoincrement=False),
    Column("host", String(255), primary_key=True),
    Column("mounted", Boolean),
)

operation = Table(
    OPERATION_NAME,
    metadata,
    Column("id", BigId, primary_key=True),
    Column("operation_id", String(64), nullable=False, unique=True),
    # sha256 of (target, host) while the operation runs, NULL afterwards: the lock itself
    Column("pair_lock", String(64), unique=True),
    Column("lease_until", _Moment),
    Column("owner", String(255), nullable=False),
    Column("actor", String(255)),
    Column("action", String(16), nullable=False),
    Column("backup_target_id", String(255), nullable=False),
    Column("host", String(255), nullable=False),
    Column("jobid", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("ledger_id", Integer),
    Column("request", Text, nullable=False),
    Column("reply_queue", String(255)),
    Column("reply", Text),
    Column("reply_at", _Moment),
    Column("replies", Integer, nullable=False, server_default=text("0")),
    Column("note", Text),
    Column("settled_by", String(64)),
    Column("created_at", _Moment, nullable=False),
    Column("finished_at", _Moment),
    Index("ix_dms_operation_pair", "backup_target_id", "host", "state"),
    Index("ix_dms_operation_job", "jobid", "backup_target_id"),
    Index("ix_dms_operation_state", "state", "id"),
    Index("ix_dms_operation_host", "host", "id"),
)


@event.listens_for(operation, "before_create")
def made_for_mysql(table: Table, *_arguments: Any, **_more: Any) -> None:
    table.kwargs.update(MYSQL_TABLE)


State = Literal[
    "in_flight",
    "succeeded",
    "failed",
    "not_delivered",
    "shared",
    "unknown",
    "settled",
    "released",
]


@dataclass(frozen=True)
class Operation:
    """One record. Times are naive UTC; request is masked; reply is what the server said, masked."""

    id: int
    operation_id: str
    action: str
    backup_target_id: str
    host: str
    jobid: int
    state: str
    owner: str
    actor: str | None
    ledger_id: int | None
    request: str
    reply: str | None
    reply_queue: str | None
    replies: int
    note: str | None
    settled_by: str | None
    created_at: datetime
    reply_at: datetime | None
    finished_at: datetime | None
    lease_until: datetime | None


COLUMNS = [operation.c[f.name] for f in fields(Operation)]
