"""Making a backup: whole, private, and never over something else."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from backend.backup import archive, service
from backend.backup.errors import BackupFailed, FileExists, NotSqlite
from backend.core import audit
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.backend.backup.conftest import Backup, restored


def _record(database: Database, subject: str = "x") -> None:
    with database.write() as session:
        audit.record(session, SYSTEM, "tests:thing:do", subject=subject)


class TestMake:
    def test_holds_the_database_and_own_patterns_and_never_a_key(
        self, database: Database, backup, data_dir: Path
    ) -> None:
        (data_dir / "pii_patterns.yaml").write_text("kinds: []\n")
        made = backup()
        with zipfile.ZipFile(made.file) as zipped:
            assert set(zipped.namelist()) == {
                "manifest.json",
                "portal.sqlite",
                "pii_patterns.yaml",
            }
            content = b"".join(zipped.read(name) for name in zipped.namelist())
            manifest = json.loads(zipped.read("manifest.json"))
        for key in made.keys.read_text().split():
            assert key.encode() not in content
        assert manifest["audit_events"] == 1  # the intent to make it

    def test_files_are_their_owners_alone(self, backup) -> None:
        made = backup()
        assert [path.stat().st_mode & 0o777 for path in (made.file, made.keys)] == [0o600, 0o600]

    def test_leaves_nothing_else_behind(self, backup, tmp_path: Path) -> None:
        before = {path.name for path in tmp_path.iterdir()}
        backup()
        assert {path.name for path in tmp_path.iterdir()} - before == {
            "portal.backup",
            "portal.keys",
        }

    def test_what_a_killed_one_left_does_not_stay_and_others_work_stays(
        self, backup, tmp_path: Path
    ) -> None:
        """Its lock died with it; a folder of another name is not the portal's."""
        code = (
            "import os, pathlib, sys; from backend.backup import archive;"
            "manager = archive.staged(pathlib.Path(sys.argv[1]), '.portal-backup-');"
            "made = manager.__enter__();"
            "(made / 'portal.sqlite').write_bytes(b'a whole state'); os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        (left,) = tmp_path.glob(".portal-backup-*")
        foreign = tmp_path / ".backup-of-mine" / "file"
        foreign.parent.mkdir()
        foreign.write_text("mine")
        with archive.staged(tmp_path, ".portal-backup-") as running:
            assert not left.exists()
            (running / "portal.sqlite").write_bytes(b"half a state")
            backup()
            assert (running / "portal.sqlite").exists()
        assert not list(tmp_path.glob(".portal-backup-*"))
        assert foreign.exists()

    @pytest.mark.parametrize("taken", ["portal.backup", "portal.keys"])
    def test_never_writes_over_a_file(self, backup, tmp_path: Path, taken: str) -> None:
        (tmp_path / taken).write_text("mine")
        with pytest.raises(FileExists, match=taken):
            backup()
        assert (tmp_path / taken).read_text() == "mine"
        assert len([p for p in tmp_path.iterdir() if p.name.startswith("portal.")]) == 1

    def test_is_audited_before_and_after(self, database: Database, backup) -> None:
        backup()
        with database.read() as session:
            rows = [(row.action, row.phase, row.outcome) for row in session.query(audit.AuditEvent)]
        assert rows == [
            ("state:backup:create", "intent", ""),
            ("state:backup:create", "outcome", "succeeded"),
        ]

    def test_no_room_is_said_and_audited_and_leaves_nothing(
        self, database: Database, tmp_path: Path
    ) -> None:
        target = tmp_path / "no-such-folder" / "portal.backup"
        with pytest.raises(BackupFailed, match="No such file or directory"):
            service.make(database, SYSTEM, target=target)
        with database.read() as session:
            last = session.query(audit.AuditEvent).order_by(audit.AuditEvent.id.desc()).first()
        assert last is not None
        assert last.outcome == "failed"

    def test_a_server_is_told_its_own_tool(self, tmp_path: Path) -> None:
        server = Database("postgresql+psycopg2://nobody@127.0.0.1:1/x")
        with pytest.raises(NotSqlite, match="pg_dump"):
            service.make(server, SYSTEM, target=tmp_path / "x")


def test_while_others_write_the_copy_is_one_moment(database: Database, backup, elsewhere) -> None:
    """Rows and the audit chain's head move together; a copy in between would not verify."""
    enough = threading.Event()

    def write() -> None:
        while not enough.is_set():
            _record(database)

    for _ in range(50):
        _record(database)
    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        made: Backup = backup()
    finally:
        enough.set()
        for writer in writers:
            writer.join()
    done = restored(elsewhere(), made)
    assert done.settled.chain.ok
    assert done.manifest.audit_events >= 51


def test_the_copy_needs_no_log_beside_it(backup, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    archive.unpack(backup().file, folder)
    assert os.listdir(folder) == ["portal.sqlite"]
    with sqlite3.connect(f"file:{folder / 'portal.sqlite'}?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
