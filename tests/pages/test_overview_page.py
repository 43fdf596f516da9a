"""The Overview: health, what ran last, what needs attention, each with its link."""

from collections.abc import Callable

import pandas as pd
import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from backend.connections import environments, probing, service, testing
from backend.connections.schemas import ConnectionConfig, TestResult
from backend.core import alerts, clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.alerts import Alert
from backend.core.database import Database, ReadSession
from backend.ingestion import runs
from backend.ingestion.schemas import Request
from backend.models import Account, IngestionRun, Job
from backend.notifications import seen_alerts
from backend.sandbox.aws import AwsStandIn
from pages.overview import alert_table
from tests.backend.changes import conftest as changes
from tests.backend.changes.conftest import ONE
from tests.backend.changes.conftest import World as Asking
from tests.backend.ingestion import conftest as room
from tests.backend.ingestion.conftest import URN, AddRule
from tests.backend.user_sync import conftest as user_sync
from tests.backend.user_sync.conftest import World
from tests.fixtures.pages import OpenPage, choose

aws_server, aws, environment = room.aws_server, room.aws, room.environment
add_rule, asking = room.add_rule, changes.world
directory, om, world = user_sync.directory, user_sync.om, user_sync.world
PAGE = "overview/page.py"


@pytest.fixture
def prod(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """prod(ok) → an environment whose directory was tested with that outcome."""

    def make(ok: bool) -> None:
        def run(config: ConnectionConfig, **_: object) -> TestResult:
            cause = "" if ok else "Nothing *listens* <b>there</b>."
            return TestResult(config.kind, ok, 3, cause=cause, tested_at=clock.now())

        monkeypatch.setattr(probing, "run", run)
        with database.write() as session:
            environments.add(session, SYSTEM, name="Prod")
            service.save(
                session,
                SYSTEM,
                environment="Prod",
                kind="directory",
                settings={"endpoint": "http://d/graphql"},
            )
        testing.run(database, SYSTEM, environment=None, kind="directory")

    return make


def links(app: AppTest) -> list[tuple[str, str]]:
    """Label and query of every link to a page."""
    found = app.get("page_link")
    return [(item.proto.label, item.proto.query_string) for item in found]


def alert_rows(app: AppTest) -> pd.DataFrame:
    [found] = [table.value for table in app.dataframe if "Severity" in table.value]
    return found


def ran_rows(app: AppTest) -> pd.DataFrame:
    [found] = [table.value for table in app.dataframe if "Run" in table.value]
    return found


@pytest.fixture
def ann(database: Database) -> Actor:
    """The account that `open_page` signs in, with a row of its own: marks belong to one."""
    now = clock.now()
    with database.write() as session:
        session.add(
            Account(
                id=900,
                name="ann",
                name_key="ann",
                role="admin",
                name_pinned=True,
                must_change_password=False,
                disabled=False,
                created_at=now,
                created_by="test",
                version=1,
            )
        )
    return Actor(id=900, name="ann", role=Role.ADMIN, kind="user")


class TestOverview:
    def test_an_empty_portal_says_what_comes_first(self, open_page: OpenPage) -> None:
        app = open_page(PAGE)
        assert not app.exception
        assert alert_rows(app)["What"].str.contains("add the first one").any()

    def test_alerts_come_before_the_cards_where_one_is_below_the_other(
        self, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert next(each.value for each in open_page(PAGE).header) == "Alerts"
        assert "Jobs" not in [each.value for each in open_page(PAGE).header]
        monkeypatch.setattr("auth.current.narrow", lambda: True)
        app = open_page(PAGE)
        assert [each.value for each in app.header][:2] == ["Alerts", "Jobs"]

    def test_a_failing_connection_needs_attention_and_links_to_it(
        self, open_page: OpenPage, prod: Callable[[bool], None]
    ) -> None:
        prod(False)
        app = open_page(PAGE)
        found = alert_rows(app)
        row = found[found["What"].str.startswith("Directory of Prod failed its test")].iloc[0]
        assert list(row[["Severity", "Where", "Do"]]) == [
            ["error"],
            "Connections",
            "Test again",
        ]
        grid = app.table[0].value
        assert "**failed**" in grid.loc["Directory", "Prod"]

    def test_a_good_one_is_green_in_the_grid(
        self, open_page: OpenPage, prod: Callable[[bool], None]
    ) -> None:
        prod(True)
        app = open_page(PAGE)
        assert not app.error
        assert app.table[0].value.loc["Directory", "Prod"].startswith(":green[")
        assert ("Prod", "environment=Prod") in links(app)

    def test_what_ran_last_is_shown_with_its_end(
        self, open_page: OpenPage, database: Database
    ) -> None:
        from backend.jobs import runner
        from backend.jobs.enqueue import enqueue

        with database.write() as session:
            job = enqueue(
                session, SYSTEM, "connections.refresh_client_info", {}, subject="all of them"
            )
        runner.run(job, database)
        app = open_page(PAGE, role="viewer")
        [row] = ran_rows(app).to_dict("records")
        assert (row["State"], row["By"]) == (["succeeded"], "system")
        assert row["Run"].endswith(": all of them")
        assert "Progress" not in row, "nothing runs"
        app = choose(app, "overview.ran", 0)
        assert not app.exception
        assert app.query_params["job"] == str(job), "it is open on its page"

    def test_what_runs_now_comes_first_with_its_progress(
        self, open_page: OpenPage, database: Database
    ) -> None:
        from backend.jobs import runner
        from backend.jobs.enqueue import enqueue

        kind = "connections.refresh_client_info"
        with database.write() as session:
            running, done = (
                enqueue(session, SYSTEM, kind, {}, subject=each) for each in ("first", "second")
            )
        runner.run(done, database)
        with database.write() as session:
            started = {"state": "running", "progress_done": 62, "progress_total": 100}
            session.execute(update(Job).where(Job.id == running).values(started))
        rows = ran_rows(open_page(PAGE, role="viewer"))
        assert [row.split(": ")[1] for row in rows["Run"]] == ["first", "second"]
        assert rows["Progress"][0] == 0.62
        assert pd.isna(rows["Progress"][1])

    def test_an_ingestion_is_among_what_ran_last_though_it_is_no_job(
        self, open_page: OpenPage, database: Database, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        from backend.jobs import runner
        from backend.jobs.enqueue import enqueue

        aws.add_function("earnings-lambda", seconds=3_600)
        add_rule("exact", URN, "earnings-lambda")
        run = runs.start(database, SYSTEM, Request(URN))
        with database.write() as session:
            kind = "connections.refresh_client_info"
            job = enqueue(session, SYSTEM, kind, {}, subject="all of them")
        runner.run(job, database)
        app = open_page(PAGE, role="viewer")
        name = "Ingestion: AwsDataCatalog.financial_data.prices in dev"
        assert ran_rows(app)["Run"][0] == name, "it still runs"
        app = choose(app, "overview.ran", 0)
        assert app.query_params["run"] == run.run_id

    def test_a_run_of_a_command_line_is_there_though_it_is_no_job(
        self, open_page: OpenPage, world: World
    ) -> None:
        run = world.apply(world.plan())
        app = open_page(PAGE, role="viewer")
        assert not any("Nothing has run yet" in caption.value for caption in app.caption)
        assert f"Apply user changes: run {run.id} in test" in list(ran_rows(app)["Run"])
        [card] = [card for card in app.metric if card.label == "User sync"]
        assert card.delta.endswith("1 run in 14 days")

    def test_one_room_in_trouble_does_not_take_the_page_down(
        self, open_page: OpenPage, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_session: ReadSession, _actor: Actor) -> list[Alert]:
            raise RuntimeError("planted-detail")

        monkeypatch.setattr("backend.connections.alerts.alerts", broken)
        app = open_page(PAGE)
        assert not app.exception
        found = alert_rows(app)
        row = found[found["What"].str.contains("could not be read")].iloc[0]
        assert (row["Where"], row["Do"]) == ("", None)  # there is no page for it
        assert "planted-detail" not in str(app.main)

    def test_all_is_well_when_nothing_is_red(
        self,
        open_page: OpenPage,
        prod: Callable[[bool], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(alerts, "_sources", lambda: {})
        prod(True)
        assert [item.value for item in open_page(PAGE).success] == ["Nothing needs attention."]

    def test_nothing_green_stands_beside_something_red(
        self,
        open_page: OpenPage,
        prod: Callable[[bool], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        prod(False)
        monkeypatch.setattr(alerts, "_sources", lambda: {})
        app = open_page(PAGE)
        assert not app.success
        assert any("what is red beside it is for others" in item.value for item in app.info)

    def test_a_card_per_job_counts_what_waits_and_what_was_started(
        self, open_page: OpenPage, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from backend.jobs.enqueue import enqueue

        waiting = [
            Alert("warning", "one", "mounts", count=2, waiting="unknown"),
            Alert("info", "two", "mounts", count=5, waiting="orphaned"),
            Alert("warning", "three", "mounts", waiting="unknown"),
            Alert("info", "four", "tokenization"),
        ]
        monkeypatch.setattr(alerts, "_sources", lambda: {"mounts": lambda *_: waiting})
        with database.write() as session:
            for _ in range(3):
                failed = enqueue(session, SYSTEM, "mounts.operate", {}, subject="a mount")
            session.execute(update(Job).where(Job.id == failed).values(state="failed"))
            enqueue(session, SYSTEM, "mounts.scan", {}, subject="upkeep is not its work")
        app = open_page(PAGE, role="viewer")
        cards = {card.label: card for card in app.metric}
        assert list(cards) == ["User sync", "Mounts", "Tokenization", "Ingestion", "Changes"]
        said = {label: (card.value, card.delta) for label, card in cards.items()}
        assert said["Mounts"] == ("3 unknown", "5 orphaned")
        assert said["Tokenization"] == ("1 to look at", "0 runs in 14 days")
        assert said["Ingestion"] == ("None waiting", "0 runs in 14 days")
        trends = [image.proto.imgs[0].alt for image in app.get("image")]
        assert ["0, 3. 1 of them did not end well" in trend for trend in trends] == [
            *(False, True, False, False, False)
        ]

    def test_the_card_of_changes_counts_what_this_person_can_approve(
        self, open_page: OpenPage, asking: Asking
    ) -> None:
        asking.rule(ONE)
        asking.ask(text="one")
        for role, says in (("admin", "1 to approve"), ("viewer", "None waiting")):
            [card] = [card for card in open_page(PAGE, role=role).metric if card.label == "Changes"]
            assert (card.value, card.delta) == (says, "1 request in 14 days")

    def test_what_was_seen_is_folded_away_and_is_no_all_clear(
        self, open_page: OpenPage, database: Database, monkeypatch: pytest.MonkeyPatch, ann: Actor
    ) -> None:
        items = [Alert("warning", "one", "mounts"), Alert("error", "two", "jobs")]
        monkeypatch.setattr(alerts, "_sources", lambda: {"mounts": lambda *_: items})
        with database.write() as session:
            seen_alerts.mark(session, ann, alert=items[0].key)
        app = open_page(PAGE)
        assert list(alert_rows(app)["What"]) == ["two"]
        app.toggle[0].set_value(True).run()
        assert list(alert_rows(app)["Seen"]) == ["Seen", "New again"]
        with database.write() as session:
            seen_alerts.mark(session, ann, alert=items[1].key)
        app = open_page(PAGE)
        assert not app.dataframe
        assert not app.success
        assert any("seen every alert" in item.value for item in app.info)

    def test_a_chosen_rows_buttons_are_below_it(
        self, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, ann: Actor, database: Database
    ) -> None:
        items = [Alert("error", "one", "mounts"), Alert("warning", "two", "")]
        monkeypatch.setattr(alerts, "_sources", lambda: {"mounts": lambda *_: items})
        app = choose(open_page(PAGE), "overview.alerts", 0)
        assert [
            app.button(key=f"overview.alerts.{key}.chosen").label for key in ("do", "seen")
        ] == [
            "Open",
            "Seen",
        ]
        app.button(key="overview.alerts.seen.chosen").click().run()
        with database.read() as session:
            assert seen_alerts.seen(session, ann) == {items[0].key}
        app = choose(open_page(PAGE), "overview.alerts", 0)  # no page can be opened for it
        assert [each.label for each in app.button if "chosen" in str(each.key)] == ["Seen"]

    def test_a_connection_is_tested_again_from_its_row(
        self, open_page: OpenPage, prod: Callable[[bool], None]
    ) -> None:
        prod(False)
        app = open_page(PAGE)
        [place] = [i for i, what in enumerate(alert_rows(app)["Do"]) if what == "Test again"]
        app = choose(app, "overview.alerts", place)
        app.button(key="overview.alerts.do.chosen").click().run()
        assert not app.exception
        assert any("listens" in item.value for item in app.error)

    def test_a_failed_ingestion_is_retried_and_an_unknown_one_only_opened(
        self, open_page: OpenPage, database: Database, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, "earnings-lambda")
        aws.add_function("earnings-lambda", seconds=3_600)
        run = runs.start(database, SYSTEM, Request(URN))
        for status, verb in (("failed", "Retry"), ("unknown", "Open")):
            with database.write() as session:
                session.execute(update(IngestionRun).values(status=status, active_key=None))
            found = alert_rows(open_page(PAGE))
            row = found[found["Where"] == "Ingestion"].iloc[0]
            assert row["Do"] == verb, run.run_id
            if status == "failed":
                assert "The last ingestion of AwsDataCatalog.financial_data.prices" in row["What"]
        viewer = alert_rows(open_page(PAGE, role="viewer"))
        assert set(viewer["Do"]) == {"Open"}


class TestCollect:
    def test_the_worst_and_newest_come_first_and_the_list_is_bounded(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = clock.now()
        items = [Alert("info", f"i{n}", "jobs", now) for n in range(60)]
        items += [Alert("error", "e", "jobs"), Alert("warning", "w", "jobs", now)]
        noisy = {"mounts": items[:60], "jobs": items[:60], "connections": items}
        sources = {name: lambda *_, found=found: found for name, found in noisy.items()}
        monkeypatch.setattr(alerts, "_sources", lambda: sources)
        with database.read() as session:
            found = alerts.collect(session, SYSTEM)
        assert [item.text for item in found.items[:2]] == ["e", "w"]
        assert len(found.items) == alerts.MAX_ITEMS
        assert found.rest.startswith("132 more alerts are not listed here")
        assert found.waiting == {"jobs": {"to look at": 182}}, "all of them, listed or not"

    def test_says_nothing_of_a_rest_where_all_are_listed(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        full = [Alert("info", f"i{n}", "jobs") for n in range(20)]
        sources = {name: lambda *_: full for name in ("mounts", "jobs")}
        monkeypatch.setattr(alerts, "_sources", lambda: sources)
        with database.read() as session:
            found = alerts.collect(session, SYSTEM)
            assert (len(found.items), found.rest) == (40, "")
            full.append(Alert("info", "one more", "jobs"))
            assert alerts.collect(session, SYSTEM).rest.startswith("2 more alerts")


@pytest.mark.parametrize(
    ("text", "where"),
    [("1 user change waits in prod.", "User sync"), ("The product waits.", "User sync, prod")],
)
def test_an_alert_names_its_environment_once(text: str, where: str) -> None:
    item = Alert("warning", text, page="user-sync", query=(("environment", "prod"),))
    assert alert_table._where(item) == where
