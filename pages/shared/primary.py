"""The key of what matters most on a page, or in a dialog that is filled in.

The browser presses every button that has it. So a page's own gives it up while something lies over
the page, and of a dialog only what had to be filled in first is confirmed by it: a key that is held
down may open a question and never says yes to it.
"""

import streamlit as st

from pages.shell.proof import OPEN

KEY = "Ctrl+Enter"


def key(*drawers: str) -> str | None:
    """`shortcut=` of a page's own button. drawers: parameters of the address whose drawer may be
    over it."""
    covered = OPEN in st.session_state or any(st.query_params.get(each) for each in drawers)
    return None if covered else KEY
