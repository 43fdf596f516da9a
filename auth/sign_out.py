"""Sign out: the server's session ends first, then the browser's cookie goes."""

import streamlit as st

from auth import current, ticket_form
from auth.paths import SIGN_OUT_PATH
from backend.accounts import sessions
from backend.core.database import get_database


def button(label: str = "Sign out") -> None:
    """A button that signs this browser out and then shows the sign-in form."""
    if st.button(label, key="auth.sign_out", icon=":material/logout:", width="stretch"):
        get_database().change(sessions.sign_out, current.raw_cookie())
        ticket_form.post(SIGN_OUT_PATH, {})
        st.stop()
