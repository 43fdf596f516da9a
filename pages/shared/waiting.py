"""What waits for an approval, on the page of the job that it is about."""

import streamlit as st

from backend.changes import service
from backend.core.access import Permission
from pages.shell import calls, guard
from pages.shell.errors import escape


def draw(domain: str, environment: str | None) -> None:
    """One line for the requests of this job that wait or are on their way, each with its link;
    nothing without.

    domain: the first word of its actions ("user_sync").
    """
    session = guard.signed_in()
    if session is None or not session.actor.may(Permission.CHANGES_READ):
        return
    found = calls.read(service.waiting_for, environment=environment or None, domain=domain)
    said = [
        f"[change {view.id}](/changes?change={view.id}) of {escape(view.requester)} is "
        f"{view.status}: {escape(view.label)}, {escape(view.subject)}"
        for view in found
    ]
    if said:
        # Not a box: the list below it is the page, and this must not push it down.
        st.markdown(f":material/approval: {'; '.join(said)}.")
