"""Sealed secrets of connections: each bound to its environment, kind and field."""

import base64
import os
from collections.abc import Mapping, Sequence

from sqlalchemy import select

from backend.connections import repository
from backend.connections.errors import EnvironmentDeleted
from backend.core import clock, secret_rotation, secret_store
from backend.core.access import Actor
from backend.core.crypto import Vault
from backend.core.database import ReadSession, WriteSession
from backend.models import ConnectionSecret


def binding(environment_id: int, kind: str, field: str) -> str:
    """The place a secret belongs to; a ciphertext copied elsewhere does not open there."""
    return f"environment {environment_id}/{kind}/{field}"


def open_all(session: ReadSession, environment_id: int, kind: str) -> dict[str, str]:
    """Field -> value of the secrets that are set; raises SecretUnreadable."""
    return opened(repository.list_secrets(session, environment_id, kind))


def opened(rows: Sequence[ConnectionSecret]) -> dict[str, str]:
    """Field -> value of these rows; raises SecretUnreadable."""
    vault = secret_store.get_vault()
    return {
        row.field: vault.decrypt(
            row.ciphertext, binding=binding(row.environment_id, row.kind, row.field)
        )
        for row in rows
    }


def seal(
    session: WriteSession, actor: Actor, environment_id: int, kind: str, values: Mapping[str, str]
) -> None:
    """Store the values; fields that are not named keep what they have."""
    vault = secret_store.get_vault()
    stored = {row.field: row for row in repository.list_secrets(session, environment_id, kind)}
    for field, value in values.items():
        row = stored.get(field)
        if row is None:
            row = ConnectionSecret(environment_id=environment_id, kind=kind, field=field)
            session.add(row)
        row.ciphertext = vault.encrypt(value, binding=binding(environment_id, kind, field))
        row.key_id = vault.key_id
        row.updated_at = clock.now()
        row.updated_by = actor.name
    session.flush()


def forget(session: WriteSession, environment_id: int, kind: str, fields: Sequence[str]) -> None:
    repository.delete_secrets(session, environment_id, kind, fields)


def ensure_tokenization_key(session: WriteSession, actor: Actor, *, environment_id: int) -> bytes:
    """The environment's 32 byte tokenization key; made at first use.

    The environment's row is locked, so two first users get the same key. Raises
    EnvironmentDeleted.
    """
    if repository.lock_environment(session, environment_id) is None:
        raise EnvironmentDeleted
    found = session.scalars(
        select(ConnectionSecret)
        .where(
            ConnectionSecret.environment_id == environment_id,
            ConnectionSecret.kind == "tokenization",
            ConnectionSecret.field == "key",
        )
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        text = base64.b64encode(os.urandom(32)).decode()
        seal(session, actor, environment_id, "tokenization", {"key": text})
    else:
        place = binding(environment_id, "tokenization", "key")
        text = secret_store.get_vault().decrypt(found.ciphertext, binding=place)
    return base64.b64decode(text)


def rotate(session: WriteSession, vault: Vault) -> int:
    """Put every secret under the vault's first key; `changed on … by …` stays as it was."""
    rows = list(session.scalars(select(ConnectionSecret).with_for_update()))
    for row in rows:
        place = binding(row.environment_id, row.kind, row.field)
        row.ciphertext = vault.rotate(row.ciphertext, binding=place)
        row.key_id = vault.key_id
    return len(rows)


secret_rotation.register(ConnectionSecret.__tablename__, rotate)
