"""A damaged state file is called damaged, with its place and the way back."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

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


GOOD = {
    "format": 1, "made_at": "2026-01-01T00:00:00Z", "revision": "0001_core", "key_id": "k",
    "audit_events": 0, "files": [],
}  # fmt: skip


def _zip(path: Path, manifest: str, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as zipped:
        zipped.writestr("manifest.json", manifest)
        zipped.writestr("portal.sqlite", b"x" * 5_000)
    return path


def _locked(path: Path) -> Path:
    """As if its members asked for a password."""
    data = bytearray(_zip(path, json.dumps(GOOD)).read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + flags] |= 1
    path.write_bytes(data)
    return path


def _unknown_method(path: Path) -> Path:
    """Packed by a method that nobody here has."""
    data = bytearray(_zip(path, json.dumps(GOOD)).read_bytes())
    for mark, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + place] = 97
    path.write_bytes(data)
    return path


def _torn(path: Path) -> Path:
    """LZMA whose middle is nonsense."""
    data = bytearray(_zip(path, json.dumps(GOOD), zipfile.ZIP_LZMA).read_bytes())
    start = data.find(b"portal.sqlite") + len(b"portal.sqlite") + 9
    data[start : start + 20] = b"\xff" * 20
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda path: _zip(path, "[]"),
        lambda path: _zip(path, '"text"'),
        lambda path: _zip(path, "[" * 90_000),
        lambda path: _zip(path, json.dumps({**GOOD, "files": 7})),
        lambda path: _zip(path, json.dumps({**GOOD, "audit_events": "many"})),
        lambda path: _zip(path, json.dumps({**GOOD, "files": ["pii_patterns.yaml"] * 2})),
        lambda path: _zip(path, json.dumps({**GOOD, "files": ["../../escaped"]})),
        _locked,
        _unknown_method,
        _torn,
    ],
    ids=[
        "a list", "a text", "nested", "files are a number", "a number is a text", "a file twice",
        "a path", "a password", "unknown method", "torn",
    ],
)  # fmt: skip
def test_what_is_no_backup_is_a_sentence_and_leaves_nothing(
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
) -> None:
    file = make(tmp_path / "odd.zip")
    before = sorted(path.name for path in data_dir.parent.rglob("*"))
    monkeypatch.setattr("sys.argv", ["backend", "restore", str(file)])
    assert main() == 1
    said = capsys.readouterr().err
    assert "odd.zip" in said
    assert "is not a whole backup of the portal" in said
    assert "Something went wrong" not in said
    assert sorted(path.name for path in data_dir.parent.rglob("*")) == before


def test_a_manifest_of_any_size_is_not_read_whole(
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    large = tmp_path / "large.zip"
    with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("manifest.json", b" " * 2_000_000)
    monkeypatch.setattr("sys.argv", ["backend", "restore", str(large)])
    assert main() == 1
    assert "larger than 100 kB" in capsys.readouterr().err


def test_what_would_fill_the_disk_is_not_unpacked(
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bomb = _zip(tmp_path / "bomb.zip", json.dumps(GOOD))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4_000))
    monkeypatch.setattr(shutil, "copyfileobj", lambda *_: pytest.fail("it was unpacked"))
    monkeypatch.setattr("sys.argv", ["backend", "restore", str(bomb)])
    assert main() == 1
    said = capsys.readouterr().err
    assert "could not be put" in said
    assert "unpacked it has 5,000 bytes, and 4,000 are free" in said
