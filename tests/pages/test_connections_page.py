"""The Connections page: environments, forms, tests, client info, two admins, roles."""

import pytest
from streamlit.testing.v1 import AppTest

from backend.connections import environments, probing, resolve, service, testing
from backend.connections.schemas import ConnectionConfig, TestResult
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.fixtures.pages import OpenPage, unfold

PAGE = "connections/page.py"
SECRET = "planted-s3cret"


@pytest.fixture
def prod(database: Database) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="Prod")
        service.save(
            session,
            SYSTEM,
            environment="Prod",
            kind="postgres",
            settings={"host": "db.example", "database": "d", "user": "u"},
            secrets_in={"password": SECRET},
        )


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[ConnectionConfig]:
    """Probes answer at once, unless the host is "broken"; returns what was probed."""
    seen: list[ConnectionConfig] = []

    def run(config: ConnectionConfig, **_: object) -> TestResult:
        seen.append(config)
        ok = config.settings.get("host") != "broken"
        return TestResult(
            config.kind,
            ok,
            12,
            server_version="18.4" if ok else "",
            cause="" if ok else "Nothing *listens* there.",
            advice="" if ok else "Start it.",
            tested_at=clock.now(),
        )

    monkeypatch.setattr(probing, "run", run)
    return seen


def key(name: str, *, kind: str = "postgres", version: int = 1) -> str:
    return f"connections.Prod.{kind}.{version}.{name}"


def texts(app: AppTest) -> str:
    """Everything a person can read on the page."""
    kinds = (app.markdown, app.success, app.error, app.warning, app.info, app.caption, app.json)
    return "\n".join(str(item.value) for group in kinds for item in group)


def press_test_all(app: AppTest) -> None:
    """Press "Test all", and look at the page when all of them have answered."""
    app.button(key="connections.test_all").click().run()
    app.session_state["connections.results"].answer.result(60)
    app.run()


class TestKinds:
    def test_a_click_made_while_a_test_changes_the_states_is_not_lost(
        self, open_page: OpenPage, prod: None, probed: list[ConnectionConfig]
    ) -> None:
        app = open_page(PAGE, kind="datahub")
        before = app.radio(key="connections.kind")
        shown = list(before.options)
        press_test_all(app)
        kinds = app.radio(key="connections.kind")
        assert list(kinds.options) == shown  # what the browser would send is still known
        assert any("ok" in caption for caption in kinds.proto.captions)
        assert not any("ok" in caption for caption in before.proto.captions)


class TestForm:
    def test_a_link_opens_the_kind_with_its_settings(self, open_page: OpenPage, prod: None) -> None:
        app = open_page(PAGE, environment="Prod", kind="postgres")
        assert "PostgreSQL" in [item.value for item in app.header]
        assert app.text_input(key=key("host")).value == "db.example"

    def test_a_secret_is_never_sent_to_the_browser(self, open_page: OpenPage, prod: None) -> None:
        app = open_page(PAGE, kind="postgres")
        field = app.text_input(key=key("password"))
        assert field.value == ""
        assert "Set, changed" in texts(app)
        assert SECRET not in str(app.main)
        assert SECRET not in repr(app.session_state)

    def test_saving_changes_what_was_typed_and_keeps_a_blank_secret(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        app.text_input(key=key("database")).input("other")
        app.button(key=key("save")).click().run()
        assert "is saved" in app.success[0].value
        with database.read() as session:
            found = resolve.connection(session, kind="postgres")
        assert found.settings["database"] == "other"
        assert found.secrets == {"password": SECRET}

    @pytest.mark.parametrize("button", ["save", "test"])
    def test_another_address_asks_for_the_secret_again_and_sends_it_nowhere(
        self,
        open_page: OpenPage,
        prod: None,
        probed: list[ConnectionConfig],
        database: Database,
        button: str,
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        app.text_input(key=key("host")).input("other.example")
        app.button(key=key(button)).click().run()
        assert "Enter password again" in app.warning[0].value
        assert not probed
        with database.read() as session:
            assert resolve.connection(session, kind="postgres").settings["host"] == "db.example"

    def test_a_saved_secret_does_not_stay_in_the_session(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        app.text_input(key=key("password")).input("new-planted")
        app.button(key=key("save")).click().run()
        app.run()
        assert "new-planted" not in repr(app.session_state)
        with database.read() as session:
            assert resolve.connection(session, kind="postgres").secrets["password"] == "new-planted"

    def test_a_wrong_value_is_refused_and_what_was_typed_stays(
        self, open_page: OpenPage, prod: None
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        app.text_input(key=key("port")).input("many")
        app.button(key=key("save")).click().run()
        assert "PostgreSQL: port must be" in app.warning[0].value.replace("\\", "")
        assert app.text_input(key=key("port")).value == "many"

    def test_the_second_of_two_admins_is_told_and_can_reload(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        with database.write() as session:
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="postgres",
                settings={"host": "theirs.example"},
                secrets_in={"password": SECRET},
            )
        app.text_input(key=key("host")).input("mine.example")
        app.button(key=key("save")).click().run()
        warned = " ".join(item.value for item in app.warning).replace("\\", "")
        assert "changed by system" in warned
        with database.read() as session:
            host = resolve.connection(session, kind="postgres").settings["host"]
        assert host == "theirs.example"
        app.button(key="connections.reload").click().run()
        assert app.text_input(key=key("host", version=2)).value == "theirs.example"

    @pytest.mark.parametrize(
        "kind", ["datahub", "openmetadata", "directory", "ledger", "rabbitmq", "databricks", "aws"]
    )
    def test_every_kind_has_its_form(self, open_page: OpenPage, prod: None, kind: str) -> None:
        app = open_page(PAGE, kind=kind)
        assert not app.exception
        assert app.button(key=key("save", kind=kind, version=0))


class TestFields:
    def test_each_wrong_value_is_said_at_its_field(self, open_page: OpenPage, prod: None) -> None:
        app = open_page(PAGE, kind="postgres")
        app.text_input(key=key("port")).input("many")
        app.text_input(key=key("host")).input("http://db.example")
        app.button(key=key("save")).click().run()
        said = [item.value for item in app.markdown if item.value.startswith(":red[")]
        assert len(said) == 2
        assert any("host name alone" in text for text in said)
        assert any("number" in text for text in said)
        assert app.text_input(key=key("port")).value == "many"


class TestChecklist:
    def test_it_leads_until_a_job_can_run(
        self, open_page: OpenPage, prod: None, database: Database, probed: list[ConnectionConfig]
    ) -> None:
        app = open_page(PAGE)
        assert "Set up Prod" in [item.value for item in app.header]
        step = app.button(key="connections.checklist.Tokenization.postgres")
        assert "not tested yet" in step.label
        app.button(key="connections.checklist.Ingestion.aws").click().run()
        assert app.query_params["kind"] in ("aws", ["aws"])
        testing.run(database, SYSTEM, environment="Prod", kind="postgres")
        app = open_page(PAGE)
        assert "Set up Prod" not in [item.value for item in app.header]
        assert "Set up further jobs" in [item.label for item in app.expander]


class TestTests:
    def test_a_good_one_shows_version_and_latency(
        self, open_page: OpenPage, prod: None, probed: list[ConnectionConfig]
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        app.button(key="connections.test").click().run()
        assert "answered in 12 ms" in app.success[0].value
        assert "18.4" in app.success[0].value

    def test_unsaved_edits_are_tested_and_not_saved(
        self, open_page: OpenPage, prod: None, probed: list[ConnectionConfig], database: Database
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        app.text_input(key=key("host")).input("broken")
        app.text_input(key=key("password")).input(SECRET)
        app.button(key=key("test")).click().run()
        shown = app.error[0].value
        assert "Unsaved edits" in shown
        assert "What to do" in shown
        assert "\\*listens\\*" in shown  # text of outside systems is no markup
        assert probed[0].secrets == {"password": SECRET}
        with database.read() as session:
            assert resolve.connection(session, kind="postgres").settings["host"] == "db.example"

    def test_all_are_tested_at_once(
        self, open_page: OpenPage, prod: None, probed: list[ConnectionConfig]
    ) -> None:
        app = open_page(PAGE)
        press_test_all(app)
        assert "**1 of 1 connections work**" in texts(app)
        app.button(key="connections.results.close").click().run()
        assert "connections work" not in texts(app)

    def test_history_shows_past_tests(
        self, open_page: OpenPage, prod: None, probed: list[ConnectionConfig], database: Database
    ) -> None:
        testing.run(database, SYSTEM, environment=None, kind="postgres")
        app = open_page(PAGE, kind="postgres")
        assert not app.dataframe  # nobody has opened it yet
        app = unfold(app, "connections.past")
        frame = app.dataframe[0].value
        assert list(frame["Outcome"]) == [["ok"]]
        assert list(frame["By"]) == ["system"]

    def test_history_is_drawn_and_said_from_two_tests_on(
        self, open_page: OpenPage, prod: None, probed: list[ConnectionConfig], database: Database
    ) -> None:
        for _ in range(2):
            testing.run(database, SYSTEM, environment=None, kind="postgres")
        app = unfold(open_page(PAGE, kind="postgres"), "connections.past")
        (chart,) = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
        assert "Last 2 tests, 0 of them failed." in chart.proto.spec
        assert any("Last 2 tests" in caption.value for caption in app.caption)


class TestEnvironments:
    def test_rename(self, open_page: OpenPage, prod: None, database: Database) -> None:
        app = open_page(PAGE, kind="postgres")
        app.button(key="connections.open.edit").click().run()
        field = next(t for t in app.text_input if (t.key or "").startswith("connections.edit.name"))
        field.input("Production")
        app.button(key="connections.edit.submit").click().run()
        assert not app.exception
        with database.read() as session:
            assert [e.name for e in environments.list_all(session, SYSTEM)] == ["Production"]
        assert "Production is saved" in app.success[0].value

    def test_the_second_of_two_admins_is_told_and_can_reload(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        app = open_page(PAGE)
        app.button(key="connections.open.edit").click().run()
        with database.write() as session:
            environments.update(session, SYSTEM, name="Prod", version=1, is_production=True)
        field = next(t for t in app.text_input if (t.key or "").startswith("connections.edit.name"))
        field.input("Mine")
        app.button(key="connections.edit.submit").click().run()
        assert "changed by system" in app.warning[0].value
        app.button(key="connections.edit.reload").click().run()
        assert not app.warning
        with database.read() as session:
            assert environments.list_all(session, SYSTEM)[0].name == "Prod"

    def test_deleting_needs_the_name_typed(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        app = open_page(PAGE)
        app.button(key="connections.open.edit").click().run()
        app.button(key="connections.delete").click().run()
        name = "connections.delete_environment"
        assert app.button(key=f"{name}.confirm").disabled
        assert "belongs to it: **1 connection**" in texts(app)
        app.text_input(key=f"{name}.typed").input("Prod").run()
        app.button(key=f"{name}.confirm").click().run()
        with database.read() as session:
            assert environments.list_all(session, SYSTEM) == ()
        assert "Prod is deleted" in app.success[0].value
        assert not app.warning

    def test_deleting_the_default_one_says_what_that_means(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Stage")
        app = open_page(PAGE, environment="Prod")
        app.button(key="connections.open.edit").click().run()
        app.button(key="connections.delete").click().run()
        name = "connections.delete_environment"
        app.text_input(key=f"{name}.typed").input("Prod").run()
        app.button(key=f"{name}.confirm").click().run()
        assert "now there is none" in app.warning[0].value

    def test_another_one_becomes_the_default(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Stage")
        app = open_page(PAGE, environment="Stage")
        app.button(key="connections.open.edit").click().run()
        app.button(key="connections.default").click().run()
        with database.read() as session:
            assert resolve.environment(session).name == "Stage"


class TestForget:
    def test_a_secret_goes_after_a_confirmation(
        self, open_page: OpenPage, prod: None, database: Database
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        name = "connections.forget.postgres.password"
        app.button(key=name).click().run()
        app.button(key=f"{name}.confirm").click().run()
        assert not app.exception
        with database.read() as session:
            assert resolve.connection(session, kind="postgres").secrets == {}


class TestSaving:
    def test_what_was_saved_is_tested_at_once(
        self, open_page: OpenPage, prod: None, probed: list[ConnectionConfig]
    ) -> None:
        app = open_page(PAGE, kind="postgres")
        app.text_input(key=key("host")).input("broken")
        app.text_input(key=key("password")).input(SECRET)
        app.button(key=key("save")).click().run()
        assert not app.exception
        assert [config.settings["host"] for config in probed] == ["broken"]
        assert "Nothing" in app.error[0].value
        app.run()
        assert len(probed) == 1  # once a save, not at every rerun


class TestClientInfoTable:
    def test_an_admin_finds_and_corrects_it(self, open_page: OpenPage, database: Database) -> None:
        with database.write() as session:
            for name in ("Prod", "Stage"):
                environments.add(session, SYSTEM, name=name)
        app = open_page(PAGE, view="client_info", search="sta")
        assert not app.exception
        assert list(app.dataframe[0].value["Environment"]) == ["Stage"]

    def test_nobody_else_has_it(self, open_page: OpenPage, prod: None) -> None:
        app = open_page(PAGE, role="operator", view="client_info")
        assert not app.exception
        assert not app.segmented_control


class TestRoles:
    @pytest.mark.parametrize("role", ["viewer", "steward", "operator"])
    def test_others_see_health_and_no_settings_or_buttons(
        self, open_page: OpenPage, prod: None, database: Database, role: str
    ) -> None:
        testing.run(database, SYSTEM, environment=None, kind="postgres")
        app = open_page(PAGE, role=role, kind="postgres")
        assert not app.exception
        assert not app.text_input
        buttons = {b.key for b in app.button if (b.key or "").startswith("connections.")}
        may_test = {"connections.test", "connections.test_all"} if role == "operator" else set()
        assert buttons == may_test
        assert "db.example" not in str(app.main)
        assert app.error
