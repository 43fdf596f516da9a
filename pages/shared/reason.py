"""The one field for why somebody asks, and what is done with it: it goes with the next call."""

from contextlib import AbstractContextManager

import streamlit as st

from backend.core import reasons


def field(name: str) -> None:
    """Beside a button or in a form or dialog whose action a policy may put under approval."""
    st.text_input(
        "Reason (optional)",
        key=f"{name}.reason",
        max_chars=reasons.MAX_TEXT,
        placeholder="why now; whoever decides about it sees it",
    )


def given(name: str) -> AbstractContextManager[None]:
    """Within the block services are told what that field holds."""
    return reasons.given(st.session_state.get(f"{name}.reason") or "")
