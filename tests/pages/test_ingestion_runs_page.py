"""The ingestion page: a run from inside, and the list of datasets."""

from threading import Event

import pytest
from structlog.testing import capture_logs

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import runs, service, tracker
from backend.ingestion.schemas import Request
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.aws.outcome_simulator import Behaviour
from tests.backend.ingestion.conftest import OTHER, URN, AddRule
from tests.fixtures.pages import OpenPage
from tests.pages import test_ingestion_page as page
from tests.pages.test_ingestion_page import PAGE, _everything, _texts

aws_server, aws, environment = page.aws_server, page.aws, page.environment
add_rule, mapped, _no_broker = page.add_rule, page.mapped, page._no_broker


@pytest.fixture
def going_on(database: Database, aws: AwsStandIn, add_rule: AddRule) -> str:
    """The number of a run that has not ended."""
    aws.add_function("loader", outcome="silent")
    add_rule("exact", URN, "loader")
    return runs.start(database, SYSTEM, Request(URN)).run_id


class TestInsideARun:
    def test_a_failed_executions_steps_graph_and_redrive(
        self, open_page: OpenPage, database: Database, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, aws.add_machine("nightly", seconds=600, outcome="fail"))
        run = runs.start(database, SYSTEM, Request(URN))
        aws._simulator._finish("us-east-1", run.execution_arn or "", Behaviour(1, "fail"))
        tracker.check(database, run.run_id)
        app = open_page(PAGE, role="operator", view="runs", run=run.run_id)
        steps = app.dataframe[-1].value
        assert list(steps["State"]) == ["Ingest", "Not loaded"]
        assert list(steps["Error"]) == ["IngestError", "IngestError"]
        [graph] = app.get("graphviz_chart")
        assert '"Not loaded" [fillcolor="#c0392b"' in graph.proto.spec
        app.button(key="ingestion.redrive").click().run()
        with database.read() as session:
            going = service.get_run(session, SYSTEM, run_id=run.run_id)
        assert (going.status, going.active) == ("running", True)

    def test_a_calls_time_and_memory_and_its_log_searched(
        self, open_page: OpenPage, database: Database, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        aws.add_function("loader", outcome="silent", chatter=20)
        add_rule("exact", URN, "loader")
        run = runs.start(database, SYSTEM, Request(URN))
        aws.retry("loader", run.request_id or "")
        tracker.check(database, run.run_id)
        app = open_page(PAGE, role="operator", view="runs", run=run.run_id)
        assert [(m.label, m.value) for m in app.metric] == [
            ("Tries", "1"), ("Took", "1.0 s"), ("Memory", "61 of 128 MB"), ("Start", "warm"),
        ]  # fmt: skip
        app.text_input(key="ingestion.log.search").set_value("row 7").run()
        assert "row 7" in _texts(app, "code")
        assert "row 8" not in _texts(app, "code")

    def test_it_is_drawn_while_aws_says_nothing(
        self, open_page: OpenPage, going_on: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked, answered = Event(), Event()

        def silent(*_: object, **__: object) -> None:
            asked.set()
            answered.wait(60)

        monkeypatch.setattr(tracker, "watch", silent)
        monkeypatch.setattr("pages.shared.beside.AT_ONCE", 0.1)
        app = open_page(PAGE, role="operator", view="runs", run=going_on)
        assert asked.wait(60)
        assert not answered.is_set()
        answered.set()
        assert going_on in _texts(app, "markdown")
        assert not app.error

    def test_what_nobody_expected_of_that_look_is_logged(
        self, open_page: OpenPage, going_on: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("a fault of the portal")

        monkeypatch.setattr(tracker, "watch", broken)
        with capture_logs() as logged:
            app = open_page(PAGE, role="operator", view="runs", run=going_on)
        assert going_on in _texts(app, "markdown")
        assert any("had asked beside it failed" in each["event"] for each in logged)


class TestDatasets:
    def test_each_with_its_target_last_outcome_and_a_button(
        self, open_page: OpenPage, database: Database, mapped: None, add_rule: AddRule
    ) -> None:
        add_rule("exact", OTHER, "earnings-lambda")
        runs.start(database, SYSTEM, Request(URN))
        table = open_page(PAGE, role="operator").dataframe[-1].value
        assert list(table["Dataset"]) == [
            "AwsDataCatalog.financial_data.prices", "AwsDataCatalog.financial_data.trades",
        ]  # fmt: skip
        assert list(table["Target"]) == ["λ earnings-lambda"] * 2
        assert [list(cell) for cell in table["Last"]] == [["accepted"], []]
        assert list(table["Do"]) == ["Open", "Run"]
        filtered = open_page(PAGE, role="operator", only="never").dataframe[-1].value
        assert list(filtered["Dataset"]) == ["AwsDataCatalog.financial_data.trades"]

    def test_a_viewer_sees_neither_target_nor_button(
        self, open_page: OpenPage, mapped: None
    ) -> None:
        app = open_page(PAGE, role="viewer")
        assert {"Target", "Do"}.isdisjoint(app.dataframe[-1].value.columns)
        assert "earnings-lambda" not in _everything(app)
        assert not [box for box in app.text_input if box.key == "ingestion.dataset_urn"]

    def test_the_button_of_a_row_asks_for_its_review(
        self, open_page: OpenPage, mapped: None, aws: AwsStandIn
    ) -> None:
        app = open_page(PAGE, role="operator")
        # AppTest cannot press a button in a table: what its callback leaves behind is put there.
        app.session_state["ingestion.datasets.asked"] = URN
        app.run()
        assert "earnings-lambda" in _texts(app, "markdown")
        app.button(key="ingestion.confirm.confirm").click().run()
        assert [start.name for start in aws.starts()] == ["earnings-lambda"]
