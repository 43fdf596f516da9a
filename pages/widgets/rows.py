"""What follows a click on a table's row: it counts once, and what it opens comes into view."""

from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import streamlit as st

from auth import inline

T = TypeVar("T")


def picked(event: Any, ids: Sequence[T], *, key: str) -> T | None:
    """The id of the row that was clicked just now, None otherwise.

    event: what st.dataframe returned; ids: of its rows; key: of the table. A row counts when it is
    clicked, not for as long as it stays marked, so that "Close" closes what the click opened.
    """
    rows = event["selection"]["rows"]
    place = rows[0] if rows and rows[0] < len(ids) else None
    before = st.session_state.get(f"{key}.marked")
    # By its place, not by its id: a list that moves on under the mark is no click.
    st.session_state[f"{key}.marked"] = place
    return ids[place] if place is not None and place != before else None


def show(what: Hashable, *, key: str) -> None:
    """Bring the surrounding container into view, once per `what`; call it last inside.

    key: of the container. Details stand below their table, often below the window's edge: a click
    would seem to do nothing.
    """
    if st.session_state.get(f"{key}.shown") != what:
        st.session_state[f"{key}.shown"] = what
        inline.show_container()


def put_away(key: str) -> None:
    """What `show` brought into view was closed; opening it again brings it again."""
    st.session_state.pop(f"{key}.shown", None)
