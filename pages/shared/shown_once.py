"""A secret that was just made: drawn in one run, forgotten in the next."""

import streamlit as st

_KEY = "shown_once"


def keep(title: str, secret: str) -> None:
    """Keep it for the run that follows."""
    st.session_state[_KEY] = (title, secret)


def show() -> None:
    """Draw and forget it."""
    kept = st.session_state.pop(_KEY, None)
    if kept is None:
        return
    title, secret = kept
    with st.container(border=True):
        st.warning(
            f"{title} Copy it now: it is shown only this once.", icon=":material/content_copy:"
        )
        st.code(secret, language=None, wrap_lines=True)
