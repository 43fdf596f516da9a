"""The command line inside the test's process, on the test's database."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from backend.cli import common, main
from backend.core.database import Database


class Ended(NamedTuple):
    status: int
    out: str
    err: str


RunCli = Callable[..., Ended]


@pytest.fixture
def run_cli(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> RunCli:
    """run_cli("accounts", "list", stdin="…") → exit status, stdout, stderr."""

    def do(*arguments: str, stdin: str = "") -> Ended:
        common.database.cache_clear()
        monkeypatch.setattr(sys, "argv", ["backend", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        status = main.main()
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return do
