"""Who is behind this browser: the cookie of the websocket's handshake, looked up in the database.

The handshake's cookie grows old in an open tab (after sign-out it is still there), so only the
database's answer counts, and it is asked at each run.
"""

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from auth import attach, cookies, inline, reruns
from backend.accounts import sessions
from backend.accounts.schemas import SignedIn
from backend.core import forwarded
from backend.core.database import get_database
from backend.core.forwarded import RequestView


def signed_in() -> SignedIn | None:
    """Who is signed in now, with the role of now; None for a stranger."""
    raw, found = raw_cookie(), None
    if raw:
        found = get_database().ask(sessions.actor_for, raw, active=not reruns.is_of_timer())
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None:
        account_id = found.actor.id if found else None
        attach.remember(context.session_id, account_id=account_id, browser=browser_nonce())
    return found


def is_part() -> bool:
    """True in the run of a fragment (a dialog is one) alone."""
    context = get_script_run_ctx(suppress_warning=True)
    return bool(context is not None and context.fragment_ids_this_run)


def raw_cookie() -> str:
    """The session cookie's value, "" when there is none."""
    return st.context.cookies.get(cookies.session_name(), "")


def browser_nonce() -> str:
    """What tells this browser apart before anybody signs in, "" when it takes no cookies."""
    return st.context.cookies.get(cookies.browser_name(), "")


def narrow() -> bool:
    """True in a window as narrow as a phone's, as it was when it loaded the portal."""
    return st.context.cookies.get(inline.NARROW_COOKIE) == "1"


def address() -> str:
    """The browser's network address; Streamlit says None for this machine."""
    return st.context.ip_address or "127.0.0.1"


def request() -> RequestView:
    """What is believed about the request that opened this tab's websocket."""
    headers = {name.lower(): value for name, value in st.context.headers.items()}
    return forwarded.describe(
        peer=headers.get(forwarded.PEER_HEADER, ""), scheme="ws", headers=headers
    )


def device() -> str:
    """The cookie of an earlier sign-in of this browser, "" when there is none."""
    return st.context.cookies.get(cookies.device_name(), "")
