"""Describe environments, connect them to their systems, and test that the connections work."""

import streamlit as st

from auth import current
from backend.connections import checklist, environments, health, service, testing
from backend.connections.schemas import EnvironmentView, TestResult
from backend.core.access import Permission
from backend.core.errors import PortalError
from pages.connections import (
    checklist_view,
    chooser,
    client_info_table,
    environments_form,
    kind_panel,
    matrix,
    test_results,
)
from pages.shared import beside, confirm, filters, primary, waiting
from pages.shell import calls, errors, flash, guard, head
from pages.shell.errors import escape

_RESULTS = "connections.results"


@st.fragment
def toolbar(
    shown: EnvironmentView, known: tuple[EnvironmentView, ...], *, may_test: bool, admin: bool
) -> None:
    """Which environment, and what this person can do with it. A click runs this part alone: its
    dialog or its progress does not wait for all the page, which draws dialogs in its own runs."""
    choice, test, manage, add = st.columns([5, 2, 2, 2], vertical_alignment="bottom")
    with choice:
        environment = chooser.environment_of(known)
    if current.is_part() and environment != shown:
        st.rerun()  # all of the page is about another one now
    if may_test:
        test.button(
            "Test all",
            key="connections.test_all",
            icon=":material/network_check:",
            width="stretch",
            shortcut=primary.key(),
            on_click=_test_all,
            args=(environment,),
        )
    if admin:
        manage.button(
            "Edit …",
            key="connections.open.edit",
            icon=":material/edit:",
            width="stretch",
            help="Rename the environment, say whose certificates it trusts, or delete it",
            on_click=environments_form.open_edit,
        )
        add.button(
            "Add …",
            key="connections.open.add",
            icon=":material/add:",
            width="stretch",
            help="Add another environment",
            on_click=confirm.open_dialog,
            args=(environments_form.ADD,),
        )
        if current.is_part():
            environments_form.dialogs(environment, known)
    all_results(environment)


def _test_all(environment: EnvironmentView) -> None:
    beside.begin(_RESULTS, environment.name, _tests(environment), told_at_once=True)


def _tests(environment: EnvironmentView) -> calls.Bound[tuple[TestResult, ...]]:
    return calls.bound(testing.run_all, environment=environment.name)


def all_results(environment: EnvironmentView) -> None:
    """The results of the last "Test all", until they are put away."""
    if not beside.is_about(_RESULTS, environment.name):
        return
    asked = beside.ask(_RESULTS, environment.name, _tests(environment))
    if asked is None:
        return
    try:
        found = asked.result()
    except PortalError as exc:
        errors.show(exc)
        return
    with st.container(border=True):
        ok = sum(item.ok for item in found)
        st.markdown(f"**{ok} of {len(found)} connections work**")
        if not found:
            st.caption("No connection is configured yet, so nothing was tested.")
        test_results.results(found)
        if st.button("Close", key="connections.results.close"):
            del st.session_state[_RESULTS]
            st.rerun()


# gate
actor = guard.require(Permission.CONNECTIONS_READ)
head.draw("Connections", "The systems that the portal works with, environment by environment.")
flash.show()
may_test = guard.allowed(actor, Permission.CONNECTIONS_TEST, "test connections")
may_write = guard.allowed(actor, Permission.CONNECTIONS_WRITE, "change connections")
known = calls.once(environments.list_all)
if not known:
    if may_write:
        st.info("No environment yet. Name the first one; its connections come next.")
        environments_form.add(known)
    else:
        st.info("No environment is configured yet. An admin can add one here.")
    st.stop()
# ask
if actor.may(Permission.CLIENT_INFO_READ):
    views_of_page = {"connections": "Connections", "client_info": "All client info"}
    if filters.view(views_of_page, "connections", key="connections.view") == "client_info":
        client_info_table.draw([item.name for item in known], admin=may_write)
        st.stop()
environment = chooser.wanted(known)
jobs = calls.read(checklist.checklist, environment=environment.name)
first = checklist_view.draw(environment, jobs, admin=may_write)
if len(known) > 1 and not current.narrow():  # else the list below says all of it
    with st.expander("All connections of all environments") if first else st.container():
        matrix.draw(calls.read(health.overview))
toolbar(environment, known, may_test=may_test, admin=may_write)
waiting.draw("connections", environment.name)
if not environment.trust.verify:
    st.warning(
        f"TLS certificates are not verified in {escape(environment.name)}: whoever is between can "
        "pose as any of its servers. An admin can switch verification on under Edit.",
        icon=":material/gpp_bad:",
    )
# load
views = {
    view.kind: view for view in calls.read(service.list_connections, environment=environment.name)
}
latest = calls.read(testing.latest, environment=environment.name)
# present and act
left, right = st.columns([1, 3])
with left:
    chosen = chooser.kind_of(views, latest)
with right:
    kind_panel.draw(views[chosen], latest.get(chosen), jobs, may_test=may_test, admin=may_write)
if may_write:
    environments_form.dialogs(environment, known)
