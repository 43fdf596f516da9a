"""The mounts page: four views, filters in the URL, details, and the actions of operators."""

import json
from typing import Any

import pyarrow as pa
import pytest

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.dms.client import DMSClient
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.mounts import explorer, orphans
from backend.mounts.schemas import Filters
from pages.mounts import filter_bar
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment, add_environment
from tests.fixtures.pages import OpenPage

PAGE = "mounts/page.py"


@pytest.fixture
def page(open_page: OpenPage, lab: MountsEnvironment) -> OpenPage:
    return open_page


def _active(database: Database, **filters: Any) -> tuple[Any, ...]:
    with database.read() as session:
        wanted = Filters(mounted=True, deleted=False, **filters)
        return explorer.list_mounts(session, SYSTEM, filters=wanted).items


def _text(app: Any) -> str:
    drawn = [*app.markdown, *app.caption, *app.info, *app.warning, *app.success, *app.error]
    return "\n".join(str(element.value) for element in drawn)


def _datasets(app: Any) -> list[list[dict[str, Any]]]:
    """The rows that the page's charts are drawn from."""
    charts = [found.proto for found in app.get("vega_lite_chart")]
    sent = [each.data.data for chart in charts for each in chart.datasets]
    sent += [chart.data.data for chart in charts if chart.data.data]
    return [pa.ipc.open_stream(data).read_all().to_pylist() for data in sent if data]


def _marked(*places: int) -> dict[str, Any]:
    return {"selection": {"rows": list(places), "columns": [], "cells": []}}


def _run_job(app: Any, database: Database) -> Any:
    job_id = app.session_state["mounts.job"]
    runner.run(job_id, database)
    with database.read() as session:
        return jobs.get(session, SYSTEM, job_id=job_id)


class TestViews:
    @pytest.mark.parametrize(
        "view", ["active", "orphans", "history", "operations", "hosts", "targets"]
    )
    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_every_view_is_drawn(self, page: OpenPage, view: str, role: str) -> None:
        app = page(PAGE, role=role, view=view)
        assert not app.exception
        assert app.title[0].value == "Mounts"

    def test_without_a_ledger_it_says_what_to_do(self, open_page: OpenPage) -> None:
        app = open_page(PAGE)
        assert not app.exception
        assert "no mount ledger" in _text(app)

    def test_an_environment_alone_is_shown_without_being_the_default(
        self, page: OpenPage, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="Brief", default=True)
            environments.remove(session, SYSTEM, name="Brief", confirm_name="Brief")
        assert len(page(PAGE).dataframe[0].value) > 0

    def test_filters_come_from_the_address(self, page: OpenPage, database: Database) -> None:
        app = page(PAGE, host="compute-01")
        shown = app.dataframe[0].value
        assert set(shown["Host"]) == {"compute-01"}
        assert len(shown) == len(_active(database, host="compute-01"))
        assert app.selectbox(key="mounts.host").value == "compute-01"

    def test_a_name_is_chosen_with_its_count_and_leaves_its_mark_in_the_address(
        self, page: OpenPage, database: Database
    ) -> None:
        app = page(PAGE)
        there = len(_active(database, host="compute-02"))
        hosts = app.selectbox(key="mounts.host")
        assert f"compute-02 ({there})" in hosts.options
        hosts.set_value("compute-02").run()
        assert app.query_params["host"] in ("compute-02", ["compute-02"])
        assert set(app.dataframe[0].value["Host"]) == {"compute-02"}
        assert len(app.selectbox(key="mounts.host").options) > 1, "another one can be chosen"
        app.selectbox(key="mounts.host").set_value(None).run()
        assert "host" not in app.query_params
        assert len(set(app.dataframe[0].value["Host"])) > 1

    def test_a_count_that_has_changed_since_it_was_drawn_loses_no_choice(self) -> None:
        # The browser says a choice by its label; AppTest cannot say one that is no option.
        assert filter_bar.without_count("compute-02 (1,099)") == "compute-02"
        assert filter_bar.without_count("nfs (old)") == "nfs (old)"

    def test_a_part_of_a_name_fits_too(self, page: OpenPage) -> None:
        app = page(PAGE, host="ute-02")
        assert set(app.dataframe[0].value["Host"]) == {"compute-02"}
        assert app.selectbox(key="mounts.host").value == "ute-02"

    def test_pages_go_on_and_a_new_filter_starts_over(self, page: OpenPage) -> None:
        app = page(PAGE, view="history")
        first = list(app.dataframe[0].value["Entry"])
        app.button(key="mounts.next").click().run()
        second = list(app.dataframe[0].value["Entry"])
        assert max(second) < min(first)
        app.selectbox(key="mounts.host").set_value("compute-01").run()
        assert "cursor" not in app.query_params
        assert set(app.dataframe[0].value["Host"]) == {"compute-01"}

    def test_charts_are_drawn_on_demand_and_obey_the_filters(self, page: OpenPage) -> None:
        app = page(PAGE, host="compute-02")
        app.toggle(key="mounts.charts").set_value(True).run()
        assert not app.exception
        heat, active, ended = [json.loads(found.proto.spec) for found in app.get("vega_lite_chart")]
        cells = [row for rows in _datasets(app) for row in rows if "Target" in row]
        assert {row["Host"] for row in cells} == {"compute-02"}
        assert {layer["mark"]["type"] for layer in heat["layer"]} == {"rect", "text"}
        assert active["encoding"]["y"]["title"] == "mounts"
        assert ended["encoding"]["x"]["title"] == "mounts that ended"
        assert ended["encoding"]["y"]["axis"]["labelOverlap"] is False, "every bar has its name"

    def test_a_wrong_job_is_said_and_ignored(self, page: OpenPage) -> None:
        app = page(PAGE, job="12x")
        assert "whole number" in _text(app)
        assert len(app.dataframe[0].value) > 0


class TestStory:
    @pytest.mark.parametrize(
        "query",
        [
            {"job": "²"},
            {"entry": "²"},
            {"view": "operations", "cursor": "²"},
            {"view": "history", "since": "0001-01-01", "until": "9999-12-31"},
            {"view": "history", "since": "today"},
        ],
        ids=str,
    )
    def test_an_address_of_nonsense_is_no_failure(
        self, page: OpenPage, query: dict[str, str]
    ) -> None:
        app = page(PAGE, **query)
        assert not app.exception
        assert "went wrong" not in _text(app)

    def test_an_entry_opens_from_its_address(self, page: OpenPage, database: Database) -> None:
        entry = _active(database)[0]
        app = page(PAGE, role="viewer", entry=str(entry.id))
        assert f"Backup job {entry.jobid}" in _text(app)
        assert not [b for b in app.button if b.key in ("mounts.open.unmount", "mounts.open.delete")]

    def test_a_clicked_row_opens_its_entry_which_stays_closed(self, page: OpenPage) -> None:
        app = page(PAGE)
        entry = app.dataframe[0].value["Entry"][1]
        app.session_state["mounts.table.active"] = _marked(1)
        app.run()
        assert f"Entry {entry}," in _text(app)
        app.session_state["mounts.table.active"] = _marked(1)  # the browser keeps its mark
        del app.query_params["entry"]  # as the drawer does when it is closed
        app.run()
        assert f"Entry {entry}," not in _text(app)
        assert "entry" not in app.query_params

    def test_a_list_that_moves_on_leaves_the_tick_on_the_open_entry(
        self, page: OpenPage, database: Database, lab: MountsEnvironment
    ) -> None:
        app = page(PAGE)
        first, second = app.dataframe[0].value["Entry"][:2]
        app.session_state["mounts.table.active"] = _marked(0)
        app.run()
        assert f"Entry {first}," in _text(app)
        with DMSClient(lab.ledger_url, lab.broker_url, 60) as client:
            client.mount(mount_request(jobid=78, target="s3-prod-eu", host="compute-08"))
        app.session_state["mounts.table.active"] = _marked(0)  # the browser ticks places
        app.run()
        assert list(app.dataframe[0].value["Entry"][1:3]) == [first, second], "moved down"
        assert f"Entry {first}," in _text(app)
        assert app.session_state["mounts.table.active"]["selection"]["rows"] == [1]
        app.session_state["mounts.table.active"] = _marked(2)
        app.run()
        assert f"Entry {second}," in _text(app)

    def test_taking_the_tick_away_closes_the_entry(self, page: OpenPage) -> None:
        app = page(PAGE)
        app.session_state["mounts.table.active"] = _marked(1)
        app.run()
        assert "entry" in app.query_params
        app.session_state["mounts.table.active"] = _marked()
        app.run()
        assert "entry" not in app.query_params

    def test_a_marked_operation_stays_the_same_when_another_one_comes(
        self, page: OpenPage, lab: MountsEnvironment
    ) -> None:
        app = page(PAGE, view="operations")
        app.session_state["mounts.table.operations"] = _marked(0)
        app.run()
        before = app.query_params["operation"]
        marked = before if isinstance(before, str) else before[0]
        assert f"Operation {marked}" in _text(app)
        with DMSClient(lab.ledger_url, lab.broker_url, 60) as client:
            client.mount(mount_request(jobid=79, target="s3-prod-eu", host="compute-08"))
        app.session_state["mounts.table.operations"] = _marked(0)
        app.run()
        assert app.dataframe[0].value["Backup job"][0] == 79
        assert f"Operation {marked}" in _text(app)
        assert app.query_params["operation"] == before

    def test_requests_are_shown_masked(
        self, page: OpenPage, lab: MountsEnvironment, database: Database
    ) -> None:
        with DMSClient(lab.ledger_url, lab.broker_url, 60) as client:
            client.mount(mount_request(jobid=77, target="s3-prod-eu", host="compute-08"))
        entry = _active(database, job=77)[0]
        app = page(PAGE, entry=str(entry.id))
        shown = "\n".join(block.value for block in app.code)
        assert '"keystone_token": "***"' in shown
        assert "gAAAA" not in shown

    def test_an_entry_that_is_gone_is_said(self, page: OpenPage) -> None:
        assert "no entry for number 999999" in _text(page(PAGE, entry="999999"))


class TestOrphans:
    def test_what_the_scan_found_is_listed_with_its_evidence(
        self, page: OpenPage, database: Database
    ) -> None:
        assert "never" in _text(page(PAGE, view="orphans"))
        orphans.scan(database, SYSTEM)
        app = page(PAGE, view="orphans", reason="no_queue")
        shown = app.dataframe[0].value
        assert list(shown["Host"]) == ["compute-10"]
        assert list(shown["Why"][0]) == ["too old", "host unseen", "no queue"]
        app = page(PAGE, view="orphans", reason="no_queue", entry=str(shown["Entry"][0]))
        assert "does not exist" in _text(app), "in full: a table cuts it"

    def test_reasons_have_one_name_on_the_whole_page(
        self, page: OpenPage, database: Database
    ) -> None:
        orphans.scan(database, SYSTEM)
        app = page(PAGE, view="orphans", reason="deleted_mounted")
        assert [list(why) for why in app.dataframe[0].value["Why"]] == [["deleted while mounted"]]
        assert app.selectbox(key="mounts.reason").label == "Evidence"
        assert "deleted while mounted (1)" in app.selectbox(key="mounts.reason").options

    def test_an_operator_changes_the_age(self, page: OpenPage, database: Database) -> None:
        app = page(PAGE, role="operator", view="orphans")
        app.number_input(key="mounts.max_age").set_value(48)
        app.button(key="mounts.max_age.save").click().run()
        with database.read() as session:
            assert orphans.watch(session, SYSTEM).max_age_hours == 48

    def test_a_scan_can_be_started(self, page: OpenPage, database: Database) -> None:
        app = page(PAGE, role="operator", view="orphans")
        app.menu_button(key="mounts.more").click("Look for orphans now").run()
        assert _run_job(app, database).state == "succeeded"
        app.run()
        assert len(app.dataframe[0].value) >= 7


class TestActions:
    def test_a_viewer_has_no_buttons(self, page: OpenPage) -> None:
        app = page(PAGE, role="viewer")
        assert not [b for b in app.button if (b.key or "").startswith("mounts.open")]

    def test_mounting_as_json(self, page: OpenPage, database: Database) -> None:
        app = page(PAGE, role="operator")
        app.button(key="mounts.open.mount").click().run()
        app.button_group(key="mounts.mount.way").set_value("As JSON").run()
        request = mount_request(jobid=4711, target="fresh", host="compute-03")
        app.text_area(key="mounts.mount.json").input(json.dumps(request)).run()
        app.button(key="mounts.mount.confirm").click().run()
        job = _run_job(app, database)
        assert job.state == "succeeded"
        assert "fresh on compute-03" in job.subject
        app.run()
        assert 4711 in list(app.dataframe[0].value["Backup job"]), "its row appears"
        assert not app.exception

    def test_a_wrong_request_is_refused_before_any_job(self, page: OpenPage) -> None:
        app = page(PAGE, role="operator")
        app.button(key="mounts.open.mount").click().run()
        app.button_group(key="mounts.mount.way").set_value("As JSON").run()
        app.text_area(key="mounts.mount.json").input('{"host": "compute-01"}').run()
        app.button(key="mounts.mount.confirm").click().run()
        assert "was not sent" in _text(app)
        assert "mounts.job" not in app.session_state
        assert app.text_area(key="mounts.mount.json").value == '{"host": "compute-01"}', "kept"
        app.button(key="mounts.mount.cancel").click().run()
        assert not [box for box in app.text_area if box.key == "mounts.mount.json"]

    def test_a_form_with_holes_is_refused_and_kept(self, page: OpenPage) -> None:
        app = page(PAGE, role="operator")
        app.button(key="mounts.open.mount").click().run()
        app.text_input(key="mounts.mount.host").input("compute-04").run()
        app.button(key="mounts.mount.confirm").click().run()
        assert "needs a target, a host and a backup job" in _text(app)
        assert "mounts.job" not in app.session_state
        assert app.text_input(key="mounts.mount.host").value == "compute-04"

    def test_mounting_by_template_and_unmounting_again(
        self, page: OpenPage, database: Database
    ) -> None:
        app = page(PAGE, role="operator")
        app.menu_button(key="mounts.more").click("New template …").run()
        app.text_input(key="mounts.template.id").input("s3-new")
        app.text_input(key="mounts.template.path").input("/mnt/s3-new")
        app.text_input(key="mounts.template.secret").input("http://barbican/secret").run()
        app.button(key="mounts.template.confirm").click().run()
        app.button(key="mounts.open.mount").click().run()
        app.selectbox(key="mounts.mount.target").set_value("s3-new")
        app.text_input(key="mounts.mount.host").input("compute-04")
        app.number_input(key="mounts.mount.jobid").set_value(8001).run()
        app.button(key="mounts.mount.confirm").click().run()
        assert _run_job(app, database).state == "succeeded"
        [entry] = _active(database, job=8001)
        app = page(PAGE, role="operator", entry=str(entry.id))
        app.button(key="mounts.open.unmount").click().run()
        assert "a physical unmount will be sent" in _text(app)
        app.button(key="mounts.unmount.confirm").click().run()
        assert _run_job(app, database).state == "succeeded"
        assert _active(database, job=8001) == ()

    def test_a_refused_mount_fails_its_job_with_the_servers_words(
        self, page: OpenPage, database: Database
    ) -> None:
        app = page(PAGE, role="operator")
        app.button(key="mounts.open.mount").click().run()
        app.button_group(key="mounts.mount.way").set_value("As JSON").run()
        request = mount_request(jobid=1, target="nfs-archive-offline", host="compute-03")
        app.text_area(key="mounts.mount.json").input(json.dumps(request)).run()
        app.button(key="mounts.mount.confirm").click().run()
        job = _run_job(app, database)
        assert job.state == "failed"
        assert (job.error or "").startswith("The DMS server refused: ")
        assert "permission denied" in (job.error or "")
        assert "replied" not in (job.error or ""), "a word of the code"
        with database.read() as session:
            [line] = jobs.lines(session, SYSTEM, job_id=job.id)
        assert line.line.startswith("The DMS server answered: ")

    def test_unmounting_shows_the_other_jobs(
        self, page: OpenPage, lab: MountsEnvironment, database: Database
    ) -> None:
        with DMSClient(lab.ledger_url, lab.broker_url, 60) as client:
            for jobid in (31, 32):
                client.mount(mount_request(jobid=jobid, target="shared", host="compute-05"))
        [entry] = _active(database, job=31)
        app = page(PAGE, role="operator", entry=str(entry.id))
        app.button(key="mounts.open.unmount").click().run()
        assert "stays mounted for job 32" in _text(app)

    def test_soft_deleting_an_unmounted_entry(self, page: OpenPage, database: Database) -> None:
        with database.read() as session:
            wanted = Filters(mounted=False, deleted=False)
            entry = explorer.list_mounts(session, SYSTEM, filters=wanted).items[0]
        app = page(PAGE, role="operator", view="history", entry=str(entry.id))
        app.button(key="mounts.open.delete").click().run()
        app.button(key="mounts.delete.confirm").click().run()
        assert "marked deleted" in _text(app)
        assert not app.exception

    def test_an_unknown_outcome_can_be_rechecked(self, page: OpenPage, database: Database) -> None:
        with database.read() as session:
            [unknown] = explorer.list_operations(session, SYSTEM, status="unknown").items
            entry = explorer.status(
                session, SYSTEM, job=unknown.jobid, target=unknown.backup_target_id
            )
        app = page(PAGE, role="operator", entry=str(entry.id))
        app.button(key=f"mounts.details.{unknown.operation_id}.recheck").click().run()
        app.button(key="mounts.recheck.confirm").click().run()
        job = _run_job(app, database)
        assert job.state == "failed"
        assert "No answer has come" in (job.error or "")


def test_a_ledger_that_is_away_is_said_on_the_page(open_page: OpenPage, database: Database) -> None:
    url = "mysql+pymysql://user:hidden@127.0.0.1:1/ledger"
    add_environment(database, ledger_url=url, broker_url="memory://nobody")
    app = open_page(PAGE, role="viewer")
    assert not app.exception
    assert "127.0.0.1:1" in _text(app).replace("\\", "")
    assert "hidden" not in _text(app)
