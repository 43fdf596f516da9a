"""The admin's table of client info (document 000): find, correct by hand, delete, export."""

from collections.abc import Mapping

from backend.connections import addresses, client_info, environments, repository, resolve
from backend.connections.errors import NoClientInfo
from backend.connections.schemas import ClientInfoPage, ClientInfoView, ConnectionStatus
from backend.core import access, audit, choices, clock, csv_export
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import FieldInvalid, InvalidInput

STATUSES: tuple[ConnectionStatus, ...] = ("connected", "failed", "unknown")
#: What an admin may correct, with its greatest length; status and times are only ever observed.
MAX_PAGE = 200
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

    text: part of a client id, server id or environment's name. Raises UnknownChoice for a status
    that is none, EnvironmentNotFound.
    """
    access.require(actor, Permission.CLIENT_INFO_READ)
    if status:
        choices.check("status", status, STATUSES)
    if environment:
        environment = resolve.environment(session, environment).name
    part = text.strip().casefold()
    return tuple(
        item
        for item in client_info.list_all(session, actor)
        if (not status or item.connection_status == status)
        and (not environment or item.environment == environment)
        and any(part in value.casefold() for value in _searched(item))
    )


def page(
    session: ReadSession, actor: Actor, *, cursor: int = 0, limit: int = 50, **filters: str
) -> ClientInfoPage:
    """`search` in pages, the default environment first, then by name: a server's own
    configuration may be long. cursor: `next_cursor` of the page before."""
    found = search(session, actor, **filters)
    end = cursor + max(1, min(limit, MAX_PAGE))
    return ClientInfoPage(found[cursor:end], end if end < len(found) else None)


def edit(
    session: WriteSession, actor: Actor, *, environment: str, values: Mapping[str, str]
) -> ClientInfoView:
    """Correct values by hand; they are marked as such until DataHub is asked again.

    values: some of client_id, server_id and frontend_base_url. Raises NoClientInfo while nothing
    is stored, InvalidInput for none or another name, FieldInvalid for values that cannot be.
    """
    access.require(actor, Permission.CONNECTIONS_WRITE)
    values = _clean(values)
    row = environments.require_row(session, environment)
    repository.lock_environment(session, row.id)
    stored = repository.find_client_info(session, row.id)
    if stored is None:
        raise NoClientInfo(row.name)
    before = {name: getattr(stored, name) for name in values}
    for name, value in values.items():
        setattr(stored, name, value)
    stored.edited_by, stored.edited_at = actor.name, clock.now()
    _record(session, actor, "edit", row.name, {"before": before, "after": values})
    session.flush()
    return client_info.get(session, actor, environment=row.name)


def remove(session: WriteSession, actor: Actor, *, environment: str) -> ClientInfoView:
    """Forget what is stored; the next successful test brings it back. The answer is what is left,
    "unknown". Raises NoClientInfo."""
    access.require(actor, Permission.CONNECTIONS_WRITE)
    row = environments.require_row(session, environment)
    repository.lock_environment(session, row.id)
    if not repository.delete_client_info(session, row.id):
        raise NoClientInfo(row.name)
    _record(session, actor, "delete", row.name, {})
    session.flush()
    return client_info.get(session, actor, environment=row.name)


def export(session: ReadSession, actor: Actor, **filters: str) -> str:
    """`search` as CSV, without the servers' own configuration documents."""
    rows = [client_info.document(item) for item in search(session, actor, **filters)]
    return csv_export.write(_COLUMNS, [[row[name] for name in _COLUMNS] for row in rows])


def _clean(values: Mapping[str, str]) -> dict[str, str]:
    unknown = ", ".join(sorted(values.keys() - EDITABLE.keys()))
    if unknown or not values:
        what = f"has no {unknown} to change; it has" if unknown else "changes in some of"
        raise InvalidInput(f"Client info {what} {', '.join(EDITABLE)}.")
    clean = {name: value.strip() for name, value in values.items()}
    problems = {}
    for name, value in clean.items():
        if len(value) > EDITABLE[name] or any(ord(letter) < 32 for letter in value):
            problems[name] = f"{name} takes one line of at most {EDITABLE[name]} characters."
    address = clean.get("frontend_base_url")
    if address and "frontend_base_url" not in problems:
        try:
            addresses.web(address)
        except ValueError as exc:
            problems["frontend_base_url"] = f"frontend_base_url {exc}."
    if problems:
        raise FieldInvalid(problems)
    return clean


def _searched(item: ClientInfoView) -> tuple[str, ...]:
    return item.environment, item.client_id, item.server_id


def _record(
    session: WriteSession, actor: Actor, verb: str, name: str, details: dict[str, object]
) -> None:
    audit.done(session, actor, f"connections:client_info:{verb}", name, **details)
