"""Everything about one connection: its last test, its form, what it does, its past tests."""

import streamlit as st

from backend.connections import kinds, testing
from backend.connections.schemas import ConnectionView, TestResult
from backend.core.errors import FieldInvalid
from pages.connections import client_info_panel, settings_form, test_results
from pages.shared import times
from pages.shell import calls


def draw(view: ConnectionView, last: TestResult | None, *, may_test: bool, admin: bool) -> None:
    """Everything about one connection."""
    kind = kinds.KINDS[view.kind]
    st.subheader(kind.label, anchor=False)
    st.caption(kind.purpose)
    if view.version:
        times.caption(f"Changed by {view.updated_by},", view.updated_at)
    place = st.container()
    fresh = _test(view, kind) if may_test and view.configured else None
    if admin:
        fresh = _change(view, kind) or fresh
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


def _test(view: ConnectionView, kind: kinds.Kind) -> TestResult | None:
    """The button, and a test after every save: a wrong setting is seen at once."""
    pressed = st.button("Test connection", key="connections.test", icon=":material/network_check:")
    if not pressed and not settings_form.was_just_saved(view):
        return None
    with st.spinner(f"Testing {kind.label}; this takes 10 seconds at most …"):
        return calls.run(testing.run, environment=view.environment, kind=view.kind)


def _change(view: ConnectionView, kind: kinds.Kind) -> TestResult | None:
    """The form; returns the result when unsaved edits were tested."""
    fresh: TestResult | None = None
    form = settings_form.draw(kind, view)
    if form is not None and form.action == "save":
        settings_form.save(view, kind, form)
    elif form is not None:
        draft = testing.Draft(form.settings, form.secrets)
        with st.spinner(f"Testing {kind.label}; this takes 10 seconds at most …"):
            try:
                fresh = calls.run(
                    testing.run,
                    environment=view.environment,
                    kind=view.kind,
                    draft=draft,
                    raising=FieldInvalid,
                )
            except FieldInvalid as exc:
                settings_form.said_wrong(view, kind, form, exc)
    for state in view.secrets:
        if state.is_set:
            settings_form.forget_secret(view, kind, state.field)
    return fresh
