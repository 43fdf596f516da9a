"""The parts of a page: the address says which, and who presses."""

from streamlit.testing.v1 import AppTest


def _page() -> None:
    import streamlit as st

    from pages.shared import filters

    st.markdown(filters.view({"list": "List", "runs": "Runs"}, "list", key="thing.view"))


def _shown(app: AppTest) -> str:
    assert not app.exception
    shown = app.markdown[0].value
    assert "".join(app.query_params["view"]) == shown, "the address says it, too"
    return shown


def test_a_part_that_is_pressed_is_shown_and_said() -> None:
    app = AppTest.from_function(_page, default_timeout=60).run()
    assert _shown(app) == "list"
    app.button_group(key="thing.view").set_value("runs").run()
    assert _shown(app) == "runs"
    app.query_params["view"] = "list"  # Back
    assert _shown(app.run()) == "list"


def test_what_a_slow_browser_still_shows_is_not_pressed() -> None:
    """The page goes to another part by itself, and a fragment's run follows before it is drawn."""
    app = AppTest.from_function(_page, default_timeout=60).run()
    before = app._tree.get_widget_states()
    app.query_params["view"] = "runs"
    assert _shown(app.run()) == "runs"
    app._run(before)
    assert _shown(app) == "runs"
    (now,) = app.button_group
    now.set_value("list").run()
    assert _shown(app) == "list"
