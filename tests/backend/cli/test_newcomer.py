"""A first own environment with nothing but the command line: each answer names the next command."""

import re
import shlex

import pytest

from backend.cli.connections import STARTS
from tests.backend.cli.conftest import RunCli
from tests.backend.tokenization.world import Source, customers


def following(text: str, job: str) -> str:
    """The command that a row of the checklist names, "" for none."""
    (row,) = (line for line in text.splitlines() if line.startswith(f"{job}  "))
    found = re.search(r"connections (set|test) .*", row)
    return found.group() if found else ""


@pytest.mark.slow
def test_from_nothing_to_the_first_run(run_cli: RunCli, postgres_url: str) -> None:
    shop = Source(postgres_url)
    customers(shop)

    def run(*arguments: str, stdin: str = "", status: int = 0) -> str:
        ended = run_cli(*arguments, stdin=stdin)
        assert ended.status == status, ended.err
        return ended.out

    def checklist() -> str:
        """Without what only adds to a job."""
        text = run("connections", "checklist", "Our shop")
        return "\n".join(line for line in text.splitlines() if "(optional)" not in line)

    assert "environments add NAME" in run("environments", "list")
    run("environments", "add", "Our shop")
    said = following(checklist(), "Tokenization")
    assert said == (
        "connections set 'Our shop' postgres host=… database=… user=… --secret password"
    )
    words = [word for word in shlex.split(said) if not word.endswith("…")]
    words[4:4] = [f"{name}={value}" for name, value in shop.settings.items()]
    tried = [*words]
    tried[1] = "try"
    run(*tried, stdin="wrong", status=1)
    run(*tried, stdin=shop.secrets["password"])
    assert "not configured" in run("connections", "show", "Our shop", "postgres")
    run(*words, stdin=shop.secrets["password"])
    said = following(checklist(), "Tokenization")
    assert said == "connections test 'Our shop' postgres"
    run(*shlex.split(said))
    assert following(checklist(), "Tokenization") == ""
    (start,) = re.findall("Tokenization can start: (.*)", checklist())
    assert shop.urn("customers") in run(*shlex.split(start))
    ran = run_cli("tokenize", "run", shop.urn("customers"), "--columns", "email")
    assert "succeeded" in ran.out, ran.err
    late = run_cli("tokenize", "write-back", "1")
    assert (late.status, "no DataHub connection" in late.err) == (1, True)


def test_every_job_starts_with_a_command_that_there_is(run_cli: RunCli) -> None:
    for start in STARTS.values():
        assert run_cli(*start.format("x").split(), "--help").status == 0, start


def test_the_mark_of_production_is_set_and_taken(run_cli: RunCli) -> None:
    run_cli("environments", "add", "prod")
    assert "is production now" in run_cli("environments", "production", "prod").out
    assert "no production any more" in run_cli("environments", "production", "prod", "--off").out
