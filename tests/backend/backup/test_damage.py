"""A damaged state file is called damaged, with its place and the way back."""

from pathlib import Path

import pytest

from backend.accounts import state_check
from backend.cli import common
from backend.cli.main import main
from backend.core import startup
from backend.core.access import SYSTEM
from backend.core.audit import record
from backend.core.database import Database, forget_databases, get_database

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def damaged(database: Database, data_dir: Path) -> Path:
    """The state database with 17 pages of nonsense in it."""
    for number in range(300):
        with database.write() as session:
            record(session, SYSTEM, "a:b:c", subject=f"thing {number} {'x' * 300}")
    assert startup.damage(database) == ""
    path = Path(database.engine.url.database or "")
    database.dispose()
    forget_databases()
    common.database.cache_clear()
    with path.open("r+b") as file:
        pages = path.stat().st_size // 4096
        for page in range(pages - 17, pages):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    return path


@pytest.mark.parametrize("command", [["doctor"], ["audit", "verify"]])
def test_the_commands_say_damaged_where_and_the_way_back(
    damaged: Path,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["backend", *command])
    assert main() == 1
    said = "".join(capsys.readouterr())
    assert f"The state database {damaged} is damaged" in said
    assert "restore FILE --replace" in said
    assert "Something went wrong" not in said


def test_the_daily_check_finds_it(damaged: Path) -> None:
    found = state_check.problem(get_database(), full=False)
    assert f"The state database {damaged} is damaged" in found


def test_a_refused_backup_leaves_no_empty_state(
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nothing = tmp_path / "nothing.zip"
    nothing.write_bytes(b"no zip")
    monkeypatch.setattr("sys.argv", ["backend", "restore", str(nothing)])
    assert main() == 1
    assert "nothing.zip" in capsys.readouterr().err
    assert not (data_dir / "portal.sqlite").exists()


def test_a_manifest_of_any_size_is_not_read_whole(
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import zipfile

    large = tmp_path / "large.zip"
    with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("manifest.json", b" " * 2_000_000)
    monkeypatch.setattr("sys.argv", ["backend", "restore", str(large)])
    assert main() == 1
    assert "larger than 100 kB" in capsys.readouterr().err
