"""What a command does with streams that its caller closed, and with a full disk behind stdout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FULL = Path("/dev/full")


def steward(
    folder: Path, arguments: str, redirected: str, stdout: int = subprocess.PIPE
) -> "subprocess.CompletedProcess[str]":
    """`python -m backend ARGUMENTS REDIRECTED` by a shell, on the state in the folder."""
    settings = {name: text for name, text in os.environ.items() if not name.startswith("PORTAL_")}
    return subprocess.run(
        ["sh", "-c", f'"$PYTHON" -m backend {arguments} {redirected}'],
        cwd=ROOT,
        env={**settings, "PORTAL_DATA_DIR": str(folder), "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams") / "state"
    made = steward(folder, "environments add shop --create", "")
    assert made.returncode == 0, made.stderr
    return folder


def test_a_closed_stdout_is_one_that_nobody_reads(state: Path) -> None:
    listed = steward(state, "environments list", ">&-")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "")
    refused = steward(state, "environments remove nowhere", ">&-")
    assert refused.returncode == 1
    assert refused.stderr.startswith("There is no environment named 'nowhere'.")


def test_a_closed_stdin_has_nothing_to_say(state: Path) -> None:
    """What would be asked for is refused, as with an empty one."""
    refused = steward(state, "accounts add ann --role viewer", "<&-")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "No password on stdin: pipe it in, or run this at a terminal.\n"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        *("environments list", "environments list --json", "audit export"),
        *("--help", "environments list --help"),
    ],
)
def test_a_full_disk_behind_stdout_is_named(state: Path, arguments: str) -> None:
    ended = steward(state, arguments, f">{FULL}")
    assert (ended.returncode, ended.stderr) == (
        1,
        "What the command prints could not be written: No space left on device. "
        "What it changed, if anything, stays changed.\n",
    )


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_refusal_is_said_also_where_its_document_cannot_be_written(state: Path) -> None:
    ended = steward(state, "users plan nowhere --json", f">{FULL}")
    why, written = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert why.startswith("There is no environment named 'nowhere'.")
    assert written.startswith("What the command prints could not be written:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("users plan nowhere --json", "There is no environment named 'nowhere'."),
        ("environments list --json", ""),
    ],
)
def test_a_reader_that_left_ends_the_command_in_silence(
    state: Path, arguments: str, said: str
) -> None:
    """Its end of the pipe is closed before the command starts: nothing is left to chance."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = steward(state, arguments, "", stdout=writing)
    finally:
        os.close(writing)
    assert ended.returncode == 1
    assert ended.stderr[: len(said)] == said
    assert len(ended.stderr.splitlines()) == bool(said)
