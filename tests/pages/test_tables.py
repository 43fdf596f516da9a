"""The one table: states in colour, what a row opens, and the CSV of what the filters find."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from pages.shared import tables

Saved = dict[str, Callable[[], bytes]]


def drawn() -> None:
    """A page with one table, as AppTest runs it."""
    from datetime import UTC, datetime

    import streamlit as st

    from pages.shared import tables

    items = [(7, "failed", datetime(2026, 1, 2, tzinfo=UTC), ""), (8, "under_way", None, "")]
    opened = tables.choose(
        items,
        lambda item: {
            "No.": item[0],
            "State": item[1],
            "At": item[2],
            "Note": item[3],
            "Why": ["=1+1", "b"],
        },
        id_of=lambda item: item[0],
        current=tables.remembered("t"),
        key="t",
        alt="Some runs",
        states=("State",),
        hidden=("Why",),
        optional=("Note",),
        file="runs",
    )
    st.text(f"open: {opened}")


def mixed() -> None:
    """A page whose table has a column of values without a common type."""
    from pages.shared import tables

    rows = [(1, 2**70), ("two", [3]), (None, {"four": 5})]

    def line(row: tuple[object, object]) -> dict[str, object]:
        return {"Before": row[0], "After": row[1], "By": "half a smile \ud83d"}

    tables.show(rows, line, key="m", alt="Changes")


class TestTable:
    def test_values_without_a_common_type_are_shown_as_text(self) -> None:
        app = AppTest.from_function(mixed, default_timeout=60).run()
        assert not app.exception
        frame = app.dataframe[0].value
        assert frame["Before"].fillna("").tolist() == ["1", "two", ""]
        assert frame["After"].tolist() == [str(2**70), "[3]", "{'four': 5}"]
        assert frame["By"].tolist() == ["half a smile ?"] * 3

    def test_states_are_chips_and_what_says_nothing_is_left_out(self, saved: Saved) -> None:
        app = AppTest.from_function(drawn, default_timeout=60).run()
        assert not app.exception
        frame = app.dataframe[0].value
        assert list(frame.columns) == ["No.", "State", "At"]
        assert [*map(list, frame["State"])] == [["failed"], ["under way"]]
        assert app.dataframe[0].proto.alt.startswith("Some runs")

    def test_the_csv_has_words_and_exact_times_and_no_formula(self, saved: Saved) -> None:
        AppTest.from_function(drawn, default_timeout=60).run()
        lines = saved["Download CSV"]().decode("utf-8-sig").splitlines()
        assert lines[0] == "No.,State,At,Note,Why"
        assert lines[1] == '7,failed,2026-01-02T00:00:00Z,,"\'=1+1, b"'
        assert lines[2] == '8,under_way,,,"\'=1+1, b"'

    def test_a_ticked_row_stays_open(self, saved: Saved) -> None:
        app = AppTest.from_function(drawn, default_timeout=60).run()
        app.session_state["t"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
        assert app.run().text[0].value == "open: 8"
        assert app.run().text[0].value == "open: 8"


class TestWalk:
    def test_ends_with_the_list_or_at_the_bound(self) -> None:
        asked: list[int | None] = []

        def load(cursor: int | None) -> tuple[list[int], int | None]:
            asked.append(cursor)
            first = cursor or 0
            return list(range(first, first + 3)), first + 3 if first < 6 else None

        assert list(tables.walk(load)) == list(range(9))
        assert asked == [None, 3, 6]
        assert list(tables.walk(load, most=4)) == [0, 1, 2, 3]


def with_a_foot() -> None:
    """A list of several pages."""
    from pages.shared import filters, tables

    tables.show(
        [1],
        lambda number: {"No.": number},
        key="t",
        alt="Numbers",
        file="numbers",
        foot=lambda: filters.pages(2, parameter="before", key="t"),
    )


def test_the_csv_and_the_other_pages_are_on_one_line() -> None:
    app = AppTest.from_function(with_a_foot).run()
    assert not app.exception
    below = app.main.children[1]
    assert next(each.type for each in below.children.values()) == "download_button"
    assert [each.label for each in app.button] == ["Next page"], "the first one is this one"
    app.button(key="t.next").click().run()
    assert app.query_params["before"] == "2"
    assert [each.label for each in app.button] == ["First page", "Next page"]
