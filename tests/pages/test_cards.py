"""What a table is in a narrow window: cards that say the same and do the same."""

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.current.narrow", lambda: True)


def opened() -> None:
    """A list whose rows open, longer than what is drawn at first."""
    from datetime import UTC, datetime

    import streamlit as st

    from pages.shared import tables

    when = datetime(2020, 1, 2, tzinfo=UTC)
    items = [(f"*{number}*", "failed" if number else "", when) for number in range(30)]
    found = tables.choose(
        items,
        lambda item: {
            "No.": items.index(item),
            "What": item[0],
            "State": item[1],
            "At": item[2],
            "Shown to nobody": "secret",
        },
        id_of=lambda item: item[0],
        current=tables.remembered("t"),
        key="t",
        alt="Some runs",
        title="What",
        states=("State",),
        hidden=("Shown to nobody",),
    )
    st.text(f"open: {found}")


def pressed() -> None:
    """A list with a button in each row."""
    import streamlit as st

    from pages.shared import tables

    def press(word: str) -> None:
        st.session_state["said"] = f"{word} {st.session_state['do']['row']}"

    button = st.column_config.ButtonColumn("Do", key="do", on_click=press, args=("pressed",))
    tables.show(
        [("one", "Run"), ("two", "☆"), ("three", "")],
        lambda item: {"Name": item[0], "Do": item[1], "Week": [1, 2, 3]},
        key="t",
        alt="Some things",
        config={"Do": button, "Week": st.column_config.BarChartColumn("Week")},
    )
    st.text(st.session_state.get("said", ""))


def ticked() -> None:
    import streamlit as st

    from pages.shared import tables

    if "t" not in st.session_state:
        st.session_state["t"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    names = ["email", "phone", "name"]
    tables.show(names, lambda name: {"Column": name}, key="t", alt="Columns", ticks=True)
    st.text(str(st.session_state["t"]["selection"]["rows"]))


def run(page: Callable[[], None]) -> AppTest:
    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    assert not app.dataframe
    return app


class TestCards:
    def test_say_what_the_row_says_as_text(self) -> None:
        label = run(opened).button[1].label
        assert label.startswith("**\\*1\\***")
        assert "failed" in label
        assert re.search(r":gray\[No\.\] 1 · :gray\[At\] \d+ years ago", label)
        assert "secret" not in label

    def test_open_their_row_and_close_it_again(self) -> None:
        app = run(opened)
        assert app.text[0].value == "open: None"
        assert app.button(key="t.card.3").click().run().text[0].value == "open: *3*"
        assert app.run().text[0].value == "open: *3*"
        assert app.button(key="t.card.3").click().run().text[0].value == "open: None"

    def test_are_some_at_first_and_all_in_the_end(self) -> None:
        app = run(opened)
        assert len(app.button) == 26
        app.button(key="t.cards.more").click().run()
        assert [each.key for each in app.button] == [f"t.card.{number}" for number in range(30)]

    def test_have_the_buttons_of_the_row(self) -> None:
        app = run(pressed)
        assert [each.label for each in app.button] == ["Run", "☆ Do"]
        assert "1, 2, 3" not in app.markdown[0].value
        assert app.button[1].click().run().text[0].value == "pressed 1"

    def test_are_ticked_as_rows_are(self) -> None:
        app = run(ticked)
        assert [each.value for each in app.checkbox] == [False, True, False]
        assert app.checkbox[2].check().run().text[0].value == "[1, 2]"
        assert app.checkbox[1].uncheck().run().text[0].value == "[2]"
