"""The directory of an environment: its client, its uploaded file, and a try of its settings."""

from collections.abc import Sequence

from backend.connections import resolve
from backend.connections.schemas import ConnectionConfig
from backend.core import access, audit, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput
from backend.core.views import of_row
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.graphql import presets
from backend.integrations.directory.graphql.presets import Preset
from backend.integrations.directory.upload import UploadSource
from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.models import SyncUpload
from backend.user_sync import rules_repository
from backend.user_sync.fields import TEXTS
from backend.user_sync.matching import refusal
from backend.user_sync.schemas import PreflightView, Tried, TryView, UploadView

MAX_UPLOAD = 8 * 1024 * 1024
TRIED = 10
TRY_TIMEOUT = 20.0


def client(
    database: Database, config: ConnectionConfig, *, timeout: float | None = None
) -> DirectoryClient:
    """How to ask this directory. Raises InvalidInput where its settings cannot be right."""
    with database.read() as session:
        upload = session.get(SyncUpload, config.environment.id)
        content = upload.content.encode() if upload is not None else b""
        view = rules_repository.settings_view(
            session, config.environment.id, config.environment.name
        )
    return DirectoryClient.of(
        config.settings,
        config.secrets,
        timeout=timeout or view.settings.directory_timeout,
        upload=content if config.settings.get("source") == "upload" else b"",
    )


def gateway_for(
    config: ConnectionConfig,
    *,
    connections: int = 4,
    timeout: float = 30.0,
    texts: Sequence[str] = tuple(TEXTS),
) -> OpenMetadataGateway:
    return OpenMetadataGateway(
        config.settings["host_port"],
        config.secrets.get("jwt_token", ""),
        max_connections=connections,
        timeout=timeout,
        texts=texts,
        verify=config.trust.context(),
    )


def try_it(database: Database, actor: Actor, *, environment: str | None = None) -> TryView:
    """The first ten people as the planner would read them; changes and keeps nothing."""
    access.require(actor, Permission.USER_SYNC_PLAN)
    config = _config(database, environment)
    found = client(database, config, timeout=TRY_TIMEOUT).sample(TRIED)
    return TryView(config.environment.name, tuple(_tried(item) for item in found))


def _tried(item: object) -> Tried:
    if not isinstance(item, dict):
        return Tried("", "", (), refusal(item))
    domains = item.get("domains") or item.get("domain") or ()
    several = domains if isinstance(domains, list | tuple) else [domains]
    return Tried(
        email=str(item.get("email") or "")[:320],
        display_name=str(item.get("displayName") or "")[:500],
        domains=tuple(str(domain)[:256] for domain in several),
        refused=refusal(item),
    )


def suggest(
    database: Database, actor: Actor, *, environment: str | None = None
) -> tuple[Preset, ...]:
    """Queries with mappings that fit the directory's schema, read by introspection.

    Raises QueryRefused where introspection is closed.
    """
    access.require(actor, Permission.USER_SYNC_PLAN)
    config = _config(database, environment)
    return tuple(presets.of(client(database, config, timeout=TRY_TIMEOUT)))


def preflight(database: Database, actor: Actor, *, environment: str | None = None) -> PreflightView:
    """What the portal may do at the environment's OpenMetadata; changes nothing there."""
    access.require(actor, Permission.USER_SYNC_PLAN)
    config = database.ask(resolve.connection, kind="openmetadata", environment=environment)
    with gateway_for(config) as gateway:
        found = gateway.preflight()
    return PreflightView(environment=config.environment.name, **vars(found))


def list_domains(
    database: Database, actor: Actor, *, environment: str | None = None
) -> tuple[str, ...]:
    """The full names of OpenMetadata's domains, to choose from; asked now."""
    access.require(actor, Permission.USER_SYNC_READ)
    config = database.ask(resolve.connection, kind="openmetadata", environment=environment)
    with gateway_for(config) as gateway:
        return tuple(sorted((domain.fqn for domain in gateway.domains()), key=str.casefold))


def _config(database: Database, environment: str | None) -> ConnectionConfig:
    return database.ask(resolve.connection, kind="directory", environment=environment)


def upload(
    session: WriteSession,
    actor: Actor,
    *,
    environment: str | None = None,
    name: str,
    content: bytes,
) -> UploadView:
    """Keep a CSV or JSON file of people as the directory of an environment whose source is upload.

    It replaces the one before. Raises InvalidInput naming the line that cannot be read.
    """
    access.require(actor, Permission.USER_SYNC_PLAN)
    config = resolve.connection(session, kind="directory", environment=environment)
    if config.settings.get("source") != "upload":
        raise InvalidInput(
            "This environment's directory is no uploaded file. Set its kind (source) to upload "
            "in the directory connection first."
        )
    if len(content) > MAX_UPLOAD:
        raise InvalidInput(f"The file is larger than {MAX_UPLOAD >> 20} MiB; leave columns out.")
    people = _read(config, content)
    row = session.get(SyncUpload, config.environment.id, with_for_update=True)
    if row is None:
        row = SyncUpload(environment_id=config.environment.id)
        session.add(row)
    row.name, row.content, row.people = name[:255], content.decode("utf-8-sig"), people
    row.uploaded_at, row.uploaded_by = clock.now(), actor.name[:255]
    audit.record(
        session,
        actor,
        "user_sync:people:upload",
        subject=config.environment.name,
        details={"people": people, "bytes": len(content)},
    )
    session.flush()
    return _view(config.environment.name, row)


def _read(config: ConnectionConfig, content: bytes) -> int:
    options = DirectoryClient.of(config.settings, {}, timeout=TRY_TIMEOUT, upload=content).options
    return sum(len(page.people) for page in UploadSource(content, options).pages())


def uploaded(
    session: ReadSession, actor: Actor, *, environment: str | None = None
) -> UploadView | None:
    """Which file is the directory; None without one."""
    access.require(actor, Permission.USER_SYNC_READ)
    found = resolve.environment(session, environment)
    row = session.get(SyncUpload, found.id)
    return _view(found.name, row) if row is not None else None


def _view(environment: str, row: SyncUpload) -> UploadView:
    return of_row(UploadView, row, environment=environment)
