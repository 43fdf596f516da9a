"""What follows a click on a table's row: it counts once, and what it opens comes into view."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import streamlit as st

from auth import inline

T = TypeVar("T")


def opened(ids: Sequence[T], current: T | None, *, key: str) -> T | None:
    """What is open below a table: the row that was ticked just now, None when the tick of the open
    one was taken away, else `current`. Call it before the table is drawn.

    ids: of the rows about to be drawn; current: what the address names; key: of the table. The
    browser ticks places, and a list moves on under them: a tick is read against the rows it was
    made on, and the tick drawn is always that of what is open.
    """
    drawn, marked = st.session_state.get(f"{key}.drawn", ((), None))
    place = _place(key)
    # A table of a page that was left is forgotten with its tick; that is no click.
    if key in st.session_state and place != marked:
        current = drawn[place] if place is not None and place < len(drawn) else None
    wanted = ids.index(current) if current in ids else None
    if place != wanted:
        rows = [] if wanted is None else [wanted]
        st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    st.session_state[f"{key}.drawn"] = (tuple(ids), wanted)
    return current


def _place(key: str) -> int | None:
    rows = st.session_state[key]["selection"]["rows"] if key in st.session_state else []
    return rows[0] if rows else None


def show(what: Hashable, *, key: str) -> None:
    """Bring the surrounding container into view and focus, once per `what`; call it last inside.

    key: of the container. Details stand below their table, often below the window's edge: a click
    would seem to do nothing.
    """
    if st.session_state.get(f"{key}.shown") != what:
        st.session_state[f"{key}.shown"] = what
        inline.focus("container", (key, what))


def put_away(key: str) -> None:
    """What `show` brought into view was closed; opening it again brings it again."""
    st.session_state.pop(f"{key}.shown", None)
