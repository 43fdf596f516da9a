"""What the portal's words mean, linked from the first sentence of every page."""

import streamlit as st

from backend.core import glossary
from backend.core.access import Permission
from pages.shell import guard, head

# gate
guard.require(Permission.OVERVIEW_READ)
head.draw("Glossary", "What the words of this portal mean; each has one meaning everywhere.")
# present
for word, meaning in glossary.TERMS.items():
    st.markdown(f"**{word}**: {meaning}")
