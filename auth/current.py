"""Who is behind this browser, asked of the database at each call."""

import streamlit as st

from auth import cookies
from backend.accounts import sessions
from backend.accounts.schemas import SignedIn
from backend.core.database import get_database


def session_token() -> str:
    """The raw session cookie of this browser's connection, "" without one."""
    return st.context.cookies.get(cookies.session_name(), "")


def signed_in() -> SignedIn | None:
    """The person and their role as of now, or None."""
    raw = session_token()
    if not raw:
        return None
    with get_database().read() as session:
        return sessions.actor_for(session, raw)
