"""What waits for an approval, on the page of the job that it is about."""

import streamlit as st

from backend.changes import service
from backend.core.access import Permission
from pages.shell import calls, guard
from pages.shell.errors import escape


def draw(domain: str, environment: str | None) -> None:
    """A line per request of this job that waits or is on its way, with its link; nothing without.

    domain: the first word of its actions ("user_sync").
    """
    session = guard.signed_in()
    if session is None or not session.actor.may(Permission.CHANGES_READ):
        return
    for view in calls.read(service.waiting_for, environment=environment or None, domain=domain):
        st.info(
            f"{escape(view.label)}, {escape(view.subject)}: [change {view.id}]"
            f"(/changes?change={view.id}) of {escape(view.requester)} is {view.status}.",
            icon=":material/approval:",
        )
