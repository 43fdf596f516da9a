"""Put every sealed value of the state database under the newest key: `secrets rotate`.

SEALED names each table that holds ciphertext, once; a test compares it with the schema.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from backend.connections import secrets
from backend.core import access, audit, secret_store
from backend.core.access import Actor, Permission
from backend.core.crypto import Vault
from backend.core.database import ReadSession, WriteSession
from backend.core.secret_store import SystemSecret
from backend.models import ConnectionSecret


@dataclass(frozen=True)
class Sealed:
    """A table with columns ciphertext and key_id, and how its rows are bound."""

    model: Any
    binding: Callable[[Any], str]


SEALED = (
    Sealed(SystemSecret, lambda row: secret_store.binding(row.name)),
    Sealed(ConnectionSecret, lambda row: secrets.binding(row.environment_id, row.kind, row.field)),
)


@dataclass(frozen=True)
class Rotation:
    """rewritten: rows put under the newest key. left: rows still under older keys (0)."""

    rewritten: int
    left: int
    key_id: str


def rotate(session: WriteSession, actor: Actor, *, vault: Vault | None = None) -> Rotation:
    """Re-encrypt every row that is not under the vault's first key.

    All or nothing with the caller's unit of work; raises SecretUnreadable naming the row.
    """
    access.require(actor, Permission.SECRETS_ROTATE)
    vault = vault or secret_store.get_vault()
    rewritten = 0
    for sealed in SEALED:
        query = select(sealed.model).where(sealed.model.key_id != vault.key_id).with_for_update()
        for row in session.scalars(query):
            row.ciphertext = vault.rotate(row.ciphertext, binding=sealed.binding(row))
            row.key_id = vault.key_id
            rewritten += 1
    session.flush()
    result = Rotation(rewritten, count_left(session, vault), vault.key_id)
    audit.record(
        session,
        actor,
        "secrets:key:rotate",
        subject=f"key {vault.key_id}",
        outcome="succeeded",
        details={"rewritten": result.rewritten, "left": result.left},
    )
    return result


def count_left(session: ReadSession, vault: Vault | None = None) -> int:
    """Rows that are still under an older key."""
    newest = (vault or secret_store.get_vault()).key_id
    return sum(
        session.scalar(
            select(func.count()).select_from(item.model).where(item.model.key_id != newest)
        )
        or 0
        for item in SEALED
    )
