"""Ctrl+Enter: the browser presses every button that has it, so one at most has it."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.fixtures.pages import OpenPage


@pytest.fixture(autouse=True)
def _signed_in(sign_in_as: Callable[[str | None], None]) -> None:
    sign_in_as("admin")


def _script() -> None:
    import streamlit as st

    from pages.shared import confirm, primary

    st.button("New …", shortcut=primary.key("entry"), on_click=confirm.open_dialog, args=("new",))
    st.button("End …", key="end", on_click=confirm.open_dialog, args=("end",))
    confirm.ask(
        "new", title="New", body=lambda: None, action="Make", on_confirm=lambda: None, form=True
    )
    confirm.ask("end", title="End?", body="It ends.", action="End it", on_confirm=lambda: None)


def having_it(app: AppTest) -> list[str]:
    return [button.label for button in app.button if button.proto.shortcut == "ctrl+enter"]


class TestKey:
    def test_the_page_gives_it_up_to_a_form_and_has_it_again(self) -> None:
        app = AppTest.from_function(_script, default_timeout=60).run()
        assert having_it(app) == ["New …"]
        app.button[0].click().run()
        assert having_it(app) == ["Make"]
        app.button(key="new.cancel").click().run()
        assert having_it(app) == ["New …"]

    def test_nothing_has_it_while_a_plain_question_is_open(self) -> None:
        app = AppTest.from_function(_script, default_timeout=60).run()
        app.button(key="end").click().run()
        assert "End it" in [button.label for button in app.button]
        assert having_it(app) == []

    def test_a_drawer_takes_it_from_the_page(self) -> None:
        app = AppTest.from_function(_script, default_timeout=60)
        app.query_params["entry"] = "7"
        assert having_it(app.run()) == []

    def test_the_search_has_it_once_something_is_typed(self, open_page: OpenPage) -> None:
        app = open_page("mounts/page.py")  # which stops, for there is no environment
        app.button(key="palette.open").click().run()
        assert having_it(app) == []
        app.text_input(key="palette.typed").set_value("system").run()
        assert having_it(app) == ["System"]
