"""Make a backup while the portal runs."""

import os
import shutil
import sqlite3
from pathlib import Path

from backend.backup import archive, sqlite_file
from backend.backup.errors import BackupFailed, FileExists
from backend.backup.schemas import FORMAT, Made, Manifest
from backend.core import access, audit, clock, crypto
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.settings import get_settings

_STAGED = ".portal-backup-"


def make(database: Database, actor: Actor, *, target: Path, keys: Path | None = None) -> Made:
    """Write the whole state to `target`; with `keys`, the keys to that file.

    Others may read and write meanwhile. Nothing is overwritten. Raises NotSqlite, FileExists,
    BackupFailed.
    """
    access.require(actor, Permission.BACKUP_MAKE)
    sqlite_file.path_of(database)
    for path in (target, keys):
        if path is not None and path.exists():
            raise FileExists(path)
    _record(database, actor, target, phase="intent")
    try:
        manifest = _write(database, target)
        if keys is not None:
            _write_keys(keys)
    except (OSError, sqlite3.Error, ValueError) as exc:
        _record(database, actor, target, phase="outcome", outcome="failed")
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise BackupFailed(
            f"The backup could not be written to {target.absolute().parent}: {reason}. "
            "The portal's state is as it was."
        ) from exc
    _record(database, actor, target, phase="outcome", outcome="succeeded", keys=keys is not None)
    return Made(target, target.stat().st_size, manifest, keys)


def _write(database: Database, target: Path) -> Manifest:
    """The copy lies beside the target, where there is room for it, until it is packed."""
    with archive.staged(target.absolute().parent, _STAGED) as folder:
        made_at = clock.now()
        sqlite_file.copy(database, folder / archive.DATABASE)
        contents = sqlite_file.inspect(folder / archive.DATABASE)
        manifest = Manifest(
            format=FORMAT,
            made_at=str(clock.to_the_second(made_at)),
            revision=contents.revision,
            key_id=contents.key_id,
            audit_events=contents.audit_events,
            files=_own_files(folder),
        )
        archive.pack(folder, manifest, target)
    return manifest


def _own_files(folder: Path) -> tuple[str, ...]:
    data_dir = get_settings().data_dir
    names = tuple(name for name in archive.OWN_FILES if (data_dir / name).exists())
    for name in names:
        shutil.copyfile(data_dir / name, folder / name)
    return names


def _write_keys(path: Path) -> None:
    settings = get_settings()
    keys = crypto.configured_keys(settings.secret_keys.get_secret_value(), settings.data_dir)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write("\n".join(keys) + "\n")


def _record(
    database: Database,
    actor: Actor,
    target: Path,
    *,
    phase: audit.Phase,
    outcome: str = "",
    keys: bool = False,
) -> None:
    database.change(
        audit.record,
        actor,
        Permission.BACKUP_MAKE.value,
        subject=f"backup {target.name}",
        phase=phase,
        outcome=outcome,
        details={"keys": keys} if phase == "outcome" else None,
    )
