"""Formatting, lint and types hold on the whole tree, so that `make check` is never a surprise."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

BIN = Path(sys.executable).parent


def _passes(*command: str) -> None:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_is_formatted():
    _passes("ruff", "format", "--check", ".")


def test_has_no_lint():
    _passes("ruff", "check", ".")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_backend_types_hold():
    _passes("mypy")
