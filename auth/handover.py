"""How a page makes the browser post a small form to one of the portal's own routes.

Streamlit's script talks over a websocket and can set no cookie, so the browser itself must ask a
route. It posts, so that a ticket is never part of an address that a log or history keeps. The
script is constant and its data are in hidden fields: the Content-Security-Policy names its hash.
"""

import html

import streamlit as st

#: Sends the last form on the page; `next` becomes the address the person asked for.
SCRIPT = (
    "(()=>{const f=[...document.querySelectorAll('form.portal-handover')].pop();"
    "if(!f||f.dataset.sent)return;f.dataset.sent='1';"
    "if(f.elements.next)f.elements.next.value=location.pathname+location.search;"
    "f.submit()})()"
)


def post(path: str, fields: dict[str, str]) -> None:
    """Make the browser post `fields` to `path`; the answer replaces the page.

    A field `next` with an empty value is filled with the browser's present address.
    """
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    st.html(
        f'<form class="portal-handover" method="post" action="{html.escape(path)}">{inputs}'
        f"</form><script>{SCRIPT}</script>",
        unsafe_allow_javascript=True,
    )
