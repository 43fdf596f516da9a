"""The command palette: pages, their parts and what the portal knows, each to whom may see it."""

from streamlit.testing.v1 import AppTest

from backend.connections import environments
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.fixtures.pages import OpenPage


def entries(app: AppTest) -> list[str]:
    return [
        button.label
        for button in app.button
        if (button.key or "").startswith("palette.") and button.key != "palette.open"
    ]


def opened(open_page: OpenPage, role: str, typed: str = "") -> AppTest:
    app = open_page("jobs/page.py", role=role)
    app.button(key="palette.open").click().run()
    return app.text_input(key="palette.typed").set_value(typed).run()


class TestPalette:
    def test_offers_the_pages_of_the_role(self, open_page: OpenPage) -> None:
        assert "Audit log" in entries(opened(open_page, "admin"))
        assert "Audit log" not in entries(opened(open_page, "viewer"))

    def test_what_begins_with_the_letters_is_first_and_has_the_key(
        self, open_page: OpenPage
    ) -> None:
        app = opened(open_page, "admin", "sy")
        assert entries(app)[:2] == ["System", "User sync"]  # in the menu the other way round
        assert {b.label: b.proto.shortcut for b in app.button if b.proto.shortcut} == {
            "System": "ctrl+enter",
            "Search": "ctrl+k",
        }

    def test_finds_a_part_of_a_page_by_other_words(self, open_page: OpenPage) -> None:
        assert entries(opened(open_page, "viewer", "slack")) == ["Notifications: channels"]

    def test_goes_to_what_was_found_and_is_closed(
        self, open_page: OpenPage, database: Database
    ) -> None:
        app = opened(open_page, "viewer", "my acc")
        (entry,) = [b for b in app.button if b.label == "My account"]
        entry.click().run()
        assert app.title[0].value == "My account"
        assert entries(app) == []

    def test_says_when_nothing_is_called_so(self, open_page: OpenPage) -> None:
        app = opened(open_page, "viewer", "zebra")
        assert "Nothing that you may see" in app.info[-1].value

    def test_a_connection_is_found_in_its_environment(
        self, open_page: OpenPage, database: Database
    ) -> None:
        from backend.connections import service

        with database.write() as session:
            environments.add(session, SYSTEM, name="staging")
            service.save(
                session, SYSTEM, environment="staging", kind="directory",
                settings={"endpoint": "http://people.example.org/graphql"},
            )  # fmt: skip
        (label,) = entries(opened(open_page, "viewer", "people.example"))
        assert label.startswith("directory of staging")
