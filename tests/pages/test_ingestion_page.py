"""The ingestion page: ask, look at what will be sent, confirm, follow; the mapping; DataHub."""

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import mapping, runs, service, tracker
from backend.ingestion.schemas import Request, RunView
from backend.jobs import broker
from backend.jobs import service as jobs
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion import conftest as room
from tests.backend.ingestion.conftest import OTHER, URN, AddRule
from tests.fixtures.pages import OpenPage, unfold

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

aws_server, aws, environment = room.aws_server, room.aws, room.environment
add_rule, setenv, datahub = room.add_rule, room.setenv, room.datahub

PAGE = "ingestion/page.py"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


@pytest.fixture
def mapped(aws: AwsStandIn, add_rule: AddRule) -> None:
    aws.add_function("earnings-lambda", seconds=3_600)
    add_rule("exact", URN, "earnings-lambda")


def _runs(database: Database) -> tuple[RunView, ...]:
    with database.read() as session:
        return service.list_runs(session, SYSTEM).items


def _everything(app: "AppTest") -> str:
    """All that reaches the browser, as far as AppTest knows it."""
    parts = [repr(app.main)] + [repr(frame.value.to_dict()) for frame in app.dataframe]
    for kind in ("markdown", "caption", "code", "json", "info", "warning", "error", "success"):
        parts += [str(element.value) for element in getattr(app, kind)]
    return "\n".join(parts)


def _texts(app: "AppTest", kind: str) -> str:
    return "\n".join(str(element.value) for element in getattr(app, kind))


class TestRun:
    def test_a_deep_link_fills_the_form_and_one_confirmed_click_starts_one_run(
        self, open_page: OpenPage, database: Database, mapped: None, aws: AwsStandIn
    ) -> None:
        app = open_page(PAGE, role="operator", dataset_urn=URN)
        assert app.text_input(key="ingestion.dataset_urn").value == URN
        app.text_input(key="ingestion.reason").set_value("late file").run()
        app.button(key="ingestion.review").click().run()
        assert aws.starts() == []
        shown = _texts(app, "markdown")
        assert "earnings-lambda" in shown
        assert "portal" in shown
        payload = json.loads(app.json[0].value)
        assert (payload["datasetUrn"], payload["reason"]) == (URN, "late file")
        app.button(key="ingestion.confirm.confirm").click().run()
        assert not app.exception
        [run] = _runs(database)
        assert run.reason == "late file"
        assert [s.payload["runId"] for s in aws.starts()] == [run.run_id]
        assert "AWS accepted run" in _texts(app, "success")
        assert run.run_id in _texts(app, "markdown").replace("\\", "")

    def test_a_mapping_changed_between_look_and_click_starts_nothing(
        self, open_page: OpenPage, database: Database, mapped: None, aws: AwsStandIn,
        add_rule: AddRule,
    ) -> None:  # fmt: skip
        app = open_page(PAGE, role="operator", dataset_urn=URN)
        app.button(key="ingestion.review").click().run()
        assert "earnings-lambda" in _texts(app, "markdown")
        aws.add_function("drops-everything")
        add_rule("exact", URN, "drops-everything")
        app.button(key="ingestion.confirm.confirm").click().run()
        assert "mapping of this dataset has changed" in _texts(app, "warning")
        assert (_runs(database), aws.starts()) == ((), [])
        app.button(key="ingestion.review").click().run()
        assert "drops-everything" in _texts(app, "markdown")
        app.button(key="ingestion.confirm.confirm").click().run()
        assert [start.name for start in aws.starts()] == ["drops-everything"]

    def test_an_address_with_an_environment_that_is_not_there_says_so(
        self, open_page: OpenPage, environment: str
    ) -> None:
        app = open_page(PAGE, role="operator", dataset_urn=URN, environment="staging")
        assert "no environment staging" in _texts(app, "warning")
        assert "this is dev" in _texts(app, "warning")
        assert not open_page(PAGE, role="operator", environment="dev").warning

    def test_another_default_environment_between_look_and_click_changes_nothing(
        self, open_page: OpenPage, database: Database, mapped: None, aws: AwsStandIn
    ) -> None:
        from backend.connections import environments

        app = open_page(PAGE, role="operator", dataset_urn=URN)
        app.button(key="ingestion.review").click().run()
        with database.write() as session:
            environments.add(session, SYSTEM, name="other", default=True)
        app.button(key="ingestion.confirm.confirm").click().run()
        assert [run.environment for run in _runs(database)] == ["dev"]

    def test_cancelling_starts_nothing(
        self, open_page: OpenPage, mapped: None, aws: AwsStandIn
    ) -> None:
        app = open_page(PAGE, role="operator", dataset_urn=URN)
        app.button(key="ingestion.review").click().run()
        app.button(key="ingestion.confirm.cancel").click().run()
        assert aws.starts() == []

    def test_production_needs_the_name_typed(
        self, open_page: OpenPage, database: Database, mapped: None, aws: AwsStandIn
    ) -> None:
        from backend.connections import environments

        with database.write() as session:
            found = environments.get(session, SYSTEM, name="dev")
            environments.update(
                session, SYSTEM, name="dev", version=found.version, is_production=True
            )
        app = open_page(PAGE, role="operator", dataset_urn=URN)
        app.button(key="ingestion.review").click().run()
        assert app.button(key="ingestion.confirm.confirm").disabled
        app.text_input(key="ingestion.confirm.typed").set_value(
            "AwsDataCatalog.financial_data.prices"
        ).run()
        app.button(key="ingestion.confirm.confirm").click().run()
        assert len(aws.starts()) == 1

    @pytest.mark.parametrize(
        ("urn", "said"),
        [(OTHER, "Add a rule on the Ingestion page"), ("earnings", "not a DataHub URN")],
    )
    def test_what_cannot_be_started_is_said_before(
        self, open_page: OpenPage, mapped: None, urn: str, said: str
    ) -> None:
        app = open_page(PAGE, role="operator", dataset_urn=urn)
        app.button(key="ingestion.review").click().run()
        (warning,) = app.warning
        assert said in warning.value.replace("\\", "")
        assert not app.info
        assert not [b for b in app.button if b.key == "ingestion.confirm.confirm"]

    def test_a_running_dataset_shows_that_run_instead(
        self, open_page: OpenPage, database: Database, mapped: None, actors: SimpleNamespace
    ) -> None:
        run = runs.start(database, actors.operator, Request(URN))
        app = open_page(PAGE, role="operator", dataset_urn=URN)
        app.button(key="ingestion.review").click().run()
        assert "may still be going" in _texts(app, "warning")
        assert run.run_id in _texts(app, "markdown").replace("\\", "")

    def test_a_lost_answer_is_told_and_the_run_opened(
        self, open_page: OpenPage, database: Database, mapped: None, aws: AwsStandIn
    ) -> None:
        app = open_page(PAGE, role="operator", dataset_urn=URN)
        app.button(key="ingestion.review").click().run()
        with aws.faults.inject(operation="Invoke", invocation="Event", drop="after"):
            app.button(key="ingestion.confirm.confirm").click().run()
        assert "not sent again" in _texts(app, "error")
        assert _runs(database)[0].status == "unknown"
        assert len(aws.starts()) == 1

    def test_a_failed_run_with_tries_left_can_be_let_go(
        self, open_page: OpenPage, database: Database, aws: AwsStandIn, add_rule: AddRule,
        actors: SimpleNamespace,
    ) -> None:  # fmt: skip
        aws.add_function("f", seconds=0.0, outcome="fail")
        add_rule("exact", URN, "f")
        run = runs.start(database, actors.operator, Request(URN))
        deadline = time.monotonic() + 60
        while _runs(database)[0].status != "failed" and time.monotonic() < deadline:
            tracker.check(database, run.run_id)
        assert _runs(database)[0].active
        app = open_page(PAGE, role="operator", view="runs", run=run.run_id)
        app.button(key="ingestion.release").click().run()
        assert not _runs(database)[0].active

    def test_a_run_can_be_asked_for_again_after_a_look(
        self, open_page: OpenPage, database: Database, mapped: None, actors: SimpleNamespace
    ) -> None:
        run = runs.start(database, actors.operator, Request(URN, reason="late file"))
        app = open_page(PAGE, role="operator", view="runs", run=run.run_id)
        app.button(key="ingestion.again").click().run()
        assert app.text_input(key="ingestion.dataset_urn").value == URN
        assert app.text_input(key="ingestion.reason").value == "late file"
        assert any("Filled in from run" in c.value for c in app.caption)


class TestWhoSeesWhat:
    @pytest.mark.parametrize("role", ["viewer", "steward"])
    def test_no_aws_name_and_no_button_for_roles_without_the_right(
        self, open_page: OpenPage, database: Database, mapped: None, actors: SimpleNamespace,
        role: str,
    ) -> None:  # fmt: skip
        run = runs.start(database, actors.operator, Request(URN))
        app = open_page(PAGE, role=role, run=run.run_id, dataset_urn=URN)
        shown = _everything(app)
        assert run.run_id in shown.replace("\\", "")
        for name in ("earnings-lambda", "arn:aws", "us-east-1", "/aws/lambda", run.request_id):
            assert str(name) not in shown
        keys = {button.key for button in app.button}
        assert not keys & {"ingestion.review", "ingestion.again", "ingestion.stop"}
        assert not app.exception

    def test_an_operator_reads_the_mapping_and_cannot_change_it(
        self, open_page: OpenPage, mapped: None
    ) -> None:
        app = open_page(PAGE, role="operator", view="mapping")
        assert "earnings-lambda" in repr(app.dataframe[0].value.to_dict())
        assert not [b for b in app.button if "rule" in (b.key or "")]

    def test_without_any_environment_the_page_says_so(self, open_page: OpenPage) -> None:
        app = open_page(PAGE, role="admin")
        assert "No environment is configured" in app.info[0].value
        assert not app.exception


class TestMapping:
    def test_a_rule_is_added_and_a_dataset_tested_against_it(
        self, open_page: OpenPage, database: Database, environment: str
    ) -> None:
        app = open_page(PAGE, view="mapping")
        app.selectbox(key="ingestion.rule.new.kind").set_value("prefix")
        app.text_input(key="ingestion.rule.new.pattern").set_value("AwsDataCatalog.")
        app.text_input(key="ingestion.rule.new.target").set_value("athena-lambda")
        app.button(key="ingestion.rule.new.save").click().run()
        assert "saved" in _texts(app, "success")
        app.text_input(key="ingestion.test.urn").set_value(URN).run()
        assert "athena-lambda" in _texts(app, "markdown")
        with database.read() as session:
            assert mapping.view(session, SYSTEM).total == 1

    def test_a_wrong_rule_is_refused_in_words(self, open_page: OpenPage, environment: str) -> None:
        app = open_page(PAGE, view="mapping")
        app.text_input(key="ingestion.rule.new.pattern").set_value("earnings")
        app.text_input(key="ingestion.rule.new.target").set_value("f")
        app.button(key="ingestion.rule.new.save").click().run()
        assert "not a DataHub URN" in _texts(app, "warning").replace("\\", "")

    def test_a_broken_variable_is_shown(
        self, open_page: OpenPage, mapped: None, setenv: Callable[..., None]
    ) -> None:
        setenv(DATAHUB_INGESTION_LAMBDA_MAPPING="{oops")
        app = open_page(PAGE, view="mapping")
        assert "not JSON" in _texts(app, "error")

    def test_targets_are_checked_as_a_job(self, open_page: OpenPage, mapped: None) -> None:
        app = open_page(PAGE, view="mapping")
        app.button(key="ingestion.check").click().run()
        assert "Check mapped targets" in _texts(app, "markdown")

    def test_names_in_the_table_are_told_apart_by_their_ends(
        self, open_page: OpenPage, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, aws.add_machine("nightly"))
        add_rule("prefix", "db.", "f")
        table = open_page(PAGE, role="operator", view="mapping").dataframe[0].value
        shown = table[["Pattern", "Target"]].to_numpy().tolist()
        assert shown == [
            ["athena,AwsDataCatalog.financial_data.prices,PROD", "nightly (Step Functions)"],
            ["db.", "f"],
        ]
        assert "Remark" not in table.columns

    def test_the_prefix_of_a_urn_does_not_look_like_that_of_a_name(
        self, open_page: OpenPage, environment: str, add_rule: AddRule
    ) -> None:
        add_rule("prefix", "urn:li:dataset:(urn:li:dataPlatform:postgres,", "f")
        add_rule("prefix", "postgres,", "g")
        table = open_page(PAGE, role="operator", view="mapping").dataframe[0].value
        shown = table[["Pattern", "Target"]].to_numpy().tolist()
        assert sorted(shown) == [["postgres,", "g"], ["urn:li:…:postgres,", "f"]]
        assert any(text.startswith("Looks dead") for text in table["Remark"])


class TestDataHub:
    def test_sources_are_listed_and_run_as_a_job(
        self, open_page: OpenPage, datahub: StandIn
    ) -> None:
        source = datahub.seed_ingestion_source("Athena hourly", "athena")
        app = open_page(PAGE, role="operator", view="datahub")
        assert "Athena hourly" in _texts(app, "markdown")
        assert "No schedule" in _texts(app, "markdown")
        assert "Never run" in _texts(app, "markdown")
        app.button(key=f"ingestion.managed.{source}").click().run()
        assert "Run a DataHub ingestion source" in _texts(app, "markdown")
        app.button(key=f"ingestion.managed.{source}").click().run()
        assert "does this already" in _texts(app, "warning")

    def test_a_schedule_is_said_after_save_and_after_remove(
        self, open_page: OpenPage, datahub: StandIn
    ) -> None:
        key = f"ingestion.schedule.source.{datahub.seed_ingestion_source('Athena', 'athena')}"
        app = open_page(PAGE, role="operator", view="datahub")
        app.text_input(key=f"{key}.cron").set_value("0 5 * * *")
        app.button(key=f"{key}.save").click().run()
        said = _texts(app, "success").replace("\\", "")
        assert said.startswith("Athena: Every day at 05:00 UTC; next 2")
        assert list(app.dataframe[-1].value["Times"]) == ["Every day at 05:00 UTC"]
        app.button(key=f"{key}.remove").click().run()
        assert "Athena no longer starts by itself" in _texts(app, "success")
        app.text_input(key=f"{key}.cron").set_value("at noon")
        app.button(key=f"{key}.save").click().run()
        assert ("no cron expression" in _texts(app, "warning"), _texts(app, "success")) == (
            True,
            "",
        )

    def test_without_datahub_the_rest_still_works(
        self, open_page: OpenPage, environment: str
    ) -> None:
        app = open_page(PAGE, view="datahub")
        assert "no DataHub connection" in _texts(app, "warning")
        assert "sample_file.yml" in repr(app.dataframe[0].value.to_dict())
        assert not app.exception

    def test_a_recipe_is_shown_before_it_is_queued(
        self, open_page: OpenPage, database: Database, datahub: StandIn
    ) -> None:
        app = open_page(PAGE, role="operator", view="datahub")
        app.selectbox(key="ingestion.recipe").select("sample_file.yml").run()
        app.button(key="ingestion.recipe.run").click().run()
        with database.read() as session:
            assert jobs.list_jobs(session, SYSTEM, kind="ingestion.recipe").items == ()
        app.button(key="ingestion.recipe.confirm.confirm").click().run()
        with database.read() as session:
            [job] = jobs.list_jobs(session, SYSTEM, kind="ingestion.recipe").items
        assert job.subject == "sample_file.yml on dev"

    def test_links_are_put_as_a_job(self, open_page: OpenPage, datahub: StandIn) -> None:
        app = open_page(PAGE, view="datahub")
        app.text_input(key="ingestion.links.urn").set_value(URN).run()
        app.button(key="ingestion.links.put").click().run()
        assert "Links on DataHub pages" in _texts(app, "markdown")


def test_an_empty_list_blames_filters_only_where_there_are_some(
    open_page: OpenPage, environment: str
) -> None:
    assert "No run yet" in _texts(open_page(PAGE, role="viewer", view="runs"), "info")
    filtered = open_page(PAGE, role="viewer", view="runs", by="somebody")
    assert "No run fits these filters" in _texts(filtered, "info")


def test_datasets_are_found_by_words(open_page: OpenPage, datahub: StandIn) -> None:
    app: Any = open_page(PAGE, role="operator")
    app.text_input(key="ingestion.find").set_value("prices").run()
    app.button(key="ingestion.find.0").click().run()
    assert app.text_input(key="ingestion.dataset_urn").value == URN


def test_runs_per_day_are_drawn_said_and_listed(
    open_page: OpenPage, database: Database, mapped: None, actors: SimpleNamespace
) -> None:
    app = open_page(PAGE, role="viewer", view="runs")
    assert not app.get("vega_lite_chart")
    runs.start(database, actors.operator, Request(URN))
    app = open_page(PAGE, role="viewer", view="runs")
    assert not app.exception
    [chart] = app.get("vega_lite_chart")
    assert "In all 1 accepted." in json.loads(chart.proto.spec)["description"]
    app = unfold(app, "numbers.Runs per day, last 30 days")
    assert app.dataframe[-1].value.to_numpy().tolist() == [[1]]  # below the runs
    assert "earnings-lambda" not in chart.proto.spec
    app = open_page(PAGE, role="viewer", view="runs", status="failed")
    assert not app.get("vega_lite_chart")
