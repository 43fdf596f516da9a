"""What the portal believes about the request that this page came by: proxy, address, scheme."""

import streamlit as st

from auth import current
from pages.shared import tables
from pages.shell.errors import escape


def show() -> None:
    """For who sets up a proxy: both sides of it, and what does not fit."""
    view = current.request()
    for warning in view.warnings:
        st.warning(escape(warning), icon=":material/warning:")
    if not view.warnings:
        st.success("The proxy and the settings match.", icon=":material/check_circle:")
    st.caption(escape(view.why))
    rows = {
        "Client address": view.client_address,
        "Scheme": view.scheme,
        "Host": view.host,
        "Public address": view.public_url,
        "Peer": f"{view.peer} ({'trusted proxy' if view.peer_trusted else 'no trusted proxy'})",
        "X-Forwarded-For": view.forwarded_for or "not sent",
        "X-Forwarded-Proto": view.forwarded_proto or "not sent",
        "Trusted proxies": ", ".join(view.trusted_proxies) or "none",
    }
    tables.show(
        list(rows.items()),
        lambda each: {"What": each[0], "Believed": each[1]},
        key="accounts.request",
        alt="What the portal believes about this request",
        height="content",
    )
