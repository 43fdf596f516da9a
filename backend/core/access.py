"""Who may do what: roles, permissions and the actor that every service function takes.

The role table is DESIGN section 4, kept here once; pages, API, CLI and jobs all ask `require`.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from backend.core.errors import NotPermitted
from backend.core.log import get_logger

log = get_logger(__name__)

ActorKind = Literal["user", "api_token", "cli", "system"]


class Role(StrEnum):
    VIEWER = "viewer"
    STEWARD = "steward"
    OPERATOR = "operator"
    ADMIN = "admin"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """area:thing:verb."""

    OVERVIEW_READ = "overview:health:read"
    JOBS_READ = "jobs:job:read"
    JOBS_CANCEL = "jobs:job:cancel"

    CONNECTIONS_READ = "connections:connection:read"
    CONNECTIONS_WRITE = "connections:connection:write"
    CONNECTIONS_TEST = "connections:connection:test"
    ENVIRONMENTS_WRITE = "connections:environment:write"
    CLIENT_INFO_READ = "connections:client_info:read"

    USER_SYNC_READ = "user_sync:plan:read"
    USER_SYNC_PLAN = "user_sync:plan:create"
    USER_SYNC_APPLY = "user_sync:plan:apply"
    USER_SYNC_CONFIGURE = "user_sync:schedule:write"

    MOUNTS_READ = "mounts:ledger:read"
    MOUNTS_WRITE = "mounts:mount:write"

    TOKENIZATION_READ = "tokenization:run:read"
    TOKENIZATION_PREVIEW = "tokenization:table:preview"
    TOKENIZATION_RUN = "tokenization:table:run"

    INGESTION_READ = "ingestion:run:read"
    INGESTION_RUN = "ingestion:run:start"
    INGESTION_MAPPING_READ = "ingestion:mapping:read"
    INGESTION_MAPPING_WRITE = "ingestion:mapping:write"

    ACCOUNTS_READ = "accounts:account:read"
    ACCOUNTS_WRITE = "accounts:account:write"
    API_TOKENS_WRITE = "accounts:api_token:write"
    OWN_ACCOUNT = "accounts:self:write"

    CHANGES_READ = "changes:request:read"
    CHANGES_DECIDE = "changes:request:decide"
    CHANGES_CONFIGURE = "changes:policy:write"

    NOTIFICATIONS_READ = "notifications:event:read"
    NOTIFICATIONS_WRITE = "notifications:channel:write"

    AUDIT_READ = "audit:event:read"
    AUDIT_EXPORT = "audit:event:export"
    SECRETS_ROTATE = "secrets:key:rotate"
    BACKUP_MAKE = "state:backup:create"
    BACKUP_RESTORE = "state:backup:restore"
    RETENTION_READ = "state:retention:read"
    RETENTION_RUN = "state:retention:run"


_VIEWER = frozenset(
    {
        Permission.OVERVIEW_READ,
        Permission.JOBS_READ,
        Permission.CHANGES_READ,
        Permission.NOTIFICATIONS_READ,
        Permission.CONNECTIONS_READ,
        Permission.USER_SYNC_READ,
        Permission.MOUNTS_READ,
        Permission.TOKENIZATION_READ,
        Permission.INGESTION_READ,
        Permission.OWN_ACCOUNT,
    }
)
_STEWARD = _VIEWER | {
    Permission.USER_SYNC_PLAN,
    Permission.USER_SYNC_APPLY,
    Permission.TOKENIZATION_PREVIEW,
    Permission.TOKENIZATION_RUN,
    Permission.JOBS_CANCEL,
    Permission.CHANGES_DECIDE,
}
_OPERATOR = _VIEWER | {
    Permission.CONNECTIONS_TEST,
    Permission.MOUNTS_WRITE,
    Permission.INGESTION_RUN,
    Permission.INGESTION_MAPPING_READ,
    Permission.JOBS_CANCEL,
    Permission.CHANGES_DECIDE,
}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.STEWARD: _STEWARD,
    Role.OPERATOR: _OPERATOR,
    # Reads everything, the audit included, and changes nothing but its own password.
    Role.AUDITOR: frozenset(p for p in Permission if p.endswith(":read")) | _VIEWER,
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True)
class Actor:
    """Who asks. The same type for page, REST, CLI and job.

    id: the account's or token's row id; 0 for the system and for the CLI without an account.
    ask_only: a machine that may look and ask; what it asks for waits for a person's approval.
    only: of the role's permissions, those an API token is limited to; None: all. environments: the
    numbers of those it is limited to; None: all. Both hold while the request lasts
    (`limit_environments`); what a job does later was allowed when it was asked for.
    session_id: the browser's session that acts; None for commands, programs and jobs.
    """

    id: int
    name: str
    role: Role
    kind: ActorKind
    ask_only: bool = False
    only: frozenset[Permission] | None = None
    environments: frozenset[int] | None = None
    session_id: int | None = field(default=None, compare=False)

    def may(self, permission: Permission) -> bool:
        if self.ask_only and permission not in _LOOKING:
            return False
        limited = self.only is not None and permission not in self.only
        if self.only is not None or self.environments is not None:
            limited = limited or permission in HAND_OUT_RIGHTS
        return permission in PERMISSIONS[self.role] and not limited


#: Whoever holds these can give anybody every right: a limit beside them would be none.
HAND_OUT_RIGHTS = frozenset({Permission.ACCOUNTS_WRITE, Permission.API_TOKENS_WRITE})

#: What changes nothing, and so is open to those who may only ask.
_LOOKING = frozenset(p for p in Permission if p.value.endswith((":read", ":preview")))

SYSTEM = Actor(id=0, name="system", role=Role.ADMIN, kind="system")


def require(actor: Actor, permission: Permission) -> None:
    """Raise NotPermitted (403) unless the actor's role holds the permission."""
    if not actor.may(permission):
        log.warning(
            "A permission was refused.",
            permission=permission.value,
            actor_id=actor.id,
            actor_kind=actor.kind,
            role=actor.role.value,
        )
        raise NotPermitted(_why_not(actor, permission))


def _why_not(actor: Actor, permission: Permission) -> str:
    if permission not in PERMISSIONS[actor.role]:
        return (
            f"{actor.name} has the role {actor.role.value}, which may not do this "
            f"({permission.value}). Ask an admin for a role that may."
        )
    if actor.ask_only and permission not in _LOOKING:
        return f"{actor.name} may look and ask for changes only, not do this ({permission.value})."
    return (
        f"The API token {actor.name} is limited to other actions and may not do this "
        f"({permission.value}). Ask an admin for a token that may."
        if permission not in HAND_OUT_RIGHTS
        else f"The API token {actor.name} is limited, and a limited token makes no accounts and no "
        f"tokens ({permission.value}): they could be without its limits."
    )


def require_to_ask(actor: Actor, permission: Permission) -> None:
    """`require` for what those who may only ask can call, too: it ends in a change request for
    them (`backend.changes.gate`), or changes nothing outside the portal."""
    require(replace(actor, ask_only=False), permission)


_limited: ContextVar[Actor | None] = ContextVar("access.limited", default=None)


def limit_environments(actor: Actor | None) -> None:
    """From now on, in this request or command, only the actor's environments can be resolved."""
    _limited.set(actor)


def reach() -> frozenset[int] | None:
    """The environments that the request's API token reaches; None where nothing limits it."""
    actor = _limited.get()
    return actor.environments if actor is not None else None


def in_reach(environment_id: int) -> bool:
    """Whether the request's API token reaches this environment."""
    allowed = reach()
    return allowed is None or environment_id in allowed


def require_everywhere(what: str) -> None:
    """Raise NotPermitted (403) when the request's API token is limited to some environments, for
    what is no single one's. what: begins the sentence."""
    if reach() is not None:
        _log_out_of_reach(environment_id=None)
        raise NotPermitted(
            f"{what} concerns all environments, and this API token is limited to some. Ask an "
            "admin for one that reaches all."
        )


def require_environment(environment_id: int, name: str) -> None:
    """Raise NotPermitted (403) when the request's API token is limited to other environments."""
    if not in_reach(environment_id):
        _log_out_of_reach(environment_id=environment_id)
        raise NotPermitted(
            f"This API token is limited to other environments than {name}. Ask an admin for one "
            "that reaches it, or name an environment of the token."
        )


def _log_out_of_reach(*, environment_id: int | None) -> None:
    """As a refused permission is. environment_id: None for what concerns all environments."""
    actor = _limited.get()
    log.warning(
        "An environment was refused.",
        environment_id=environment_id,
        actor_id=actor.id if actor is not None else None,
        actor_kind=actor.kind if actor is not None else None,
    )
