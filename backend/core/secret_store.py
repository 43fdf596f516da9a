"""The portal's own secrets in the state database: the key canary and the audit key.

The canary is written at the first start and opened at each later one, so a portal started with
the wrong PORTAL_SECRET_KEYS refuses before it changes anything.
"""

import base64
import hmac
import os
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import String, Text, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from backend.core import clock
from backend.core.crypto import KEY_FILE, SEALED, SecretUnreadable, Vault, load_vault
from backend.core.database import (
    MYSQL_TABLE,
    Base,
    Database,
    ReadSession,
    UtcDateTime,
    WriteSession,
)
from backend.core.errors import SettingsError
from backend.core.settings import get_settings

CANARY = "canary"
AUDIT_KEY = "audit-key"


class SystemSecret(Base):
    """A named secret of the portal itself."""

    __tablename__ = "system_secrets"
    __table_args__ = (MYSQL_TABLE,)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    ciphertext: Mapped[str] = mapped_column(Text, info=SEALED)
    key_id: Mapped[str] = mapped_column(String(16))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


def get_vault() -> Vault:
    """The vault for the settings; a key file changed by `secrets rotate` is read anew."""
    settings = get_settings()
    path = settings.data_dir / KEY_FILE
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _vault(settings.secret_keys.get_secret_value(), settings.data_dir, changed)


@lru_cache(maxsize=4)
def _vault(secret_keys: str, data_dir: Path, _changed: int) -> Vault:
    return load_vault(secret_keys, data_dir)


def binding(name: str) -> str:
    return f"system secret {name}"


def check(database: Database, vault: Vault) -> frozenset[str]:
    """Open every system secret; returns the names that exist.

    Raises SettingsError naming the row that does not open; nothing is changed.
    """
    with database.read() as session:
        rows = {row.name: row.ciphertext for row in session.scalars(select(SystemSecret))}
    for name, ciphertext in rows.items():
        try:
            vault.decrypt(ciphertext, binding=binding(name))
        except SecretUnreadable as exc:
            raise SettingsError(
                [
                    f"PORTAL_SECRET_KEYS: row '{name}' of table system_secrets does not open with "
                    "the configured keys. Nothing was changed. Start with the key this database "
                    "was made with (put new keys in front of it, then run: secrets rotate)."
                ]
            ) from exc
    return frozenset(rows)


def ensure(database: Database, vault: Vault) -> None:
    """Make the canary and the audit key at the first start; check them at every later one."""
    existing = check(database, vault)
    for name in (CANARY, AUDIT_KEY):
        if name not in existing:
            _create(database, vault, name)


def _create(database: Database, vault: Vault, name: str) -> None:
    value = base64.b64encode(os.urandom(32)).decode()
    try:
        with database.write() as session:
            _add(session, vault, name, value)
    except IntegrityError:
        # Another process made it in the same instant; the one that is stored counts.
        database.ask(read, vault, name)


def read(session: ReadSession, vault: Vault, name: str) -> bytes:
    """The raw 32 bytes of a system secret."""
    ciphertext = session.scalars(
        select(SystemSecret.ciphertext).where(SystemSecret.name == name)
    ).one()
    return base64.b64decode(vault.decrypt(ciphertext, binding=binding(name)))


def fingerprint(session: ReadSession, about: str, text: str) -> str:
    """Of something that may hold secrets; keyed, so that nobody can try passwords against it."""
    key = read(session, get_vault(), AUDIT_KEY)
    return hmac.digest(key, f"{about} {text}".encode(), "sha256").hex()


def keep(session: WriteSession, name: str, value: str) -> None:
    """Keep a secret under this name until `take`; at most 64 letters."""
    _add(session, get_vault(), name, value)


def _add(session: WriteSession, vault: Vault, name: str, value: str) -> None:
    session.add(
        SystemSecret(
            name=name,
            ciphertext=vault.encrypt(value, binding=binding(name)),
            key_id=vault.key_id,
            updated_at=clock.now(),
        )
    )


def take(session: WriteSession, name: str) -> str | None:
    """The secret of this name, which is gone afterwards; None when there is none."""
    row = session.get(SystemSecret, name)
    if row is None:
        return None
    value = get_vault().decrypt(row.ciphertext, binding=binding(name))
    session.delete(row)
    return value


def drop_older(session: WriteSession, prefix: str, before: datetime) -> None:
    """Remove what was kept under a prefix and never taken."""
    session.execute(
        delete(SystemSecret).where(
            SystemSecret.name.startswith(prefix, autoescape=True), SystemSecret.updated_at < before
        )
    )
