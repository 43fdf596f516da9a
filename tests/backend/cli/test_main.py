"""What all commands have in common."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from backend.cli.main import app
from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.user_sync import service
from tests.backend.cli.conftest import RunCli


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


def test_every_option_and_argument_says_what_it_is_for() -> None:
    silent = [
        (command.name, parameter.name)
        for command in _commands(typer.main.get_command(app))
        for parameter in command.params
        if not parameter.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (("connections", "history", "prod", "datahubb"), "datahub, openmetadata"),
        (("connections", "set", "prod", "datahubb"), "datahub, openmetadata"),
        (("client_info", "list", "--status", "faild"), "connected, failed"),
        (
            ("users", "ignore", "1", "--field", "nick", "--email", "a@b.c", "--reason", "x"),
            "domains",
        ),
        (("mounts", "summary", "--by", "job"), "host, target"),
        (("tokenize", "list", "--only", "faild"), "open, all"),
        (("ingest", "datasets", "--only", "faild"), "all, failed"),
        (("ingest", "mapping", "export", "--format", "xml"), "yaml, json"),
        (("ingest", "schedules", "set", "recpie", "x", "* * * * *"), "recipe, source"),
        (("ingest", "schedules", "remove", "recpie", "x"), "recipe, source"),
        (("jobs", "list", "--status", "faild"), "failed"),
        (("jobs", "list", "--kind", "user_snyc"), "user_sync"),
        (("changes", "list", "--which", "theirs"), "all, to_approve"),
        (("changes", "list", "--status", "faild"), "failed"),
        (("changes", "policy", "set", "prod", "mounts.mount", "never"), "direct, confirm"),
        (("changes", "policy", "set", "prod", "mounts.muont", "direct"), "mounts.mount"),
        (("notifications", "add", "x", "--digest", "weekly"), "hourly, daily"),
        (("notifications", "add", "x", "--event", "jobs.faild"), "jobs.failed"),
        (("accounts", "add", "ben", "--role", "amdin"), "viewer, steward"),
        (("tokens", "add", "x", "--role", "amdin"), "viewer, steward"),
        (("tokens", "add", "x", "--role", "viewer", "--action", "mount"), "mounts:"),
        (("audit", "list", "--outcome", "faild"), "failed"),
        (("audit", "list", "--action", "acounts:"), "accounts, audit"),
    ],
)
def test_a_word_that_is_none_of_the_few_is_wrong_usage(
    run_cli: RunCli, database: Database, arguments: tuple[str, ...], known: str
) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="prod")
    ended = run_cli(*arguments, stdin="https://example.com/hook\n")
    assert (ended.status, ended.out) == (2, ""), ended.err
    assert known in ended.err
    assert len(ended.err.splitlines()) == 1


class TestOneJsonDocument:
    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (("users", "plan", "nowhere"), "EnvironmentNotFound"),
            (("connections", "test", "nowhere"), "EnvironmentNotFound"),
            (("mounts", "active", "--host", "a"), "LedgerNotConfigured"),
            (("tokenize", "preview", "urn:li:corpuser:ann"), "InvalidInput"),
            (("ingest", "status", "ing-0"), "RunNotFound"),
        ],
    )
    def test_is_printed_also_by_a_command_that_is_refused(
        self, run_cli: RunCli, arguments: tuple[str, ...], error: str
    ) -> None:
        ended = run_cli(*arguments, "--json")
        assert ended.status == 1
        document = json.loads(ended.out)
        assert document == {"error": error, "detail": ended.err.strip()}
        # Without --json there is the line on stderr alone.
        plain = run_cli(*arguments)
        assert (plain.out, plain.err) == ("", ended.err)

    def test_holds_the_reference_of_what_nobody_expected(
        self, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_arguments: object, **_named: object) -> None:
            raise ZeroDivisionError("secret in a local")

        monkeypatch.setattr(service, "plan_now", broken)
        ended = run_cli("users", "plan", "anything", "--json")
        document = json.loads(ended.out)
        assert (ended.status, document["error"]) == (1, "InternalError")
        assert document["reference"] in ended.err
        assert "secret" not in ended.out + ended.err.splitlines()[-1]


def test_a_worker_that_nobody_can_reach_is_refused(run_cli: RunCli) -> None:
    """It would say that it is ready, and wait for ever."""
    ended = run_cli("worker")
    assert ended.status == 1
    assert ended.err == "Set PORTAL_BROKER_URL; without it the portal runs its own jobs.\n"
