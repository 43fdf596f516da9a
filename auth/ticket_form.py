"""How a page makes the browser post a small form to one of the portal's own routes.

Streamlit's script talks over a websocket and can set no cookie, so the browser itself must ask a
route. It posts, so that a ticket is never part of an address that a log or history keeps. The
scripts are constant and their data are in hidden fields: the Content-Security-Policy lists their
hashes.
"""

import html

import streamlit as st

from auth import current
from auth.paths import SIGN_IN_PATH
from backend.accounts import tickets
from backend.core.access import Actor
from backend.core.database import get_database

#: Sends the newest form; an empty `next` becomes the address the person asked for.
POST_SCRIPT = (
    "(()=>{const f=[...document.querySelectorAll('form.portal-ticket-form')].pop();"
    "if(!f||f.dataset.sent)return;f.dataset.sent='1';const n=f.elements.next;"
    "if(n&&!n.value)n.value=location.pathname+location.search;f.submit()})()"
)
SCRIPTS = (POST_SCRIPT,)


def sign_in(actor: Actor) -> None:
    """Give the browser the session cookie of an account whose credentials were just right."""
    ticket = get_database().change(
        tickets.issue, account_id=actor.id, browser=current.browser_nonce()
    )
    post(SIGN_IN_PATH, {"ticket": ticket, "next": ""})


def post(path: str, fields: dict[str, str]) -> None:
    """Make the browser post `fields` to `path`; the answer replaces the page.

    A field `next` with an empty value is filled with the browser's present address.
    """
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    st.html(
        f'<form class="portal-ticket-form" method="post" action="{html.escape(path)}">{inputs}'
        f"</form><script>{POST_SCRIPT}</script>",
        unsafe_allow_javascript=True,
    )
