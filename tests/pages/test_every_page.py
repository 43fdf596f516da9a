"""Every page × every role: open to whom it should be, no exception, a title, nothing raw."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from backend.connections import environments
from backend.core.access import PERMISSIONS, SYSTEM, Role
from backend.core.database import Database
from pages.shell import registry
from tests.fixtures.pages import OpenPage

ROLES = [role.value for role in Role]


@pytest.mark.parametrize("page", registry.PAGES, ids=lambda page: page.file)
class TestEveryPage:
    @pytest.mark.parametrize("role", ROLES)
    def test_opens_for_a_role_that_may_and_only_for_it(
        self, open_page: OpenPage, page: registry.Page, role: str
    ) -> None:
        assert page.path.exists()
        app = open_page(page.file, role=role)
        assert not app.exception
        if page.permission in PERMISSIONS[Role(role)]:
            assert app.title[0].value
        else:
            (said,) = [warning.value for warning in app.warning]
            assert said.startswith("This page is for admins and auditors; your role is")
            assert not app.title
            assert not app.dataframe

    def test_shows_a_stranger_nothing_but_the_form(
        self, sign_in_as: Callable[[str | None], None], page: registry.Page
    ) -> None:
        sign_in_as(None)
        app = AppTest.from_file(str(registry.FOLDER / "portal.py"), default_timeout=60).run()
        assert [title.value for title in app.title] == ["Steward Portal"]
        assert len(app.text_input) == 2

    def test_guards_itself_when_run_without_the_portal(
        self, sign_in_as: Callable[[str | None], None], page: registry.Page
    ) -> None:
        sign_in_as(None)
        app = AppTest.from_file(str(page.path), default_timeout=60).run()
        assert not app.exception
        assert [warning.value for warning in app.warning] == [
            "Your session has ended. Sign in again."
        ]
        assert not app.title


class TestEnvironment:
    @pytest.mark.parametrize("name", ["user_sync", "ingestion"])
    def test_the_default_one_is_named_and_another_one_gets_into_the_address(
        self, open_page: OpenPage, database: Database, name: str
    ) -> None:
        with database.write() as session:
            for known in ("Alpha", "Production"):
                environments.add(session, SYSTEM, name=known, default=known == "Production")
        app = open_page(f"{name}/page.py", role="viewer")
        chosen = app.selectbox(key="shell.environment.choice")
        assert (chosen.value, chosen.options) == ("Production", ["Production", "Alpha"])
        chosen.set_value("Alpha").run()
        assert app.query_params["environment"] in ("Alpha", ["Alpha"])
        assert app.selectbox(key="shell.environment.choice").value == "Alpha"


class TestRoleChange:
    def test_a_role_removed_in_an_open_tab_counts_at_the_next_click(
        self, open_page: OpenPage, sign_in_as: Callable[[str | None], None]
    ) -> None:
        app = open_page("jobs/page.py", role="admin")
        assert app.title[0].value == "Runs"
        sign_in_as(None)
        app.run()
        assert [title.value for title in app.title] == ["Steward Portal"]


class TestStateDatabaseAway:
    def test_shows_a_kind_page_and_works_again_afterwards(
        self, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = open_page("jobs/page.py")
        gone = Database("postgresql+psycopg2://nobody:planted-secret@127.0.0.1:1/x")
        with monkeypatch.context() as patch:
            patch.setattr("pages.shell.calls.get_database", lambda: gone)
            app.run()
            shown = [error.value for error in app.error]
            assert shown
            assert all("not available" in text for text in shown)
            assert "planted-secret" not in str(shown)
        app.run()
        assert not app.error
        assert app.title[0].value == "Runs"
