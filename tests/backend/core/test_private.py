"""The state folder is closed to other people, and nobody else's folder is."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.core import crypto, private
from backend.core.errors import SettingsError

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


class TestSomebodyElsesFolder:
    """Seen by user 10001 of the image; root, who may run this test, is refused nothing."""

    @pytest.fixture(autouse=True)
    def another_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 10001)
        monkeypatch.setattr(os, "getegid", lambda: 10001)
        monkeypatch.setattr(os, "access", lambda *_: False)

    def test_is_refused_with_the_command_that_mends_it(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as refused:
            private.require_writable(tmp_path)
        owner = tmp_path.stat()
        assert refused.value.problems == [
            f"PORTAL_DATA_DIR: it cannot be written to. {tmp_path} belongs to {owner.st_uid}:"
            f"{owner.st_gid} and this process is 10001:10001. As root on the machine that holds "
            f"it: chown -R 10001:10001 {tmp_path}"
        ]

    def test_one_that_is_not_there_is_somebody_elses_matter(self, tmp_path: Path) -> None:
        private.require_writable(tmp_path / "later")

    def test_the_key_file_says_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(crypto, "_made_once", refuse)
        with pytest.raises(SettingsError, match=r"Permission denied.*chown -R 10001:10001"):
            crypto.read_key_file(tmp_path)
