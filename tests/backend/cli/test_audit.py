"""The audit log from the command line: list, one event, files to keep elsewhere."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from backend.core import audit
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from tests.backend.cli.conftest import RunCli

ANN = Actor(5, "ann", Role.STEWARD, "user")


@pytest.fixture(autouse=True)
def events(database: Database) -> None:
    """Six: 1, 3 and 5 by ann, and 5 failed."""
    with database.write() as session:
        for number in range(1, 7):
            audit.record(
                session,
                ANN if number % 2 else SYSTEM,
                "mounts:mount:write",
                subject=f"target {number}",
                outcome="failed" if number == 5 else "succeeded",
                details={"number": number},
            )


def listed(run_cli: RunCli, *arguments: str) -> Any:
    ended = run_cli("audit", "list", *arguments, "--json")
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


class TestList:
    @pytest.mark.parametrize(
        ("filters", "numbers"),
        [
            ((), [6, 5, 4, 3, 2, 1]),
            (("--by", "ann"), [5, 3, 1]),
            (("--outcome", "failed"), [5]),
            (("--about", "get 4"), [4]),
            (("--action", "accounts:"), []),
            (("--since", "2999-01-01"), []),
            (("--until", "2999-01-01T00:00+02:00", "--by", "system"), [6, 4, 2]),
        ],
    )
    def test_takes_the_filters_of_the_page(
        self, run_cli: RunCli, filters: tuple[str, ...], numbers: list[int]
    ) -> None:
        page = listed(run_cli, *filters)
        assert [item["number"] for item in page["items"]] == numbers
        assert page["next_cursor"] is None

    def test_goes_on_where_it_stopped(self, run_cli: RunCli) -> None:
        first = listed(run_cli, "--limit", "4")
        rest = listed(run_cli, "--cursor", str(first["next_cursor"]))
        assert [item["number"] for item in rest["items"]] == [2, 1]
        assert "There are more: --cursor 3" in run_cli("audit", "list", "--limit", "4").out

    def test_says_what_is_no_time(self, run_cli: RunCli) -> None:
        assert "'yesterday' is no time." in run_cli("audit", "list", "--since", "yesterday").err


def test_one_event_has_its_details(run_cli: RunCli) -> None:
    shown = json.loads(run_cli("audit", "show", "3", "--json").out)
    assert (shown["actor_name"], shown["details"]) == ("ann", {"number": 3})
    [at] = [line for line in run_cli("audit", "show", "3").out.splitlines() if line[:3] == "at:"]
    assert at == f"at: {shown['at']}"
    assert run_cli("audit", "show", "77").err == "There is no event 77 in the audit log.\n"


class TestExport:
    def test_writes_a_digest_that_verify_takes(self, run_cli: RunCli, tmp_path: Path) -> None:
        file = tmp_path / "digest.json"
        made = json.loads(run_cli("audit", "export", str(file), "--json").out)
        assert made == {"file": str(file), "events": 6, "truncated": False, "digest": True}
        assert run_cli("audit", "verify", "--against", str(file)).status == 0

    @pytest.mark.parametrize("text", ["no JSON", "[" * 100_000], ids=["a word", "nested"])
    def test_what_is_no_digest_is_a_sentence(
        self, run_cli: RunCli, tmp_path: Path, text: str
    ) -> None:
        file = tmp_path / "digest.json"
        file.write_text(text)
        said = run_cli("audit", "verify", "--against", str(file))
        assert (said.status, "cannot be read as a digest" in said.err) == (1, True)

    def test_writes_the_matching_events(self, run_cli: RunCli, tmp_path: Path) -> None:
        file = tmp_path / "events.csv"
        said = run_cli("audit", "export", str(file), "--events", "--by", "ann").out
        assert said == f"Wrote 3 events to {file}.\n"
        with file.open(newline="", encoding="utf-8") as handle:
            assert [row["number"] for row in csv.DictReader(handle)] == ["5", "3", "1"]

    def test_prints_what_is_to_be_kept_when_no_file_is_named(
        self, run_cli: RunCli, tmp_path: Path
    ) -> None:
        file = tmp_path / "digest.json"
        file.write_text(run_cli("audit", "export", "--json").out)
        assert run_cli("audit", "verify", "--against", str(file)).status == 0
        printed = run_cli("audit", "export", "--events", "--by", "ann").out
        assert [row["number"] for row in csv.DictReader(printed.splitlines())] == ["5", "3", "1"]
        assert "Events are CSV" in run_cli("audit", "export", "--events", "--json").err

    def test_refuses_filters_for_a_digest_and_a_file_that_is_there(
        self, run_cli: RunCli, tmp_path: Path
    ) -> None:
        file = tmp_path / "kept"
        assert "filters need --events" in run_cli("audit", "export", str(file), "--by", "ann").err
        assert not file.exists()
        file.write_text("mine")
        assert "cannot be written" in run_cli("audit", "export", str(file)).err
        assert file.read_text() == "mine"
        # What was not written is not in the log either.
        assert listed(run_cli)["items"][0]["number"] == 6
