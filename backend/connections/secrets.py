"""Sealed secrets of connections: each bound to its environment, kind, field and receiver."""

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select

from backend.connections import kinds, repository, rules
from backend.connections.errors import EnvironmentDeleted
from backend.core import clock, secret_store
from backend.core.access import Actor
from backend.core.crypto import SecretUnreadable, Vault
from backend.core.database import WriteSession
from backend.models import ConnectionSecret


def binding(
    environment_id: int, kind: str, field: str, settings: Mapping[str, str] | None = None
) -> str:
    """The place a secret belongs to; a ciphertext copied elsewhere does not open there.

    settings: the connection's, of which those that say whom the secret is sent to count; None:
    as secrets were bound before 0.3, to the place alone.
    """
    place = f"environment {environment_id}/{kind}/{field}"
    receiver = rules.sent_to(kinds.get_kind(kind), settings or {}) if settings is not None else {}
    if not receiver:
        return place
    text = json.dumps(receiver, sort_keys=True).encode()
    return f"{place} to {hashlib.sha256(text).hexdigest()}"


def opened(rows: Sequence[ConnectionSecret], settings: Mapping[str, str]) -> dict[str, str]:
    """Field -> value of these rows; raises SecretUnreadable."""
    return {row.field: _opened(row, settings) for row in rows}


def _opened(row: ConnectionSecret, settings: Mapping[str, str]) -> str:
    vault = secret_store.get_vault()
    where = (row.environment_id, row.kind, row.field)
    try:
        return vault.decrypt(row.ciphertext, binding=binding(*where, settings))
    except SecretUnreadable:
        return vault.decrypt(row.ciphertext, binding=binding(*where))


def bind(
    session: WriteSession,
    environment_id: int,
    kind: str,
    settings: Mapping[str, str],
    fields: Collection[str],
) -> None:
    """Bind those of the fields that were sealed before secrets had a receiver to the present one.

    What does not open with the keys in force stays as it is; whoever uses it is told.
    """
    vault = secret_store.get_vault()
    for row in repository.list_secrets(session, environment_id, kind):
        if row.field in fields:
            with contextlib.suppress(SecretUnreadable):
                place = binding(environment_id, kind, row.field, settings)
                row.ciphertext = vault.encrypt(_opened(row, settings), binding=place)
                row.key_id = vault.key_id


def seal(
    session: WriteSession,
    actor: Actor,
    environment_id: int,
    kind: str,
    values: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
) -> None:
    """Store the values for the receiver in `settings`; other fields keep what they have."""
    vault = secret_store.get_vault()
    stored = {row.field: row for row in repository.list_secrets(session, environment_id, kind)}
    for field, value in values.items():
        row = stored.get(field)
        if row is None:
            row = ConnectionSecret(environment_id=environment_id, kind=kind, field=field)
            session.add(row)
        place = binding(environment_id, kind, field, settings or {})
        row.ciphertext = vault.encrypt(value, binding=place)
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
        stored = repository.find_connection(session, row.environment_id, row.kind)
        where = (row.environment_id, row.kind, row.field)
        place = binding(*where, stored.settings if stored else {})
        try:
            row.ciphertext = vault.rotate(row.ciphertext, binding=place)
        except SecretUnreadable:
            row.ciphertext = vault.rotate(row.ciphertext, binding=binding(*where))
        row.key_id = vault.key_id
    return len(rows)
