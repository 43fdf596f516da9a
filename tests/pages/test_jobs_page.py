"""The jobs page: what runs, what ended, and stopping it."""

import json

import pytest

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs import runner, service
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext, job
from tests.fixtures.pages import OpenPage, unfold


@pytest.fixture
def queued(database: Database) -> int:
    @job("test.page", title="A job <b>of</b> tests")
    def run(ctx: JobContext) -> dict[str, int]:
        ctx.log("first line")
        return {"n": 1}

    with database.write() as session:
        return enqueue(session, SYSTEM, "test.page", {}, subject="something *special*")


class TestJobsPage:
    def test_an_empty_list_says_what_appears_here(self, open_page: OpenPage) -> None:
        app = open_page("jobs/page.py")
        assert "No run fits" in app.info[0].value

    def test_a_waiting_job_can_be_cancelled(
        self, open_page: OpenPage, queued: int, database: Database
    ) -> None:
        app = open_page("jobs/page.py")
        app.button(key=f"jobs.open.cancel.{queued}").click().run()
        with database.read() as session:
            assert service.get(session, SYSTEM, job_id=queued).state == "cancelled"
        assert not app.exception

    def test_a_viewer_sees_jobs_and_no_cancel_button(
        self, open_page: OpenPage, queued: int
    ) -> None:
        app = open_page("jobs/page.py", role="viewer")
        assert not [b for b in app.button if "cancel" in (b.key or "")]
        assert any("something" in m.value for m in app.markdown)

    def test_a_job_opens_from_its_address_with_its_log(
        self, open_page: OpenPage, queued: int, database: Database
    ) -> None:
        runner.run(queued, database)
        app = open_page("jobs/page.py", job=str(queued))
        assert app.code[0].value == "first line"
        said = [each.value for each in app.caption]
        assert any(each.startswith("Created by system ") for each in said)
        assert any(each.startswith("Ended ") for each in said)
        assert any("test.page" in each for each in said)
        assert json.loads(app.json[0].value) == {"n": 1}

    def test_titles_of_jobs_are_text_and_not_markup(self, open_page: OpenPage, queued: int) -> None:
        app = open_page("jobs/page.py")
        assert not any("<b>" in m.value for m in app.markdown)

    def test_days_are_a_chart_that_can_be_read_too(
        self, open_page: OpenPage, queued: int, database: Database
    ) -> None:
        runner.run(queued, database)
        app = open_page("jobs/page.py")
        (chart,) = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
        assert "1 run in 14 days; 0 of them failed" in chart.proto.spec
        numbers = next(box for box in app.expander if box.label == "The numbers as a table")
        assert not numbers.dataframe  # nobody has opened it yet
        app = unfold(app, "numbers.Runs per day, last 14 days (UTC)")
        assert app.dataframe[-1].value["succeeded"].sum() == 1

    def test_a_list_that_moves_on_leaves_the_tick_on_the_open_job(
        self, open_page: OpenPage, queued: int, database: Database
    ) -> None:
        runner.run(queued, database)
        app = open_page("jobs/page.py", state="succeeded")
        app.session_state["jobs.table"] = _marked(0)
        app.run()
        assert app.query_params["job"] in (str(queued), [str(queued)])
        assert app.code[0].value == "first line"
        with database.write() as session:
            newer = enqueue(session, SYSTEM, "test.page", {}, subject="another")
        runner.run(newer, database)
        app.session_state["jobs.table"] = _marked(0)  # the browser ticks places
        app.run()
        assert app.query_params["job"] in (str(queued), [str(queued)])
        assert app.session_state["jobs.table"]["selection"]["rows"] == [1]
        app.session_state["jobs.table"] = _marked()
        app.run()
        assert "job" not in app.query_params
        assert not app.code


def _marked(*places: int) -> dict[str, object]:
    return {"selection": {"rows": list(places), "columns": [], "cells": []}}
