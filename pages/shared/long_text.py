"""A text that is longer than its place."""

import streamlit as st


def draw(text: str, *, language: str | None, height: int) -> None:
    """It scrolls in a box of this many pixels, also by keys: code that scrolls by itself takes no
    focus, a box around its "Copy" does."""
    with st.container(height=height, border=False):
        st.code(text, language=language, wrap_lines=True)
