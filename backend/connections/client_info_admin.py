"""The admin's table of client info (document 000): find, correct by hand, delete, export."""

from backend.connections import client_info, environments, repository
from backend.connections.errors import NoClientInfo
from backend.connections.schemas import ClientInfoView, ConnectionStatus
from backend.core import access, audit, clock, csv_export
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput

STATUSES: tuple[ConnectionStatus, ...] = ("connected", "failed", "unknown")
#: What an admin may correct, with its greatest length; status and times are only ever observed.
EDITABLE = {"client_id": 255, "server_id": 255, "frontend_base_url": 1000}
_COLUMNS = (
    "environment",
    "client_id",
    "server_id",
    "frontend_base_url",
    "connection_status",
    "error_message",
    "last_connection_test",
    "last_updated",
    "created_at",
    "edited_by",
    "stale",
)


def search(
    session: ReadSession,
    actor: Actor,
    *,
    text: str = "",
    status: str = "",
    environment: str = "",
) -> tuple[ClientInfoView, ...]:
    """Client info of every environment that fits; one row each, so the list is as bounded.

    text: part of a client id, server id or environment's name. Raises InvalidInput for a status
    that is none.
    """
    access.require(actor, Permission.CLIENT_INFO_READ)
    if status and status not in STATUSES:
        raise InvalidInput(f"'{status}' is not a status; use one of {', '.join(STATUSES)}.")
    part = text.strip().casefold()
    return tuple(
        item
        for item in client_info.list_all(session, actor)
        if (not status or item.connection_status == status)
        and (not environment or item.environment.casefold() == environment.casefold())
        and any(part in value.casefold() for value in _searched(item))
    )


def edit(
    session: WriteSession, actor: Actor, *, environment: str, values: dict[str, str]
) -> ClientInfoView:
    """Correct values by hand; they are marked as such until DataHub is asked again.

    values: some of client_id, server_id and frontend_base_url. Raises NoClientInfo while nothing
    is stored, InvalidInput for another name or a value that is too long.
    """
    access.require(actor, Permission.CONNECTIONS_WRITE)
    for name, value in values.items():
        if name not in EDITABLE:
            raise InvalidInput(
                f"Client info has no {name} to change; it has {', '.join(EDITABLE)}."
            )
        if len(value) > EDITABLE[name] or any(ord(letter) < 32 for letter in value):
            raise InvalidInput(f"{name} takes one line of at most {EDITABLE[name]} characters.")
    row = environments.require_row(session, environment)
    repository.lock_environment(session, row.id)
    stored = repository.find_client_info(session, row.id)
    if stored is None:
        raise NoClientInfo(row.name)
    before = {name: getattr(stored, name) for name in values}
    for name, value in values.items():
        setattr(stored, name, value.strip())
    stored.edited_by, stored.edited_at = actor.name, clock.now()
    _record(session, actor, "edit", row.name, {"before": before, "after": values})
    session.flush()
    return client_info.get(session, actor, environment=row.name)


def remove(session: WriteSession, actor: Actor, *, environment: str) -> None:
    """Forget what is stored; the next successful test brings it back. Raises NoClientInfo."""
    access.require(actor, Permission.CONNECTIONS_WRITE)
    row = environments.require_row(session, environment)
    repository.lock_environment(session, row.id)
    if not repository.delete_client_info(session, row.id):
        raise NoClientInfo(row.name)
    _record(session, actor, "delete", row.name, {})


def export(session: ReadSession, actor: Actor, **filters: str) -> str:
    """`search` as CSV, without the servers' own configuration documents."""
    rows = [client_info.document(item) for item in search(session, actor, **filters)]
    return csv_export.write(_COLUMNS, [[row[name] for name in _COLUMNS] for row in rows])


def _searched(item: ClientInfoView) -> tuple[str, ...]:
    return item.environment, item.client_id, item.server_id


def _record(
    session: WriteSession, actor: Actor, verb: str, name: str, details: dict[str, object]
) -> None:
    audit.record(
        session,
        actor,
        f"connections:client_info:{verb}",
        subject=name,
        outcome="succeeded",
        details=details,
    )
