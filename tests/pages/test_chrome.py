"""The sandbox banner above every page: what it says, and that leaving is asked about first."""

from typing import Any

import pytest
import streamlit as st
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.jobs.enqueue import enqueue
from backend.models import Job
from backend.sandbox import control
from pages.shell import chrome
from tests.fixtures.pages import OpenPage

LEAVE = "chrome.leave_sandbox"


@pytest.fixture
def sandboxed(database: Database) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name=control.ENVIRONMENT, is_sandbox=True)


def _names(database: Database) -> list[str]:
    with database.read() as session:
        return [e.name for e in environments.list_all(session, SYSTEM)]


class TestLeavingTheSandbox:
    def test_one_click_only_asks_and_says_what_goes_and_how_it_comes_back(
        self, open_page: OpenPage, database: Database, sandboxed: None
    ) -> None:
        app = open_page("jobs/page.py")
        app.button(key=LEAVE).click().run()
        assert _names(database) == [control.ENVIRONMENT]
        said = " ".join(item.value for item in app.markdown)
        assert "for everybody" in said
        assert "SANDBOX=on" in said
        app.button(key=f"{LEAVE}.cancel").click().run()
        assert _names(database) == [control.ENVIRONMENT]

    def test_the_confirmed_leave_ends_it_and_says_so(
        self, open_page: OpenPage, database: Database, sandboxed: None
    ) -> None:
        app = open_page("jobs/page.py")
        app.button(key=LEAVE).click().run()
        app.button(key=f"{LEAVE}.confirm").click().run()
        assert not app.exception
        assert _names(database) == []
        assert any("The sandbox is gone" in item.value for item in app.success)

    def test_only_admins_have_the_button(self, open_page: OpenPage, sandboxed: None) -> None:
        app = open_page("jobs/page.py", role="operator")
        assert not [b for b in app.button if b.key == LEAVE]


class TestProduction:
    def test_is_said_in_red_on_every_page_and_in_dialogs(
        self, open_page: OpenPage, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="staging", default=True)
            environments.add(session, SYSTEM, name="prod", is_production=True)

        def said(app: AppTest) -> list[str]:
            return [item.value for item in app.markdown if "red-badge" in item.value]

        assert said(open_page("user_sync/page.py")) == []
        app = open_page("user_sync/page.py", environment="prod")
        assert ["prod" in text for text in said(app)] == [True]
        app.switch_page("ingestion/page.py").run()
        assert app.query_params["environment"] in ("prod", ["prod"]), "chosen for the session"
        assert ["prod" in text for text in said(app)] == [True]
        assert ["prod" in text for text in said(app.switch_page("audit/page.py").run())] == [True]

    def test_an_environment_that_is_gone_is_not_kept(
        self, open_page: OpenPage, database: Database
    ) -> None:
        with database.write() as session:
            environments.add(session, SYSTEM, name="staging", default=True)
        app = open_page("user_sync/page.py", environment="gone")
        assert "no environment gone" in app.warning[0].value


class TestTheTab:
    @pytest.mark.parametrize(
        ("by", "state", "expected"),
        [
            ("admin@example.org", "running", [chrome.ICON, chrome.ICON_AT_WORK]),
            ("admin@example.org", "queued", [chrome.ICON, chrome.ICON_AT_WORK]),
            ("admin@example.org", "failed", [chrome.ICON]),
            ("somebody@example.org", "running", [chrome.ICON]),
        ],
    )
    def test_says_that_ones_own_work_is_under_way(
        self,
        open_page: OpenPage,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        by: str,
        state: str,
        expected: list[str],
    ) -> None:
        with database.write() as session:
            kind = "connections.refresh_client_info"
            job = enqueue(session, SYSTEM, kind, {}, subject="all of them")
            values = {"actor_name": by, "state": state}
            session.execute(update(Job).where(Job.id == job).values(values))
        said: list[str] = []
        icon = st.set_page_config

        def told(**config: Any) -> None:
            said.append(config["page_icon"])
            icon(**config)

        monkeypatch.setattr(st, "set_page_config", told)
        open_page("overview/page.py")
        assert said == expected
