"""A command in a fork is the command that a new Python would run."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.fixtures import warm

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"PORTAL_DATA_DIR": str(tmp_path / "state"), "PATH": "/usr/bin:/bin", "COLUMNS": "90"}


@pytest.mark.parametrize(
    ("command", "stdin", "status"),
    [
        (["backend", "environments", "--help"], "", 0),
        (["backend", "environments", "list", "--json"], "", 1),
        (["backend", "no-such-command"], "", 2),
        (["backend", "accounts", "add", "ann", "--role", "admin", "--create"], "short\n", 1),
    ],
)
def test_status_and_every_word_are_those_of_a_new_python(
    environ: dict[str, str], command: list[str], stdin: str, status: int
) -> None:
    new = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT, env=environ, input=stdin, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    forked = warm.run(command, environ, stdin)
    assert (forked.returncode, forked.stdout, forked.stderr) == (status, new.stdout, new.stderr)


def test_each_sees_its_own_state_and_nothing_of_the_one_before(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    assert warm.run(["backend", "environments", "add", "Dev", "--create"], environ).returncode == 0
    other = environ | {"PORTAL_DATA_DIR": str(tmp_path / "other")}
    assert warm.run(["backend", "environments", "list", "--create"], other).returncode == 0
    assert "Dev" not in warm.run(["backend", "environments", "list"], other).stdout
    assert "Dev" in warm.run(["backend", "environments", "list"], environ).stdout


def test_one_that_takes_too_long_is_ended(environ: dict[str, str]) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(["http.server", "--bind", "127.0.0.1", "0"], environ, seconds=0.5)
    mark = f"PORTAL_DATA_DIR={environ['PORTAL_DATA_DIR']}".encode()
    left = [each for each in Path("/proc").glob("[0-9]*/environ") if mark in _read(each)]
    assert not left


def test_what_no_command_foresees_is_a_traceback_and_status_1(environ: dict[str, str]) -> None:
    ended = warm.run(["tests.fixtures.no_such_module"], environ)
    assert (ended.returncode, "No module named" in ended.stderr) == (1, True)


def test_one_that_stays_is_asked_and_ended_as_any_process(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with (tmp_path / "log").open("ab") as log, open(os.devnull) as nothing:
        files = [nothing.fileno(), log.fileno(), log.fileno()]
        started = [
            warm.start(["http.server", "--bind", "127.0.0.1", "0"], environ, files) for _ in "ab"
        ]
    with pytest.raises(subprocess.TimeoutExpired):
        started[0].wait(0.2)
    assert [each.poll() for each in started] == [None, None]
    started[0].terminate()
    started[1].kill()
    assert [each.wait(60) for each in started] == [-15, -9]
    started[0].kill()  # it has ended, and nothing is asked of whoever has its number now
    assert started[0].poll() == -15


def test_one_that_stays_ends_with_whoever_asked_for_it(environ: dict[str, str]) -> None:
    program = f"""
        import os
        from tests.fixtures import warm

        nothing = os.open(os.devnull, os.O_RDWR)
        command = ["http.server", "--bind", "127.0.0.1", "0"]
        print(warm.start(command, {environ!r}, [nothing] * 3).pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    asked = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert asked.returncode == -9, asked.stderr
    deadline = time.monotonic() + 60
    while Path(f"/proc/{asked.stdout.strip()}").exists():
        assert time.monotonic() < deadline, "it has outlived whoever asked"
        time.sleep(0.05)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""  # it has ended, or is somebody else's
