"""How the other rooms get an environment and a connection's settings with its decrypted secrets.

    cfg = resolve.connection(session, environment=None, kind="postgres")   # None = the default one
    cfg.settings["host"], cfg.secrets.get("password"), cfg.environment.is_production, cfg.version

Nothing here checks a permission: the calling service has done that for what it is about to do.
Which environments an API token is limited to is checked here, since all work passes here.
"""

from backend.connections import (
    credentials,
    environments,
    guard,
    kinds,
    repository,
    rules,
    secrets,
    tls,
)
from backend.connections.errors import (
    ConnectionNotConfigured,
    EnvironmentDeleted,
    NoDefaultEnvironment,
)
from backend.connections.schemas import ConnectionConfig, EnvironmentView
from backend.core import access
from backend.core.database import ReadSession
from backend.models import Environment


def environment(session: ReadSession, name: str | None = None) -> EnvironmentView:
    """The environment of that name, or the default one.

    Raises EnvironmentNotFound or NoDefaultEnvironment, both with advice.
    """
    return environments.view(_row(session, name))


def spelling(session: ReadSession, name: str) -> str:
    """The name as records keep it, however it was typed, for lists whose rows outlive their
    environment: a name that no environment has stays as it is."""
    row = repository.find_environment(session, " ".join(name.split()))
    return row.name if row else name


def names(session: ReadSession) -> dict[int, str]:
    """The present name of every environment by its number.

    What was kept about an environment can outlive it, or its name: whoever links to one from such
    a record takes the name from here, and has nothing to link to when the number is not in it.
    """
    return {row.id: row.name for row in repository.list_environments(session)}


def require_reach(session: ReadSession, environment_id: int) -> None:
    """`access.require_environment` for what is kept by the environment's number only."""
    if not access.in_reach(environment_id):
        name = names(session).get(environment_id, f"number {environment_id}")
        access.require_environment(environment_id, name)


def reached(session: ReadSession) -> dict[int, str]:
    """Of `names`, those that the request's API token reaches."""
    return {number: name for number, name in names(session).items() if access.in_reach(number)}


def find(
    session: ReadSession, *, kind: str, environment: str | None = None
) -> ConnectionConfig | None:
    """Like `connection`, but None when this kind is not configured."""
    return _config(session, _row(session, environment), kind)


def find_in(session: ReadSession, environment_id: int, *, kind: str) -> ConnectionConfig | None:
    """Like `find`, by the environment's number: for work in several steps, between which it may
    get another name, and its name may go to another one. Raises EnvironmentDeleted.
    """
    row = session.get(Environment, environment_id)
    if row is None:
        raise EnvironmentDeleted
    access.require_environment(row.id, row.name)
    return _config(session, row, kind)


def connection(
    session: ReadSession, *, kind: str, environment: str | None = None
) -> ConnectionConfig:
    """Settings and decrypted secrets; raises ConnectionNotConfigured (404) with advice."""
    row = _row(session, environment)
    found = _config(session, row, kind)
    if found is None:
        raise ConnectionNotConfigured(row.name, kinds.get_kind(kind).label, kind)
    return found


def url(config: ConnectionConfig) -> str:
    """The `url` setting of a ledger or rabbitmq connection with its password put in.

    Raises InvalidInput for one that was saved before its options or its host were refused.
    """
    sandbox = config.environment.is_sandbox
    guard.check_embedded(config.kind, config.settings, sandbox=sandbox)
    guard.check_literal(config.kind, config.settings)
    made = credentials.with_password(config.settings["url"], config.secrets.get("password"))
    guard.check_literal(config.kind, {"url": made})
    return tls.with_trust(made, config.trust)


def _config(session: ReadSession, row: Environment, kind: str) -> ConnectionConfig | None:
    known = kinds.get_kind(kind)
    stored, sealed = repository.connection_with_secrets(session, row.id, kind)
    if stored is None and not known.implicit:
        return None
    return ConnectionConfig(
        environment=environments.view(row),
        kind=kind,
        settings=rules.with_defaults(known, stored.settings if stored else {}) | _trust(row),
        secrets=secrets.opened(sealed, stored.settings if stored else {}),
        version=stored.version if stored else 0,
    )


def _trust(row: Environment) -> dict[str, str]:
    return environments.view(row).trust.as_settings()


def _row(session: ReadSession, name: str | None) -> Environment:
    row = environments.require_row(session, name) if name else repository.find_default(session)
    if row is None:
        raise NoDefaultEnvironment()
    access.require_environment(row.id, row.name)
    return row
