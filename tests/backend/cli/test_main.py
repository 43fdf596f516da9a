"""What all commands have in common."""

from collections.abc import Iterator
from typing import Any

import typer.main

from backend.cli.main import app


def _commands(command: Any) -> Iterator[Any]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from _commands(inner)


def test_arguments_are_named_in_capitals_as_the_documents_name_them() -> None:
    arguments = [
        (command.name, parameter.metavar)
        for command in _commands(typer.main.get_command(app))
        for parameter in command.params
        if parameter.param_type_name == "argument"
    ]
    assert len(arguments) > 20
    assert [
        found for found in arguments if not found[1] or found[1][:2].upper() != found[1][:2]
    ] == []
