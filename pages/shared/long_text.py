"""A text that is longer than its place."""

import streamlit as st

#: Lines and characters that fit the lowest box also on a phone.
_SHORT = (5, 200)


def draw(text: str, *, language: str | None, height: int) -> None:
    """It scrolls in a box of this many pixels, also by keys: code that scrolls by itself takes no
    focus, a box around its "Copy" does. What is short is only as high as it is."""
    short = text.count("\n") < _SHORT[0] and len(text) <= _SHORT[1]
    with st.container(height="content" if short else height, border=False):
        st.code(text, language=language, wrap_lines=True)
