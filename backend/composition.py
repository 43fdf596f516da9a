"""Where every domain says what it brings; the one place that knows all of them.

`core` and `jobs` hold the mechanisms (alerts, rotation of secrets, job kinds) and know no domain:
`install` hands them what is named here. A face asks for its own part only, so the imports are
inside: a page does not load FastAPI, a command does not load the API.

A package below backend/ that is neither here nor in FOUNDATION stops the portal from being
imported; so does a permission that no domain owns. tests/backend/test_composition.py loads all.
"""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

import backend
from backend.changes import actions as change_actions
from backend.core import alerts, events, retention, secret_rotation
from backend.core.access import Permission as P
from backend.jobs import registry

if TYPE_CHECKING:
    from fastapi import APIRouter
    from typer import Typer

    from backend.changes.actions import Action

#: Packages that serve the domains and bring nothing of their own.
FOUNDATION = frozenset(
    {"api", "cli", "core", "dms", "integrations", "mcp", "migrations", "models", "sandbox"}
)


class Domain:
    """One domain; what it does not bring stays as it is here.

    name: its package below backend/ and the first word of its job kinds. permissions: those its
    services ask for.
    """

    name: ClassVar[str]
    permissions: ClassVar[tuple[P, ...]] = ()

    def tasks(self) -> ModuleType | None:
        """Its module of job functions (`@job`) and periodic tasks (`@every`), when it has one."""
        return self._module("tasks")

    def alerts(self) -> alerts.Source | None:
        module = self._module("alerts")
        return module.alerts if module is not None else None

    def events(self) -> "tuple[events.Kind, ...]":
        """What it tells people of."""
        module = self._module("event_kinds")
        return module.EVENTS if module is not None else ()

    def _module(self, part: str) -> ModuleType | None:
        name = f"backend.{self.name}.{part}"
        return import_module(name) if find_spec(name) is not None else None

    def secret_owners(self) -> Mapping[str, secret_rotation.Rotator]:
        """Table with ciphertext → what puts its rows under a new key."""
        return {}

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        """Prefix and routes of the REST face."""
        return ()

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        """Groups and single commands of the command line, by name."""
        return {}


class Connections(Domain):
    name = "connections"
    permissions = (
        P.OVERVIEW_READ,
        P.CONNECTIONS_READ,
        P.CONNECTIONS_WRITE,
        P.CONNECTIONS_TEST,
        P.ENVIRONMENTS_WRITE,
        P.CLIENT_INFO_READ,
    )

    def secret_owners(self) -> Mapping[str, secret_rotation.Rotator]:
        from backend.connections import secrets

        return {"connection_secrets": secrets.rotate}

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import client_info, connections, environments

        return tuple(("/api", each.router) for each in (environments, connections, client_info))

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import client_info, connections, environments

        return {
            "environments": environments.app,
            "connections": connections.app,
            "client_info": client_info.app,
            "refresh_client_info": client_info.refresh_client_info,
        }


class UserSync(Domain):
    name = "user_sync"
    permissions = (
        P.USER_SYNC_READ,
        P.USER_SYNC_PLAN,
        P.USER_SYNC_APPLY,
        P.USER_SYNC_CONFIGURE,
    )

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import user_sync

        return (("/api", user_sync.router),)

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import users_more

        return {"users": users_more.app}


class Mounts(Domain):
    name = "mounts"
    permissions = (P.MOUNTS_READ, P.MOUNTS_WRITE)

    def secret_owners(self) -> Mapping[str, secret_rotation.Rotator]:
        from backend.mounts import sealed_requests, targets

        return {"mount_targets": targets.rotate, "mount_requests": sealed_requests.rotate}

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import mount_templates, mounts

        # First: "templates" would be taken for a job.
        return (("/api", mount_templates.router), ("/api", mounts.router))

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import mounts

        return {"mounts": mounts.app}


class Tokenization(Domain):
    name = "tokenization"
    permissions = (P.TOKENIZATION_READ, P.TOKENIZATION_PREVIEW, P.TOKENIZATION_RUN)

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import tokenization

        return (("", tokenization.trigger_router), ("/api", tokenization.router))

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import tokenize

        return {"tokenize": tokenize.app}


class Ingestion(Domain):
    name = "ingestion"
    permissions = (
        P.INGESTION_READ,
        P.INGESTION_RUN,
        P.INGESTION_MAPPING_READ,
        P.INGESTION_MAPPING_WRITE,
    )

    def secret_owners(self) -> Mapping[str, secret_rotation.Rotator]:
        from backend.ingestion import schedules

        return {"ingestion_schedules": schedules.rotate}

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import ingestion, ingestion_sources

        return (("/api", ingestion.router), ("/api", ingestion_sources.router))

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import ingest

        return {"ingest": ingest.app}


class Jobs(Domain):
    name = "jobs"
    permissions = (P.JOBS_READ, P.JOBS_CANCEL, P.RETENTION_READ, P.RETENTION_RUN)

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import jobs, retention

        return (("/api", jobs.router), ("/api", retention.router))

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import jobs, retention

        return {"jobs": jobs.app, "retention": retention.retention}


class Changes(Domain):
    name = "changes"
    permissions = (P.CHANGES_READ, P.CHANGES_DECIDE, P.CHANGES_CONFIGURE)

    def secret_owners(self) -> Mapping[str, secret_rotation.Rotator]:
        from backend.changes import lifecycle

        return {"changes": lifecycle.rotate}

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import changes

        return (("/api", changes.router),)

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import changes

        return {"changes": changes.app}


class Accounts(Domain):
    name = "accounts"
    permissions = (
        P.ACCOUNTS_READ,
        P.ACCOUNTS_WRITE,
        P.API_TOKENS_WRITE,
        P.OWN_ACCOUNT,
        P.AUDIT_READ,
        P.AUDIT_EXPORT,
        P.SECRETS_ROTATE,
    )

    def secret_owners(self) -> Mapping[str, secret_rotation.Rotator]:
        from backend.accounts import provider_sessions, totp

        return {"provider_sessions": provider_sessions.rotate, "second_factors": totp.rotate}

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import accounts, audit

        return (("/api", accounts.router), ("/api", audit.router))

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import accounts, audit

        return {"accounts": accounts.app, "tokens": accounts.tokens_app, "audit": audit.app}


class Notifications(Domain):
    name = "notifications"
    permissions = (P.NOTIFICATIONS_READ, P.NOTIFICATIONS_WRITE)

    def secret_owners(self) -> Mapping[str, secret_rotation.Rotator]:
        from backend.notifications import channels

        return {"notification_channels": channels.rotate}

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import alerts, notifications

        return (("/api", notifications.router), ("/api", alerts.router))

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import alerts, notifications

        return {"notifications": notifications.app, "alerts": alerts.app}


class Backup(Domain):
    name = "backup"
    permissions = (P.BACKUP_MAKE, P.BACKUP_RESTORE)

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import backup

        return {"backup": backup.backup, "restore": backup.restore}


class Search(Domain):
    name = "search"

    def routers(self) -> "tuple[tuple[str, APIRouter], ...]":
        from backend.api.routes import search

        return (("/api", search.router),)

    def commands(self) -> "Mapping[str, Typer | Callable[..., None]]":
        from backend.cli import search

        return {"search": search.search}


DOMAINS: tuple[Domain, ...] = (
    Connections(),
    UserSync(),
    Mounts(),
    Tokenization(),
    Ingestion(),
    Jobs(),
    Changes(),
    Notifications(),
    Accounts(),
    Backup(),
    Search(),
)


def install() -> None:
    """Hand `core` and `jobs` what the domains bring; every process does so before it works."""
    registry.provide({domain.name: domain.tasks for domain in DOMAINS})
    alerts.provide(_alert_sources)
    events.provide(_events)
    secret_rotation.provide(_secret_owners)
    change_actions.provide(_actions)
    retention.provide(_rules)


def _rules() -> "Sequence[retention.Rule]":
    from backend.retention import RULES

    return RULES


@lru_cache(maxsize=1)
def _actions() -> "dict[str, Action]":
    """What a policy may put under approval, by name."""
    from backend.accounts.changes import ACTIONS as ACCOUNTS
    from backend.changes.policy import ACTIONS as POLICY
    from backend.connections.changes import ACTIONS as CONNECTIONS
    from backend.ingestion.changes import ACTIONS as INGESTION
    from backend.mounts.changes import ACTIONS as MOUNTS
    from backend.tokenization.changes import ACTIONS as TOKENIZATION
    from backend.user_sync.changes import ACTIONS as USER_SYNC

    found = (
        *POLICY,
        *USER_SYNC,
        *MOUNTS,
        *TOKENIZATION,
        *INGESTION,
        *CONNECTIONS,
        *ACCOUNTS,
    )
    return {action.name: action for action in found}


@lru_cache(maxsize=1)
def _events() -> dict[str, events.Kind]:
    return {kind.name: kind for domain in DOMAINS for kind in domain.events()}


def _alert_sources() -> dict[str, alerts.Source]:
    found = {domain.name: domain.alerts() for domain in DOMAINS}
    return {name: source for name, source in found.items() if source is not None}


def _secret_owners() -> dict[str, secret_rotation.Rotator]:
    import backend.models  # noqa: F401 - so that every table with ciphertext is known

    return {table: owner for domain in DOMAINS for table, owner in domain.secret_owners().items()}


def _check() -> None:
    """Raise ImportError for a package or a permission that no domain has."""
    packages = {module.name for module in pkgutil.iter_modules(backend.__path__) if module.ispkg}
    named = FOUNDATION | {domain.name for domain in DOMAINS}
    if packages != named:
        raise ImportError(f"backend/composition.py does not fit backend/: {packages ^ named}")
    owned = [permission for domain in DOMAINS for permission in domain.permissions]
    if sorted(owned) != sorted(P):
        raise ImportError(
            f"not owned by exactly one domain: {sorted(set(P) ^ set(owned)) or owned}"
        )


_check()
