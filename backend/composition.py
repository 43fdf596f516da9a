"""Where every domain says what it brings; the one place that knows all of them.

`core` and `jobs` hold the mechanisms (alerts, rotation of secrets, job kinds) and know no domain:
`install` hands them what is named here. A face asks for its own part only, so the imports are
inside: a page does not load FastAPI, a command does not load the API.

A package below backend/ that is neither here nor in FOUNDATION stops the portal from being
imported; so does a permission that no domain owns. tests/backend/test_composition.py loads all.
"""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

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


@dataclass(frozen=True)
class Domain:
    """One domain and what its package brings.

    name: its package below backend/ and the first word of its job kinds. permissions: those its
    services ask for.
    """

    name: str
    permissions: tuple[P, ...] = ()

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


DOMAINS: tuple[Domain, ...] = (
    Domain(
        "connections",
        (
            P.OVERVIEW_READ,
            P.CONNECTIONS_READ,
            P.CONNECTIONS_WRITE,
            P.CONNECTIONS_TEST,
            P.ENVIRONMENTS_WRITE,
            P.CLIENT_INFO_READ,
        ),
    ),
    Domain(
        "user_sync",
        (P.USER_SYNC_READ, P.USER_SYNC_PLAN, P.USER_SYNC_APPLY, P.USER_SYNC_CONFIGURE),
    ),
    Domain("mounts", (P.MOUNTS_READ, P.MOUNTS_WRITE)),
    Domain("tokenization", (P.TOKENIZATION_READ, P.TOKENIZATION_PREVIEW, P.TOKENIZATION_RUN)),
    Domain(
        "ingestion",
        (
            P.INGESTION_READ,
            P.INGESTION_RUN,
            P.INGESTION_MAPPING_READ,
            P.INGESTION_MAPPING_WRITE,
        ),
    ),
    Domain("jobs", (P.JOBS_READ, P.JOBS_CANCEL, P.RETENTION_READ, P.RETENTION_RUN)),
    Domain("changes", (P.CHANGES_READ, P.CHANGES_DECIDE, P.CHANGES_CONFIGURE)),
    Domain("notifications", (P.NOTIFICATIONS_READ, P.NOTIFICATIONS_WRITE)),
    Domain(
        "accounts",
        (
            P.ACCOUNTS_READ,
            P.ACCOUNTS_WRITE,
            P.API_TOKENS_WRITE,
            P.OWN_ACCOUNT,
            P.AUDIT_READ,
            P.AUDIT_EXPORT,
            P.SECRETS_ROTATE,
        ),
    ),
    Domain("backup", (P.BACKUP_MAKE, P.BACKUP_RESTORE)),
    Domain("search"),
)


def routers() -> "tuple[tuple[str, APIRouter], ...]":
    """Prefix and routes of the REST face."""
    from backend.api.routes import (
        accounts,
        alerts,
        audit,
        changes,
        client_info,
        connections,
        environments,
        ingestion,
        ingestion_sources,
        jobs,
        mount_templates,
        mounts,
        notifications,
        retention,
        search,
        tokenization,
        user_sync,
    )

    below = (
        *(environments, connections, client_info),
        user_sync,
        *(mount_templates, mounts),  # in this order: "templates" would be taken for a job
        tokenization,
        *(ingestion, ingestion_sources),
        *(jobs, retention),
        changes,
        *(notifications, alerts),
        *(accounts, audit),
        search,
    )
    return (("", tokenization.trigger_router), *(("/api", each.router) for each in below))


def commands() -> "Mapping[str, Typer | Callable[..., None]]":
    """Groups and single commands of the command line, by name."""
    from backend.cli import (
        accounts,
        alerts,
        audit,
        backup,
        changes,
        client_info,
        connections,
        environments,
        ingest,
        jobs,
        mounts,
        notifications,
        retention,
        search,
        tokenize,
        users_more,
    )

    return {
        "environments": environments.app,
        "connections": connections.app,
        "client_info": client_info.app,
        "refresh_client_info": client_info.refresh_client_info,
        "users": users_more.app,
        "mounts": mounts.app,
        "tokenize": tokenize.app,
        "ingest": ingest.app,
        "jobs": jobs.app,
        "retention": retention.retention,
        "changes": changes.app,
        "notifications": notifications.app,
        "alerts": alerts.app,
        "accounts": accounts.app,
        "tokens": accounts.tokens_app,
        "audit": audit.app,
        "backup": backup.backup,
        "restore": backup.restore,
        "search": search.search,
    }


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


def _secret_owners() -> Mapping[str, secret_rotation.Rotator]:
    """Table with ciphertext → what puts its rows under a new key."""
    import backend.models  # noqa: F401 - so that every table with ciphertext is known
    from backend.accounts import provider_sessions, totp
    from backend.changes import lifecycle
    from backend.connections import secrets
    from backend.ingestion import schedules
    from backend.mounts import sealed_requests, targets
    from backend.notifications import channels

    return {
        "connection_secrets": secrets.rotate,
        "mount_targets": targets.rotate,
        "mount_requests": sealed_requests.rotate,
        "ingestion_schedules": schedules.rotate,
        "changes": lifecycle.rotate,
        "notification_channels": channels.rotate,
        "provider_sessions": provider_sessions.rotate,
        "second_factors": totp.rotate,
    }


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
