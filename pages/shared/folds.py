"""A part of a page that is folded up at first."""

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.elements.lib.mutable_expander_container import ExpanderContainer


def fold(
    label: str, *, key: str, expanded: bool = False, icon: str | None = None
) -> "ExpanderContainer":
    """An expander whose state is the server's: what is said above it, by a step-up for one, does
    not fold it up again, and `.open` tells whether what it holds needs to be made."""
    return st.expander(label, expanded=expanded, key=key, on_change="rerun", icon=icon)


def is_made(fold: "ExpanderContainer", *, key: str) -> bool:
    """Whether what it holds is to be drawn: it is open, or was in this session, for what was typed
    in it stays. Fields that nobody sees cost a browser as much as a table."""
    if fold.open:
        st.session_state[f"{key}.made"] = True
    return f"{key}.made" in st.session_state
