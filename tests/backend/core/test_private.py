"""The state folder is closed to other people, and nobody else's folder is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.core import private

ROOT = Path(__file__).resolve().parents[3]


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


class TestStateFolder:
    def test_a_new_one_is_its_owners_alone(self, tmp_path: Path) -> None:
        private.state_folder(tmp_path / "data" / "state")
        assert _mode(tmp_path / "data" / "state") == 0o700

    def test_one_of_an_older_version_is_closed(self, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state").chmod(0o755)
        (tmp_path / "state" / "secret.key").touch()
        private.state_folder(tmp_path / "state")
        assert _mode(tmp_path / "state") == 0o700

    def test_a_folder_that_holds_nothing_of_ours_stays_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared").chmod(0o755)
        private.state_folder(tmp_path / "shared")
        assert _mode(tmp_path / "shared") == 0o755
        assert private.open_to_others(tmp_path / "shared")

    def test_a_group_that_was_let_in_on_purpose_stays(self, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir()
        (tmp_path / "state").chmod(0o770)
        (tmp_path / "state" / "secret.key").touch()
        private.state_folder(tmp_path / "state")
        assert _mode(tmp_path / "state") == 0o770


def test_a_command_leaves_no_file_that_others_may_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    subprocess.run(
        [sys.executable, "-m", "backend", "environments", "add", "Dev", "--create"],
        cwd=ROOT,
        env={**os.environ, "PORTAL_DATA_DIR": str(state)},
        check=True,
        capture_output=True,
        umask=0o022,
    )
    assert (state / "audit.checkpoint").exists()
    found = {path.name: oct(_mode(path)) for path in (state, *state.rglob("*"))}
    assert {name: mode for name, mode in found.items() if mode not in ("0o600", "0o700")} == {}


class TestOnlyPortal:
    def test_a_second_portal_on_the_folder_is_told(self, tmp_path: Path) -> None:
        with (
            private.only_portal(tmp_path),
            pytest.raises(private.FolderInUse, match=f"another portal runs on {tmp_path}"),
            private.only_portal(tmp_path),
        ):
            pass
        with private.only_portal(tmp_path):
            assert _mode(tmp_path / private.LOCK_FILE) == 0o600

    def test_one_that_was_killed_holds_nothing(self, tmp_path: Path) -> None:
        hold = (
            "import os, pathlib, sys; from backend.core import private;"
            "private.only_portal(pathlib.Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), 9)"
        )
        done = subprocess.run([sys.executable, "-c", hold, str(tmp_path)], cwd=ROOT, check=False)
        assert done.returncode == -9
        with private.only_portal(tmp_path):
            pass
