"""Formatting, lint and types hold on the whole tree, so that `make check` is never a surprise."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, modules

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
def test_types_hold():
    _passes("mypy")


def test_whatever_the_type_checker_must_not_see_says_why():
    """`# type: ignore[…]  # why`, or `# mypy: why` on the line above."""
    silent = [
        f"{module.place}:{number}"
        for module in modules().values()
        for number, (above, line) in enumerate(
            pairwise(["", *module.path.read_text().splitlines()]), 1
        )
        if "# type: ignore" in line
        and not re.search(r"# type: ignore\[[a-z, -]+\]  # \w", line)
        and not above.strip().startswith("# mypy: ")
    ]
    assert silent == []


def test_no_rule_of_style_and_no_script_goes_by_test_ids_of_streamlits():
    """They are its own tests' and change without notice; `st-key-…`, `.stRadio` and ARIA are there
    to be used."""
    using = [m.place for m in modules().values() if "data-testid" in m.path.read_text()]
    assert using == []
