"""`tokenize` on the command line."""

import json
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from backend.cli import common, main
from backend.core.database import Database
from backend.core.settings import get_settings
from tests.backend.tokenization import conftest as rooms
from tests.backend.tokenization.world import World

source, gms, world, catalogued = rooms.source, rooms.gms, rooms.world, rooms.catalogued


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    def do(*arguments: str) -> Ended:
        common.database.cache_clear()
        monkeypatch.setattr(sys, "argv", ["backend", "tokenize", *arguments])
        capsys.readouterr()
        status = main.main()
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return do


class TestList:
    def test_what_waits_and_the_tables_to_pick_from(self, run: Run, catalogued: World) -> None:
        (item,) = json.loads(run("list", "--json").out)["items"]

        assert (item["status"], item["columns"]) == ("tagged", ["email", "phone"])
        assert "tagged" in run("list").out
        assert catalogued.source.urn("customers") in run("tables").out


class TestPreview:
    def test_json_has_the_documented_shape(self, run: Run, catalogued: World) -> None:
        ended = run("preview", catalogued.source.urn("customers"), "--json")

        document = json.loads(ended.out)
        assert ended.status == 0, ended.err
        assert document["dataset"] == catalogued.source.urn("customers")
        assert document["rows_to_update"] == 50
        assert {"name", "selected", "reason", "type", "blockers", "warnings"} <= set(
            document["columns"][0]
        )

    def test_text_for_people(self, run: Run, catalogued: World) -> None:
        ended = run("preview", catalogued.source.urn("customers"), "--columns", "email")

        assert "rows: 50, of which 50 would change" in ended.out

    def test_a_blocked_preview_prints_and_fails(self, run: Run, catalogued: World) -> None:
        ended = run("preview", catalogued.source.urn("customers"), "--columns", "id", "--json")

        assert ended.status == 1
        assert json.loads(ended.out)["rows_to_update"] is None
        assert ended.err.count("\n") == 1
        assert "its type bigint is not text" in ended.err

    def test_what_blocks_is_said_to_people_once(self, run: Run, catalogued: World) -> None:
        ended = run("preview", catalogued.source.urn("customers"), "--columns", "id")

        assert "rows: 50\n" in ended.out
        assert (ended.out + ended.err).count("its type bigint is not text") == 1


class TestCopies:
    def test_listed_previewed_and_left_alone(self, run: Run, catalogued: World) -> None:
        source, urn = catalogued.source, catalogued.source.urn("customers")
        source.run("CREATE TABLE leads (email text)", "INSERT INTO leads VALUES ('a@b.org')")
        catalogued.gms.seed_dataset(source.urn("leads"), fields={"email": "text"})

        listed = run("copies", urn, "--columns", "email", "--json")
        previewed = run("copies", urn, "--columns", "email", "--preview", "--json")

        (item,) = json.loads(listed.out)["items"]
        assert (item["dataset"], item["column"], item["via"]) == (
            source.urn("leads"),
            "email",
            "name",
        )
        (preview,) = json.loads(previewed.out)["items"]
        assert (preview["rows_to_update"], preview["blockers"]) == (1, [])
        assert source.column("SELECT email FROM leads") == ["a@b.org"]
        assert "column of the same name" in run("copies", urn).out


class TestRun:
    def test_runs_here_and_a_second_run_updates_nothing(self, run: Run, catalogued: World) -> None:
        first = run(
            "run", catalogued.source.urn("customers"), "--columns", "email, phone", "--json"
        )
        second = run("run", catalogued.source.urn("customers"), "--json")

        document = json.loads(first.out)
        assert (first.status, document["status"], document["rows_updated"]) == (0, "succeeded", 50)
        assert document["writeback"] == "succeeded"
        assert document["details"] == "50 of 50 rows were changed."
        assert json.loads(second.out)["rows_updated"] == 0

    def test_a_refused_run_prints_its_document_and_fails(self, run: Run, catalogued: World) -> None:
        catalogued.source.run("ALTER TABLE customers ADD CHECK (email LIKE '%@%')")

        ended = run("run", catalogued.source.urn("customers"), "--json")

        assert ended.status == 1
        assert json.loads(ended.out)["status"] == "failed"
        assert "check constraint" in ended.err

    def test_an_unknown_column_starts_nothing_and_still_prints_a_document(
        self, run: Run, catalogued: World
    ) -> None:
        ended = run("run", catalogued.source.urn("customers"), "--columns", "e-mail", "--json")

        document = json.loads(ended.out)
        assert (ended.status, document["status"], document["run_id"]) == (1, "failed", None)
        assert "has no column e-mail" in document["details"]
        assert (document["error"], document["detail"]) == ("NoSuchColumn", document["details"])
        assert ended.err.count("\n") == 1
        assert catalogued.tags() == {"tokenize/run"}

    def test_the_log_is_no_part_of_what_a_person_reads(
        self, run: Run, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        urn = catalogued.source.urn("customers").replace(",PROD)", ",QA)")  # DataHub has it not

        ended = run("run", urn, "--columns", "email", "--json")

        assert json.loads(ended.out)["writeback"] == "failed"
        assert (ended.status, ended.err) == (0, "")

        monkeypatch.setenv("PORTAL_LOG_LEVEL", "WARNING")
        get_settings.cache_clear()
        assert "not in DataHub yet" in run("run", urn, "--columns", "email").err

    def test_a_wrong_urn_is_one_line(self, run: Run, world: World) -> None:
        ended = run("run", "customers")

        assert (ended.status, ended.out) == (1, "")
        assert ended.err.count("\n") == 1

    def test_wrong_usage_is_2(self, run: Run, database: Database) -> None:
        assert run("run").status == 2

    @pytest.mark.parametrize("columns", ["", " , "])
    def test_an_empty_choice_is_not_every_tagged_column(
        self, run: Run, catalogued: World, columns: str
    ) -> None:
        urn = catalogued.source.urn("customers")

        assert run("run", urn, "--columns", columns).status == 2
        assert catalogued.tags() == {"tokenize/run"}


class TestWatch:
    def test_once(self, run: Run, catalogued: World) -> None:
        first, second = run("watch", "--once"), run("watch", "--once")

        assert "succeeded. 50 of 50 rows were changed." in first.out
        assert (second.status, second.out) == (0, "")
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}

    def test_a_datahub_that_is_away_is_one_line_and_1(self, run: Run, catalogued: World) -> None:
        with catalogued.gms.faults.inject(status=503):
            ended = run("watch", "--once")

        assert (ended.status, ended.out) == (1, "")
        assert "could not be asked for tags: DataHub" in ended.err
        assert ended.err.count("\n") == 1

    def test_without_any_datahub_it_says_so(self, run: Run, database: Database) -> None:
        ended = run("watch", "--once")

        assert (ended.status, "No environment has a DataHub connection" in ended.err) == (1, True)

    def test_survives_a_restart_between_the_claim_and_the_run(
        self, run: Run, catalogued: World
    ) -> None:
        """The watcher died after it had queued the run: any worker takes the job, not a new one."""
        from backend.tokenization import watch
        from tests.backend.tokenization.world import STEWARD

        (answer,) = watch.poll(catalogued.database, STEWARD)
        assert answer.run is not None

        assert run("watch", "--once").out == ""
        assert catalogued.work(answer.run).rows_updated == 50


class TestRewriteAndCompare:
    def test_a_run_by_rewriting_in_another_scheme_with_its_clean_up(
        self, run: Run, catalogued: World
    ) -> None:
        urn = catalogued.source.urn("customers")
        named = ("--columns", "email", "--scheme", "email=hmac-sha256-96")

        ended = run("run", urn, *named, "--method", "rewrite", "--clean-up", "--json")

        document = json.loads(ended.out)
        assert ended.status == 0, ended.err
        assert (document["method"], document["schemes"]) == (
            "rewrite",
            {"email": "hmac-sha256-96"},
        )
        assert document["clean_up"] == "succeeded", document["clean_up_details"]
        again = run("clean-up", str(document["run_id"]))
        assert again.status == 0, again.err
        assert "VACUUM and ANALYZE" in again.out

    def test_a_scheme_without_its_column_is_wrong_usage(self, run: Run, catalogued: World) -> None:
        ended = run("preview", catalogued.source.urn("customers"), "--scheme", "hmac-sha256-96")

        assert ended.status == 2
        assert "COLUMN=SCHEME" in ended.err

    def test_compare_fails_while_they_disagree_and_repairs(
        self, run: Run, catalogued: World
    ) -> None:
        assert run("run", catalogued.source.urn("customers"), "--columns", "email").status == 0
        catalogued.source.run("UPDATE customers SET email = 'a@example.org' WHERE id = 1")

        ended = run("compare", "--json")

        (finding,) = json.loads(ended.out)["findings"]
        assert (ended.status, finding["repair"], finding["columns"]) == (1, "run", ["email"])
        assert "disagree" in ended.err
        mended = run("compare", "--repair")
        assert mended.status == 0, mended.err
        assert "agree" in mended.out
