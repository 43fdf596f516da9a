"""What surrounds every page: who is signed in, sign-out, the sandbox banner."""

import streamlit as st

from auth import sign_out
from backend.accounts.schemas import SignedIn
from backend.core.access import Permission
from backend.sandbox import control
from pages.shell import calls, flash
from pages.shell.errors import escape


def draw(session: SignedIn) -> None:
    """Sidebar foot and banners."""
    with st.sidebar:
        st.caption(f"Signed in as **{escape(session.actor.name)}** ({session.actor.role.value})")
        sign_out.button()
    _sandbox_banner(session)
    if session.must_change_password:
        st.info(
            "You are using the password the portal made for you. Change it on **My account**.",
            icon=":material/key:",
        )


def _sandbox_banner(session: SignedIn) -> None:
    state = calls.read(control.state)
    if not state.active:
        return
    text, button = st.columns([6, 1], vertical_alignment="center")
    text.info(
        f"**Sandbox**: {state.message} Nothing here touches a real system.",
        icon=":material/science:",
    )
    if session.actor.may(Permission.ENVIRONMENTS_WRITE) and button.button(
        "Leave sandbox", key="chrome.leave_sandbox"
    ):
        if calls.run(control.leave):
            flash.success("The sandbox is gone. Add your first environment on Connections.")
        st.rerun()
