"""DataHub client info: fetched after a successful test, refreshed on a schedule, shown to admins.

Its failure never fails a connection test. The log's sentences are fixed (DESIGN 6.1).
"""

import json
import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backend.connections import environments, guard, repository, resolve
from backend.connections.errors import EnvironmentDeleted
from backend.connections.schemas import (
    ClientInfoView,
    ConnectionConfig,
    EnvironmentView,
    TestResult,
)
from backend.core import access, clock, stopping
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession, get_database
from backend.core.errors import CredentialsRefused, PortalError
from backend.core.log import MASK, get_logger, log_unexpected, mask, mask_text
from backend.core.views import of_row
from backend.models import DataHubClientInfo, Environment

if TYPE_CHECKING:
    from backend.integrations.datahub.schemas import ClientInfo

log = get_logger(__name__)

STALE_AFTER = timedelta(hours=24)
DEADLINE = 10.0
LOAD_DEADLINE = 60.0
MAX_CONFIG = 200_000
CHANGED = "The connection was changed while DataHub was asked. Refresh again."


@dataclass(frozen=True)
class Refresh:
    """How a refresh of one environment ended: refreshed, failed (error says why) or skipped."""

    environment: str
    outcome: str
    client_id: str = ""
    frontend_base_url: str = ""
    error: str = ""


def get(session: ReadSession, actor: Actor, *, environment: str | None = None) -> ClientInfoView:
    """Client info of one environment; status "unknown" while there is none. Admins only."""
    access.require(actor, Permission.CLIENT_INFO_READ)
    name = resolve.environment(session, environment).name
    row = environments.require_row(session, name)
    return _view(row, repository.find_client_info(session, row.id))


def list_all(session: ReadSession, actor: Actor) -> tuple[ClientInfoView, ...]:
    """Client info of every environment in reach. Admins only."""
    access.require(actor, Permission.CLIENT_INFO_READ)
    stored = {row.environment_id: row for row in session.scalars(select(DataHubClientInfo))}
    rows = repository.list_environments(session)
    return tuple(_view(row, stored.get(row.id)) for row in rows if access.in_reach(row.id))


def get_datahub_client_info(
    environment: object = None, *, database: Database | None = None
) -> dict[str, Any]:
    """The dictionary of document 000, for scripts: `{"success": True, "client_id": …,
    "frontend_base_url": …, …}`, or `{"success": False, "error": …}`.

    environment: its name or anything that has a `name`; None: the default one. DataHub is asked
    when nothing is stored yet.
    """
    name = getattr(environment, "name", environment)
    database = database or get_database()
    try:
        view = database.ask(get, SYSTEM, environment=None if name is None else str(name))
        if view.connection_status == "unknown":
            refresh(database, SYSTEM, environment=view.environment)
            view = database.ask(get, SYSTEM, environment=view.environment)
    except PortalError as exc:
        return {"success": False, "error": exc.message}
    if view.connection_status != "connected":
        return {"success": False, "error": view.error_message or "No DataHub connection is set."}
    return {"success": True, **document(view), "error": None}


def after_test(
    database: Database, actor: Actor, config: ConnectionConfig, result: TestResult
) -> None:
    """What a finished DataHub test means for the client info; never raises."""
    environment = config.environment
    try:
        if not result.ok:
            _store_failure(database, config, result.cause, refused=result.refused)
            return
        which = "default environment" if environment.is_default else "environment"
        log.info(f"Auto-retrieving client info for {which}: {environment.name}", by=actor.name)
        outcome = _retrieve(database, config, authenticated=True)
        if outcome.outcome == "refreshed":
            log.info(f"Successfully auto-retrieved client info: {outcome.client_id}")
        else:
            log.warning(f"Failed to auto-retrieve client info: {outcome.error}")
    except PortalError as exc:
        log.warning(f"Failed to auto-retrieve client info: {exc.message}")
    except Exception as exc:
        # A connection test must not fail because of what is only told beside it.
        log_unexpected(log, "Failed to auto-retrieve client info: unexpected error", exc)


def refresh(database: Database, actor: Actor, *, environment: str | None = None) -> Refresh:
    """Fetch and store client info of one environment (None: the default one).

    Raises NotFound for the environment; what DataHub does is in the answer.
    """
    access.require(actor, Permission.CONNECTIONS_TEST)
    with database.read() as session:
        found = resolve.environment(session, environment)
        config = resolve.find_in(session, found.id, kind="datahub")
    if config is None:
        return Refresh(found.name, "skipped", error="no DataHub connection")
    return _retrieve(database, config)


def refresh_one(database: Database, actor: Actor, *, environment: EnvironmentView) -> Refresh:
    """`refresh` for one of many: it may be renamed or deleted while others are asked. What goes
    wrong is in the answer, since one that fails must not stop the rest.
    """
    access.require(actor, Permission.CONNECTIONS_TEST)
    try:
        config = database.ask(resolve.find_in, environment.id, kind="datahub")
        if config is None:
            return Refresh(environment.name, "skipped", error="no DataHub connection")
        return _retrieve(database, config)
    except EnvironmentDeleted:
        return Refresh(environment.name, "skipped", error="the environment was deleted")
    except PortalError as exc:
        return Refresh(environment.name, "failed", error=exc.message)


def refresh_all(database: Database, actor: Actor = SYSTEM) -> tuple[Refresh, ...]:
    """Refresh all in reach, one after the other; one failing does not stop the rest."""
    access.require(actor, Permission.CONNECTIONS_TEST)
    with database.read() as session:
        rows = repository.list_environments(session)
        found = [environments.view(row) for row in rows if access.in_reach(row.id)]
    return tuple(refresh_one(database, actor, environment=item) for item in found)


def _retrieve(
    database: Database, config: ConnectionConfig, *, authenticated: bool = False
) -> Refresh:
    name = config.environment.name
    try:
        info = _fetch(config, authenticated=authenticated)
    except PortalError as exc:
        why = _without_secrets(exc.message, config)
        _store_failure(database, config, why, refused=isinstance(exc, CredentialsRefused))
        return Refresh(name, "failed", error=why)
    stopping.step("keeping it")
    with database.write() as session:
        row = _row(session, config)
        if row is None:
            return Refresh(name, "failed", error=CHANGED)
        _fill(row, info)
    return Refresh(name, "refreshed", info.client_id, info.frontend_base_url or "")


def _fetch(config: ConnectionConfig, *, authenticated: bool) -> "ClientInfo":
    """Ask DataHub in a daemon thread, so that nothing waits longer than the deadline.

    authenticated: a test has just shown that the server accepts the token; else that is asked.
    """
    from backend.integrations.datahub import sdk
    from backend.integrations.datahub.client import DataHubClient

    sdk.load()
    outcome: Future[ClientInfo] = Future()

    def work() -> None:
        try:
            with (
                guard.checked(config),
                DataHubClient(
                    config.settings["server"],
                    config.secrets.get("token"),
                    frontend_url=config.settings.get("frontend_url") or None,
                    timeout=min(DEADLINE, float(config.settings["timeout"])),
                    trust=config.trust,
                ) as client,
            ):
                if not authenticated:
                    client.probe()  # /config answers without a token
                outcome.set_result(client.client_info())
        except BaseException as exc:
            outcome.set_exception(exc)

    threading.Thread(target=work, name="client-info", daemon=True).start()
    wait([outcome], timeout=DEADLINE)
    if not outcome.done():
        raise PortalError(f"DataHub: no answer within {DEADLINE:g} s.")
    return outcome.result()


def _fill(row: DataHubClientInfo, info: "ClientInfo") -> None:
    now = clock.now()
    row.client_id = info.client_id[:255]
    row.server_id = info.server_id[:255]
    row.frontend_base_url = (info.frontend_base_url or "")[:1000]
    row.server_config = _bounded(info.server_config)
    row.connection_status = "connected"
    row.error_message = ""
    row.last_connection_test = row.last_success_at = row.last_updated = now
    row.failing_since = row.edited_at = None
    row.edited_by = None


def _bounded(config: dict[str, Any]) -> dict[str, Any]:
    masked: dict[str, Any] = json.loads(json.dumps(mask(config), default=str))
    size = len(json.dumps(masked))
    return masked if size <= MAX_CONFIG else {"truncated": True, "characters": size}


def _store_failure(
    database: Database, config: ConnectionConfig, why: str, *, refused: bool
) -> None:
    """Add that, and why, it could not be had this time.

    What is known is kept, unless the token was refused: then nobody can say whose values they are.
    """
    now = clock.now()
    with database.write() as session:
        row = _row(session, config)
        if row is None:
            return
        row.connection_status = "failed"
        if refused:
            row.connection_status = "unknown"
            row.client_id = row.server_id = row.frontend_base_url = ""
            row.server_config = {}
            row.last_success_at = row.edited_at = row.edited_by = None
        row.error_message = why[:2000]
        row.last_connection_test = row.last_updated = now
        row.failing_since = row.failing_since or now


def _row(session: WriteSession, config: ConnectionConfig) -> DataHubClientInfo | None:
    """The environment's row, made when missing; None when the connection that was asked is not
    the stored one any more: what another server said of itself is not kept.

    The environment is locked first, so two tests at once cannot make two rows.
    """
    environment_id = config.environment.id
    if repository.lock_version(session, environment_id, config.kind) != config.version:
        return None
    row = repository.find_client_info(session, environment_id)
    if row is None:
        now = clock.now()
        row = DataHubClientInfo(
            environment_id=environment_id,
            client_id="",
            server_id="",
            frontend_base_url="",
            server_config={},
            connection_status="unknown",
            error_message="",
            created_at=now,
            last_updated=now,
        )
        session.add(row)
    return row


def _view(environment: Environment, row: DataHubClientInfo | None) -> ClientInfoView:
    if row is None:
        return ClientInfoView(
            environment.name, "", "", "", {}, "unknown", "", None, None, None, None, stale=True
        )
    known = row.connection_status in ("connected", "failed")
    return of_row(
        ClientInfoView,
        row,
        environment=environment.name,
        connection_status=row.connection_status if known else "unknown",
        stale=is_stale(row.last_success_at),
        edited_by=row.edited_by or "",
    )


def is_stale(last_success: datetime | None) -> bool:
    """Older than a day, or never."""
    return last_success is None or clock.now() - last_success > STALE_AFTER


def _without_secrets(text: str, config: ConnectionConfig) -> str:
    for value in config.secrets.values():
        if len(value) >= 4:
            text = text.replace(value, MASK)
    return mask_text(text)


def document(item: ClientInfoView) -> dict[str, object]:
    """The JSON of one environment's client info, for CLI and REST alike."""
    return {
        "environment": item.environment,
        "client_id": item.client_id or None,
        "server_id": item.server_id or None,
        "frontend_base_url": item.frontend_base_url or None,
        "server_config": dict(item.server_config),
        "connection_status": item.connection_status,
        "error_message": item.error_message or None,
        "last_connection_test": clock.iso(item.last_connection_test),
        "created_at": clock.iso(item.created_at),
        "last_updated": clock.iso(item.last_updated),
        "failing_since": clock.iso(item.failing_since),
        "stale": item.stale,
        "edited_by": item.edited_by or None,
        "edited_at": clock.iso(item.edited_at),
    }
