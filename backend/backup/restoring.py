"""Put a backup back while the portal is stopped, and put right what time has passed by."""

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from backend.accounts import sessions
from backend.backup import archive, sqlite_file
from backend.backup.errors import (
    BackupFailed,
    NewerBackup,
    NotABackup,
    PortalRuns,
    RestoreRuns,
    StateExists,
    WrongKey,
)
from backend.backup.schemas import Manifest, Restored, Settled
from backend.changes import lifecycle
from backend.core import access, audit, clock, crypto, secret_store, startup
from backend.core.access import Actor, Permission
from backend.core.crypto import Vault
from backend.core.database import Database
from backend.core.errors import InvalidInput, SettingsError
from backend.core.settings import get_settings
from backend.jobs import schedule
from backend.jobs import service as jobs

ASK_AGAIN = (
    "The portal's state was restored from a backup that was made before this request ended. It "
    "may have been carried out since: look at what it concerns before you ask again."
)

_STAGED = ".restore-"


def restore(
    database: Database,
    actor: Actor,
    *,
    source: Path,
    keys: Path | None = None,
    replace: bool = False,
) -> Restored:
    """Make the state that of the backup. Nothing is changed unless all of it can be.

    keys: the file that was written beside the backup; its keys go in front of the key file's.
    replace: a state that is there already is kept in a folder beside it.
    Raises NotSqlite, StateExists, PortalRuns, RestoreRuns, NotABackup, NewerBackup, WrongKey,
    BackupFailed.
    """
    access.require(actor, Permission.BACKUP_RESTORE)
    path = sqlite_file.path_of(database)
    data_dir = get_settings().data_dir
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with archive.staged(data_dir, _STAGED, alone=RestoreRuns(data_dir)) as staged:
            if sqlite_file.holds_something(path) and not replace:
                raise StateExists(path)
            manifest = archive.unpack(source, staged)
            new_keys = _checked(source, staged / archive.DATABASE, keys)
            kept, ended = _put(path, staged, manifest, new_keys, actor, source.name)
    except (OSError, sqlite3.Error, DBAPIError) as exc:
        reason = exc.orig if isinstance(exc, DBAPIError) else exc
        raise BackupFailed(
            f"The backup could not be put into {data_dir}: {reason}. The database is as it was."
        ) from exc
    return Restored(manifest, kept, _vouched(database, ended))


def settle(database: Database, actor: Actor) -> Settled:
    """What `restore` does at its end, for a state database that its server's tool put back.

    A fresh dump holds the lease of the portal that it was made of, so this takes as long as a
    lease lasts that nobody renews, and two ticks in which nobody takes it. Raises PortalRuns,
    NoState where none was put back, SettingsError when keys and database do not belong together.
    """
    access.require(actor, Permission.BACKUP_RESTORE)
    startup.require(database)
    startup.prepare(database, secret_store.get_vault())
    _require_nobody_leads(database)
    kept = get_settings().data_dir / f"{audit.CHECKPOINT_FILE}.{_stamp()}"
    _copy_if_there(audit.checkpoint_path(), kept)
    return _vouched(database, _settle(database, actor, "state database", {"kept": kept.name}))


def _require_nobody_leads(database: Database) -> None:
    """A worker that does not lead is seen once the lease is free: it takes it within a tick."""
    first = database.ask(schedule.lease)
    free = 0
    while free < 2 * schedule.TICK_SECONDS:
        time.sleep(1.0)
        held = database.ask(schedule.lease)
        if held is not None and held != first:
            raise PortalRuns(f"{held.holder.split(':')[0]} works on this state database right now.")
        free = free + 1 if held is None else 0


def _settle(
    database: Database, actor: Actor, what: str, details: Mapping[str, object]
) -> dict[str, int]:
    """Old sessions, open jobs and requests must not come back to life with the rows of then."""
    with database.write() as session:
        audit.leave_checkpoint(session)
        ended = {
            "sessions_ended": sessions.end_everybodys(session, actor, reason="state restored"),
            "jobs_interrupted": jobs.interrupt_open(session, actor),
            "changes_ended": lifecycle.end_all_not_begun(session, actor, reason=ASK_AGAIN),
        }
        audit.done(
            session,
            actor,
            Permission.BACKUP_RESTORE.value,
            f"restore of {what}",
            **details,
            **ended,
        )
    return ended


def _vouched(database: Database, ended: Mapping[str, int]) -> Settled:
    """The checkpoint is of the state that is there now; how that state is."""
    database.ask(audit.rewind_checkpoint)
    with database.read() as session:
        return Settled(**ended, chain=audit.verify(session))


def _checked(source: Path, staged: Path, keys: Path | None) -> list[str]:
    """The keys to put into the key file, none when the configured ones open the backup."""
    try:
        contents = sqlite_file.inspect(staged)
    except ValueError as exc:
        raise NotABackup(source, str(exc)) from exc
    if not startup.knows(contents.revision):
        raise NewerBackup(source, contents.revision)
    settings = get_settings()
    from_environment = settings.secret_keys.get_secret_value()
    if keys is not None and from_environment:
        raise InvalidInput(
            "PORTAL_SECRET_KEYS is set, so no key file counts. Nothing was changed. Put the "
            "backup's keys into that variable, or take it away."
        )
    new_keys = _read_keys(keys) if keys is not None else []
    usable = new_keys
    if from_environment or (settings.data_dir / crypto.KEY_FILE).exists():
        usable = new_keys + crypto.configured_keys(from_environment, settings.data_dir)
    if not usable or not _opens(staged, Vault(usable)):
        raise WrongKey(contents.key_id)
    return new_keys


def _read_keys(path: Path) -> list[str]:
    try:
        keys = path.read_text().split()
        Vault(keys)
    except (OSError, UnicodeDecodeError, SettingsError) as exc:
        raise InvalidInput(
            f"{path} is not a file with the portal's keys. Nothing was changed."
        ) from exc
    return keys


def _opens(staged: Path, vault: Vault) -> bool:
    database = Database(f"sqlite:///{staged}")
    try:
        secret_store.check(database, vault)
    except SettingsError:
        return False
    finally:
        database.dispose()
    return True


def _put(
    path: Path, staged: Path, manifest: Manifest, new_keys: list[str], actor: Actor, what: str
) -> tuple[Path | None, dict[str, int]]:
    """Replace database and files; returns where the old ones are kept, and what was ended.

    The database comes last, and in one transaction: killed before it the portal has its old state,
    after it one in which nothing of then comes back to life.
    """
    data_dir = get_settings().data_dir
    replaces = sqlite_file.holds_something(path)
    with sqlite_file.alone(path) as live, contextlib.ExitStack() as failed:
        kept = data_dir / _stamp() if replaces else None
        if kept is not None:  # of no use beside what it is a copy of, and in the way on a full disk
            failed.callback(shutil.rmtree, kept, ignore_errors=True)
            _keep(live, kept)
        # Keys first, and none is taken away: whichever database is there opens with them.
        if new_keys:
            crypto.put_keys_into_file(data_dir, new_keys)
        database = Database(f"sqlite:///{staged / archive.DATABASE}")
        try:
            startup.prepare(database, secret_store.get_vault())
            details = {
                "made_at": manifest.made_at,
                "events": manifest.audit_events,
                "kept": kept.name if kept else "",
            }
            ended = _settle(database, actor, what, details)
        finally:
            database.dispose()
        for name in manifest.files:
            shutil.copyfile(staged / name, data_dir / name)
        sqlite_file.put(staged / archive.DATABASE, live)
        failed.pop_all()
    return kept, ended


def _keep(live: sqlite3.Connection, kept: Path) -> None:
    """Copy what is about to be replaced."""
    data_dir = get_settings().data_dir
    kept.mkdir(mode=0o700)
    sqlite_file.keep(live, kept / archive.DATABASE)
    for name in (*archive.OWN_FILES, audit.CHECKPOINT_FILE):
        _copy_if_there(data_dir / name, kept / name)


def _copy_if_there(source: Path, target: Path) -> None:
    if source.exists():
        shutil.copyfile(source, target)


def _stamp() -> str:
    return f"before-restore-{clock.now():%Y%m%dT%H%M%S%f}"
