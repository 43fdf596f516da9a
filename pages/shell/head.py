"""The first line of every page: what it is called and, beside it, what it is for."""

import streamlit as st

from auth import inline
from pages.shell import flash

#: Opens beside the page, which keeps what was typed on it. Not part of the caption, whose links
#: are too pale.
_WORDS = "[Glossary](/glossary)"


def draw(title: str, purpose: str) -> None:
    """One line high: the page's own work begins below it. purpose: one sentence."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="head"):
        # Not a link target: its anchor would be a Tab stop before everything else.
        st.title(title, anchor=False, width="content")
        st.caption(purpose, width="content")
        if title != "Glossary":
            with st.container(width="content", key="head.words"):
                st.markdown(_WORDS, width="content")
        inline.focus("title", title)  # a new page begins here, not at the menu
        flash.draw_passing()  # below the mark, which would be another one with it, and act again
