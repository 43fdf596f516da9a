"""`.ci/suite` itself, on a small project: what fails fails it, and nothing gets a second try."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow]

SLOW_AND_FAST = """
import pathlib, pytest

def test_fast(): assert {fast}

@pytest.mark.slow
def test_slow(): assert {slow}
"""
FIRST_TIME_ONLY = "pathlib.Path('seen').exists() or pathlib.Path('seen').touch()"


def run(folder: Path, *, fast: str = "True", slow: str = "True") -> tuple[int, str]:
    """Exit status and output of the suite of a project with one fast and one slow test."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/suite", folder / ".ci/suite")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: takes long\n")
    (folder / "test_both.py").write_text(SLOW_AND_FAST.format(fast=fast, slow=slow))
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [".ci/suite", "-p", "xdist"],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("failing", ["fast", "slow"])
def test_a_fault_fails_it(tmp_path: Path, failing: str) -> None:
    status, said = run(tmp_path, **{failing: "1 == 2"})
    assert status == 1
    assert "1 failed, 1 passed" in said
    assert said.count("assert 1 == 2") >= 1


def test_what_fails_once_fails_it(tmp_path: Path) -> None:
    status, said = run(tmp_path, fast=FIRST_TIME_ONLY)
    assert status == 1
    assert "1 failed, 1 passed" in said


def test_a_green_one_runs_everything_once(tmp_path: Path) -> None:
    status, said = run(tmp_path)
    assert status == 0
    assert "2 passed" in said
