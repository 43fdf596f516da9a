"""Describe environments, connect them to their systems, and test that the connections work."""

from collections.abc import Callable
from typing import Any

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
    status,
    times,
)

_RESULTS = "connections.results"


def linked(draw: Callable[..., Any], label: str, parameter: str, options: list[str]) -> str:
    """One of `options`, kept in the address; a link wins over what the widget remembers."""
    key, seen = f"connections.{parameter}", f"connections.{parameter}.url"
    wanted = st.query_params.get(parameter, "")
    # Streamlit forgets a widget of a page that was left; Back must find what the address says.
    if wanted in options and (st.session_state.get(seen) != wanted or key not in st.session_state):
        st.session_state[key] = wanted
    known = st.session_state.get(key)
    # Said in every run: the browser remembers the choice by its label, and goes on showing an
    # environment that was just deleted. What it names in vain is the address's, else the first.
    st.session_state[key] = next(value for value in (known, wanted, options[0]) if value in options)
    chosen = str(draw(label, options, key=key))
    st.query_params[parameter] = st.session_state[seen] = chosen
    return chosen


def ask_environment(known: tuple[EnvironmentView, ...]) -> EnvironmentView:
    """The environment of the address, else the first one (the default)."""
    by_name = {item.name: item for item in known}

    def draw(label: str, options: list[str], key: str) -> str:
        return str(st.selectbox(label, options, format_func=lambda n: _named(by_name[n]), key=key))

    return by_name[linked(draw, "Environment", "environment", list(by_name))]


def _named(environment: EnvironmentView) -> str:
    marks = (
        ("default", environment.is_default),
        ("production", environment.is_production),
        ("sandbox", environment.is_sandbox),
    )
    words = ", ".join(word for word, holds in marks if holds)
    return f"{environment.name} ({words})" if words else environment.name


def toolbar(known: tuple[EnvironmentView, ...], *, admin: bool) -> EnvironmentView:
    """Which environment, and what an admin can do with it."""
    choice, test, manage, add = st.columns([5, 2, 2, 2], vertical_alignment="bottom")
    with choice:
        environment = ask_environment(known)
    if not admin:
        return environment
    if test.button(
        "Test all", key="connections.test_all", icon=":material/network_check:", width="stretch"
    ):
        with st.spinner("Testing every connection; this takes 10 seconds at most …"):
            found = calls.run(testing.run_all, environment=environment.name)
        if found is not None:
            st.session_state[_RESULTS] = (environment.name, found)
    with manage.popover("Edit …", icon=":material/edit:", width="stretch"):
        environments_admin.manage(environment)
    with add.popover("Add …", icon=":material/add:", width="stretch"):
        environments_admin.add(first=False)
    return environment


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

    def state(kind: str) -> str:
        view = views[kind]
        there = view.version > 0 or any(secret.is_set for secret in view.secrets)
        return status.markdown(connection_tests.word(latest.get(kind), configured=there))

    def draw(title: str, options: list[str], key: str) -> str:
        # The browser names its choice by the label: a label that a test changes would lose the
        # choice of somebody who clicks while the page is being redrawn.
        return str(
            st.radio(
                title,
                options,
                format_func=lambda kind: kinds.KINDS[kind].label,
                captions=[state(kind) for kind in options],
                key=key,
            )
        )

    return linked(draw, "Connection", "kind", list(kinds.KINDS))


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
            connection_form.forget_secret(view, kind, state.field)
    return fresh


# gate
actor = guard.require(Permission.CONNECTIONS_READ)
st.title("Connections")
flash.show()
may_write = guard.allowed(actor, Permission.CONNECTIONS_WRITE, "change and test connections")
known = calls.read(environments.list_all)
if not known:
    if may_write:
        st.info("No environment yet. Name the first one; its connections come next.")
        environments_admin.add(first=True)
    else:
        st.info("No environment is configured yet. An admin can add one here.")
    st.stop()
# ask
environment = toolbar(known, admin=may_write)
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
