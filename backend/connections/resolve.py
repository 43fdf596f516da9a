"""How the other rooms get an environment and a connection's settings with its decrypted secrets.

    cfg = resolve.connection(session, environment=None, kind="postgres")   # None = the default one
    cfg.settings["host"], cfg.secrets.get("password"), cfg.environment.is_production, cfg.version

Nothing here checks a permission: the calling service has done that for what it is about to do.
"""

from backend.connections import credentials, environments, kinds, repository, secrets
from backend.connections.errors import ConnectionNotConfigured, NoDefaultEnvironment
from backend.connections.schemas import ConnectionConfig, EnvironmentView
from backend.core.database import ReadSession
from backend.models import Environment


def environment(session: ReadSession, name: str | None = None) -> EnvironmentView:
    """The environment of that name, or the default one.

    Raises EnvironmentNotFound or NoDefaultEnvironment, both with advice.
    """
    return environments.view(_row(session, name))


def names(session: ReadSession) -> dict[int, str]:
    """The present name of every environment by its number.

    What was kept about an environment can outlive it, or its name: whoever links to one from such
    a record takes the name from here, and has nothing to link to when the number is not in it.
    """
    return {row.id: row.name for row in repository.list_environments(session)}


def find(
    session: ReadSession, *, kind: str, environment: str | None = None
) -> ConnectionConfig | None:
    """Like `connection`, but None when this kind is not configured."""
    known = kinds.get_kind(kind)
    row = _row(session, environment)
    stored = repository.find_connection(session, row.id, kind)
    if stored is None and not known.implicit:
        return None
    return ConnectionConfig(
        environment=environments.view(row),
        kind=kind,
        settings=kinds.with_defaults(known, stored.settings if stored else {}),
        secrets=secrets.open_all(session, row.id, kind),
        version=stored.version if stored else 0,
    )


def connection(
    session: ReadSession, *, kind: str, environment: str | None = None
) -> ConnectionConfig:
    """Settings and decrypted secrets; raises ConnectionNotConfigured (404) with advice."""
    found = find(session, kind=kind, environment=environment)
    if found is None:
        name = _row(session, environment).name
        raise ConnectionNotConfigured(name, kinds.get_kind(kind).label, kind)
    return found


def url(config: ConnectionConfig) -> str:
    """The `url` setting of a ledger or rabbitmq connection with its password put in."""
    return credentials.with_password(config.settings["url"], config.secrets.get("password"))


def _row(session: ReadSession, name: str | None) -> Environment:
    if name:
        return environments.require_row(session, name)
    row = repository.find_default(session)
    if row is None:
        raise NoDefaultEnvironment()
    return row
