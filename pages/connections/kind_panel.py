"""Everything about one connection: its last test, its form, what it does, its past tests."""

from collections.abc import Sequence

import streamlit as st

from backend.connections import kinds, testing
from backend.connections.checklist import JobSteps
from backend.connections.schemas import ConnectionView, TestResult
from backend.core.errors import FieldInvalid, PortalError
from pages.connections import checklist_view, client_info_panel, settings_form, test_results
from pages.shared import beside, times
from pages.shell import calls, errors

PAST = "connections.past"
_ASKED = "connections.one"


def draw(
    view: ConnectionView,
    last: TestResult | None,
    jobs: Sequence[JobSteps],
    *,
    may_test: bool,
    admin: bool,
) -> None:
    """Everything about one connection, and where it leads once it works."""
    kind = kinds.KINDS[view.kind]
    st.header(kind.label, anchor=False)
    st.caption(kind.purpose)
    if view.version:
        times.caption(f"Changed by {view.updated_by},", view.updated_at)
    place = st.container()
    if may_test and view.configured:
        _test(view)
    fresh = _change(view, kind) if admin else None
    with place:
        shown = fresh or last
        if shown is not None:
            test_results.result(shown)
        checklist_view.leads_on(view.environment, jobs, view.kind)
    if admin and view.kind == "datahub" and view.version:
        with st.container(border=True):
            client_info_panel.draw(view.environment)
    past = st.expander("Past tests", key=PAST, on_change="rerun")
    if past.open:  # neither asked for nor drawn before
        with past:
            test_results.history(
                calls.read(testing.history, environment=view.environment, kind=view.kind)
            )


def _test(view: ConnectionView) -> None:
    """Asked beside the page: a server that is away takes ten seconds to be so."""
    about = (view.environment, view.kind)
    function = calls.bound(testing.run, environment=view.environment, kind=view.kind)
    st.button(
        "Test connection",
        key="connections.test",
        icon=":material/network_check:",
        on_click=beside.begin,
        args=(_ASKED, about, function),
    )
    if not beside.is_about(_ASKED, about):
        return
    asked = beside.ask(_ASKED, about, function)
    if asked is None:
        return
    del st.session_state[_ASKED]
    try:
        asked.result()
    except PortalError as exc:
        errors.show(exc)
    else:
        st.rerun()  # the checklist and the lists were drawn before


def _change(view: ConnectionView, kind: kinds.Kind) -> TestResult | None:
    """The form; returns the result when unsaved edits were tested."""
    fresh: TestResult | None = None
    form = settings_form.draw(kind, view)
    if form is not None and form.action == "save":
        settings_form.save(view, kind, form)
    elif form is not None:
        try:
            fresh = settings_form.run_test(view, kind, testing.Draft(form.settings, form.secrets))
        except FieldInvalid as exc:
            settings_form.said_wrong(view, kind, form, exc)
    for state in view.secrets:
        if state.is_set:
            settings_form.forget_secret(view, kind, state.field)
    return fresh
