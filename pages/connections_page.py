"""Describe environments, connect them to their systems, and test that the connections work."""

import streamlit as st

from backend.connections import environments, kinds, service, testing
from backend.connections.schemas import ConnectionView, EnvironmentView, TestResult
from backend.core.access import Permission
from pages.shell import calls, flash, guard
from pages.widgets import (
    client_info_panel,
    connection_form,
    connection_tests,
    environments_admin,
    filters,
    status,
    times,
)

_RESULTS = "connections.results"
_KIND_IN_URL = "connections.kind.url"


def ask_environment(known: tuple[EnvironmentView, ...]) -> EnvironmentView:
    """The environment of the URL, else the first one (the default)."""
    by_name = {item.name: item for item in known}
    name = filters.choice(
        "Environment", "environment", list(by_name), key="connections.environment", empty="Default"
    )
    return by_name.get(name, known[0])


def toolbar(environment: EnvironmentView, *, admin: bool) -> None:
    """Test all, manage, add."""
    words = [
        word
        for word, holds in (
            ("default", environment.is_default),
            ("production", environment.is_production),
            ("sandbox", environment.is_sandbox),
        )
        if holds
    ]
    st.markdown(" ".join(status.markdown(word) for word in words) or "&nbsp;")
    if not admin:
        return
    test, manage, add, _ = st.columns([2, 2, 2, 3])
    if test.button(
        "Test all", key="connections.test_all", icon=":material/network_check:", width="stretch"
    ):
        with st.spinner("Testing every connection; this takes 10 seconds at most …"):
            found = calls.run(testing.run_all, environment=environment.name)
        if found is not None:
            st.session_state[_RESULTS] = (environment.name, found)
    with manage.popover("Environment …", icon=":material/edit:", width="stretch"):
        environments_admin.manage(environment)
    with add.popover("Add …", icon=":material/add:", width="stretch"):
        environments_admin.add(first=False)


def all_results(environment: EnvironmentView) -> None:
    """The results of the last "Test all", until they are put away."""
    name, found = st.session_state.get(_RESULTS, ("", ()))
    if name != environment.name:
        return
    with st.container(border=True):
        ok = sum(item.ok for item in found)
        st.markdown(f"**{ok} of {len(found)} connections work**")
        if not found:
            st.caption("No connection is configured yet, so nothing was tested.")
        connection_tests.results(found)
        if st.button("Close", key="connections.results.close"):
            del st.session_state[_RESULTS]
            st.rerun()


def choose_kind(views: dict[str, ConnectionView], latest: dict[str, TestResult]) -> str:
    """The list of the nine kinds with their state; returns the chosen one."""
    signs = {"ok": "🟢", "failed": "🔴", "untested": "⚪", "not set": "·"}

    def label(kind: str) -> str:
        word = connection_tests.word(latest.get(kind), configured=views[kind].version > 0)
        return f"{signs[word]} {kinds.KINDS[kind].label} ({word})"

    names = list(kinds.KINDS)
    wanted = st.query_params.get("kind", "")
    if wanted in names and st.session_state.get(_KIND_IN_URL) != wanted:
        st.session_state["connections.kind"] = wanted  # a link wins over what the widget remembers
    chosen = str(st.radio("Connection", names, format_func=label, key="connections.kind"))
    st.query_params["kind"] = st.session_state[_KIND_IN_URL] = chosen
    return chosen


def panel(view: ConnectionView, last: TestResult | None, *, admin: bool) -> None:
    """Everything about one connection."""
    kind = kinds.KINDS[view.kind]
    st.subheader(kind.label)
    st.caption(kind.purpose)
    if view.version:
        times.caption(f"Changed by {view.updated_by},", view.updated_at)
    place = st.container()
    fresh = act(view, kind) if admin else None
    with place:
        shown = fresh or last
        if shown is not None:
            connection_tests.result(shown)
    if admin and view.kind == "datahub" and view.version:
        with st.container(border=True):
            client_info_panel.draw(view.environment)
    with st.expander("Past tests"):
        connection_tests.history(
            calls.read(testing.history, environment=view.environment, kind=view.kind)
        )


def act(view: ConnectionView, kind: kinds.Kind) -> TestResult | None:
    """Form and buttons; returns the result of a test that was just made."""
    fresh: TestResult | None = None
    if view.configured and st.button(
        "Test connection", key="connections.test", icon=":material/network_check:"
    ):
        with st.spinner(f"Testing {kind.label}; this takes 10 seconds at most …"):
            fresh = calls.run(testing.run, environment=view.environment, kind=view.kind)
    form = connection_form.draw(kind, view)
    if form is not None and form.action == "save":
        connection_form.save(view, kind, form)
    elif form is not None:
        draft = testing.Draft(form.settings, form.secrets)
        with st.spinner(f"Testing {kind.label}; this takes 10 seconds at most …"):
            fresh = calls.run(
                testing.run, environment=view.environment, kind=view.kind, draft=draft
            )
    for state in view.secrets:
        if state.is_set:
            st.button(
                f"Forget the stored {state.field}",
                key=f"connections.clear.{view.kind}.{state.field}",
                icon=":material/key_off:",
                on_click=connection_form.clear_secret,
                args=(view, kind, state.field),
            )
    return fresh


# gate
actor = guard.require(Permission.CONNECTIONS_READ)
st.title("Connections")
flash.show()
may_write = actor.may(Permission.CONNECTIONS_WRITE)
known = calls.read(environments.list_all)
if not known:
    if may_write:
        st.info("No environment yet. Name the first one; its connections come next.")
        environments_admin.add(first=True)
    else:
        st.info("No environment is configured yet. An admin can add one here.")
    st.stop()
# ask
environment = ask_environment(known)
toolbar(environment, admin=may_write)
all_results(environment)
# load
views = {
    view.kind: view for view in calls.read(service.list_connections, environment=environment.name)
}
latest = calls.read(testing.latest, environment=environment.name)
# present and act
left, right = st.columns([1, 3])
with left:
    chosen = choose_kind(views, latest)
with right:
    panel(views[chosen], latest.get(chosen), admin=may_write)
environments_admin.delete_dialog(environment)
