"""Confirm dialogs: what fails inside one is still said after it has closed."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from auth import current
from pages.shell.proof import OPEN


@pytest.fixture(autouse=True)
def _signed_in(sign_in_as: Callable[[str | None], None]) -> None:
    sign_in_as("admin")


def _script() -> None:
    import streamlit as st

    from backend.core.errors import Conflict
    from pages.shared import confirm
    from pages.shell import errors, flash

    flash.show()
    if st.button("Delete", key="open"):
        confirm.open_dialog("d")

    def act() -> None:
        errors.show(Conflict("Somebody changed it meanwhile."))

    confirm.ask(
        "d", title="Delete?", body="It goes.", action="Delete it", on_confirm=act, typed="x"
    )


class TestAsk:
    def test_a_refusal_inside_the_dialog_is_shown_after_it_closed(self) -> None:
        app = AppTest.from_function(_script, default_timeout=60).run()
        app.button(key="open").click().run()
        app.text_input(key="d.typed").input("x").run()
        app.button(key="d.confirm").click().run()
        assert [w.value for w in app.warning] == ["Somebody changed it meanwhile."]
        assert not [b for b in app.button if b.key == "d.confirm"]

    def test_the_action_waits_for_the_typed_word(self) -> None:
        app = AppTest.from_function(_script, default_timeout=60).run()
        app.button(key="open").click().run()
        assert app.button(key="d.confirm").disabled
        app.text_input(key="d.typed").input("y").run()
        assert app.button(key="d.confirm").disabled


def _asked() -> None:
    from backend.core.errors import Waiting
    from pages.shell import errors

    for state in ("waiting", "running"):
        errors.show_waiting(Waiting("", {"change_id": 3, "state": state}))


def test_what_was_decided_about_before_is_not_said_to_wait() -> None:
    app = AppTest.from_function(_asked, default_timeout=60).run()
    assert not app.exception
    assert [each.value for each in app.info] == [
        "Nothing was done yet: this needs somebody else's approval. "
        "[Change 3](/changes?change=3) waits for it.",
        "Exactly this was asked for and decided before. [Change 3](/changes?change=3) is running.",
    ]


def with_a_window() -> None:
    """A dialog whose form closes it."""
    import streamlit as st

    from pages.shared import confirm

    def body() -> None:
        st.text_input("Name", key="w.name")
        if st.button("Save", key="w.submit"):
            confirm.close()

    st.button("Open", key="open", on_click=confirm.open_dialog, args=("w",))
    confirm.window("w", title="A window", body=body)


def test_a_window_with_a_form_of_its_own_is_there_until_it_is_done() -> None:
    app = AppTest.from_function(with_a_window).run()
    assert not app.text_input
    app.button(key="open").click().run()
    app.text_input(key="w.name").set_value("typed").run()
    assert app.text_input(key="w.name").value == "typed"
    app.button(key="w.submit").click().run()
    assert not app.exception
    assert not app.text_input


def with_an_opener() -> None:
    import streamlit as st

    from pages.shared import confirm

    def draw() -> None:
        confirm.window("w", title="A window", body=lambda: st.markdown("drawn"))

    confirm.opener("Open …", "w", draw, key="open")


@pytest.mark.parametrize(("is_part", "drawn"), [(True, ["drawn"]), (False, [])])
def test_what_a_button_opens_is_drawn_in_its_own_run_and_else_by_the_page(
    monkeypatch: pytest.MonkeyPatch, is_part: bool, drawn: list[str]
) -> None:
    monkeypatch.setattr(current, "is_part", lambda: is_part)
    app = AppTest.from_function(with_an_opener, default_timeout=60).run()
    assert not app.markdown
    app.button(key="open").click().run()
    assert not app.exception
    assert [each.value for each in app.markdown] == drawn
    assert app.session_state[OPEN] == "w"
