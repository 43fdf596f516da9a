"""Re-encrypt everything at rest; the domains' tables come from backend/composition.py."""

from collections.abc import Callable, Mapping

from sqlalchemy import select

from backend.core import access, audit, clock, secret_store
from backend.core.access import Actor, Permission
from backend.core.crypto import SEALED, Vault
from backend.core.database import Base, WriteSession
from backend.core.secret_store import SystemSecret

#: Takes the session and the vault, re-encrypts its rows, returns how many.
Rotator = Callable[[WriteSession, Vault], int]
_owners: Callable[[], Mapping[str, Rotator]] | None = None


def provide(owners: Callable[[], Mapping[str, Rotator]]) -> None:
    """Who re-encrypts which table; asked when somebody rotates."""
    global _owners
    _owners = owners


def rotate(session: WriteSession, actor: Actor, *, vault: Vault) -> dict[str, int]:
    """Put every secret under the vault's first key, all or none.

    Returns the number of rows per table. Raises SecretUnreadable naming the first that does not
    open; nothing is changed then.
    """
    access.require(actor, Permission.SECRETS_ROTATE)
    owners = {SystemSecret.__tablename__: _rotate_system, **(_owners() if _owners else {})}
    _check_complete(owners)
    counts = {table: owner(session, vault) for table, owner in sorted(owners.items())}
    audit.done(
        session,
        actor,
        Permission.SECRETS_ROTATE.value,
        "all secrets",
        key_id=vault.key_id,
        **counts,
    )
    return counts


def _check_complete(owners: Mapping[str, Rotator]) -> None:
    """A table left out would stay under a key that somebody then throws away."""
    sealed = {
        table.name
        for table in Base.metadata.tables.values()
        if any(column.info == SEALED for column in table.columns)
    }
    if sealed != set(owners):
        raise RuntimeError(f"secret owners do not fit the tables: {sorted(sealed ^ set(owners))}")


def _rotate_system(session: WriteSession, vault: Vault) -> int:
    rows = list(session.scalars(select(SystemSecret).with_for_update()))
    for row in rows:
        row.ciphertext = vault.rotate(row.ciphertext, binding=secret_store.binding(row.name))
        row.key_id = vault.key_id
        row.updated_at = clock.now()
    return len(rows)
