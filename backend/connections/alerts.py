"""What this room wants somebody to look at: failing tests, expiring tokens, client info."""

from backend.connections import client_info, health
from backend.connections.health import EnvironmentHealth
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession

PAGE = "connections"


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """Those about client info are for admins."""
    if not actor.may(Permission.OVERVIEW_READ):
        return []
    environments = health.overview(session, actor)
    items = _missing(environments, actor)
    for environment in environments:
        items += _unverified(environment) + _tests(environment)
    if actor.may(Permission.CLIENT_INFO_READ):
        items += _client_info(session, actor, environments)
    return items


def _missing(environments: tuple[EnvironmentHealth, ...], actor: Actor) -> list[Alert]:
    if not actor.may(Permission.ENVIRONMENTS_WRITE):
        return []
    if not environments:
        return [Alert("info", "No environment is configured yet: add the first one.", PAGE)]
    if not any(item.environment.is_default for item in environments):
        return [Alert("warning", "No default environment found: mark one as default.", PAGE)]
    return []


def _unverified(item: EnvironmentHealth) -> list[Alert]:
    if item.environment.trust.verify or not item.connections:
        return []
    name = item.environment.name
    text = f"TLS certificates are not verified in {name}: whoever is between can read along."
    return [Alert("warning", text, PAGE, None, (("environment", name),))]


def _tests(item: EnvironmentHealth) -> list[Alert]:
    found = []
    name, number = item.environment.name, item.environment.id
    for connection in item.connections:
        query = (("environment", name), ("kind", connection.kind))
        told = (f"{number}:{connection.kind}", f"{connection.label} of {name}", number)
        if connection.state == "failed":
            text = f"{connection.label} of {name} failed its test: {connection.cause}"
            found.append(
                Alert(
                    "error",
                    text,
                    PAGE,
                    connection.tested_at,
                    query,
                    "connections.failing",
                    *told,
                    action="test",
                )
            )
        found += [
            Alert(
                "warning",
                f"{connection.label} of {name}: {text}",
                PAGE,
                None,
                query,
                "connections.expiring",
                *told,
            )
            for text in connection.ending
        ]
        if connection.certificate:
            text = f"{connection.label} of {name}: {connection.certificate}"
            cause = f"{told[0]}:certificate"  # the same connection's token may end, too
            event = ("connections.expiring", cause, f"Certificate of {told[1]}", number)
            found.append(Alert("warning", text, PAGE, None, query, *event))
    return found


def _client_info(
    session: ReadSession, actor: Actor, environments: tuple[EnvironmentHealth, ...]
) -> list[Alert]:
    with_datahub = {
        item.environment.name: item.environment.id
        for item in environments
        if any(connection.kind == "datahub" for connection in item.connections)
    }
    found = []
    for info in client_info.list_all(session, actor):
        if info.environment not in with_datahub:
            continue
        query = (("environment", info.environment), ("kind", "datahub"))
        number = with_datahub[info.environment]
        told = ("connections.client_info", str(number), info.environment, number)
        if info.failing_since is not None:
            text = f"DataHub client info of {info.environment} cannot be refreshed."
            found.append(Alert("warning", text, PAGE, info.failing_since, query, *told))
        elif info.stale and info.connection_status == "connected":
            text = f"DataHub client info of {info.environment} is older than a day."
            found.append(Alert("warning", text, PAGE, info.last_updated, query, *told))
    return found
