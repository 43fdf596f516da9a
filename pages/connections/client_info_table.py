"""Client info of every environment, for admins: find, correct by hand, delete, export."""

from typing import Any

import streamlit as st

from backend.connections import client_info_admin
from backend.connections.client_info_admin import EDITABLE, STATUSES
from backend.connections.schemas import ClientInfoView
from backend.core.errors import FieldInvalid
from pages.connections import problem
from pages.shared import confirm, filters, status, tables, times
from pages.shell import calls, flash
from pages.shell.errors import escape
from pages.shell.style import FORM_WIDTH

_TABLE = "connections.client_info.table"
_DELETE = "connections.client_info.delete"
_LABELS = {
    "client_id": "Client ID",
    "server_id": "Server ID",
    "frontend_base_url": "Frontend base URL",
}


def draw(environments: list[str], *, admin: bool) -> None:
    """Filters, the table, and what an admin can do with the chosen row."""
    wanted = _ask(environments)
    found = calls.read(client_info_admin.search, **wanted)
    if not found:
        st.info("No environment fits these filters.")
        return
    chosen = _table(found)
    tables.download_text(
        "client-info",
        lambda: calls.fetch(client_info_admin.export, **wanted),
        key="connections.client_info.csv",
    )
    if chosen is not None:
        _chosen(chosen, admin=admin)


def _ask(environments: list[str]) -> dict[str, str]:
    text, state, name = st.columns([2, 1, 1])
    with text:
        part = filters.text(
            "Search",
            "search",
            key="connections.client_info.search",
            placeholder="client id, server id or environment",
        )
    with state:
        word = filters.choice("Status", "status", STATUSES, key="connections.client_info.status")
    with name:
        environment = filters.choice(
            "Environment",
            "of",
            environments,
            key="connections.client_info.environment",
            shown=str,
        )
    return {"text": part, "status": word, "environment": environment}


def _table(found: tuple[ClientInfoView, ...]) -> ClientInfoView | None:
    opened = tables.choose(
        found,
        _row,
        id_of=lambda item: item.environment,
        current=tables.remembered(_TABLE),
        key=_TABLE,
        alt="Client info, one row per environment",
        states=("Status",),
    )
    return next((item for item in found if item.environment == opened), None)


def _row(item: ClientInfoView) -> dict[str, Any]:
    return {
        "Environment": item.environment,
        "Status": item.connection_status,
        "Client ID": item.client_id,
        "Server ID": item.server_id,
        "Frontend base URL": item.frontend_base_url,
        "Last updated": item.last_updated,
        "Error": item.error_message,
        "Edited by": item.edited_by,
    }


def _chosen(item: ClientInfoView, *, admin: bool) -> None:
    with st.container(border=True):
        mark = status.markdown(item.connection_status)
        st.markdown(f"**{escape(item.environment)}** {mark}")
        if item.edited_by:
            times.caption(f"Changed by hand by {item.edited_by},", item.edited_at)
        if item.last_updated is None:
            st.caption("Nothing is stored. It comes with the first successful DataHub test.")
        elif admin:
            _actions(item)


def _actions(item: ClientInfoView) -> None:
    _edit_form(item)
    if st.button("Delete …", key=f"{_DELETE}.open", icon=":material/delete:"):
        confirm.open_dialog(_DELETE)
    confirm.ask(
        _DELETE,
        title="Delete this client info?",
        body=f"What is stored about the DataHub of {item.environment} is deleted. "
        "The next successful test brings it back.",
        action="Delete it",
        on_confirm=lambda: _delete(item),
    )


def _edit_form(item: ClientInfoView) -> None:
    base = f"connections.client_info.{item.environment}.{item.last_updated}.{item.edited_at}"
    problems = st.session_state.pop(f"{base}.problems", {})
    values = {}
    with st.form(f"{base}.form", border=False, width=FORM_WIDTH):
        for name, longest in EDITABLE.items():
            values[name] = st.text_input(
                _LABELS[name], value=getattr(item, name), max_chars=longest, key=f"{base}.{name}"
            )
            problem.draw(problems.get(name))
        st.caption("What you change is marked as yours until DataHub is asked again.")
        saved = st.form_submit_button("Save", type="primary", key=f"{base}.save")
    changed = {name: value for name, value in values.items() if value != getattr(item, name)}
    if saved and changed:
        try:
            done = calls.write(
                client_info_admin.edit,
                environment=item.environment,
                values=changed,
                raising=FieldInvalid,
            )
        except FieldInvalid as exc:
            st.session_state[f"{base}.problems"] = exc.problems
            flash.warning(escape(exc.message))
            st.rerun()
        if done is not None:
            flash.success(f"Client info of {escape(item.environment)} is changed.")
            st.rerun()


def _delete(item: ClientInfoView) -> bool:
    done = calls.write(client_info_admin.remove, environment=item.environment)
    if done is not None:
        flash.success(f"Client info of {escape(item.environment)} is deleted.")
    return done is not None
