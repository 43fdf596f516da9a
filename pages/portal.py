"""The Streamlit script: sign-in gate, then the pages this person may see."""

import streamlit as st

from auth import sign_in
from backend.core.errors import PortalError
from pages.shell import chrome, errors, guard, registry

st.set_page_config(page_title="Steward Portal", page_icon=":material/shield_person:", layout="wide")

try:
    session = guard.signed_in()
    if session is None:
        # Only the sign-in form exists for a stranger; the address they asked for is kept.
        entry = st.Page(sign_in.page, title="Sign in", default=True)
        st.navigation([entry], position="hidden").run()
        st.stop()
    sections: dict[str, list[st.Page]] = {}
    for page in registry.PAGES:
        if page.path.exists() and session.actor.may(page.permission):
            sections.setdefault(page.section, []).append(
                st.Page(
                    page.path,
                    title=page.title,
                    icon=page.icon,
                    url_path=page.url_path,
                    default=page.url_path == "",
                )
            )
    chosen = st.navigation(sections)
    chrome.draw(session)
    chosen.run()
except PortalError as exc:
    errors.show(exc)
