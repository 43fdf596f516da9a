"""Everything about one connection: its last test, its form, what it does, its past tests."""

from collections.abc import Sequence

import streamlit as st

from backend.connections import kinds, testing
from backend.connections.checklist import JobSteps
from backend.connections.schemas import ConnectionView, TestResult
from backend.core.errors import FieldInvalid
from pages.connections import checklist_view, client_info_panel, settings_form, test_results
from pages.shared import beside, folds, times
from pages.shell import calls, flash

PAST = "connections.past"
_DRAFT = "connections.draft"


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
    if admin:
        _change(view, kind)
    with place:
        _tested(view)
        shown = (_draft(view, kind) if admin else None) or last
        if shown is not None:
            test_results.result(shown)
        checklist_view.leads_on(view.environment, jobs, view.kind)
    if admin and view.kind == "datahub" and view.version:
        with st.container(border=True):
            client_info_panel.draw(view.environment)
    past = folds.fold("Past tests", key=PAST)
    if past.open:  # neither asked for nor drawn before
        with past:
            test_results.history(
                calls.read(testing.history, environment=view.environment, kind=view.kind)
            )


def _test(view: ConnectionView) -> None:
    """Asked beside the page: a server that is away takes ten seconds to be so."""
    st.button(
        "Test connection",
        key="connections.test",
        icon=":material/network_check:",
        on_click=settings_form.begin_test,
        args=(view,),
    )


def _tested(view: ConnectionView) -> None:
    """What became of a test, also of the one after a save."""
    with beside.pressed(settings_form.ASKED, settings_form.about(view)) as done:
        if done is None:
            return
    flash.rerun()  # the checklist and the lists were drawn before


def _change(view: ConnectionView, kind: kinds.Kind) -> None:
    form = settings_form.draw(kind, view)
    if form is not None and form.action == "save":
        settings_form.save(view, kind, form)
    elif form is not None:
        draft = testing.Draft(form.settings, form.secrets)
        beside.begin(
            _DRAFT,
            (view.environment, view.kind, form.version),
            calls.bound(testing.run, environment=view.environment, kind=view.kind, draft=draft),
        )
    for state in view.secrets:
        if state.is_set:
            settings_form.forget_secret(view, kind, state.field)


def _draft(view: ConnectionView, kind: kinds.Kind) -> TestResult | None:
    """The result of a test of unsaved edits, until the page is drawn for something else."""
    version = settings_form.version(view)
    try:
        about = (view.environment, view.kind, version)
        with beside.pressed(_DRAFT, about, raising=FieldInvalid) as found:
            fresh: TestResult | None = found
            return fresh
    except FieldInvalid as exc:
        settings_form.said_wrong(view, kind, version, exc)
    return None
