"""What a terminal gets and a pipe does not, the examples of --help, and completion of names."""

import shlex
import sys
from typing import Any

import pytest
import typer.main

from backend.cli import main, terminal
from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.core.words import STATUS_COLOURS
from tests.backend.cli.conftest import RunCli

ROWS = [[1, "failed", "a"], [12, "in_flight", None]]


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


class TestTable:
    def test_is_aligned_plain_text_in_a_pipe(self) -> None:
        assert terminal.table(["No.", "State", "By"], ROWS).splitlines() == [
            "No.  State      By",
            "1    failed     a",
            "12   in_flight",
        ]

    @pytest.mark.usefixtures("at_a_terminal")
    def test_has_the_colours_of_the_pages_at_a_terminal(self) -> None:
        drawn = terminal.table(["No.", "State", "By"], ROWS)
        assert "\x1b[31mfailed" in drawn
        assert "\x1b[34min_flight" in drawn

    @pytest.mark.usefixtures("at_a_terminal")
    def test_has_none_for_whoever_wants_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b" not in terminal.table(["No.", "State", "By"], ROWS)

    def test_every_colour_of_a_page_has_one(self) -> None:
        assert set(STATUS_COLOURS.values()) <= set(terminal._COLOURS)


class TestWatch:
    def test_is_refused_where_it_would_fill_a_file(self) -> None:
        with pytest.raises(InvalidInput, match="--watch needs a terminal"):
            terminal.watched(lambda: "", watch=True)

    @pytest.mark.usefixtures("at_a_terminal")
    def test_draws_until_it_is_stopped_and_then_once_more(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[int] = []

        def draw() -> str:
            drawn.append(1)
            return f"number {len(drawn)}"

        def sleep(_seconds: float) -> None:
            if len(drawn) == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr("time.sleep", sleep)
        assert terminal.watched(draw, watch=True) == "number 4"


class TestHelp:
    def test_every_group_has_examples_that_its_commands_take(self) -> None:
        group = typer.main.get_command(main.app)
        groups = {name for name, found in group.commands.items() if hasattr(found, "commands")}
        assert set(main.EXAMPLES) == groups
        for lines in main.EXAMPLES.values():
            for line in lines:
                _parse(group, shlex.split(line.replace("URN", "urn:li:dataset:x")))

    def test_they_are_shown(self, run_cli: RunCli) -> None:
        assert "steward jobs list --watch" in run_cli("jobs", "--help").out


def _parse(command: Any, words: list[str]) -> None:
    while hasattr(command, "commands") and words:  # a group may do something by itself
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


class TestCompletion:
    def test_names_of_environments_come_from_the_state(self, database: Database) -> None:
        with database.write() as session:
            for name in ("Staging", "prod"):
                environments.add(session, SYSTEM, name=name)
        assert main._environments(None, None, "s") == ["Staging"]
        assert main._environments(None, None, "") == ["Staging", "prod"]

    def test_every_command_that_takes_an_environment_completes_it(self) -> None:
        group = typer.main.get_command(main.app)
        main._finish(group)
        plan = group.commands["users"].commands["plan"]
        (named,) = [each for each in plan.params if each.name == "environment"]
        assert named._custom_shell_complete is main._environments
