"""Other ways in which the state is damaged, by other doors: the file, where, and the way back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.cli import common
from backend.cli.main import main
from backend.core import audit, crypto, secret_store, startup
from backend.core.access import SYSTEM
from backend.core.audit import record
from backend.core.database import Database, forget_databases, get_database
from backend.core.errors import SettingsError

Capture = pytest.CaptureFixture[str]
PAGE = 4_096


@pytest.fixture
def state(database: Database) -> Path:
    """A state with rows in it, closed."""
    with database.write() as session:
        for number in range(300):
            record(session, SYSTEM, "a:b:c", subject=f"thing {number} {'x' * 300}")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    _close(database)
    return Path(database.engine.url.database or "")


def _close(database: Database) -> None:
    database.dispose()
    forget_databases()
    common.database.cache_clear()


def _over(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // PAGE // 2 * PAGE)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "another file": lambda path: _over(path, 0, b"%PDF-1.7\n" * 20),
    "cut to half": _cut,
    "cut in a page": lambda path: path.write_bytes(path.read_bytes()[:5_000]),
    "the first page": lambda path: _over(path, 100, b"\xa5" * (PAGE - 100)),
    "zeros": lambda path: path.write_bytes(b"\0" * path.stat().st_size),
}
COMMANDS = {
    "doctor": ["doctor"],
    "audit verify": ["audit", "verify"],
    "accounts list": ["accounts", "list"],
    "backup": ["backup", "kept.zip"],
    "secrets rotate": ["secrets", "rotate"],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_damaged_where_and_the_way_back(
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    command: str,
    damage: str,
) -> None:
    DAMAGES[damage](state)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["backend", *COMMANDS[command]])
    assert main() == 1
    said = "".join(capsys.readouterr())
    assert f"The state database {state} is damaged" in said
    assert "restore FILE --replace" in said
    assert "Something went wrong" not in said
    assert not (tmp_path / "kept.zip").exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_start_says_it_too(state: Path, damage: str) -> None:
    DAMAGES[damage](state)
    with pytest.raises(SettingsError, match="is damaged"):
        startup.prepare(get_database(), secret_store.get_vault())


def test_a_checkpoint_that_is_no_text_is_said_and_stops_no_work(database: Database) -> None:
    with database.write() as session:
        record(session, SYSTEM, "a:b:c", subject="x")
    audit.checkpoint_path().write_bytes(b"\xff\xfe\0\0" * 9)
    with database.read() as session:
        assert not audit.verify(session).ok
    with database.write() as session:
        record(session, SYSTEM, "a:b:c", subject="y")
    with database.read() as session:
        found = audit.verify(session)
    assert (found.ok, "checkpoint" in found.problem) == (False, True)


@pytest.mark.parametrize("data", [b"\xff\xfe\0\0" * 9, b"", b"cut-in-the-middle", b"\0" * 44])
def test_a_key_file_without_keys_is_named_and_stays(
    state: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, data: bytes
) -> None:
    file = data_dir / crypto.KEY_FILE
    file.write_bytes(data)
    monkeypatch.setattr("sys.argv", ["backend", "accounts", "list"])
    assert main() == 1
    said = capsys.readouterr().err
    assert f"{file} is damaged" in said
    assert "Put back the file" in said
    assert file.read_bytes() == data
