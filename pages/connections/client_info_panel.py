"""DataHub client info of an environment, for admins."""

import streamlit as st

from backend.connections import client_info
from backend.connections.schemas import ClientInfoView
from pages.shared import beside, folds, status, times
from pages.shell import calls, flash
from pages.shell.errors import escape

_ASKED = "connections.client_info"


def draw(environment: str) -> None:
    """What DataHub said about itself when it was last asked, and a button to ask again."""
    info = calls.read(client_info.get, environment=environment)
    head, button = st.columns([4, 1], vertical_alignment="center")
    with head:
        marks = [status.markdown(info.connection_status)]
        if info.stale and info.connection_status == "connected":
            marks.append(status.markdown("stale"))
        st.markdown("**Client info** " + " ".join(marks))
    with button:
        beside.button(
            "Refresh",
            _ASKED,
            environment,
            calls.bound(client_info.refresh, environment=environment),
            icon=":material/refresh:",
        )
    _refreshed(environment)
    if info.connection_status == "unknown":
        st.caption("It is fetched by itself after the first successful DataHub test.")
        return
    if info.error_message:
        st.warning(escape(info.error_message), icon=":material/warning:")
    _facts(info)
    told = folds.fold("Server configuration", key="connections.server_config")
    if told.open:
        told.json(dict(info.server_config), expanded=1)


def _facts(info: ClientInfoView) -> None:
    left, right = st.columns(2)
    with left:
        _fact("Client ID", info.client_id)
        _fact("Server ID", info.server_id)
    with right:
        _fact("Frontend base URL", info.frontend_base_url)
        times.caption("Last connection test", info.last_connection_test)
        times.caption("Last updated", info.last_updated)
        times.caption("Created", info.created_at)


def _fact(label: str, value: str) -> None:
    """A value to read and to copy."""
    st.caption(label)
    st.code(value or "–", language=None, wrap_lines=True)


def _refreshed(environment: str) -> None:
    with beside.pressed(_ASKED, environment) as done:
        if done is None:
            return
    if done.outcome == "refreshed":
        flash.success(f"Client info is refreshed: {escape(done.client_id)}")
    else:
        flash.warning(f"Client info was not refreshed: {escape(done.error)}")
    st.rerun()
