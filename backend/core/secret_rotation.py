"""Re-encrypt everything at rest; tables with ciphertext register themselves here."""

import importlib
from collections.abc import Callable

from sqlalchemy import select

from backend.core import access, audit, clock, secret_store
from backend.core.access import Actor, Permission
from backend.core.crypto import Vault
from backend.core.database import WriteSession
from backend.core.secret_store import SystemSecret

#: Takes the session and the vault, re-encrypts its rows, returns how many.
Rotator = Callable[[WriteSession, Vault], int]
_rotators: dict[str, Rotator] = {}
#: Importing these registers every table. Named, because a command imports only what it needs, and
#: a table that is left out would stay under a key that somebody then throws away.
OWNERS = ("backend.connections.secrets", "backend.mounts.actions", "backend.mounts.targets")


def register(table: str, rotator: Rotator) -> None:
    """A room's table that holds ciphertext."""
    _rotators[table] = rotator


def rotate(session: WriteSession, actor: Actor, *, vault: Vault) -> dict[str, int]:
    """Put every secret under the vault's first key, all or none.

    Returns the number of rows per table. Raises SecretUnreadable naming the first that does not
    open; nothing is changed then.
    """
    access.require(actor, Permission.SECRETS_ROTATE)
    for owner in OWNERS:
        importlib.import_module(owner)
    counts = {"system_secrets": _rotate_system(session, vault)}
    for table, rotator in sorted(_rotators.items()):
        counts[table] = rotator(session, vault)
    audit.record(
        session,
        actor,
        Permission.SECRETS_ROTATE.value,
        subject="all secrets",
        outcome="succeeded",
        details={"key_id": vault.key_id, **counts},
    )
    return counts


def _rotate_system(session: WriteSession, vault: Vault) -> int:
    rows = list(session.scalars(select(SystemSecret).with_for_update()))
    for row in rows:
        row.ciphertext = vault.rotate(row.ciphertext, binding=secret_store.binding(row.name))
        row.key_id = vault.key_id
        row.updated_at = clock.now()
    return len(rows)
