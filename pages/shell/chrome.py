"""What surrounds every page: logo, who is signed in, sign-out, the line on top."""

import streamlit as st

from auth import sign_out
from backend.accounts.schemas import SignedIn
from backend.connections import environments
from backend.core.access import Actor, Permission
from backend.jobs import service as jobs
from backend.notifications import inbox
from backend.sandbox import control
from pages.shared import confirm, palette
from pages.shell import calls, flash, where
from pages.shell.errors import escape
from pages.shell.registry import FOLDER, find

#: Of the browser's tab.
ICON = str(FOLDER / "static" / "icon.svg")
ICON_AT_WORK = str(FOLDER / "static" / "icon-at-work.svg")
_LEAVE = "chrome.leave_sandbox"


def draw(session: SignedIn, *, alone: bool = False) -> None:
    """Below the menu who is signed in, and on every page one line: where one works, what is new.

    alone: before the first page, when there is nothing else to see.
    """
    logo()
    with st.sidebar.container(key=None if alone else "chrome.account"):
        st.caption(f"Signed in as **{escape(session.actor.name)}** ({session.actor.role.value})")
        sign_out.button()
    if alone:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="chrome.strip"):
        where.draw()
        _sandbox(session.actor)
        st.space("stretch")
        palette.button()
        if session.actor.may(Permission.NOTIFICATIONS_READ):
            _bell()
    if session.actor.may(Permission.ENVIRONMENTS_WRITE):
        _leave_dialog()


def logo() -> None:
    """The portal's sign, before sign-in, too."""
    st.logo(FOLDER / "static" / "logo.svg", icon_image=ICON, size="large")


def tell_of_work(actor: Actor) -> None:
    """Another icon in the browser's tab while something that this person started is not over: it
    is seen from the tab beside it."""
    if not actor.may(Permission.JOBS_READ):
        return
    if calls.read(jobs.is_at_work):
        st.set_page_config(page_icon=ICON_AT_WORK)


def _bell() -> None:
    """How much is unread, wherever one is."""
    unread = calls.read(inbox.unread)
    many = "99+" if unread >= inbox.MANY else str(unread)
    page = find("notifications/page.py")
    st.page_link(page.path, label=f"**{many}** unread" if unread else "0 unread", icon=page.icon)


def _sandbox(actor: Actor) -> None:
    state = control.state(calls.once(environments.list_all))
    writes = actor.may(Permission.ENVIRONMENTS_WRITE)
    if state.active:
        st.badge("Sandbox", icon=":material/science:", color="blue", help=state.message)
        if writes:
            st.button(
                "Leave sandbox …",
                key=_LEAVE,
                type="tertiary",
                icon=":material/exit_to_app:",
                on_click=confirm.open_dialog,
                args=(_LEAVE,),
            )
    elif state.message and writes:
        st.badge(state.message, icon=":material/science:", color="orange")


def _leave_dialog() -> None:
    confirm.ask(
        _LEAVE,
        title="Leave the sandbox?",
        body=(
            "It ends at once and for everybody: the environment is deleted with its connections, "
            "test history, ingestion rules and mount targets, and its servers stop. Environments "
            "of your own stay as they are. To have a sandbox again, start the portal with "
            "PORTAL_SANDBOX=on."
        ),
        action="Leave the sandbox",
        on_confirm=_leave,
    )


def _leave() -> None:
    if not calls.run(control.leave):
        return
    st.query_params.clear()
    text = "The sandbox is gone."
    if not calls.read(environments.list_all):
        text += " Add your first environment on Connections."
    flash.success(text)
