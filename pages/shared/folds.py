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
