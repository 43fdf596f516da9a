"""What takes long in a dialog, a popover or a list of its own can be stopped like anything else."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.accounts import audit_log
from backend.connections import testing
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import NotFound, NotPermitted
from backend.ingestion import executions, managed, resolve, runs, search, tracker
from backend.ingestion.schemas import Request
from backend.notifications import channels
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.aws.outcome_simulator import Behaviour
from backend.sandbox.datahub import StandIn
from backend.tokenization import catalog, worklist
from pages.shared import beside
from tests.backend.ingestion.conftest import JOB, URN, AddRule
from tests.backend.tokenization.world import World
from tests.fixtures.pages import OpenPage, choose
from tests.pages import test_ingestion_jobs_page, test_long_questions, test_overview_page
from tests.pages.test_ingestion_jobs_page import EARLY
from tests.pages.test_long_questions import once_answered, said, stops

aws_server, aws = test_ingestion_jobs_page.aws_server, test_ingestion_jobs_page.aws
environment, add_rule = test_ingestion_jobs_page.environment, test_ingestion_jobs_page.add_rule
setenv, datahub = test_ingestion_jobs_page.setenv, test_ingestion_jobs_page.datahub
mapped, prod = test_ingestion_jobs_page.mapped, test_overview_page.prod
source, gms = test_long_questions.source, test_long_questions.gms
catalogued, world = test_long_questions.catalogued, test_long_questions.world
INGESTION, TOKENIZATION = "ingestion/page.py", "tokenization/page.py"


class Held:
    """Lets a service function stand still until it is let go."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch, self.go = patch, threading.Event()

    def hold(self, module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def slow(*args: Any, **more: Any) -> Any:
            assert self.go.wait(60)
            return real(*args, **more)

        self._patch.setattr(module, name, slow)


@pytest.fixture
def held(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    # After the fixture, which lets other tests wait until the answer is there.
    monkeypatch.setattr(beside, "AT_ONCE", 0.0)
    held = Held(monkeypatch)
    yield held
    held.go.set()


def _dialog_alone() -> None:
    """What a choice in a browser runs: the dialog's own part of the page, drawn for one review."""
    from types import SimpleNamespace

    import streamlit as st

    from backend.ingestion.data_jobs import DataJobs
    from backend.ingestion.schemas import Request
    from pages.ingestion import run_view

    if st.session_state.setdefault("runs", 0):
        st.text("the page")
        return
    st.session_state["runs"] = 1
    st.session_state["ingestion.picked"] = SimpleNamespace(about=Request("urn", "another"))
    shown = run_view._Review(Request("urn", "job"), None, DataJobs((), 0), "")
    run_view._pick(shown, st.session_state.asked)
    st.text("the payload of the former job")


class TestAnotherDataJob:
    @pytest.fixture
    def reviewed(self, open_page: OpenPage, mapped: StandIn, held: Held) -> AppTest:
        """The review of a dataset whose latest run's job is selected."""
        app = open_page(INGESTION, role="operator", dataset_urn=URN)
        app.button(key="ingestion.review").click().run()
        app = once_answered(app, "ingestion.asked")
        held.hold(runs, "preview")
        return app

    @staticmethod
    def _box(app: AppTest) -> Any:
        [box] = [each for each in app.selectbox if (each.key or "").startswith("ingestion.job.")]
        return box

    def test_nothing_can_be_confirmed_until_it_is_looked_at(
        self, reviewed: AppTest, held: Held
    ) -> None:
        app = self._box(reviewed).set_value(EARLY).run()
        assert stops(app) == ["ingestion.picked.stop"]
        assert not app.json
        assert "ingestion.confirm.confirm" not in [button.key for button in app.button]
        held.go.set()
        app = once_answered(app, "ingestion.picked")
        assert json.loads(app.json[0].value)["jobUrn"] == EARLY

    @pytest.mark.parametrize("asked", [None, Request("urn", "a third")])
    def test_a_choice_runs_the_page_before_anything_of_the_former_job_is_drawn(
        self, asked: Request | None
    ) -> None:
        app = AppTest.from_function(_dialog_alone, default_timeout=60)
        app.session_state["asked"] = asked
        assert [each.value for each in app.run().text] == ["the page"]

    def test_a_stop_goes_back_to_the_job_before(self, reviewed: AppTest) -> None:
        app = self._box(reviewed).set_value(EARLY).run()
        app.button(key="ingestion.picked.stop").click().run()
        assert "stopped before it was looked at" in said(app)
        assert self._box(app).value == JOB
        assert json.loads(app.json[0].value)["jobUrn"] == JOB

    def test_a_refusal_goes_back_to_the_job_before(
        self, reviewed: AppTest, held: Held, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: Any, **__: Any) -> None:
            assert held.go.wait(60)
            raise NotFound("There is no such job.")

        monkeypatch.setattr(runs, "preview", refused)
        app = self._box(reviewed).set_value(EARLY).run()
        held.go.set()
        app = once_answered(app, "ingestion.picked")
        why = "The other data job was not used: There is no such job."
        assert why in said(app).replace("\\", "")
        assert self._box(app).value == JOB
        assert json.loads(app.json[0].value)["jobUrn"] == JOB


def test_datahubs_search_for_a_dataset(open_page: OpenPage, mapped: StandIn, held: Held) -> None:
    held.hold(search, "find_datasets")
    app = open_page(INGESTION, role="operator")
    app.text_input(key="ingestion.find").set_value("prices").run()
    assert stops(app) == ["ingestion.find.hits.stop"]
    held.go.set()
    once_answered(app, "ingestion.find.hits")
    assert "ingestion.find.hits.stop" not in stops(app)


def test_datahubs_sources(open_page: OpenPage, datahub: StandIn, held: Held) -> None:
    datahub.seed_ingestion_source("Athena hourly", "athena")
    held.hold(managed, "list_sources")
    app = open_page(INGESTION, role="operator", view="datahub")
    assert stops(app) == ["ingestion.sources.stop"]
    assert "Recipes kept with the portal" in [header.value for header in app.header]
    app.button(key="ingestion.sources.stop").click().run()
    assert "Stopped before it had an answer" in said(app)
    held.go.set()
    app.button(key="ingestion.sources.refresh").click().run()
    assert "Athena hourly" in said(once_answered(app, "ingestion.sources"))


def test_a_dataset_against_the_rules(open_page: OpenPage, mapped: StandIn, held: Held) -> None:
    held.hold(resolve, "resolve")
    app = open_page(INGESTION, role="operator", view="mapping")
    app.text_input(key="ingestion.test.urn").set_value(URN).run()
    assert stops(app) == ["ingestion.test.answer.stop"]
    app.button(key="ingestion.test.answer.stop").click().run()
    assert "Stopped before it had an answer" in said(app)
    held.go.set()
    app.button(key="ingestion.test.answer.ask").click().run()
    assert "named by the rule **portal**" in said(once_answered(app, "ingestion.test.answer"))


def test_the_steps_of_an_execution(
    open_page: OpenPage, database: Database, aws: AwsStandIn, add_rule: AddRule, held: Held
) -> None:
    add_rule("exact", URN, aws.add_machine("nightly", seconds=600, outcome="fail"))
    run = runs.start(database, SYSTEM, Request(URN))
    aws._simulator._finish("us-east-1", run.execution_arn or "", Behaviour(1, "fail"))
    tracker.check(database, run.run_id)
    held.hold(executions, "history")
    app = open_page(INGESTION, role="operator", view="runs", run=run.run_id)
    assert "ingestion.steps.history.stop" in stops(app)
    assert "ingestion.redrive" in [button.key for button in app.button]
    held.go.set()
    app = once_answered(app, "ingestion.steps.history")
    assert list(app.dataframe[-1].value["State"]) == ["Ingest", "Not loaded"]


def test_the_tables_of_the_databases(open_page: OpenPage, world: World, held: Held) -> None:
    world.source.run("CREATE TABLE people (email text)")
    held.hold(worklist, "tables")
    app = open_page(TOKENIZATION, role="steward")
    app.button(key="tokenization.pick").click().run()
    assert "tokenization.pick.tables.stop" in stops(app)
    app.button(key="tokenization.pick.tables.stop").click().run()
    assert "Stopped before it had an answer" in said(app)
    held.go.set()
    app.button(key="tokenization.pick").click().run()  # opened anew, it is asked anew
    app = once_answered(app, "tokenization.pick.tables")
    assert app.selectbox(key="tokenization.pick.table").options


def test_datahubs_search_for_a_table(open_page: OpenPage, catalogued: World, held: Held) -> None:
    held.hold(catalog, "find_datasets")
    app = open_page(TOKENIZATION, role="steward")
    app.button(key="tokenization.pick").click().run()
    app.segmented_control(key="tokenization.way").set_value("search").run()
    app.text_input(key="tokenization.text").set_value("customers").run()
    assert "tokenization.pick.found.stop" in stops(app)
    held.go.set()
    app = once_answered(app, "tokenization.pick.found")
    assert app.selectbox(key="tokenization.select").options


def test_a_connection_tested_again_from_the_overview(
    open_page: OpenPage, prod: Callable[[bool], None], held: Held
) -> None:
    prod(False)
    held.hold(testing, "run")
    app = open_page("overview/page.py")
    [place] = [i for i, do in enumerate(app.dataframe[0].value["Do"]) if do == "Test again"]
    app = choose(app, "overview.alerts", place)
    app.button(key="overview.alerts.do.chosen").click().run()
    assert stops(app) == ["overview.alerts.test.stop"]
    held.go.set()
    app = once_answered(app, "overview.alerts.test")
    assert "listens" in said(app)
    assert not stops(app)


def test_the_audit_logs_verification(open_page: OpenPage, held: Held) -> None:
    held.hold(audit_log, "verify")
    app = open_page("audit/page.py")
    app.button(key="audit.verify.ask").click().run()
    assert stops(app) == ["audit.verify.stop"]
    held.go.set()
    assert "The log is whole" in said(once_answered(app, "audit.verify"))
    assert "The log is whole" not in said(app.run())


def test_who_lost_the_right_since_the_page_was_drawn_verifies_nothing(
    open_page: OpenPage, sign_in_as: Callable[[str | None], None], held: Held
) -> None:
    held.hold(audit_log, "verify")
    app = open_page("audit/page.py")
    sign_in_as("viewer")
    app.button(key="audit.verify.ask").click().run()
    asked = app.session_state["audit.verify"]
    held.go.set()
    with pytest.raises(NotPermitted, match="viewer"):
        asked.answer.result(60)


def test_a_channels_test(
    open_page: OpenPage, database: Database, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        channels.add(session, SYSTEM, name="ops", address="https://hooks.example.org/x")
    monkeypatch.setattr(channels, "send_test", lambda *_, **__: None)
    held.hold(channels, "send_test")
    app = open_page("notifications/page.py", view="channels")
    app.button(key="notifications.test.ask").click().run()
    assert stops(app) == ["notifications.test.stop"]
    held.go.set()
    assert "took the test message" in said(once_answered(app, "notifications.test"))
