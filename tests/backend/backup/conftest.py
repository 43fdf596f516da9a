"""A state worth saving, and folders to put it back into."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.backup import restoring, service
from backend.backup.schemas import Restored
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.crypto import KEY_FILE
from backend.core.database import Database, forget_databases, get_database
from backend.core.settings import get_settings
from backend.models.jobs import Job


@dataclass
class Backup:
    """file: the backup. keys: its keys, beside it."""

    file: Path
    keys: Path


@pytest.fixture
def backup(database: Database, tmp_path: Path) -> Callable[[], Backup]:
    """backup() → one of the test's database."""

    def make() -> Backup:
        made = Backup(tmp_path / "portal.backup", tmp_path / "portal.keys")
        service.make(database, SYSTEM, target=made.file, keys=made.keys)
        return made

    return make


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Database]]:
    """elsewhere() → from here on the portal's data folder is another, new one."""

    def move() -> Database:
        monkeypatch.setenv("PORTAL_DATA_DIR", str(tmp_path / "elsewhere"))
        get_settings.cache_clear()
        return get_database()

    yield move
    forget_databases()
    get_settings.cache_clear()


@pytest.fixture
def stopped(database: Database) -> Callable[[], Database]:
    """stopped() → the test's own database, which no process has open any more."""

    def stop() -> Database:
        database.dispose()
        return database

    return stop


def restored(database: Database, backup: Backup, *, replace: bool = False) -> Restored:
    """Put it back with the keys that belong to it."""
    return restoring.restore(
        database, SYSTEM, source=backup.file, keys=backup.keys, replace=replace
    )


def keys_in(folder: Path) -> list[str]:
    return (folder / KEY_FILE).read_text().split()


def job_in(database: Database, state: str) -> int:
    """A job of that state, as a row; its number."""
    with database.write() as session:
        row = Job(
            kind="mounts.mount",
            title="Mount",
            subject="x",
            arguments={},
            state=state,
            resumable=True,
            actor_id=1,
            actor_name="ann",
            actor_role="operator",
            actor_kind="user",
            created_at=clock.now(),
            attempt=0,
            cancel_requested=False,
            progress_done=0,
            note="",
        )
        session.add(row)
        session.flush()
        return row.id
