"""What is wrong with a field, said below it."""

import streamlit as st

from backend.core.log import mask_text
from pages.shell.errors import escape


def draw(said: str | None) -> None:
    """One sentence in red; nothing where there is no problem."""
    if said:
        st.markdown(f":red[:material/error: {escape(mask_text(said))}]")
