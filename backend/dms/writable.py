"""What the ledger would refuse after a server has acted, as far as it can be known before.

What a rule of the table's own (a CHECK, a trigger) says of a row is known only with the row.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, column, false, insert, select, table, update
from sqlalchemy import text as statement
from sqlalchemy.exc import DBAPIError

from . import schema
from .database_errors import code_of
from .requests import MountRequest
from .shape import Reference, Shape

#: What a mount's new row is given.
_GIVEN = ("jobid", "backup_target_id", "host", "created_at", "updated_at", "mounted", "deleted")
#: MySQL's: a column without a default is given no value.
_NO_VALUE = 1364
#: Whether a trigger may give it one. PostgreSQL's marks: for each row, before it, of an INSERT.
_MYSQL = statement(
    "SELECT 1 FROM information_schema.triggers WHERE event_object_schema = DATABASE() AND "
    "event_object_table = :name AND action_timing = 'BEFORE' AND event_manipulation = 'INSERT'"
)
_FILLS = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "postgresql": statement(
        "SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal "
        "AND tgenabled <> 'D' AND tgtype & 7 = 7"
    ),
}


class Refused(Exception):
    """Nothing may be sent: a clause for a person. Rolls the record back."""


def rehearse(connection: Connection, shape: Shape, action: str) -> None:
    """The statements of this action with no row: the database says of what right or column it is
    short before it looks for rows, and nothing changes. Raises Refused, DBAPIError."""
    if action == "mount":
        if names := lacking(connection, shape):
            raise Refused(
                f"The ledger requires a value in a column of its own ({', '.join(names)}), and a "
                "mount gives none; let it have a default or be NULL"
            )
        nothing = select(*(shape.table.c[name] for name in _GIVEN)).where(false())
        try:
            connection.execute(insert(shape.table).from_select(list(_GIVEN), nothing))
        except DBAPIError as exc:
            # Where a trigger gives it, MySQL knows with the row.
            if code_of(exc) != _NO_VALUE or not _own(shape):
                raise
    changed = {"mounted": shape.table.c.mounted, "updated_at": shape.table.c.updated_at}
    connection.execute(update(shape.table).where(false()).values(changed))


def _own(shape: Shape) -> tuple[str, ...]:
    return tuple(name for name in shape.needed if name not in _GIVEN)


def lacking(connection: Connection, shape: Shape) -> tuple[str, ...]:
    """The ledger's columns without which it takes no new row, and which a mount does not give."""
    names = _own(shape)
    fills = _FILLS.get(shape.dialect)
    if not names or (
        fills is not None and connection.execute(fills, {"name": schema.LEDGER_NAME}).first()
    ):
        return ()
    return names


_NOUNS = {"jobid": "Job", "backup_target_id": "Target", "host": "Host"}


def check(connection: Connection, shape: Shape, request: MountRequest) -> None:
    """Raise Refused for what the ledger would refuse after the server has acted."""
    values = {
        "jobid": request.jobid,
        "backup_target_id": request.backup_target_id,
        "host": request.host,
    }
    for name, text in shape.texts.items():
        value = str(values[name])
        if not text.takes(value):
            raise Refused(
                f"The ledger's column {name} has the character set {text.charset}, which cannot "
                f"hold {value!r}"
            )
        if text.length is not None and len(value) > text.length:
            raise Refused(
                f"The ledger's column {name} holds {text.length} characters, and this name has "
                f"{len(value)}"
            )
    if shape.most_jobid is not None and request.jobid > shape.most_jobid:
        raise Refused(
            f"The ledger's column jobid holds numbers up to {shape.most_jobid}, and this "
            f"job is {request.jobid}"
        )
    for reference in shape.references if request.action == "mount" else ():
        if not _has_parent(connection, reference, values):
            what = ", ".join(f"{_NOUNS[name]} {values[name]}" for name in reference.columns)
            raise Refused(f"{what} is not in {reference.table}, and the ledger requires it")


def _has_parent(connection: Connection, reference: Reference, values: Mapping[str, object]) -> bool:
    """Whether a foreign key of the ledger holds; True where this user may not read it."""
    parent = table(reference.table, *map(column, reference.referred), schema=reference.schema)
    query = select(parent.c[reference.referred[0]]).limit(1)
    for referred, name in zip(reference.referred, reference.columns, strict=True):
        query = query.where(parent.c[referred] == values[name])
    try:
        with connection.begin_nested():
            return connection.execute(query).first() is not None
    except DBAPIError:  # the ledger's own answer decides
        return True
