"""Recipes: what each asks for, and its job through the real job runner."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.core.secret_store import SystemSecret
from backend.ingestion import recipes
from backend.ingestion.errors import RecipeNotFound
from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.models.jobs import Job
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.test_recipe_packages import until
from tests.fixtures.recipes import Programmed


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are run by the tests themselves."""
    monkeypatch.setattr(broker, "send", lambda *_: None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "recipes"
    root.mkdir()
    monkeypatch.setattr(recipes, "FOLDER", root)
    return root


def _lines(database: Database, job_id: int) -> str:
    with database.read() as session:
        return "\n".join(line.line for line in jobs.lines(session, SYSTEM, job_id=job_id))


def _state(database: Database, job_id: int) -> str:
    with database.read() as session:
        return jobs.get(session, SYSTEM, job_id=job_id).state


FAILING = "source:\n  type: file\n  config:\n    path: /nowhere/${A_FILE:-x}.json\n"


class TestRecipes:
    def test_the_list_says_what_each_needs(
        self, database: Database, folder: Path, actors: SimpleNamespace
    ) -> None:
        (folder / "good.yml").write_text(FAILING)
        (folder / "bad.yaml").write_text("just text")
        (folder / "a file.yml").write_text("ignored: name")
        (folder / "postgres.yml").write_text(
            "source:\n  type: postgres\n  config: {host: '${POSTGRES_HOST}', x: '${OTHER}', "
            "y: '${PATTERN:-.*}'}\n# ${NOT_THIS}\n"
        )
        with database.read() as session:
            found = {r.name: r for r in recipes.list_recipes(session, actors.viewer)}
        assert set(found) == {"good.yml", "bad.yaml", "postgres.yml"}
        assert (found["bad.yaml"].problem, found["good.yml"].problem) == (
            "it is not a recipe: it holds no fields", "",
        )  # fmt: skip
        assert found["postgres.yml"].source_type == "postgres"
        assert found["postgres.yml"].filled == ("POSTGRES_HOST",)
        assert found["postgres.yml"].asked == {"OTHER": None, "PATTERN": ".*"}

    def test_the_list_says_what_it_leaves_out(
        self,
        database: Database,
        folder: Path,
        actors: SimpleNamespace,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("a.yml", "b.yml", "c.yml"):
            (folder / name).write_text(FAILING)
        with database.read() as session:
            assert recipes.left_out(session, actors.viewer) == ""
            monkeypatch.setattr(recipes, "MAX_RECIPES", 2)
            found = recipes.list_recipes(session, actors.viewer)
            assert [recipe.name for recipe in found] == ["a.yml", "b.yml"]
            assert recipes.left_out(session, actors.viewer).startswith("1 more recipe of the")

    @pytest.mark.parametrize("name", ["../secret.yml", "/etc/passwd", "none.yml", "a b.yml"])
    def test_only_files_of_the_folder(folder: Path, name: str) -> None:
        with pytest.raises(RecipeNotFound):
            recipes.recipe_path(name)

    def test_a_broken_recipe_is_refused_before_it_is_queued(
        self, database: Database, environment: str, folder: Path, actors: SimpleNamespace
    ) -> None:
        (folder / "bad.yml").write_text("[")
        with database.write() as session, pytest.raises(InvalidInput, match=r"bad\.yml"):
            recipes.run_recipe(session, actors.operator, name="bad.yml")

    def test_a_value_that_nobody_gives_is_asked_for(
        self, database: Database, environment: str, folder: Path, actors: SimpleNamespace
    ) -> None:
        (folder / "r.yml").write_text("source: {type: file, config: {a: '${A}', b: '${B:-x}'}}\n")
        with database.write() as session:
            with pytest.raises(InvalidInput, match="needs a value for A"):
                recipes.run_recipe(session, actors.operator, name="r.yml")
            with pytest.raises(InvalidInput, match="does not ask for PATH"):
                recipes.run_recipe(session, actors.operator, name="r.yml", values={"PATH": "/"})
            assert recipes.run_recipe(session, actors.operator, name="r.yml", values={"A": "1"})

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("source: {type: no-such-source}", "DataHub has no source called 'no-such-source'"),
            ("source: {type: $WHICH}", "the type of its source must be a name"),
        ("source: {type: my.own.Source}", "names? .*requirements file"),
            ("source: {type: file}\nsink: {type: nowhere}", "DataHub has no sink called"),
            ("source: {type: postgres, config: {p: $POSTGRES_PASSWORD}}", "postgres"),
            ("source: {type: file, config: {p: $POSTGRES_PASSWORD}}",
             "needs the postgres connection of dev, for POSTGRES_PASSWORD"),
            ("source: {type: file, config: {p: '${X:?needed}'}}", "needs a value for X"),
            ("source: {type: file, config: {p: '${pg_host}'}}", "needs a value for pg_host"),
        ],
    )  # fmt: skip
    def test_what_cannot_run_is_refused_before_it_is_queued(
        self, database: Database, environment: str, folder: Path, actors: SimpleNamespace,
        text: str, said: str,
    ) -> None:  # fmt: skip
        (folder / "r.yml").write_text(text)
        with database.write() as session, pytest.raises(InvalidInput, match=said):
            recipes.run_recipe(session, actors.operator, name="r.yml")

    def test_a_typed_secret_reaches_the_command_and_nothing_else(
        self, database: Database, environment: str, folder: Path, actors: SimpleNamespace,
        programmed: Programmed, tmp_path: Path,
    ) -> None:  # fmt: skip
        (folder / "r.yml").write_text(
            "source: {type: file, config: {p: '${API_TOKEN}', q: '${PLACE}'}}\n"
        )
        told, seen = tmp_path / "told", tmp_path / "seen"
        programmed(f"#!/bin/sh\ncat > {told}\nenv > {seen}\necho $@ >> {seen}\ncat {told}\n")
        with database.write() as session:
            [view] = recipes.list_recipes(session, actors.operator)
            job_id = recipes.run_recipe(
                session,
                actors.operator,
                name="r.yml",
                values={"API_TOKEN": "s3cr3t", "PLACE": "eu"},
            )
        assert view.secret == {"API_TOKEN"}
        with database.read() as session:
            rows = session.execute(select(Job.arguments, Job.subject)).all()
            rows += session.execute(select(AuditEvent.details, AuditEvent.subject)).all()
            assert "s3cr3t" not in repr(rows)
            [kept] = [s for s in session.scalars(select(SystemSecret)) if s.name.startswith("ing")]
            assert "s3cr3t" not in kept.ciphertext
            runner.run(job_id, database)
        envelope = json.loads(told.read_text())
        assert (
            envelope["__secrets__"] | {"API_TOKEN": "s3cr3t", "PLACE": "eu"}
            == (envelope["__secrets__"])
        )
        assert "s3cr3t" not in seen.read_text() + _lines(database, job_id)
        assert "***" in _lines(database, job_id)
        with database.read() as session:
            assert not [s for s in session.scalars(select(SystemSecret)) if s.name == kept.name]

    @pytest.mark.slow
    def test_the_sample_recipe_reaches_datahub_through_the_official_command(
        self, database: Database, datahub: StandIn, actors: SimpleNamespace
    ) -> None:
        with database.write() as session:
            job_id = recipes.run_recipe(session, actors.operator, name="sample_file.yml")
        runner.run(job_id, database)
        assert _state(database, job_id) == "succeeded", _lines(database, job_id)
        urn = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.recipes.sample,PROD)"
        assert (
            "Written by the recipe"
            in (datahub.aspect(urn, "datasetProperties") or {})["description"]
        )
        assert datahub.token not in _lines(database, job_id)

    @pytest.mark.slow
    def test_a_failing_recipe_fails_the_job_with_its_lines(
        self,
        database: Database,
        datahub: StandIn,
        folder: Path,
        actors: SimpleNamespace,
        real_environments: None,
    ) -> None:
        (folder / "failing.yml").write_text(FAILING)
        with database.write() as session:
            job_id = recipes.run_recipe(session, actors.operator, name="failing.yml")
        runner.run(job_id, database)
        assert _state(database, job_id) == "failed"
        assert "/nowhere/x.json" in _lines(database, job_id)

    def test_cancelling_ends_the_whole_process_group(
        self, database: Database, environment: str, folder: Path, actors: SimpleNamespace,
        programmed: Programmed, tmp_path: Path,
    ) -> None:  # fmt: skip
        (folder / "long.yml").write_text("source:\n  type: file\n")
        pid_file = tmp_path / "pids"
        programmed(f"#!/bin/sh\nsleep 600 &\necho $$ $! > {pid_file}\necho begun\nwait\n")
        with database.write() as session:
            job_id = recipes.run_recipe(session, actors.operator, name="long.yml")
            worker = threading.Thread(target=runner.run, args=(job_id, database))
        worker.start()
        until(lambda: "begun" in _lines(database, job_id))
        with database.write() as session:
            jobs.cancel(session, SYSTEM, job_id=job_id)
        worker.join(timeout=60)
        assert _state(database, job_id) == "cancelled"
        until(lambda: not any(_runs(int(pid)) for pid in pid_file.read_text().split()))


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False
    return status != "Z"
