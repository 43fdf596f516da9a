"""The sandbox banner above every page: what it says, and that leaving is asked about first."""

import pytest

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.sandbox import control
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
