"""Everything about one connection: its last test, its form, what it does, its past tests."""

import streamlit as st

from backend.connections import kinds, testing
from backend.connections.schemas import ConnectionView, TestResult
from pages.connections import client_info_panel, settings_form, test_results
from pages.shared import times
from pages.shell import calls


def draw(view: ConnectionView, last: TestResult | None, *, admin: bool) -> None:
    """Everything about one connection."""
    kind = kinds.KINDS[view.kind]
    st.subheader(kind.label)
    st.caption(kind.purpose)
    if view.version:
        times.caption(f"Changed by {view.updated_by},", view.updated_at)
    place = st.container()
    fresh = _act(view, kind) if admin else None
    with place:
        shown = fresh or last
        if shown is not None:
            test_results.result(shown)
    if admin and view.kind == "datahub" and view.version:
        with st.container(border=True):
            client_info_panel.draw(view.environment)
    with st.expander("Past tests"):
        test_results.history(
            calls.read(testing.history, environment=view.environment, kind=view.kind)
        )


def _act(view: ConnectionView, kind: kinds.Kind) -> TestResult | None:
    """Form and buttons; returns the result of a test that was just made."""
    fresh: TestResult | None = None
    if view.configured and st.button(
        "Test connection", key="connections.test", icon=":material/network_check:"
    ):
        with st.spinner(f"Testing {kind.label}; this takes 10 seconds at most …"):
            fresh = calls.run(testing.run, environment=view.environment, kind=view.kind)
    form = settings_form.draw(kind, view)
    if form is not None and form.action == "save":
        settings_form.save(view, kind, form)
    elif form is not None:
        draft = testing.Draft(form.settings, form.secrets)
        with st.spinner(f"Testing {kind.label}; this takes 10 seconds at most …"):
            fresh = calls.run(
                testing.run, environment=view.environment, kind=view.kind, draft=draft
            )
    for state in view.secrets:
        if state.is_set:
            settings_form.forget_secret(view, kind, state.field)
    return fresh
