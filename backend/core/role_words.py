"""What a role may do, in words for people: the table of `access.PERMISSIONS`, read aloud."""

from dataclasses import dataclass

from backend.core import access
from backend.core.access import PERMISSIONS, Actor, Permission, Role

_AREAS: dict[str, dict[Permission, str]] = {
    "Overview": {
        Permission.OVERVIEW_READ: "See alerts, health and what ran last",
        Permission.JOBS_READ: "See runs and their logs",
        Permission.JOBS_CANCEL: "Stop one's own runs; an admin, anybody's",
        Permission.NOTIFICATIONS_READ: "See notifications",
        Permission.NOTIFICATIONS_WRITE: "Set where the portal's notifications go",
    },
    "Changes": {
        Permission.CHANGES_READ: "See what waits for an approval",
        Permission.CHANGES_DECIDE: "Approve or reject what one could do oneself",
        Permission.CHANGES_CONFIGURE: "Set what needs an approval",
    },
    "User sync": {
        Permission.USER_SYNC_READ: "See plans and runs",
        Permission.USER_SYNC_PLAN: "Make plans",
        Permission.USER_SYNC_APPLY: "Apply and revert changes of users",
        Permission.USER_SYNC_CONFIGURE: "Set the schedule, the mapping and the limits",
    },
    "Mounts": {
        Permission.MOUNTS_READ: "See the ledger, orphans and hosts",
        Permission.MOUNTS_WRITE: "Mount, unmount, verify and clear up",
    },
    "Tokenization": {
        Permission.TOKENIZATION_READ: "See runs and their proofs",
        Permission.TOKENIZATION_PREVIEW: "Preview what a run would change",
        Permission.TOKENIZATION_RUN: "Tokenize tables",
    },
    "Ingestion": {
        Permission.INGESTION_READ: "See datasets and runs",
        Permission.INGESTION_RUN: "Start and stop runs",
        Permission.INGESTION_MAPPING_READ: "See which target loads which dataset",
        Permission.INGESTION_MAPPING_WRITE: "Change which target loads which dataset",
    },
    "Connections": {
        Permission.CONNECTIONS_READ: "See connections, without their secrets",
        Permission.CONNECTIONS_TEST: "Test connections",
        Permission.CONNECTIONS_WRITE: "Change connections and their secrets",
        Permission.ENVIRONMENTS_WRITE: "Add, rename and delete environments",
        Permission.CLIENT_INFO_READ: "See DataHub's client info",
    },
    "Accounts": {
        Permission.OWN_ACCOUNT: "Change one's own password and second factor",
        Permission.ACCOUNTS_READ: "See accounts, sessions and API tokens",
        Permission.ACCOUNTS_WRITE: "Add, change and disable accounts, end sessions",
        Permission.API_TOKENS_WRITE: "Make and revoke API tokens",
    },
    "Audit log": {
        Permission.AUDIT_READ: "Read and verify the audit log",
        Permission.AUDIT_EXPORT: "Download the audit log",
    },
    "System": {
        Permission.RETENTION_READ: "See how long data is kept",
        Permission.RETENTION_RUN: "Remove what is older",
        Permission.BACKUP_MAKE: "Make backups",
        Permission.BACKUP_RESTORE: "Restore a backup",
        Permission.SECRETS_ROTATE: "Rotate the key that secrets are encrypted with",
    },
}


@dataclass(frozen=True)
class Ability:
    """area: the page it belongs to. roles: who may, in the order of the roles."""

    area: str
    permission: Permission
    words: str
    roles: tuple[Role, ...]


def list_abilities(actor: Actor) -> tuple[Ability, ...]:
    """`abilities`, for who may see the Overview."""
    access.require(actor, Permission.OVERVIEW_READ)
    return abilities()


def abilities() -> tuple[Ability, ...]:
    """Every permission once, in the order of the pages."""
    return tuple(
        Ability(area, permission, words, tuple(r for r in Role if permission in PERMISSIONS[r]))
        for area, found in _AREAS.items()
        for permission, words in found.items()
    )
