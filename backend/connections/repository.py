"""All SQL of this room."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, func, select, update

from backend.core.database import Base, ReadSession, WriteSession, once
from backend.models import (
    Connection,
    ConnectionSecret,
    ConnectionTest,
    DataHubClientInfo,
    Environment,
)

MAX_ENVIRONMENTS = 500


def name_key(name: str) -> str:
    """How names are compared: case does not count."""
    return name.casefold()


#: Built once: every run of a page asks it, and building takes longer than asking.
_ENVIRONMENTS = (
    select(Environment)
    .order_by(Environment.default_marker.is_(None), Environment.name_key)
    .limit(MAX_ENVIRONMENTS)
)


def list_environments(session: ReadSession) -> Sequence[Environment]:
    """All environments, the default one first, then by name."""
    return once(session, _list_environments)


def _list_environments(session: ReadSession) -> Sequence[Environment]:
    return session.scalars(_ENVIRONMENTS).all()


def rename_records(session: WriteSession, number: int, old: str, new: str) -> None:
    """Plans, runs and requests of the environment name it as it is called now, so that lists find
    them and links lead there; what the audit log says of it stays."""
    for table in Base.metadata.sorted_tables:
        name = next((each for each in ("environment", "environment_name") if each in table.c), None)
        if name is not None:
            by_number = "environment_id" in table.c
            its = table.c.environment_id == number if by_number else table.c[name] == old
            session.execute(update(table).where(its).values({name: new}))


def find_environment(session: ReadSession, name: str) -> Environment | None:
    return session.scalars(
        select(Environment).where(Environment.name_key == name_key(name))
    ).one_or_none()


def find_default(session: ReadSession) -> Environment | None:
    return session.scalars(select(Environment).where(Environment.default_marker == 1)).one_or_none()


def lock_environment(session: WriteSession, environment_id: int) -> Environment | None:
    """The row, locked for this unit of work so that check-then-act is safe."""
    return session.get(Environment, environment_id, with_for_update=True, populate_existing=True)


def lock_environments(session: WriteSession) -> None:
    """Lock every environment, always in one order: who is the default changes one at a time."""
    session.scalars(select(Environment.id).order_by(Environment.id).with_for_update()).all()


def count_environments(session: ReadSession, *, real_only: bool = False) -> int:
    query = select(func.count()).select_from(Environment)
    if real_only:
        query = query.where(Environment.is_sandbox.is_(False))
    return int(session.scalar(query) or 0)


def clear_default(session: WriteSession) -> None:
    session.execute(
        update(Environment).where(Environment.default_marker == 1).values(default_marker=None)
    )


def count_belongings(session: ReadSession, environment_id: int) -> dict[str, int]:
    """Table → how many of its rows the database's cascade deletes with an environment."""
    owned = {
        table.name: key.parent
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == Environment.__tablename__
    }
    return {
        name: session.execute(select(func.count()).where(column == environment_id)).scalar_one()
        for name, column in owned.items()
    }


def delete_environment(session: WriteSession, environment_id: int) -> None:
    """The row and, by the database's own cascade, all that belongs to it."""
    session.execute(delete(Environment).where(Environment.id == environment_id))


def find_connection(session: ReadSession, environment_id: int, kind: str) -> Connection | None:
    return session.scalars(
        select(Connection).where(
            Connection.environment_id == environment_id, Connection.kind == kind
        )
    ).one_or_none()


def lock_version(session: WriteSession, environment_id: int, kind: str) -> int | None:
    """The version of a connection, 0 when nothing is stored, held until commit; None when the
    environment is gone. Saving takes the same lock."""
    if lock_environment(session, environment_id) is None:
        return None
    row = find_connection(session, environment_id, kind)
    return row.version if row is not None else 0


def connection_with_secrets(
    session: ReadSession, environment_id: int, kind: str
) -> tuple[Connection | None, list[ConnectionSecret]]:
    """A connection and its secrets as they were saved together.

    In one statement, since on PostgreSQL and MariaDB each has its own moment: between two of them
    somebody may save, and the new password would go to the old server.
    """
    here = (Connection.environment_id == Environment.id, Connection.kind == kind)
    sealed = (ConnectionSecret.environment_id == Environment.id, ConnectionSecret.kind == kind)
    rows = session.execute(
        select(Connection, ConnectionSecret)
        .select_from(Environment)
        .outerjoin(Connection, and_(*here))
        .outerjoin(ConnectionSecret, and_(*sealed))
        .where(Environment.id == environment_id)
        .execution_options(populate_existing=True)
    ).all()
    stored = rows[0][0] if rows else None
    return stored, [row[1] for row in rows if row[1] is not None]


def lock_connection(session: WriteSession, environment_id: int, kind: str) -> Connection | None:
    return session.scalars(
        select(Connection)
        .where(Connection.environment_id == environment_id, Connection.kind == kind)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def list_connections(session: ReadSession, environment_id: int) -> Sequence[Connection]:
    return session.scalars(
        select(Connection).where(Connection.environment_id == environment_id)
    ).all()


def list_all_connections(session: ReadSession) -> Sequence[Connection]:
    return session.scalars(select(Connection).limit(MAX_ENVIRONMENTS * 10)).all()


def list_kinds_with_secrets(session: ReadSession) -> Sequence[tuple[int, str]]:
    """Environment and kind of each connection that has a secret, with settings or without."""
    query = select(ConnectionSecret.environment_id, ConnectionSecret.kind).distinct()
    return [(row[0], row[1]) for row in session.execute(query.limit(MAX_ENVIRONMENTS * 10))]


def list_secrets(
    session: ReadSession, environment_id: int, kind: str | None = None
) -> Sequence[ConnectionSecret]:
    query = select(ConnectionSecret).where(ConnectionSecret.environment_id == environment_id)
    if kind is not None:
        query = query.where(ConnectionSecret.kind == kind)
    return session.scalars(query).all()


def delete_secrets(
    session: WriteSession, environment_id: int, kind: str, fields: Sequence[str] | None = None
) -> None:
    query = delete(ConnectionSecret).where(
        ConnectionSecret.environment_id == environment_id, ConnectionSecret.kind == kind
    )
    if fields is not None:
        query = query.where(ConnectionSecret.field.in_(fields))
    session.execute(query)


def list_tests(
    session: ReadSession, environment_id: int, kind: str, *, limit: int
) -> Sequence[ConnectionTest]:
    """Newest first."""
    return session.scalars(
        select(ConnectionTest)
        .where(ConnectionTest.environment_id == environment_id, ConnectionTest.kind == kind)
        .order_by(ConnectionTest.id.desc())
        .limit(limit)
    ).all()


def newest_tests(
    session: ReadSession, environment_id: int | None = None
) -> Sequence[ConnectionTest]:
    """The last test of every kind's settings as they are stored now (of one environment, or of
    all); what other settings answered says nothing about these."""
    saved = and_(
        Connection.environment_id == ConnectionTest.environment_id,
        Connection.kind == ConnectionTest.kind,
    )
    newest: Any = (
        select(func.max(ConnectionTest.id))
        .outerjoin(Connection, saved)
        .where(
            ConnectionTest.draft.is_(False),
            ConnectionTest.version == func.coalesce(Connection.version, 0),
        )
        .group_by(ConnectionTest.environment_id, ConnectionTest.kind)
    )
    if environment_id is not None:
        newest = newest.where(ConnectionTest.environment_id == environment_id)
    return session.scalars(select(ConnectionTest).where(ConnectionTest.id.in_(newest))).all()


def find_client_info(session: ReadSession, environment_id: int) -> DataHubClientInfo | None:
    return session.scalars(
        select(DataHubClientInfo).where(DataHubClientInfo.environment_id == environment_id)
    ).one_or_none()


def delete_client_info(session: WriteSession, environment_id: int) -> bool:
    """True when there was some."""
    row = find_client_info(session, environment_id)
    if row is None:
        return False
    session.delete(row)
    session.flush()
    return True


def trim_tests(session: WriteSession, environment_id: int, kind: str, *, keep: int) -> None:
    """Delete all but the newest `keep` tests of one connection."""
    oldest_kept = session.scalar(
        select(ConnectionTest.id)
        .where(ConnectionTest.environment_id == environment_id, ConnectionTest.kind == kind)
        .order_by(ConnectionTest.id.desc())
        .offset(keep - 1)
        .limit(1)
    )
    if oldest_kept is not None:
        session.execute(
            delete(ConnectionTest).where(
                ConnectionTest.environment_id == environment_id,
                ConnectionTest.kind == kind,
                ConnectionTest.id < oldest_kept,
            )
        )
