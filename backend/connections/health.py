"""Health of every configured connection: its newest test, told in one word."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from backend.connections import environments, jwt, kinds, repository, tls, visibility
from backend.connections.schemas import EnvironmentView
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, once
from backend.models import ConnectionTest

State = Literal["ok", "failed", "untested"]


@dataclass(frozen=True)
class Health:
    """One configured connection. cause: why it failed, "" otherwise. certificate: a sentence when
    one of those that the server showed ends within three weeks. ending: a sentence for each token
    that ends within two."""

    kind: str
    label: str
    state: State
    tested_at: datetime | None = None
    latency_ms: int | None = None
    cause: str = ""
    warnings: tuple[str, ...] = ()
    certificate: str = ""
    ending: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnvironmentHealth:
    """connections: only those that are configured, in the order of the kinds."""

    environment: EnvironmentView
    connections: tuple[Health, ...]

    @property
    def failed(self) -> int:
        return sum(item.state == "failed" for item in self.connections)


def overview(session: ReadSession, actor: Actor) -> tuple[EnvironmentHealth, ...]:
    """Every environment with its connections, the default one first; four queries in all."""
    access.require(actor, Permission.OVERVIEW_READ)
    return once(session, _overview, actor)


def _overview(session: ReadSession, actor: Actor) -> tuple[EnvironmentHealth, ...]:
    tests = {(row.environment_id, row.kind): row for row in repository.newest_tests(session)}
    configured: dict[int, set[str]] = {}
    for row in repository.list_all_connections(session):
        configured.setdefault(row.environment_id, set()).add(row.kind)
    for environment_id, kind_name in repository.list_kinds_with_secrets(session):
        # A key that was made at its first use has no settings.
        configured.setdefault(environment_id, set()).add(kind_name)
    found = []
    for environment in repository.list_environments(session):
        items = []
        for kind in kinds.KINDS.values():
            if kind.name not in configured.get(environment.id, ()):
                continue
            test = tests.get((environment.id, kind.name))
            if test is None:
                items.append(Health(kind.name, kind.label, "untested"))
                continue
            items.append(
                Health(
                    kind.name,
                    kind.label,
                    "ok" if test.ok else "failed",
                    test.tested_at,
                    test.latency_ms,
                    _cause(actor, test),
                    tuple(test.warnings) if visibility.may_name(actor, kind.name) else (),
                    tls.expiring(test.tls),
                    jwt.warnings(test.ends or {}) if visibility.may_name(actor, kind.name) else (),
                )
            )
        found.append(EnvironmentHealth(environments.view(environment), tuple(items)))
    return tuple(found)


def _cause(actor: Actor, test: ConnectionTest) -> str:
    if test.ok or visibility.may_name(actor, test.kind):
        return test.cause
    return visibility.CAUSE
